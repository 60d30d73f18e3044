/* libqfuse: which cells learn which box, decided by how well they do already.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Task alignment: Feng et al., TOOD: Task-aligned one-stage object detection,
 * 2021. Dynamic numbers of cells: Ge et al., YOLOX (SimOTA), 2021. */
#include "train/lossfcos-private.h"

#include <math.h>

#define MOST 10 /* cells of a box */

typedef struct
{
  QfFcosLevel *level;
  gsize cell;
  int box;
  double iou;
  double metric; /* TAL: p·u⁶; SimOTA: minus the cost. The most is best */
} Candidate;

static double
iou_of (const double p[4], const QfBox *b)
{
  double bx = (double) b->x, by = (double) b->y;
  double w = MIN (p[2], bx + (double) b->w) - MAX (p[0], bx);
  double h = MIN (p[3], by + (double) b->h) - MAX (p[1], by);
  double inter = w > 0 && h > 0 ? w * h : 0;
  double all = (p[2] - p[0]) * (p[3] - p[1])
      + (double) b->w * (double) b->h - inter;

  return inter / MAX (all, 1e-9);
}

static Candidate
judge (const QfFcos *f, QfFcosLevel *l, gsize cell, const QfBox *b, int box)
{
  double logit = (double) qf_blob_real (l->cls,
      cell * (gsize) l->cls->c + (gsize) b->label);
  double p = 1 / (1 + exp (-logit)), pred[4], u, u2;

  qf_fcos_predict (l, cell, pred, NULL);
  u = iou_of (pred, b);
  u2 = u * u;
  if (f->assign == QF_ASSIGN_TAL)
    return (Candidate){ l, cell, box, u, p * u2 * u2 * u2 };
  return (Candidate){ l, cell, box, u,
    log (MAX (p, 1e-9)) + 3 * log (MAX (u, 1e-9)) };
}

/* Puts @c into the @n best, best first; of equals the earlier cell stays. */
static int
keep_best (Candidate *best, int n, const Candidate *c)
{
  int at = n;

  while (at > 0 && c->metric > best[at - 1].metric)
    at--;
  if (at == MOST)
    return n;
  for (int i = MIN (n, MOST - 1); i > at; i--)
    best[i] = best[i - 1];
  best[at] = *c;
  return MIN (n + 1, MOST);
}

/* Cells whose centre is in the box, or within a stride of its centre where it is
 * smaller: a box of 6 pixels has four cells at stride 8, too. */
static int
candidates (const QfFcos *f, int image, int box, Candidate *best)
{
  const QfBox *b = &f->targets[image].boxes[box];
  double cx = (double) (b->x + b->w / 2), cy = (double) (b->y + b->h / 2);
  int n = 0;

  for (int i = 0; i < f->n_levels; i++) {
    QfFcosLevel *l = (QfFcosLevel *) &f->level[i];
    int w = l->cls->w, h = l->cls->h, s = l->stride;
    double rx = MAX ((double) b->w / 2, (double) s);
    double ry = MAX ((double) b->h / 2, (double) s);
    int x0 = MAX (0, (int) ceil ((cx - rx) / s - 0.5));
    int y0 = MAX (0, (int) ceil ((cy - ry) / s - 0.5));
    int x1 = MIN (w - 1, (int) floor ((cx + rx) / s - 0.5));
    int y1 = MIN (h - 1, (int) floor ((cy + ry) / s - 0.5));

    for (int y = y0; y <= y1; y++)
      for (int x = x0; x <= x1; x++) {
        gsize cell = ((gsize) image * h + y) * w + x;

        if (l->owner[cell] != QF_CELL_IGNORED) {
          Candidate c = judge (f, l, cell, b, box);

          n = keep_best (best, n, &c);
        }
      }
  }
  return n;
}

/* SimOTA: as many cells as the IoUs of the best sum up to. */
static int
dynamic_count (const Candidate *best, int n)
{
  double sum = 0;

  for (int i = 0; i < n; i++)
    sum += best[i].iou;
  return CLAMP ((int) sum, 1, n);
}

/* A cell that two boxes want goes to the one it does better on. */
static void
claim (const QfFcos *f, GArray *claims, gsize first)
{
  for (guint i = (guint) first; i < claims->len; i++) {
    const Candidate *c = &g_array_index (claims, Candidate, i);
    int *owner = &c->level->owner[c->cell];
    gboolean wins = *owner == QF_CELL_NOBODY;

    for (guint j = 0; !wins && j < i; j++) {
      const Candidate *o = &g_array_index (claims, Candidate, j);

      if (o->level == c->level && o->cell == c->cell && o->box == *owner)
        wins = f->assign == QF_ASSIGN_TAL ? c->iou > o->iou
                                          : c->metric > o->metric;
    }
    if (wins)
      *owner = c->box;
  }
}

/* TAL's targets: a box's best cell is to score the best IoU, the others less in
 * the ratio of their metrics. */
static void
set_quality (GArray *claims, int box)
{
  double metric = 0, iou = 0;

  for (int pass = 0; pass < 2; pass++)
    for (guint i = 0; i < claims->len; i++) {
      const Candidate *c = &g_array_index (claims, Candidate, i);

      if (c->box != box || c->level->owner[c->cell] != box)
        continue;
      if (pass == 0) {
        metric = MAX (metric, c->metric);
        iou = MAX (iou, c->iou);
      } else {
        c->level->quality[c->cell]
            = metric > 0 ? (float) (c->metric / metric * iou) : 0.0f;
      }
    }
}

void
qf_fcos_assign_dynamic (QfFcos *f, int image)
{
  const QfTarget *t = &f->targets[image];
  g_autoptr (GArray) claims = g_array_new (FALSE, FALSE, sizeof (Candidate));
  Candidate best[MOST];

  for (int b = 0; b < t->n_boxes; b++) {
    gsize first = claims->len;
    int n;

    if (t->boxes[b].ignore)
      continue;
    n = candidates (f, image, b, best);
    if (n > 0 && f->assign == QF_ASSIGN_SIMOTA)
      n = dynamic_count (best, n);
    g_array_append_vals (claims, best, (guint) n);
    claim (f, claims, first);
  }
  for (int b = 0; f->assign == QF_ASSIGN_TAL && b < t->n_boxes; b++)
    set_quality (claims, b);
}
