/* libqfuse: the loss of the anchor-free head.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Tian et al., FCOS: Fully convolutional one-stage object detection, 2019, with
 * quality focal loss (Li et al., Generalized focal loss, 2020) in place of
 * focal loss and centre-ness: the target of a cell that a box owns is the IoU
 * that its prediction has, so that scores rank boxes by how well they fit. */
#include "train/lossfcos-private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CENTRE 1.5    /* a box owns cells within so many strides of its centre */
#define BOX_WEIGHT 2.0
/* What an object is decides more than where it is to a pixel: of 1, 3 and 8 the
 * second did best (docs/results.md, Losses). */
#define CLASS_WEIGHT 3.0
#define LOG_MIN -4.0f /* of a distance over the stride */
#define LOG_MAX 5.0f

/* 1 − GIoU = 2 − I/U − U/C (Rezatofighi et al., Generalized intersection over
 * union, 2019). */
double
qf_giou_loss (const double p[4], const double t[4], double grad[4],
    double *iou)
{
  double pw = p[2] - p[0], ph = p[3] - p[1];
  double iw = MIN (p[2], t[2]) - MAX (p[0], t[0]);
  double ih = MIN (p[3], t[3]) - MAX (p[1], t[1]);
  double cw = MAX (p[2], t[2]) - MIN (p[0], t[0]);
  double ch = MAX (p[3], t[3]) - MIN (p[1], t[1]);
  gboolean meet = iw > 0 && ih > 0;
  double inter = meet ? iw * ih : 0;
  double area = pw * ph + (t[2] - t[0]) * (t[3] - t[1]);
  double all = MAX (area - inter, 1e-9), hull = MAX (cw * ch, 1e-9);

  for (int i = 0; i < 4; i++) {
    gboolean x = i % 2 == 0, low = i < 2;
    double sign = low ? -1 : 1;
    gboolean bounds_inter = low ? p[i] > t[i] : p[i] < t[i];
    gboolean bounds_hull = low ? p[i] < t[i] : p[i] > t[i];
    double d_inter = meet && bounds_inter ? sign * (x ? ih : iw) : 0;
    double d_hull = bounds_hull ? sign * (x ? ch : cw) : 0;
    double d_all = sign * (x ? ph : pw) - d_inter;

    grad[i] = -(d_inter * all - inter * d_all) / (all * all)
        - (d_all * hull - all * d_hull) / (hull * hull);
  }
  *iou = inter / all;
  return 2 - inter / all - all / hull;
}

/* Which box owns which cell ------------------------------------------------------- */

/* The level whose cells suit a box: its size nearest to four strides. */
static int
level_of (const QfFcos *f, const QfBox *b)
{
  double size = sqrt (MAX ((double) b->w * (double) b->h, 1.0));
  double best = INFINITY;
  int level = 0;

  for (int i = 0; i < f->n_levels; i++) {
    double d = fabs (log2 (size / (4.0 * f->level[i].stride)));

    if (d < best) {
      best = d;
      level = i;
    }
  }
  return level;
}

static void
claim (const QfFcos *f, const QfFcosLevel *l, const QfTarget *t, int *owner, int box,
    int x, int y)
{
  int *cell;
  const QfBox *b = &t->boxes[box];

  if (x < 0 || y < 0 || x >= l->cls->w || y >= l->cls->h)
    return;
  cell = &owner[y * l->cls->w + x];
  /* Of two boxes the smaller one gets the cell. */
  if (*cell >= 0
      && t->boxes[*cell].w * t->boxes[*cell].h <= b->w * b->h)
    return;
  *cell = box;
}

static void
claim_cells (const QfFcos *f, const QfTarget *t, int image, int box)
{
  const QfBox *b = &t->boxes[box];
  const QfFcosLevel *l = &f->level[level_of (f, b)];
  int *owner = l->owner + (gsize) image * l->cls->h * l->cls->w;
  double cx = (double) (b->x + b->w / 2), cy = (double) (b->y + b->h / 2);
  double rx = MIN ((double) b->w / 2, CENTRE * l->stride);
  double ry = MIN ((double) b->h / 2, CENTRE * l->stride);

  for (int y = 0; y < l->cls->h; y++)
    for (int x = 0; x < l->cls->w; x++)
      if (fabs ((x + 0.5) * l->stride - cx) <= rx
          && fabs ((y + 0.5) * l->stride - cy) <= ry)
        claim (f, l, t, owner, box, x, y);
  /* A box too small to hold a cell's centre owns the cell it lies in. */
  claim (f, l, t, owner, box, (int) floor (cx / l->stride),
      (int) floor (cy / l->stride));
}

static void
ignore_cells (const QfFcosLevel *l, const QfBox *b, int *owner)
{
  for (int y = 0; y < l->cls->h; y++)
    for (int x = 0; x < l->cls->w; x++) {
      double cx = (x + 0.5) * l->stride, cy = (y + 0.5) * l->stride;

      if (cx >= (double) b->x && cx < (double) (b->x + b->w)
          && cy >= (double) b->y && cy < (double) (b->y + b->h))
        owner[y * l->cls->w + x] = QF_CELL_IGNORED;
    }
}

static void
assign_image (gpointer data, int image, int worker)
{
  QfFcos *f = data;
  const QfTarget *t = &f->targets[image];

  for (int i = 0; i < f->n_levels; i++) {
    const QfFcosLevel *l = &f->level[i];
    gsize cells = (gsize) l->cls->h * l->cls->w;
    int *owner = l->owner + cells * image;

    for (gsize c = 0; c < cells; c++) {
      owner[c] = QF_CELL_NOBODY;
      l->quality[cells * image + c] = -1.0f;
    }
    for (int b = 0; b < t->n_boxes; b++)
      if (t->boxes[b].ignore)
        ignore_cells (l, &t->boxes[b], owner);
  }
  if (f->assign != QF_ASSIGN_FIXED)
    qf_fcos_assign_dynamic (f, image);
  for (int b = 0; f->assign == QF_ASSIGN_FIXED && b < t->n_boxes; b++)
    if (!t->boxes[b].ignore)
      claim_cells (f, t, image, b);
  f->owned[image] = 0;
  for (int i = 0; i < f->n_levels; i++) {
    const QfFcosLevel *l = &f->level[i];
    gsize cells = (gsize) l->cls->h * l->cls->w;

    for (gsize c = cells * image; c < cells * (image + 1); c++)
      if (l->owner[c] >= 0)
        f->owned[image] += l->quality[c] < 0 ? 1.0 : (double) l->quality[c];
  }
}

void
qf_fcos_predict (const QfFcosLevel *l, gsize cell, double pred[4],
    double dist[4])
{
  gsize place = cell % ((gsize) l->cls->h * l->cls->w);
  double cx = ((double) (place % l->cls->w) + 0.5) * l->stride;
  double cy = ((double) (place / l->cls->w) + 0.5) * l->stride;

  for (int i = 0; i < 4; i++) {
    float v = qf_blob_real (l->box, cell * 4 + i);
    double d = exp ((double) CLAMP (v, LOG_MIN, LOG_MAX)) * l->stride;

    pred[i] = (i % 2 ? cy : cx) + (i < 2 ? -d : d);
    if (dist)
      dist[i] = d;
  }
}

/* Losses of one cell --------------------------------------------------------------- */

/* Box loss of an owned cell; returns what its score is to be: the IoU of its
 * prediction, or what the assignment wants, which weighs its loss, too. */
static double
box_cell (const QfFcos *f, const QfFcosLevel *l, gsize cell, const QfBox *b,
    QfLoss *loss)
{
  double quality = (double) l->quality[cell];
  double weight = BOX_WEIGHT * f->norm * (quality < 0 ? 1 : quality);
  double truth[4] = { (double) b->x, (double) b->y, (double) (b->x + b->w),
    (double) (b->y + b->h) };
  double dist[4], pred[4], grad[4], iou;

  qf_fcos_predict (l, cell, pred, dist);
  loss->box += weight * qf_giou_loss (pred, truth, grad, &iou);
  for (int i = 0; i < 4; i++) {
    float v = qf_blob_real (l->box, cell * 4 + i);
    double d = (i < 2 ? -grad[i] : grad[i]) * dist[i];

    l->box->grad[cell * 4 + i] = v > LOG_MIN && v < LOG_MAX
        ? (float) (weight * d)
        : 0.0f;
  }
  return quality < 0 ? iou : quality;
}

/* Quality focal loss: (q − p)²·BCE(p, q). Returns the loss; *@grad to the
 * logit. */
static double
quality_focal (double logit, double q, double *grad)
{
  double p = 1.0 / (1.0 + exp (-logit));
  double log_p = -log1p (exp (-logit)), log_n = -log1p (exp (logit));
  double bce = -q * log_p - (1 - q) * log_n, d = p - q;

  *grad = 2 * d * p * (1 - p) * bce + d * d * d;
  return d * d * bce;
}

static void
loss_cell (const QfFcos *f, const QfFcosLevel *l, int image, int x, int y,
    const QfTarget *t, QfLoss *loss)
{
  int labels = l->cls->c;
  gsize cell = ((gsize) image * l->cls->h + y) * l->cls->w + x;
  int owner = l->owner[cell];
  double quality = 0, weight = CLASS_WEIGHT * f->norm;

  memset (l->box->grad + cell * 4, 0, 4 * sizeof (float));
  memset (l->cls->grad + cell * labels, 0, labels * sizeof (float));
  if (owner == QF_CELL_IGNORED)
    return;
  if (owner >= 0)
    quality = box_cell (f, l, cell, &t->boxes[owner], loss);
  for (int c = 0; c < labels; c++) {
    double logit = (double) qf_blob_real (l->cls, cell * labels + c), grad;
    gboolean mine = owner >= 0 && t->boxes[owner].label == c;

    loss->klass
        += weight * quality_focal (logit, mine ? quality : 0.0, &grad);
    l->cls->grad[cell * labels + c] = (float) (weight * grad);
  }
}

static void
loss_image (gpointer data, int image, int worker)
{
  QfFcos *f = data;

  f->losses[image] = (QfLoss){ 0 };
  for (int i = 0; i < f->n_levels; i++) {
    const QfFcosLevel *l = &f->level[i];

    for (int y = 0; y < l->cls->h; y++)
      for (int x = 0; x < l->cls->w; x++)
        loss_cell (f, l, image, x, y, &f->targets[image], &f->losses[image]);
  }
}

/* Outputs are named cls_<stride> and box_<stride>. */
static void
find_levels (QfFcos *f)
{
  GArray *out = f->net->outputs;

  for (guint i = 0; i < out->len && f->n_levels < QF_FCOS_LEVELS; i++) {
    QfBlob *cls = qf_net_blob (f->net, g_array_index (out, int, i));
    g_autofree char *name = NULL;

    if (!g_str_has_prefix (cls->name, "cls_"))
      continue;
    name = g_strconcat ("box_", cls->name + 4, NULL);
    for (guint j = 0; j < out->len; j++) {
      QfBlob *box = qf_net_blob (f->net, g_array_index (out, int, j));

      if (g_str_equal (box->name, name))
        f->level[f->n_levels++]
            = (QfFcosLevel){ cls, box, atoi (cls->name + 4), NULL, NULL };
    }
  }
}

void
qf_loss_fcos (QfNet *net, QfAssign assign, const QfTarget *targets, int n,
    QfLoss *loss)
{
  QfFcos f = { net, targets, assign };
  g_autofree double *owned = g_new0 (double, n);
  g_autofree QfLoss *losses = g_new0 (QfLoss, n);
  double total = 0;

  f.owned = owned;
  f.losses = losses;
  find_levels (&f);
  for (int i = 0; i < f.n_levels; i++) {
    QfFcosLevel *l = &f.level[i];
    gsize cells = (gsize) n * l->cls->h * l->cls->w;

    l->owner = g_new (int, cells);
    l->quality = g_new (float, cells);
  }
  qf_pool_run (net->pool, assign_image, &f, n);
  for (int i = 0; i < n; i++)
    total += owned[i];
  /* Qualities are near 0 at first: never by less than 1 an image. */
  f.norm = 1.0 / MAX (total, assign == QF_ASSIGN_TAL ? n : 1.0);
  qf_pool_run (net->pool, loss_image, &f, n);
  *loss = (QfLoss){ 0 };
  for (int i = 0; i < n; i++) {
    loss->klass += losses[i].klass;
    loss->box += losses[i].box;
  }
  loss->total = loss->klass + loss->box;
  for (int i = 0; i < f.n_levels; i++) {
    g_free (f.level[i].owner);
    g_free (f.level[i].quality);
  }
}
