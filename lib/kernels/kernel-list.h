/* libqfuse: every kernel, once: drives the table, the tests and the benchmark.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#define QF_KERNEL_LIST(K)                                                      \
  K (conv_s8_packed_size)                                                      \
  K (conv_s8_pack)                                                             \
  K (conv_u8s8_scratch_size)                                                   \
  K (conv_u8s8_s32)                                                            \
  K (requant_s32_u8)
