/* libqfuse: transposition, AVX2.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/c/move.h"
#include "kernels/x86/avx2.h"
#include "kernels/x86/move.h"

enum
{
  ROWS = 16,
  COLS = 32,
  BLOCK = 4 * COLS /* columns whose results stay in the nearest cache */
};

/* Interleaves @v[i] with @v[i + 8]: four times over, each half of the vectors
 * is a transposed 16x16 block, its rows in order. */
static inline __attribute__ ((always_inline)) void
interleave (const __m256i *v, __m256i *to)
{
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) {
    to[2 * i] = _mm256_unpacklo_epi8 (v[i], v[i + 8]);
    to[2 * i + 1] = _mm256_unpackhi_epi8 (v[i], v[i + 8]);
  }
}

static inline void
transpose_16x32 (const uint8_t *x, size_t x_step, uint8_t *y, size_t y_step)
{
  __m256i a[ROWS], b[ROWS];

#pragma GCC unroll 16
  for (int i = 0; i < ROWS; i++)
    a[i] = _mm256_loadu_si256 ((const __m256i *) (x + (size_t) i * x_step));
  interleave (a, b);
  interleave (b, a);
  interleave (a, b);
  interleave (b, a);
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; i++) {
    _mm_storeu_si128 (
        (__m128i *) (y + (size_t) i * y_step), _mm256_castsi256_si128 (a[i]));
    _mm_storeu_si128 ((__m128i *) (y + (size_t) (ROWS + i) * y_step),
        _mm256_extracti128_si256 (a[i], 1));
  }
}

/* Rows 16 … 31 are in the upper halves, so that 32 rows of a column are stored
 * at once. Interleaving as above, but twice on four rows and twice on what came
 * of them, so that four vectors at a time are in registers. */
static inline void
transpose_32x16 (const uint8_t *x, size_t x_step, uint8_t *y, size_t y_step)
{
  __m256i part[4][4]; /* [i]: columns 4i … 4i + 3, [j]: rows 4k + j */

#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) {
    __m256i v[4], t[4];

#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
      const uint8_t *low = x + (size_t) (4 * i + j) * x_step;

      v[i] = _mm256_inserti128_si256 (
          _mm256_castsi128_si256 (_mm_loadu_si128 ((const __m128i *) low)),
          _mm_loadu_si128 ((const __m128i *) (low + ROWS * x_step)), 1);
    }
    t[0] = _mm256_unpacklo_epi8 (v[0], v[2]);
    t[1] = _mm256_unpackhi_epi8 (v[0], v[2]);
    t[2] = _mm256_unpacklo_epi8 (v[1], v[3]);
    t[3] = _mm256_unpackhi_epi8 (v[1], v[3]);
    part[0][j] = _mm256_unpacklo_epi8 (t[0], t[2]);
    part[1][j] = _mm256_unpackhi_epi8 (t[0], t[2]);
    part[2][j] = _mm256_unpacklo_epi8 (t[1], t[3]);
    part[3][j] = _mm256_unpackhi_epi8 (t[1], t[3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    const __m256i *v = part[i];
    __m256i t[4];
    uint8_t *to = y + (size_t) (4 * i) * y_step;

    t[0] = _mm256_unpacklo_epi8 (v[0], v[2]);
    t[1] = _mm256_unpackhi_epi8 (v[0], v[2]);
    t[2] = _mm256_unpacklo_epi8 (v[1], v[3]);
    t[3] = _mm256_unpackhi_epi8 (v[1], v[3]);
    _mm256_storeu_si256 ((__m256i *) to, _mm256_unpacklo_epi8 (t[0], t[2]));
    _mm256_storeu_si256 (
        (__m256i *) (to + y_step), _mm256_unpackhi_epi8 (t[0], t[2]));
    _mm256_storeu_si256 (
        (__m256i *) (to + 2 * y_step), _mm256_unpacklo_epi8 (t[1], t[3]));
    _mm256_storeu_si256 (
        (__m256i *) (to + 3 * y_step), _mm256_unpackhi_epi8 (t[1], t[3]));
  }
}

/* Of at least 32 rows and 16 columns, as below. */
static void
transpose_bytes (
    const uint8_t *x, int rows, int cols, uint8_t *y, int col0, int col1)
{
  for (int block = col0; block < col1; block += BLOCK)
    for (int r = 0; r < rows; r += 2 * ROWS) {
      int row = r + 2 * ROWS <= rows ? r : rows - 2 * ROWS;

      for (int c = block; c < col1 && c < block + BLOCK; c += ROWS) {
        int col = c + ROWS <= col1 ? c : col1 - ROWS;

        transpose_32x16 (x + (size_t) row * cols + col, (size_t) cols,
            y + (size_t) (col - col0) * rows + row, (size_t) rows);
      }
    }
}

/* Eight rows of eight floats: pairs, pairs of pairs, halves. */
static inline void
transpose_8x8 (const float *x, size_t x_step, float *y, size_t y_step)
{
  __m256 a[8], b[8];

#pragma GCC unroll 8
  for (int i = 0; i < 8; i++)
    a[i] = _mm256_loadu_ps (x + (size_t) i * x_step);
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    b[i] = _mm256_unpacklo_ps (a[i], a[i + 1]);
    b[i + 1] = _mm256_unpackhi_ps (a[i], a[i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {
    a[i] = _mm256_shuffle_ps (b[i], b[i + 2], 0x44);
    a[i + 1] = _mm256_shuffle_ps (b[i], b[i + 2], 0xee);
    a[i + 2] = _mm256_shuffle_ps (b[i + 1], b[i + 3], 0x44);
    a[i + 3] = _mm256_shuffle_ps (b[i + 1], b[i + 3], 0xee);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    _mm256_storeu_ps (
        y + (size_t) i * y_step, _mm256_permute2f128_ps (a[i], a[i + 4], 0x20));
    _mm256_storeu_ps (y + (size_t) (i + 4) * y_step,
        _mm256_permute2f128_ps (a[i], a[i + 4], 0x31));
  }
}

/* As below, of four bytes. */
static void
transpose_words (
    const float *x, int rows, int cols, float *y, int col0, int col1)
{
  for (int block = col0; block < col1; block += BLOCK)
    for (int r = 0; r < rows; r += 8) {
      int row = r + 8 <= rows ? r : rows - 8;

      for (int c = block; c < col1 && c < block + BLOCK; c += 8) {
        int col = c + 8 <= col1 ? c : col1 - 8;

        transpose_8x8 (x + (size_t) row * cols + col, (size_t) cols,
            y + (size_t) (col - col0) * rows + row, (size_t) rows);
      }
    }
}

/* The last block overlaps the one before where rows or columns do not fill it.
 */
void
qf_transpose_avx2 (
    const void *x, int rows, int cols, size_t size, void *y, int col0, int col1)
{
  const uint8_t *from = x;
  uint8_t *to = y;

  if (size == 4 && rows >= 8 && col1 - col0 >= 8) {
    transpose_words (x, rows, cols, y, col0, col1);
    return;
  }
  if (size == 1 && rows >= 2 * ROWS && col1 - col0 >= ROWS) {
    transpose_bytes (from, rows, cols, to, col0, col1);
    return;
  }
  if (size != 1 || rows < ROWS || col1 - col0 < COLS) {
    QF_T (transpose) (x, rows, cols, size, y, col0, col1);
    return;
  }
  for (int block = col0; block < col1; block += BLOCK)
    for (int r = 0; r < rows; r += ROWS) {
      int row = r + ROWS <= rows ? r : rows - ROWS;

      for (int c = block; c < col1 && c < block + BLOCK; c += COLS) {
        int col = c + COLS <= col1 ? c : col1 - COLS;

        transpose_16x32 (from + (size_t) row * cols + col, (size_t) cols,
            to + (size_t) (col - col0) * rows + row, (size_t) rows);
      }
    }
}
