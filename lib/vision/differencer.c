/* libqfuse: difference planes from a stream of luma pictures.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Pictures are held oldest first. Without a rate (or without times) step k is
 * the k-th picture back and as many pictures are held as the longest distance.
 * With a rate the time decides: see docs/numerics.md, "Luma, scaling,
 * differences". */
#include "vision/differencer.h"

#include <math.h>
#include <string.h>

#include "vision/difference-private.h"

#define SECOND G_GINT64_CONSTANT (1000000000)

/* With a rate, held pictures lie at least 1/8 step apart (but for the newest),
 * so that at most 8·history + 3 are held however fast the stream is. */
#define PICTURES_A_STEP 8

typedef struct
{
  gint64 time;
  guint8 *luma;
  guint8 uses[QF_MAX_PLANES]; /* how often it is in each mean's sum, ≤ 250 */
} Held;

/* A mean that planes ask for. */
typedef struct
{
  int n;
  guint16 *sum; /* of the pictures with uses > 0; ≤ 250·255 < 2^16 */
  guint8 *then;
} Mean;

/* Planes that share now − then and the dead band. */
typedef struct
{
  int mean; /* number of the mean, −1: the picture k steps back */
  int k, threshold;
  int n, planes[QF_MAX_PLANES];
} Group;

struct _QfDifferencer
{
  QfPlanes planes;
  int width, height, history;
  gsize size;
  gboolean has_rate;
  gint64 *offset; /* [history + 1] nanoseconds of k steps */
  gint64 half_step;

  GPtrArray *held;  /* Held *, oldest first */
  GPtrArray *spare; /* Held * that can be used again */
  gint64 last_time; /* −1: none */
  gint64 interval;  /* between the last two pictures, −1: not known */
  gboolean any, timed;

  int n_means, n_groups;
  Mean means[QF_MAX_PLANES];
  Group groups[QF_MAX_PLANES];
  const QfKernels *kernels;
  void *scratch;
};

static inline Held *
held_at (const QfDifferencer *d, guint i)
{
  return (Held *) g_ptr_array_index (d->held, i);
}

static void
held_free (gpointer data)
{
  Held *h = data;

  g_free (h->luma);
  g_free (h);
}

static int
find_mean (QfDifferencer *d, int n)
{
  for (int i = 0; i < d->n_means; i++)
    if (d->means[i].n == n)
      return i;
  d->means[d->n_means] = (Mean){
    .n = n, .sum = g_new0 (guint16, d->size), .then = g_malloc (d->size)
  };
  return d->n_means++;
}

static void
make_groups (QfDifferencer *d)
{
  for (int i = 0; i < d->planes.n; i++) {
    const QfPlane *p = &d->planes.plane[i];
    int mean, g;

    if (p->k == 0)
      continue;
    mean = p->kind == 'A' ? find_mean (d, p->k) : -1;
    for (g = 0; g < d->n_groups; g++)
      if (d->groups[g].mean == mean && d->groups[g].k == p->k &&
          d->groups[g].threshold == p->threshold)
        break;
    if (g == d->n_groups)
      d->groups[d->n_groups++] =
          (Group){ .mean = mean, .k = p->k, .threshold = p->threshold };
    d->groups[g].planes[d->groups[g].n++] = i;
  }
}

/* Nanoseconds of @steps; so bounded that sums of a few stay in 64 bits. */
static gint64
steps_to_time (double steps, int rate_n, int rate_d)
{
  double t = steps * 1e9 * rate_d / rate_n;

  return (gint64) floor (MIN (t, 1e17) + 0.5);
}

QfDifferencer *
qf_differencer_new (
    const QfPlanes *planes, int width, int height, int rate_n, int rate_d)
{
  QfDifferencer *d;

  g_return_val_if_fail (planes && width > 0 && height > 0, NULL);

  d = g_new0 (QfDifferencer, 1);
  d->planes = *planes;
  d->width = width;
  d->height = height;
  d->size = (gsize) width * height;
  d->history = qf_planes_history (planes);
  d->has_rate = rate_n > 0 && rate_d > 0;
  d->offset = g_new0 (gint64, (gsize) d->history + 1);
  if (d->has_rate) {
    for (int k = 1; k <= d->history; k++)
      d->offset[k] = steps_to_time (k, rate_n, rate_d);
    d->half_step = steps_to_time (0.5, rate_n, rate_d);
  }
  d->held = g_ptr_array_new_with_free_func (held_free);
  d->spare = g_ptr_array_new_with_free_func (held_free);
  d->kernels = qf_kernels ();
  d->scratch = g_malloc (d->kernels->difference_scratch_size (width));
  make_groups (d);
  qf_differencer_reset (d);
  return d;
}

void
qf_differencer_free (QfDifferencer *d)
{
  if (!d)
    return;
  for (int i = 0; i < d->n_means; i++) {
    g_free (d->means[i].sum);
    g_free (d->means[i].then);
  }
  g_ptr_array_unref (d->held);
  g_ptr_array_unref (d->spare);
  g_free (d->scratch);
  g_free (d->offset);
  g_free (d);
}

static void
forget (QfDifferencer *d)
{
  while (d->held->len > 0)
    g_ptr_array_add (
        d->spare, g_ptr_array_steal_index (d->held, d->held->len - 1));
  for (int i = 0; i < d->n_means; i++)
    memset (d->means[i].sum, 0, d->size * sizeof (guint16));
}

void
qf_differencer_reset (QfDifferencer *d)
{
  forget (d);
  d->last_time = d->interval = -1;
  d->any = FALSE;
}

/* The longest distance in time; without a rate, as long as the last pictures
 * were apart. */
static gint64
longest_distance (const QfDifferencer *d)
{
  if (d->has_rate)
    return d->offset[d->history];
  return d->interval > 0 ? d->history * MIN (d->interval, 3600 * SECOND) : 0;
}

static void
check_time (QfDifferencer *d, gint64 time)
{
  gboolean timed = time >= 0;

  /* Steps counted in pictures and in time do not mix. */
  if (d->has_rate && d->any && timed != d->timed)
    forget (d);
  if (timed && d->last_time >= 0) {
    gint64 gap = time - d->last_time;

    if (gap < 0 || gap > MAX (SECOND, 4 * longest_distance (d)))
      forget (d);
    d->interval = MAX (gap, 0);
  }
  d->any = TRUE;
  d->timed = timed;
  d->last_time = timed ? time : -1;
}

/* Number of the held picture @k steps before @now, −1: none. */
static int
pick (const QfDifferencer *d, gint64 now, int k)
{
  int lo = 0, hi = (int) d->held->len;
  gint64 target;

  if (!d->has_rate || !d->timed)
    return hi - k >= 0 ? hi - k : -1;

  target = now - d->offset[k];
  if (hi == 0 || target < held_at (d, 0)->time - d->half_step)
    return -1;
  while (
      hi - lo > 1) { /* the last one at or before the target, else the first */
    int mid = (lo + hi) / 2;

    if (held_at (d, (guint) mid)->time <= target)
      lo = mid;
    else
      hi = mid;
  }
  if (lo + 1 < (int) d->held->len &&
      held_at (d, (guint) lo + 1)->time - target <=
          target - held_at (d, (guint) lo)->time)
    lo++;
  while (lo + 1 < (int) d->held->len &&
      held_at (d, (guint) lo + 1)->time == held_at (d, (guint) lo)->time)
    lo++;
  return lo;
}

/* Brings the sum of mean @m to the pictures nearest to steps 1 … n. FALSE where
 * the past is too short. */
static gboolean
update_mean (QfDifferencer *d, int m, gint64 now)
{
  Mean *mean = &d->means[m];
  guint len = d->held->len, changed = 0, used = 0;
  g_autofree guint8 *uses = NULL;

  if (pick (d, now, mean->n) < 0)
    return FALSE;
  uses = g_malloc0 (len);
  for (int k = 1; k <= mean->n; k++)
    uses[pick (d, now, k)]++;
  for (guint i = 0; i < len; i++) {
    changed += uses[i] != held_at (d, i)->uses[m];
    used += uses[i] != 0;
  }
  if (changed > used) { /* adding up anew is less work */
    memset (mean->sum, 0, d->size * sizeof (guint16));
    for (guint i = 0; i < len; i++)
      held_at (d, i)->uses[m] = 0;
  }
  for (guint i = 0; i < len; i++) {
    Held *h = held_at (d, i);

    if (uses[i] != h->uses[m])
      qf_sum_add (mean->sum, h->luma, uses[i] - h->uses[m], d->size);
    h->uses[m] = uses[i];
  }
  qf_mean (mean->sum, mean->n, d->size, mean->then);
  return TRUE;
}

static void
write_group (QfDifferencer *d, const Group *g, const guint8 *luma,
    const guint8 *then, guint8 *out)
{
  QfDifferencePlane planes[QF_MAX_PLANES];
  QfDifference difference = { d->width, d->height, g->threshold, g->n, planes };

  for (int i = 0; i < g->n; i++) {
    const QfPlane *p = &d->planes.plane[g->planes[i]];
    guint8 *plane = out + (gsize) g->planes[i] * d->size;

    planes[i] = (QfDifferencePlane){ p->kind == 'M', p->gain, plane };
    if (!then)
      memset (plane, qf_plane_rest (p), d->size);
  }
  if (then)
    d->kernels->difference_u8 (&difference, luma, then, d->scratch);
}

static void
write_planes (QfDifferencer *d, const guint8 *luma, const guint8 *const rgb[3],
    gint64 now, guint8 *out)
{
  gboolean known[QF_MAX_PLANES];

  for (int i = 0; i < d->planes.n; i++) {
    const QfPlane *p = &d->planes.plane[i];
    const guint8 *from = p->kind == 'Y' ? luma : NULL;

    if (p->k)
      continue;
    if (rgb && p->kind != 'Y')
      from = rgb[p->kind == 'R' ? 0 : p->kind == 'G' ? 1 : 2];
    if (from)
      memcpy (out + (gsize) i * d->size, from, d->size);
    else
      memset (out + (gsize) i * d->size, qf_plane_rest (p), d->size);
  }
  for (int m = 0; m < d->n_means; m++)
    known[m] = update_mean (d, m, now);
  for (int i = 0; i < d->n_groups; i++) {
    const Group *g = &d->groups[i];
    const guint8 *then = NULL;

    if (g->mean >= 0) {
      if (known[g->mean])
        then = d->means[g->mean].then;
    } else {
      int at = pick (d, now, g->k);

      if (at >= 0)
        then = held_at (d, (guint) at)->luma;
    }
    write_group (d, g, luma, then, out);
  }
}

static void
drop (QfDifferencer *d, guint i)
{
  Held *h = g_ptr_array_steal_index (d->held, i);

  for (int m = 0; m < d->n_means; m++)
    if (h->uses[m])
      qf_sum_add (d->means[m].sum, h->luma, -h->uses[m], d->size);
  g_ptr_array_add (d->spare, h);
}

static void
remember (QfDifferencer *d, const guint8 *luma, gint64 time)
{
  gboolean by_time = d->has_rate && d->timed;
  guint len = d->held->len;
  Held *h;

  if (d->history == 0)
    return;
  if (by_time) {
    if (len >= 2 &&
        held_at (d, len - 1)->time - held_at (d, len - 2)->time <
            d->offset[1] / PICTURES_A_STEP)
      drop (d, len - 1);
    /* The second is as near to every target to come, so the first is done. */
    while (d->held->len >= 2 &&
        held_at (d, 1)->time <= time - d->offset[d->history])
      drop (d, 0);
  } else {
    while (d->held->len >= (guint) d->history)
      drop (d, 0);
  }

  if (d->spare->len > 0) {
    h = g_ptr_array_steal_index (d->spare, d->spare->len - 1);
  } else {
    h = g_new0 (Held, 1);
    h->luma = g_malloc (d->size);
  }
  memset (h->uses, 0, sizeof h->uses);
  h->time = time;
  memcpy (h->luma, luma, d->size);
  g_ptr_array_add (d->held, h);
}

void
qf_differencer_push (QfDifferencer *d, const guint8 *luma,
    const guint8 *const rgb[3], gint64 time, guint8 *out)
{
  time = MAX (time, -1);
  check_time (d, time);
  if (out)
    write_planes (d, luma, rgb, time, out);
  remember (d, luma, time);
}

gsize
qf_differencer_memory (const QfDifferencer *d)
{
  return d->size *
      (d->held->len + d->spare->len +
          (gsize) d->n_means * (sizeof (guint16) + 1));
}
