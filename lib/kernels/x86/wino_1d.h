/* libqfuse: Winograd's F(4x4, 3x3) along one axis, in vectors of any width.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Included by what defines QF_V, a vector of integers, and QF_OP(name), its
 * intrinsic: wino_avx2.h, wino_avx512vnni.h. */

/* Bᵀ, in 16 bits: rows 4 0 −5 0 1 0; 0 −4 −4 1 1 0; 0 4 −4 −1 1 0;
 * 0 −2 −1 2 1 0; 0 2 −1 −2 1 0; 0 4 0 −5 0 1. Not more than 10 times as large.
 */
static inline __attribute__ ((always_inline)) void
qf_wino_input_1d (const QF_V *d, int step, QF_V *t, int t_step)
{
  QF_V d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
  QF_V d4 = d[4 * step], d5 = d[5 * step];
  QF_V p = QF_OP (sub_epi16) (d4, QF_OP (slli_epi16) (d2, 2));
  QF_V q = QF_OP (sub_epi16) (d3, QF_OP (slli_epi16) (d1, 2));
  QF_V a = QF_OP (sub_epi16) (d4, d2), b = QF_OP (sub_epi16) (d3, d1);
  QF_V b2 = QF_OP (add_epi16) (b, b), b4 = QF_OP (add_epi16) (b2, b2);

  t[0] =
      QF_OP (add_epi16) (a, QF_OP (slli_epi16) (QF_OP (sub_epi16) (d0, d2), 2));
  t[t_step] = QF_OP (add_epi16) (p, q);
  t[2 * t_step] = QF_OP (sub_epi16) (p, q);
  t[3 * t_step] = QF_OP (add_epi16) (a, b2);
  t[4 * t_step] = QF_OP (sub_epi16) (a, b2);
  t[5 * t_step] = QF_OP (sub_epi16) (QF_OP (sub_epi16) (d5, d3), b4);
}

/* Aᵀ with the factors that the weights' transform lacks: 24, 12, 6 and 6 times
 * the outputs. */
static inline __attribute__ ((always_inline)) void
qf_wino_output_1d (const QF_V *m, QF_V *y, int y_step)
{
  QF_V s12 = QF_OP (add_epi32) (m[1], m[2]);
  QF_V d12 = QF_OP (sub_epi32) (m[1], m[2]);
  QF_V s34 = QF_OP (add_epi32) (m[3], m[4]);
  QF_V d34 = QF_OP (sub_epi32) (m[3], m[4]);

  y[0] = QF_OP (add_epi32) (
      QF_OP (sub_epi32) (m[0], QF_OP (slli_epi32) (s12, 2)), s34);
  y[y_step] = QF_OP (sub_epi32) (d34, QF_OP (add_epi32) (d12, d12));
  y[2 * y_step] = QF_OP (sub_epi32) (s34, s12);
  y[3 * y_step] = QF_OP (add_epi32) (
      QF_OP (sub_epi32) (QF_OP (add_epi32) (d34, d34), d12), m[5]);
}

#undef QF_V
#undef QF_OP
