/* libqfuse: NonMaxSuppression and RoiAlign, as detectors have them inside.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>

#include "ops/ops-private.h"

/* ---- NonMaxSuppression --------------------------------------------------
 * Boxes [images, boxes, 4], scores [images, classes, boxes]; chosen are rows
 * (image, class, box), by falling score within a class. Those that are chosen
 * are at most so many as the output has at load. */

typedef struct
{
  float score;
  gint32 index;
} Candidate;

/* A box by its corners. */
typedef struct
{
  float x0, y0, x1, y1;
} Corners;

/* Number of boxes of each class at most. */
static gint64
most_of_class (QfCall *c)
{
  const QfArray *most = qf_call_in (c, 2);
  gint64 boxes = c->in[0]->dims[1], n = boxes;

  if (!most)
    return 0;
  /* a value that only shows in a run leaves all of them */
  if (most->data || most->bound)
    if (qf_call_constant_ints (c, 2, &n, 1, NULL) != 1)
      n = boxes;
  return CLAMP (n, 0, boxes);
}

gboolean
qf_infer_nms (QfCall *c, GError **error)
{
  const QfArray *boxes = c->in[0], *scores = c->in[1];
  gint64 dims[2] = { 0, 3 };

  if (!qf_call_float_in (c, 0, 3, error) || !qf_call_float_in (c, 1, 3, error))
    return FALSE;
  if (boxes->dims[2] != 4 || boxes->dims[0] != scores->dims[0] ||
      boxes->dims[1] != scores->dims[2])
    return QF_BAD ("its boxes and scores do not go together");
  for (int i = 2; i < c->n_in; i++)
    if (c->in[i] &&
        (qf_array_elements (c->in[i]) != 1 ||
            c->in[i]->dtype != (i == 2 ? QF_I64 : QF_F32)))
      return QF_BAD ("its input %d is no single number of its type", i + 1);
  qf_call_int (c, "center_point_box", 0);
  dims[0] = scores->dims[0] * scores->dims[1];
  if (most_of_class (c) && dims[0] > QF_MAX_ELEMENTS / most_of_class (c))
    return QF_BAD ("it may choose too many boxes");
  dims[0] *= most_of_class (c);
  return qf_call_set_open (c, 0, QF_I64, 2, dims, error);
}

gsize
qf_scratch_nms (QfCall *c)
{
  return (gsize) c->in[0]->dims[1] * sizeof (Candidate);
}

static float
scalar (QfCall *c, int i, float fallback)
{
  const QfArray *a = qf_call_in (c, i);

  return a ? *(const float *) a->data : fallback;
}

static int
by_score (const void *a, const void *b)
{
  const Candidate *p = a, *q = b;

  return p->score != q->score ? (p->score > q->score ? -1 : 1)
                              : (p->index > q->index) - (p->index < q->index);
}

static Corners
corners (const float *b, gboolean centre)
{
  if (centre)
    return (Corners){ b[0] - b[2] / 2, b[1] - b[3] / 2, b[0] + b[2] / 2,
      b[1] + b[3] / 2 };
  return (Corners){ MIN (b[1], b[3]), MIN (b[0], b[2]), MAX (b[1], b[3]),
    MAX (b[0], b[2]) };
}

/* Intersection over union; 0 where one of them is empty. */
static float
overlap (Corners a, Corners b)
{
  float w = MIN (a.x1, b.x1) - MAX (a.x0, b.x0);
  float h = MIN (a.y1, b.y1) - MAX (a.y0, b.y0);
  float area_a = (a.x1 - a.x0) * (a.y1 - a.y0);
  float area_b = (b.x1 - b.x0) * (b.y1 - b.y0);

  if (!(w > 0) || !(h > 0) || !(area_a > 0) || !(area_b > 0))
    return 0;
  return w * h / (area_a + area_b - w * h);
}

/* Appends one class's boxes at @to, and returns how many. */
static gint64
choose (QfCall *c, gint64 image, gint64 number, gint64 most, gint64 *to)
{
  gint64 n = c->in[0]->dims[1], classes = c->in[1]->dims[1];
  const float *boxes = (const float *) c->in[0]->data + image * n * 4;
  const float *scores =
      (const float *) c->in[1]->data + (image * classes + number) * n;
  float iou = scalar (c, 3, 0), threshold = scalar (c, 4, 0);
  gboolean all = !qf_call_in (c, 4);
  gboolean centre = qf_call_int (c, "center_point_box", 0) != 0;
  Candidate *list = c->scratch;
  gint64 n_list = 0, chosen = 0;

  for (gint64 i = 0; i < n; i++)
    if (scores[i] > threshold || (all && !isnan (scores[i])))
      list[n_list++] = (Candidate){ scores[i], (gint32) i };
  qsort (list, (gsize) n_list, sizeof *list, by_score);
  for (gint64 i = 0; i < n_list && chosen < most; i++) {
    Corners b = corners (boxes + 4 * list[i].index, centre);
    gboolean keep = TRUE;

    for (gint64 k = 0; keep && k < chosen; k++)
      keep = !(overlap (b, corners (boxes + 4 * to[3 * k + 2], centre)) > iou);
    if (keep)
      memcpy (to + 3 * chosen++, (gint64[]){ image, number, list[i].index },
          3 * sizeof *to);
  }
  return chosen;
}

void
qf_run_nms (QfCall *c)
{
  const QfArray *scores = c->in[1];
  gint64 *y = c->out[0]->data, most = most_of_class (c), n = 0;

  for (gint64 b = 0; most && b < scores->dims[0]; b++)
    for (gint64 k = 0; k < scores->dims[1]; k++)
      n += choose (c, b, k, most, y + 3 * n);
  c->out[0]->dims[0] = n;
}

/* ---- RoiAlign -----------------------------------------------------------
 * He et al.: Mask R-CNN, ICCV 2017. X [N, C, H, W], boxes [R, 4] as corners,
 * their images [R]; out [R, C, height, width]. */

typedef struct
{
  gint64 h, w; /* of the output */
  gint64 ratio;
  float scale;
  gboolean max, half;
} Align;

static Align
read_align (QfCall *c)
{
  const char *half = qf_call_text (c, "coordinate_transformation_mode",
      c->opset < 16 ? "output_half_pixel" : "half_pixel");

  return (Align){ qf_call_int (c, "output_height", 1),
    qf_call_int (c, "output_width", 1), qf_call_int (c, "sampling_ratio", 0),
    qf_call_float (c, "spatial_scale", 1),
    strcmp (qf_call_text (c, "mode", "avg"), "max") == 0,
    strcmp (half, "half_pixel") == 0 };
}

gboolean
qf_infer_roi_align (QfCall *c, GError **error)
{
  const QfArray *x = c->in[0], *rois = c->in[1], *images = c->in[2];
  Align a = read_align (c);

  if (!qf_call_float_in (c, 0, 4, error) || !qf_call_float_in (c, 1, 2, error))
    return FALSE;
  if (rois->dims[1] != 4 || images->rank != 1 ||
      images->dims[0] != rois->dims[0] || images->dtype != QF_I64)
    return QF_BAD ("its boxes do not go with their images");
  if (x->dims[0] < 1 || x->dims[2] < 1 || x->dims[3] < 1)
    return QF_BAD ("its input is empty");
  if (a.h < 1 || a.w < 1 || a.h > 1 << 14 || a.w > 1 << 14 || a.ratio < 0 ||
      a.ratio > 64)
    return QF_BAD ("its output size or sampling ratio is out of range");
  return qf_call_set (c, 0, QF_F32, 4,
      (gint64[]){ rois->dims[0], x->dims[1], a.h, a.w }, error);
}

/* Bilinear value at (x, y), or with @max its largest weighted corner. */
static float
sample (const float *plane, gint64 h, gint64 w, float y, float x, gboolean max)
{
  gint64 x0, y0, x1, y1;
  float dx, dy, v[4];

  if (!(y >= -1) || !(x >= -1) || y > (float) h || x > (float) w)
    return 0;
  y = MAX (y, 0);
  x = MAX (x, 0);
  y0 = MIN ((gint64) y, h - 1);
  x0 = MIN ((gint64) x, w - 1);
  y1 = MIN (y0 + 1, h - 1);
  x1 = MIN (x0 + 1, w - 1);
  dy = y0 == h - 1 ? 0 : y - (float) y0;
  dx = x0 == w - 1 ? 0 : x - (float) x0;
  v[0] = plane[y0 * w + x0] * (1 - dy) * (1 - dx);
  v[1] = plane[y0 * w + x1] * (1 - dy) * dx;
  v[2] = plane[y1 * w + x0] * dy * (1 - dx);
  v[3] = plane[y1 * w + x1] * dy * dx;
  return max ? MAX (MAX (v[0], v[1]), MAX (v[2], v[3]))
             : v[0] + v[1] + v[2] + v[3];
}

/* One box on one plane. */
static void
align (const Align *a, const float *roi, const float *plane, gint64 h, gint64 w,
    float *to)
{
  float shift = a->half ? 0.5f : 0;
  float x = roi[0] * a->scale - shift, y = roi[1] * a->scale - shift;
  float bw = roi[2] * a->scale - shift - x, bh = roi[3] * a->scale - shift - y;
  float cell_w, cell_h;
  gint64 nx, ny;

  if (!a->half) { /* at least one pixel */
    bw = MAX (bw, 1);
    bh = MAX (bh, 1);
  }
  cell_w = bw / (float) a->w;
  cell_h = bh / (float) a->h;
  nx = a->ratio > 0 ? a->ratio : (gint64) CLAMP (ceilf (cell_w), 0, 4096);
  ny = a->ratio > 0 ? a->ratio : (gint64) CLAMP (ceilf (cell_h), 0, 4096);
  for (gint64 i = 0; i < a->h * a->w; i++) {
    float sum = 0, most = 0;

    for (gint64 k = 0; k < nx * ny; k++) {
      float v = sample (plane, h, w,
          y + (float) (i / a->w) * cell_h +
              ((float) (k / nx) + 0.5f) * cell_h / (float) ny,
          x + (float) (i % a->w) * cell_w +
              ((float) (k % nx) + 0.5f) * cell_w / (float) nx,
          a->max);

      sum += v;
      most = k == 0 ? v : MAX (most, v);
    }
    to[i] = a->max ? most : sum / (float) MAX (nx * ny, 1);
  }
}

void
qf_run_roi_align (QfCall *c)
{
  const QfArray *x = c->in[0], *rois = c->in[1];
  Align a = read_align (c);
  gint64 plane = x->dims[2] * x->dims[3], channels = x->dims[1];
  float *y = c->out[0]->data;

  for (gint64 r = 0; r < rois->dims[0]; r++) {
    gint64 image =
        CLAMP (((const gint64 *) c->in[2]->data)[r], 0, x->dims[0] - 1);
    const float *from = (const float *) x->data + image * channels * plane;

    for (gint64 k = 0; k < channels; k++, y += a.h * a.w)
      align (&a, (const float *) rois->data + 4 * r, from + k * plane,
          x->dims[2], x->dims[3], y);
  }
}
