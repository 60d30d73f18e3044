/* libqfuse: what heads of dense outputs share.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/heads/rows.h"

#include <string.h>

static QfRows
rows_of (const QfTensor *t, gsize row, gsize col)
{
  return (QfRows){ .data = t->data,
    .codes = t->dtype == QF_U8,
    .scale = t->scale,
    .zero = t->zero,
    .row = row,
    .col = col };
}

QfRows
qf_rows_listed (const QfTensor *t)
{
  return t->layout == QF_NHWC ? rows_of (t, 1, (gsize) t->c)
                              : rows_of (t, (gsize) t->h * t->w, 1);
}

QfRows
qf_rows_gridded (const QfTensor *t)
{
  return t->layout == QF_NHWC ? rows_of (t, (gsize) t->c, 1)
                              : rows_of (t, 1, (gsize) t->h * t->w);
}

float
qf_rows_best (const QfRows *r, int row, int first, int n, int *number)
{
  float best = qf_rows_at (r, row, first);

  *number = 0;
  for (int i = 1; i < n; i++) {
    float v = qf_rows_at (r, row, first + i);

    if (isnan (v))
      return v;
    if (v > best) {
      best = v;
      *number = i;
    }
  }
  return best;
}

gboolean
qf_levels_init (QfLevels *levels, const QfModel *model, const char *fallback,
    GError **error)
{
  const char *text = qf_model_get (model, "qfuse.head.strides");
  g_auto (GStrv) words = g_strsplit (text ? text : fallback, ",", -1);
  int c, h, w;

  *levels = (QfLevels){ 0 };
  qf_model_input_shape (model, &c, &h, &w);
  for (int i = 0; words[i]; i++) {
    guint64 stride;
    QfLevel *l = &levels->level[i];

    if (i == QF_MAX_LEVELS ||
        !g_ascii_string_to_unsigned (
            g_strstrip (words[i]), 10, 1, QF_MAX_STRIDE, &stride, NULL)) {
      g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
          "qfuse.head.strides is \"%.100s\", but at most %d numbers from 1 to "
          "%d such as 8,16,32 are needed",
          text, QF_MAX_LEVELS, QF_MAX_STRIDE);
      return FALSE;
    }
    *l = (QfLevel){ .stride = (int) stride,
      .w = (w + (int) stride - 1) / (int) stride,
      .h = (h + (int) stride - 1) / (int) stride,
      .first = levels->cells };
    levels->cells += l->w * l->h;
    levels->n++;
  }
  return TRUE;
}

gboolean
qf_score_init (QfScore *score, const QfModel *model, QfScore fallback,
    guint allowed, GError **error)
{
  static const char *const names[] = { "none", "sigmoid", "softmax" };
  const char *text = qf_model_get (model, "qfuse.head.score");

  *score = fallback;
  if (!text)
    return TRUE;
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (strcmp (text, names[i]) == 0 && (allowed & 1u << i)) {
      *score = (QfScore) i;
      return TRUE;
    }
  g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
      "qfuse.head.score is \"%.100s\", which this head does not know", text);
  return FALSE;
}

gboolean
qf_result_add (QfResult *result, float cx, float cy, float w, float h,
    float score, int label)
{
  QfBox box = { .x = cx - w / 2,
    .y = cy - h / 2,
    .w = w,
    .h = h,
    .score = score,
    .label = label };

  if (!isfinite (box.x) || !isfinite (box.y) || !isfinite (w) ||
      !isfinite (h) || !isfinite (score))
    return FALSE;
  g_array_append_val (result->boxes, box);
  return TRUE;
}

QfKeyPoint *
qf_result_add_points (QfResult *result, int n)
{
  guint first;

  if (!result->points || n == 0)
    return NULL;
  first = result->points->len;
  g_array_set_size (result->points, first + (guint) n);
  result->n_points = n;
  g_array_index (result->boxes, QfBox, result->boxes->len - 1).points =
      (int) first + 1;
  return &g_array_index (result->points, QfKeyPoint, first);
}

gboolean
qf_head_misfit (const char *name, const QfTensor *shapes, int n_outputs,
    GError **error, const char *what)
{
  g_autoptr (GString) text = g_string_new (NULL);

  for (int i = 0; i < MIN (n_outputs, 16); i++)
    g_string_append_printf (text, "%s%s [%d, %d, %d, %d]", i ? ", " : "",
        shapes[i].name ? shapes[i].name : "", shapes[i].n, shapes[i].c,
        shapes[i].h, shapes[i].w);
  g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
      "head %s: %s; the outputs are %s", name, what, text->str);
  return FALSE;
}

const QfTensor *
qf_find_output (const QfTensor *shapes, int n_outputs, const char *name)
{
  for (int i = 0; i < n_outputs; i++)
    if (g_strcmp0 (shapes[i].name, name) == 0)
      return &shapes[i];
  return NULL;
}

int
qf_head_labels (const QfModel *model, int fallback)
{
  int n = qf_model_n_labels (model);

  return n > 0 ? n : fallback;
}
