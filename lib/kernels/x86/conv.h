/* libqfuse: what the files of the convolutions by hand share.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "kernels/kernels.h"

/** Where results go: @acc, else codes by @r to @y. Both point at channel 0 of
 * row
 * @row0. Channels @c0 … @c1 − 1 are wanted. */
typedef struct
{
  int32_t *acc;
  const QfRequant *r;
  uint8_t *y;
  int c0, c1;
} QfConvOut;

/** One way to convolve, for the shapes that it @can do. */
typedef struct
{
  int (*can) (const QfConvShape *s);
  size_t (*packed_size) (const QfConvShape *s);
  void (*pack) (const QfConvShape *s, const int8_t *w, void *packed);
  size_t (*scratch_size) (const QfConvShape *s);
  void (*grain) (const QfConvShape *s, int *rows, int *channels);
  void (*run) (const QfConvShape *s, const uint8_t *x, int x_zero,
      const void *packed, QfConvOut out, int row0, int row1, void *scratch);
  size_t (*packed_used) (const QfConvShape *s, const void *packed);
      /* NULL: packed_size */
} QfConvFamily;

/** The same family on parts of the output; codes before r->table. */
typedef struct
{
  void (*run) (const QfConvShape *s, const uint8_t *x, int x_zero,
      const void *packed, QfConvOut out, int row0, int row1, void *scratch);
  int unit; /* pixels a side … */
  int many; /* … where so many are wanted; 1 where less */
  size_t (*scratch_size) (const QfConvShape *s);
  void (*parts) (const QfConvShape *s, const uint8_t *x, int x_zero,
      const void *packed, const QfRequant *r, const QfPart *parts, int n,
      uint8_t *y, void *scratch);
} QfConvParts;

/* That of the family that has @run; NULL: it goes by patches. */
const QfConvParts *qf_conv_parts_avx2 (void (*run) (const QfConvShape *s,
    const uint8_t *x, int x_zero, const void *packed, QfConvOut out, int row0,
    int row1, void *scratch));

/* For the table: conv_avx2.c */
void qf_conv_set_avx2 (QfKernels *k);

/* Depthwise, 3x3: conv_dw_avx2.c */
int qf_conv_dw_avx2_can (const QfConvShape *s);
size_t qf_conv_dw_avx2_packed_size (const QfConvShape *s);
void qf_conv_dw_avx2_pack (const QfConvShape *s, const int8_t *w, void *packed);
size_t qf_conv_dw_avx2_scratch_size (const QfConvShape *s);
void qf_conv_dw_avx2_grain (const QfConvShape *s, int *rows, int *channels);
void qf_conv_dw_avx2 (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, QfConvOut out, int row0, int row1, void *scratch);

/* The same of 32 channels or more: conv_dw32_avx2.c */
int qf_conv_dw32_avx2_can (const QfConvShape *s);
size_t qf_conv_dw32_avx2_packed_size (const QfConvShape *s);
void qf_conv_dw32_avx2_pack (
    const QfConvShape *s, const int8_t *w, void *packed);
size_t qf_conv_dw32_avx2_scratch_size (const QfConvShape *s);
void qf_conv_dw32_avx2_grain (const QfConvShape *s, int *rows, int *channels);
void qf_conv_dw32_avx2 (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, QfConvOut out, int row0, int row1, void *scratch);

/* Dense: conv_dense_avx2.c */
int qf_conv_dense_avx2_can (const QfConvShape *s);
size_t qf_conv_dense_avx2_packed_size (const QfConvShape *s);
void qf_conv_dense_avx2_pack (
    const QfConvShape *s, const int8_t *w, void *packed);
size_t qf_conv_dense_avx2_scratch_size (const QfConvShape *s);
void qf_conv_dense_avx2_grain (const QfConvShape *s, int *rows, int *channels);
void qf_conv_dense_avx2 (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, QfConvOut out, int row0, int row1, void *scratch);

/* Dense 1x1: conv_point_avx2.c */
int qf_conv_point_avx2_can (const QfConvShape *s);
size_t qf_conv_point_avx2_packed_size (const QfConvShape *s);
void qf_conv_point_avx2_pack (
    const QfConvShape *s, const int8_t *w, void *packed);
size_t qf_conv_point_avx2_packed_used (
    const QfConvShape *s, const void *packed);
size_t qf_conv_point_avx2_scratch_size (const QfConvShape *s);
void qf_conv_point_avx2_grain (const QfConvShape *s, int *rows, int *channels);
void qf_conv_point_avx2 (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, QfConvOut out, int row0, int row1, void *scratch);
size_t qf_conv_point_parts_avx2_scratch_size (const QfConvShape *s);
void qf_conv_point_parts_avx2 (const QfConvShape *s, const uint8_t *x,
    int x_zero, const void *packed, const QfRequant *r, const QfPart *parts,
    int n, uint8_t *y, void *scratch);

/* Dense 3x3 of stride 1: conv_wino_avx2.c */
int qf_conv_wino_avx2_can (const QfConvShape *s);
size_t qf_conv_wino_avx2_packed_size (const QfConvShape *s);
void qf_conv_wino_avx2_pack (
    const QfConvShape *s, const int8_t *w, void *packed);
size_t qf_conv_wino_avx2_scratch_size (const QfConvShape *s);
void qf_conv_wino_avx2_grain (const QfConvShape *s, int *rows, int *channels);
void qf_conv_wino_avx2 (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, QfConvOut out, int row0, int row1, void *scratch);

/* Parts of less pixels than these are made directly: Winograd's weights are four
 * times as many. */
enum
{
  QF_WINO_PIXELS = 160
};
size_t qf_conv_wino_parts_avx2_scratch_size (const QfConvShape *s);
void qf_conv_wino_parts_avx2 (const QfConvShape *s, const uint8_t *x,
    int x_zero, const void *packed, const QfRequant *r, const QfPart *parts,
    int n, uint8_t *y, void *scratch);

/* Direct kernels' parts: conv_parts_avx2.c */
size_t qf_conv_dense_parts_avx2_scratch_size (const QfConvShape *s);
void qf_conv_dense_parts_avx2 (const QfConvShape *s, const uint8_t *x,
    int x_zero, const void *packed, const QfRequant *r, const QfPart *parts,
    int n, uint8_t *y, void *scratch);

/* Few input channels: conv_few_avx2.c */
int qf_conv_few_avx2_can (const QfConvShape *s);
size_t qf_conv_few_avx2_packed_size (const QfConvShape *s);
void qf_conv_few_avx2_pack (
    const QfConvShape *s, const int8_t *w, void *packed);
size_t qf_conv_few_avx2_scratch_size (const QfConvShape *s);
void qf_conv_few_avx2_grain (const QfConvShape *s, int *rows, int *channels);
void qf_conv_few_avx2 (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, QfConvOut out, int row0, int row1, void *scratch);

/* Dense, VNNI: conv_dense_avxvnni.c */
int qf_conv_dense_avxvnni_can (const QfConvShape *s);
size_t qf_conv_dense_avxvnni_packed_size (const QfConvShape *s);
void qf_conv_dense_avxvnni_pack (
    const QfConvShape *s, const int8_t *w, void *packed);
size_t qf_conv_dense_avxvnni_scratch_size (const QfConvShape *s);
void qf_conv_dense_avxvnni_grain (const QfConvShape *s, int *rows, int *channels);
void qf_conv_dense_avxvnni (const QfConvShape *s, const uint8_t *x,
    int x_zero, const void *packed, QfConvOut out, int row0, int row1,
    void *scratch);

/* Dense, VNNI: conv_dense_avx512vnni.c */
int qf_conv_dense_avx512vnni_can (const QfConvShape *s);
size_t qf_conv_dense_avx512vnni_packed_size (const QfConvShape *s);
void qf_conv_dense_avx512vnni_pack (
    const QfConvShape *s, const int8_t *w, void *packed);
size_t qf_conv_dense_avx512vnni_scratch_size (const QfConvShape *s);
void qf_conv_dense_avx512vnni_grain (const QfConvShape *s, int *rows, int *channels);
void qf_conv_dense_avx512vnni (const QfConvShape *s, const uint8_t *x,
    int x_zero, const void *packed, QfConvOut out, int row0, int row1,
    void *scratch);

/* Dense 3x3 of stride 1, AVX-512 VNNI: conv_wino_avx512vnni.c */
int qf_conv_wino_avx512vnni_can (const QfConvShape *s);
size_t qf_conv_wino_avx512vnni_packed_size (const QfConvShape *s);
void qf_conv_wino_avx512vnni_pack (
    const QfConvShape *s, const int8_t *w, void *packed);
size_t qf_conv_wino_avx512vnni_scratch_size (const QfConvShape *s);
void qf_conv_wino_avx512vnni_grain (
    const QfConvShape *s, int *rows, int *channels);
void qf_conv_wino_avx512vnni (const QfConvShape *s, const uint8_t *x,
    int x_zero, const void *packed, QfConvOut out, int row0, int row1,
    void *scratch);

/* Depthwise, 3x3, AVX-512 VNNI: conv_dw_avx512vnni.c */
int qf_conv_dw_avx512vnni_can (const QfConvShape *s);
size_t qf_conv_dw_avx512vnni_packed_size (const QfConvShape *s);
void qf_conv_dw_avx512vnni_pack (
    const QfConvShape *s, const int8_t *w, void *packed);
size_t qf_conv_dw_avx512vnni_scratch_size (const QfConvShape *s);
void qf_conv_dw_avx512vnni_grain (
    const QfConvShape *s, int *rows, int *channels);
void qf_conv_dw_avx512vnni (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, QfConvOut out, int row0, int row1, void *scratch);
