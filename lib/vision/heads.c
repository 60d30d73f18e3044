/* libqfuse: heads: from a network's outputs to boxes or an action.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/heads.h"

#include <string.h>

#include "model/model-private.h"
#include "vision/heads-private.h"
#include "vision/heads/rows.h"

/* So many candidates, the best, reach non-maximum suppression, which takes the
 * square of their number at worst. */
#define MAX_CANDIDATES 10000

/* In the order in which a foreign network's outputs are tried. */
static const QfHead *const heads[] = { &qf_head_fcos, &qf_head_classify,
  &qf_head_yunet, &qf_head_yolov8, &qf_head_yolov5, &qf_head_yolox,
  &qf_head_nanodet, &qf_head_fastestdet, &qf_head_boxes, &qf_head_ssd };

struct _QfDecoder
{
  const QfHead *head;
  gpointer state;
  QfHeadInfo info;
};

static const QfHead *
find_head (const char *name, GError **error)
{
  g_autoptr (GString) known = g_string_new (NULL);

  for (guint i = 0; i < G_N_ELEMENTS (heads); i++) {
    if (g_strcmp0 (name, heads[i]->name) == 0)
      return heads[i];
    g_string_append_printf (known, "%s%s", i ? ", " : "", heads[i]->name);
  }
  if (name)
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "the model's head \"%.100s\" is not known; known are %s", name,
        known->str);
  else
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "the model has no metadata qfuse.head (%s), so its outputs cannot be "
        "read",
        known->str);
  return NULL;
}

/* The graph's outputs as tensors without data; NULL where one has no shape of
 * one image. Names stay the graph's. */
static QfTensor *
output_shapes (const QfModel *model, int *n, GError **error)
{
  int count = qf_model_n_outputs (model);
  g_autofree QfTensor *shapes = g_new0 (QfTensor, count + 1);

  for (int i = 0; i < count; i++) {
    gint64 all[QF_MAX_RANK];
    QfDType dtype;
    int rank;
    const char *name = qf_model_output (model, i, &dtype, &rank, all);
    gboolean good = rank >= 1 && rank <= 4;
    int dims[4] = { 1, 1, 1, 1 };

    for (int j = 0; good && j < rank; j++) {
      good = all[j] >= 1 && all[j] <= QF_MAX_DIM;
      dims[rank == 1 ? 1 : j] = (int) all[j];
    }
    if (!good) {
      g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
          "output %s of the model has no known shape of 1 to 4 dimensions",
          name);
      return NULL;
    }
    shapes[i] = (QfTensor){ .name = name,
      .dtype = dtype,
      .layout = QF_NCHW,
      .n = dims[0],
      .c = dims[1],
      .h = dims[2],
      .w = dims[3] };
  }
  *n = count;
  return g_steal_pointer (&shapes);
}

QfDecoder *
qf_decoder_new (const QfModel *model, GError **error)
{
  const QfHead *head = find_head (qf_model_get (model, "qfuse.head"), error);
  g_autofree QfTensor *shapes = NULL;
  gpointer state;
  QfDecoder *d;
  int n = 0, channels;

  if (!head)
    return NULL;
  shapes = output_shapes (model, &n, error);
  if (!shapes)
    return NULL;
  state = head->open (model, shapes, n, error);
  if (!state)
    return NULL;

  d = g_new0 (QfDecoder, 1);
  d->head = head;
  d->state = state;
  d->info.n_labels = qf_model_n_labels (model);
  d->info.n_outputs = n;
  qf_model_input_shape (model, &channels, &d->info.input_h, &d->info.input_w);
  return d;
}

const char *
qf_head_recognise (QfModel *model, GError **error)
{
  g_autofree QfTensor *shapes = NULL;
  int n = 0;

  shapes = output_shapes (model, &n, error);
  if (!shapes)
    return NULL;
  for (guint i = 0; i < G_N_ELEMENTS (heads); i++)
    if (heads[i]->fits && heads[i]->fits (model, shapes, n)) {
      qf_model_set (model, "qfuse.head", heads[i]->name);
      return heads[i]->name;
    }
  qf_head_misfit ("?", shapes, n, error, "none is recognised");
  return NULL;
}

void
qf_decoder_free (QfDecoder *d)
{
  if (!d)
    return;
  if (d->head->close)
    d->head->close (d->state);
  g_free (d);
}

gboolean
qf_decoder_is_classifier (const QfDecoder *d)
{
  return d->head->classifier;
}

void
qf_decoder_run (QfDecoder *d, const QfTensor *outputs, int n_outputs,
    float threshold, float iou, int max, QfResult *result)
{
  g_return_if_fail (n_outputs == d->info.n_outputs);

  g_array_set_size (result->boxes, 0);
  result->action = -1;
  result->action_score = 0;
  result->n_points = 0;
  if (result->points)
    g_array_set_size (result->points, 0);
  d->head->decode (d->state, &d->info, outputs, threshold, result);
  if (result->boxes->len > MAX_CANDIDATES)
    qf_nms (result->boxes, 2, MAX_CANDIDATES); /* sorts and cuts only */
  qf_nms (result->boxes, iou, max);
}
