/* libqfuse: Winograd's transforms for training, compiled once a tier.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Lavin and Gray, Fast algorithms for convolutional neural networks, 2016,
 * F(2x2, 3x3), transposed: docs/numerics.md (T10). Sums and differences alone, in
 * the order in which they stand here, of QF_GRAD_LANES channels at a time. */
#include "kernels/c/grad_wino.h"

#define L QF_GRAD_LANES
#define EACH(j) for (int j = 0; j < L; j++)

/* A dy Aᵀ; A = (1 0; 1 1; 1 -1; 0 -1). */
void
QF_T (wino_dy_f32) (const float *restrict dy, ptrdiff_t row, int tiles,
                    float *restrict t, ptrdiff_t plane)
{
  for (int i = 0; i < tiles; i++, dy += 2 * L, t += L) {
    float a[4][2][L];

    for (int c = 0; c < 2; c++)
      EACH (j)
      {
        float u = dy[c * L + j], v = dy[row + c * L + j];

        a[0][c][j] = u;
        a[1][c][j] = u + v;
        a[2][c][j] = u - v;
        a[3][c][j] = -v;
      }
    for (int r = 0; r < 4; r++) {
      float *to = t + 4 * r * plane;

      EACH (j)
      {
        float u = a[r][0][j], v = a[r][1][j];

        to[j] = u;
        to[plane + j] = u + v;
        to[2 * plane + j] = u - v;
        to[3 * plane + j] = -v;
      }
    }
  }
}

/* Bᵀ x B; Bᵀ = (1 0 -1 0; 0 1 1 0; 0 -1 1 0; 0 1 0 -1). */
void
QF_T (wino_x_f32) (const float *restrict x, ptrdiff_t row, int tiles,
                   float *restrict t, ptrdiff_t plane)
{
  for (int i = 0; i < tiles; i++, x += 2 * L, t += L) {
    float a[4][4][L];

    for (int c = 0; c < 4; c++)
      EACH (j)
      {
        const float *p = x + c * L + j;

        a[0][c][j] = p[0] - p[2 * row];
        a[1][c][j] = p[row] + p[2 * row];
        a[2][c][j] = p[2 * row] - p[row];
        a[3][c][j] = p[row] - p[3 * row];
      }
    for (int r = 0; r < 4; r++) {
      float *to = t + 4 * r * plane;

      EACH (j)
      {
        to[j] = a[r][0][j] - a[r][2][j];
        to[plane + j] = a[r][1][j] + a[r][2][j];
        to[2 * plane + j] = a[r][2][j] - a[r][1][j];
        to[3 * plane + j] = a[r][1][j] - a[r][3][j];
      }
    }
  }
}

/* B t Bᵀ. */
void
QF_T (wino_dx_f32) (const float *restrict t, ptrdiff_t plane, int tiles,
                    float *restrict dx, ptrdiff_t row)
{
  for (int i = 0; i < tiles; i++, dx += 2 * L, t += L) {
    float a[4][4][L];

    for (int c = 0; c < 4; c++)
      EACH (j)
      {
        const float *p = t + c * plane + j;

        a[0][c][j] = p[0];
        a[1][c][j] = p[4 * plane] - p[8 * plane] + p[12 * plane];
        a[2][c][j] = p[4 * plane] + p[8 * plane] - p[0];
        a[3][c][j] = -p[12 * plane];
      }
    for (int r = 0; r < 4; r++) {
      float *to = dx + r * row;

      EACH (j)
      {
        to[j] += a[r][0][j];
        to[L + j] += a[r][1][j] - a[r][2][j] + a[r][3][j];
        to[2 * L + j] += a[r][1][j] + a[r][2][j] - a[r][0][j];
        to[3 * L + j] -= a[r][3][j];
      }
    }
  }
}
