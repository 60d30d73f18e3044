/* libqfuse: every kernel, once: drives the table, the tests and the benchmark.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#define QF_KERNEL_LIST(K)                                                      \
  K (conv_s8_packed_size)                                                      \
  K (conv_s8_pack)                                                             \
  K (conv_u8s8_scratch_size)                                                   \
  K (conv_u8s8_s32)                                                            \
  K (conv_u8s8_grain)                                                          \
  K (conv_u8s8_u8)                                                             \
  K (conv_u8s8_parts_unit)                                                     \
  K (conv_u8s8_parts_scratch_size)                                             \
  K (conv_u8s8_u8_parts)                                                       \
  K (requant_s32_u8)                                                           \
  K (add_u8)                                                                   \
  K (lookup_u8)                                                                \
  K (quantize_f32_u8)                                                          \
  K (dequantize_u8_f32)                                                        \
  K (sum_u8_s32)                                                               \
  K (max_pool_u8)                                                              \
  K (conv_f32_packed_size)                                                     \
  K (conv_f32_pack)                                                            \
  K (conv_f32_scratch_size)                                                    \
  K (conv_f32)                                                                 \
  K (add_f32)                                                                  \
  K (affine_f32)                                                               \
  K (sigmoid_f32)                                                              \
  K (max_pool_f32)                                                             \
  K (mean_f32)                                                                 \
  K (transpose)                                                                \
  K (resize_nearest)                                                           \
  K (scale_packed_size)                                                        \
  K (scale_pack)                                                               \
  K (scale_scratch_size)                                                       \
  K (scale_u8)                                                                 \
  K (luma_rgb_u8)                                                              \
  K (luma_full_u8)                                                             \
  K (even_u8)                                                                  \
  K (ten_bits_u8)
