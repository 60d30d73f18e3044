/* libqfuse: what moves in a stream: mask, share, blobs, start and stop.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/motion-private.h"

#include <string.h>

/* specks; measured on recordings of aircraft and birds in infrared */
#define LEAST_SPECK 4 /* pixels: what the opening leaves at least */
#define SPECK_JOIN 8
#define SCENE_PICTURES 100 /* that tell what moves as a rule */
#define BUSY 0.75          /* share of them with something large */
#define SCENE_SHARE 0.5    /* of what is usual there, a speck must have */

/* camera */
#define UNFIT 0.5 /* misfit over this: it trembles */
#define LOST_PICTURES 3
#define LEAST_GAIN                                                             \
  0.6 /* with less light than that, a fit would be by chance                   \
       */
#define SECOND G_GINT64_CONSTANT (1000000000)
#define UNSTEADY (2 * SECOND) /* after a camera turned */
#define UNTIMED_PICTURE (SECOND / 25)

struct _QfMotion
{
  QfMotionOptions o, small_o; /* as given; lengths of the reduced picture */
  QfPolygons *ignore;
  QfMotionReduce reduce;
  int width, height; /* as analysed; 0: no size yet */
  QfMotionGrid grid;
  QfMotionPast past;
  QfMotionNoise noise;
  QfMotionBlobs blobs, small;
  QfMotionSpecks specks;

  guint8 *counts; /* [height][width] 255: counts, 0: ignored; NULL: all count */
  gsize counted;  /* pixels that count */
  guint8 *mask, *off;           /* off: all that differs */
  guint8 *then;                 /* [height][width], NULL: not wanted */
  guint8 *moving[2], *block[2]; /* rows, as in difference.c */
  guint8 *off_moving[2], *off_block[2];
  guint8 *band;       /* row of dead bands */
  guint8 *column;     /* moving pixels of a row of cells, by column */
  guint8 *off_column; /* the same of `off` */
  guint8 *memory;

  gint64 last_time, interval; /* −1: not known */
  gboolean any, timed;
  gint64 clock; /* of the picture at hand; counted where there are no times */

  int lost;      /* pictures on end that the background does not fit */
  double busy;   /* share of the last pictures with something large, 0 … 1 */
  double usual;  /* its area, about */
  int judged;    /* pictures these stem from */
  gint64 turned; /* the camera did, −1: never */
  gint64 light_since; /* a change of the whole picture goes on, −1: none */
  gboolean event;
  gint64 first, last; /* pictures with motion; first −1: none at hand */
};

/* --- options -------------------------------------------------------------- */

static gboolean
check_options (const QfMotionOptions *o, GError **error)
{
  const char *wrong = NULL;

  if (o->reference < QF_MOTION_PREVIOUS || o->reference > QF_MOTION_BACKGROUND)
    wrong = "reference is none of previous, mean and background";
  else if (o->distance < 1 || o->distance > QF_MAX_DISTANCE)
    wrong = "distance is not from 1 to 250 pictures";
  else if (o->distance_time < 0 ||
      o->distance_time > QF_MOTION_MAX_DISTANCE_TIME)
    wrong = "distance is not from 0 to 3600 seconds";
  else if (!(o->learning_rate >= 0 && o->learning_rate <= 0.5))
    wrong = "learning rate is not from 0 to 0.5";
  else if (o->threshold < 0 || o->threshold > 255)
    wrong = "threshold is not from 0 to 255";
  else if (!(o->noise_factor >= 1 && o->noise_factor <= 16))
    wrong = "noise factor is not from 1 to 16";
  else if (!(o->max_share >= 0 && o->max_share <= 1))
    wrong = "max-share is not from 0 to 1";
  else if (!(o->min_share >= 0 && o->min_share <= 1))
    wrong = "min-share is not from 0 to 1";
  else if (o->min_area < 0)
    wrong = "min-area is negative";
  else if (!(o->shadow <= 0.9))
    wrong = "shadow is over 0.9";
  else if (o->join < 0 || o->margin < 0 || o->join > 32767 || o->margin > 32767)
    wrong = "join or margin is not from 0 to 32767 pixels";
  else if (o->start_time < 0 || o->stop_time < 0 ||
      o->start_time > QF_MOTION_MAX_DISTANCE_TIME ||
      o->stop_time > QF_MOTION_MAX_DISTANCE_TIME)
    wrong = "start or stop time is not from 0 to 3600 seconds";
  if (wrong)
    g_set_error (
        error, QF_ERROR, QF_ERROR_ARGUMENT, "motion analysis: %s", wrong);
  return !wrong;
}

QfMotion *
qf_motion_new (const QfMotionOptions *options, GError **error)
{
  QfMotion *m;

  if (!check_options (options, error))
    return NULL;
  m = g_new0 (QfMotion, 1);
  m->o = *options;
  m->reduce.k = 1;
  qf_motion_reset (m);
  return m;
}

static void
clear_size (QfMotion *m)
{
  if (m->width == 0)
    return;
  qf_motion_reduce_clear (&m->reduce);
  qf_motion_past_clear (&m->past);
  qf_motion_noise_clear (&m->noise);
  qf_motion_blobs_clear (&m->blobs);
  qf_motion_blobs_clear (&m->small);
  g_clear_pointer (&m->off, g_free);
  g_clear_pointer (&m->counts, g_free);
  g_clear_pointer (&m->mask, g_free);
  g_clear_pointer (&m->then, g_free);
  g_clear_pointer (&m->memory, g_free);
  m->width = m->height = 0;
}

void
qf_motion_free (QfMotion *m)
{
  if (!m)
    return;
  clear_size (m);
  qf_polygons_free (m->ignore);
  g_free (m);
}

/* Lengths of the reduced picture. */
static void
scale_options (QfMotion *m)
{
  const int k = m->reduce.k;

  m->small_o = m->o;
  m->small_o.join = m->o.join / k;
  m->small_o.margin = (m->o.margin + k - 1) / k;
}

gboolean
qf_motion_set_options (
    QfMotion *m, const QfMotionOptions *options, GError **error)
{
  const QfMotionOptions *o = options;
  gboolean same = o->reference == m->o.reference &&
      (o->reference == QF_MOTION_BACKGROUND ||
          (o->distance == m->o.distance &&
              o->distance_time == m->o.distance_time));
  int width, height;

  if (!check_options (options, error))
    return FALSE;
  m->o = *options;
  if (m->width == 0)
    return TRUE;
  width = m->reduce.width;
  height = m->reduce.height;
  if (qf_motion_reduction (width, height, !o->want_then) != m->reduce.k) {
    clear_size (m);
    qf_motion_set_size (m, width, height);
    return TRUE;
  }
  scale_options (m);
  if (same) {
    qf_motion_past_set (&m->past, o);
  } else {
    qf_motion_past_clear (&m->past);
    qf_motion_past_init (&m->past, o, m->width, m->height);
  }
  return TRUE;
}

void
qf_motion_get_options (const QfMotion *m, QfMotionOptions *options)
{
  *options = m->o;
}

/* --- size and mask -------------------------------------------------------- */

static void
make_counts (QfMotion *m)
{
  gsize size = (gsize) m->width * m->height;

  g_clear_pointer (&m->counts, g_free);
  m->counted = size;
  if (!m->ignore || m->width == 0)
    return;
  m->counts = g_malloc (size);
  memset (m->counts, 255, size);
  qf_polygons_fill (m->ignore, m->counts, m->width, m->height, 0);
  m->counted = 0;
  for (gsize i = 0; i < size; i++)
    m->counted += m->counts[i] & 1;
}

void
qf_motion_set_ignore (QfMotion *m, const QfPolygons *ignore)
{
  qf_polygons_free (m->ignore);
  m->ignore = qf_polygons_copy (ignore);
  make_counts (m);
}

void
qf_motion_set_size (QfMotion *m, int width, int height)
{
  gsize row; /* whole cells */

  g_return_if_fail (width > 0 && width <= 32767);
  g_return_if_fail (height > 0 && height <= 32767);

  if (m->width > 0 && m->reduce.width == width && m->reduce.height == height)
    return;
  clear_size (m);
  qf_motion_reduce_init (&m->reduce, width, height, !m->o.want_then);
  scale_options (m);
  m->width = width = m->reduce.to_width;
  m->height = height = m->reduce.to_height;
  row = (gsize) width + 32;
  qf_motion_grid_init (&m->grid, width, height, 0);
  qf_motion_past_init (&m->past, &m->o, width, height);
  qf_motion_noise_init (&m->noise, width, height);
  qf_motion_blobs_init (&m->blobs, &m->grid);
  qf_motion_blobs_init (&m->small, &m->grid);
  m->off = g_malloc0 ((gsize) width * height);
  m->mask = g_malloc0 ((gsize) width * height);
  m->memory = g_malloc0 (11 * row);
  for (int i = 0; i < 2; i++) {
    m->moving[i] = m->memory + i * row;
    m->block[i] = m->memory + (2 + i) * row;
    m->off_moving[i] = m->memory + (6 + i) * row;
    m->off_block[i] = m->memory + (8 + i) * row;
  }
  m->off_column = m->memory + 10 * row;
  m->band = m->memory + 4 * row;
  m->column = m->memory + 5 * row;
  make_counts (m);
  qf_motion_reset (m);
}

static void
forget (QfMotion *m)
{
  if (m->width > 0) {
    qf_motion_past_reset (&m->past);
    qf_motion_noise_reset (&m->noise);
  }
}

void
qf_motion_reset (QfMotion *m)
{
  forget (m);
  m->last_time = m->interval = -1;
  m->any = FALSE;
  m->clock = 0;
  m->light_since = m->turned = m->first = m->last = -1;
  m->lost = m->judged = 0;
  m->busy = m->usual = 0;
  m->specks.n = 0;
  m->event = FALSE;
}

/* The smallest blob that one picture alone may tell of. */
static int
large_area (const QfMotion *m)
{
  gsize size = (gsize) m->width * m->height;
  int square = m->reduce.k * m->reduce.k;

  return m->o.min_area > 0 ? (m->o.min_area + square - 1) / square
                           : (int) MAX (size / 1000, 8);
}

int
qf_motion_min_area (const QfMotion *m)
{
  return m->o.min_area > 0 ? m->o.min_area
                           : LEAST_SPECK * m->reduce.k * m->reduce.k;
}

gboolean
qf_motion_is_moving (const QfMotion *m)
{
  return m->event;
}

/* --- rows ----------------------------------------------------------------- */

static void
and_row (guint8 *restrict moving, const guint8 *restrict counts, int width)
{
  for (int x = 0; x < width; x++)
    moving[x] &= counts[x];
}

/* block[x + 1]: all four pixels of the 2x2 block with left top corner (x, y)
 * move. block[0] and block[width] stay 0. */
static void
block_row (const guint8 *restrict above, const guint8 *restrict below,
    int width, guint8 *restrict block)
{
  for (int x = 0; x < width - 1; x++)
    block[x + 1] = above[x] & above[x + 1] & below[x] & below[x + 1];
}

/* The mask: pixels in a block; and how many of them a column has in this row of
 * cells, ≤ 16. */
static void
open_row (const guint8 *restrict above, const guint8 *restrict below, int width,
    guint8 *restrict mask, guint8 *restrict column)
{
  for (int x = 0; x < width; x++) {
    guint8 v = above[x] | above[x + 1] | below[x] | below[x + 1];

    mask[x] = v;
    column[x] = (guint8) (column[x] + (v & 1));
  }
}

/* Dead bands of a row of noise cells, pixel by pixel. */
static void
band_row (QfMotion *m, int row)
{
  const QfMotionGrid *g = &m->noise.grid;
  const guint8 *band = m->noise.band + (gsize) row * g->cols;

  for (int col = 0; col < g->cols; col++)
    memset (m->band + ((gsize) col << g->shift), band[col], (size_t) g->size);
}

/* Ends a row of cells: counts by cell. Returns the moving pixels. */
static gsize
count_cells (const QfMotion *m, int row, guint8 *column, guint16 *counts)
{
  const QfMotionGrid *g = &m->grid;
  guint16 *count = counts + (gsize) row * g->cols;
  gsize all = 0;

  memset (count, 0, (gsize) g->cols * sizeof (guint16));
  qf_motion_grid_add (column, g->cols, g->shift, count);
  for (int col = 0; col < g->cols; col++)
    all += count[col];
  memset (column, 0, (size_t) m->width);
  return all;
}

/* Which pixels of row @y move. */
static void
compare_row (QfMotion *m, int y, const guint8 *now)
{
  guint8 *moving = m->moving[y & 1], *off = m->off_moving[y & 1];
  gsize at = (gsize) y * m->width, width = (gsize) m->width;

  if (m->o.noise_adaptive && (y & (m->noise.grid.size - 1)) == 0)
    band_row (m, y >> m->noise.grid.shift);
  if (m->then)
    memcpy (m->then + at, qf_motion_past_row (&m->past, y), width);
  qf_motion_past_moving (&m->past, y, now, m->band, off, moving);
  if (m->counts) {
    and_row (moving, m->counts + at, m->width);
    and_row (off, m->counts + at, m->width);
  }
  qf_motion_past_keep (&m->past, y, now, m->band);
}

/* Compares the whole picture, holds it, and writes masks and counts. Returns
 * how many pixels move; @different: and how many differ. */
static gsize
compare (QfMotion *m, const guint8 *luma, gssize stride, gsize *different)
{
  const int width = m->width, height = m->height, last = m->grid.size - 1;
  gsize changed = 0;

  *different = 0;
  memset (m->block[1], 0, (gsize) width + 1); /* row −1 */
  memset (m->off_block[1], 0, (gsize) width + 1);
  m->block[0][0] = m->block[0][width] = 0;
  m->off_block[0][0] = m->off_block[0][width] = 0;
  for (int y = 0; y <= height; y++) {
    int i = (y + 1) & 1, before = y & 1;
    gsize at = (gsize) (y - 1) * width;

    if (y < height)
      compare_row (m, y, luma + (gssize) y * stride);
    if (y < height && y > 0) {
      block_row (m->moving[i], m->moving[before], width, m->block[i]);
      block_row (
          m->off_moving[i], m->off_moving[before], width, m->off_block[i]);
    } else if (y > 0) {
      memset (m->block[i], 0, (gsize) width + 1);
      memset (m->off_block[i], 0, (gsize) width + 1);
    }
    if (y == 0)
      continue;
    /* blocks above and below row y − 1 are known */
    open_row (m->block[before], m->block[i], width, m->mask + at, m->column);
    open_row (m->off_block[before], m->off_block[i], width, m->off + at,
        m->off_column);
    if (((y - 1) & last) == last || y == height) {
      int row = (y - 1) >> m->grid.shift;

      changed += count_cells (m, row, m->column, m->blobs.count);
      *different += count_cells (m, row, m->off_column, m->small.count);
    }
  }
  return changed;
}

static void
keep_only (QfMotion *m, const guint8 *luma, gssize stride)
{
  for (int y = 0; y < m->height; y++)
    qf_motion_past_keep (&m->past, y, luma + (gssize) y * stride, m->band);
}

/* --- time and events ------------------------------------------------------ */

static gint64
longest_distance (const QfMotion *m)
{
  double n = m->o.distance;

  if (m->o.reference == QF_MOTION_PREVIOUS && m->o.distance_time > 0)
    return m->o.distance_time;
  if (m->interval <= 0)
    return 0;
  if (m->o.reference == QF_MOTION_BACKGROUND)
    n = 1 / MAX (m->o.learning_rate, 1e-6);
  return (gint64) MIN (n * (double) MIN (m->interval, 3600 * SECOND), 1e17);
}

/* Sets the clock. TRUE where the past is over. */
static gboolean
check_time (QfMotion *m, gint64 time)
{
  gboolean timed = time >= 0, over = m->any && timed != m->timed;

  if (timed && m->timed && m->any) {
    gint64 gap = time - m->last_time;

    over |= gap < 0 || gap > MAX (SECOND, 4 * longest_distance (m));
    m->interval = MAX (gap, 0);
  }
  m->clock = timed ? time : m->clock + (m->any ? UNTIMED_PICTURE : 0);
  if (!timed && over)
    m->clock = 0;
  m->any = TRUE;
  m->timed = timed;
  m->last_time = time;
  return over;
}

static void
follow_events (QfMotion *m, gboolean moves, QfMotionResult *r)
{
  if (moves) {
    if (m->first < 0)
      m->first = m->clock;
    m->last = m->clock;
  }
  if (!m->event && moves && m->clock - m->first >= m->o.start_time)
    m->event = r->started = TRUE;
  if (m->first >= 0 && !moves && m->clock - m->last >= m->o.stop_time) {
    r->stopped = m->event;
    r->since = m->event ? m->first : -1;
    m->event = FALSE;
    m->first = -1;
  }
  r->moving = m->event;
  if (m->event)
    r->since = m->first;
}

/* The whole picture changed: light, a cut or a push against the camera. The
 * past is of no use any more. */
static gboolean
whole_changed (QfMotion *m, gsize changed)
{
  if (!m->o.lighting || m->o.max_share >= 1 ||
      (double) changed <= m->o.max_share * (double) m->counted) {
    m->light_since = -1;
    return FALSE;
  }
  if (m->light_since < 0)
    m->light_since = m->clock;
  return m->clock - m->light_since <= QF_MOTION_MAX_LIGHTING;
}

static void
start_anew (QfMotion *m, const guint8 *luma, gssize stride)
{
  m->turned = m->clock;
  qf_motion_past_reset (&m->past);
  qf_motion_past_begin (&m->past, m->clock);
  keep_only (m, luma, stride);
  memset (m->mask, 0, (gsize) m->width * m->height);
}

/* The background follows a camera that turns. TRUE: it does. */
static gboolean
follow_camera (QfMotion *m, const guint8 *luma, gssize stride)
{
  QfMotionBackground *b = &m->past.background;
  double misfit;
  int dx, dy;
  gboolean turned, lost;

  b->hurry = FALSE;
  if (!m->o.camera || m->o.reference != QF_MOTION_BACKGROUND ||
      m->o.learning_rate <= 0)
    return FALSE;
  turned = qf_motion_camera (&m->past, luma, stride, m->counts,
      qf_motion_noise_sigma (&m->noise), &dx, &dy, &misfit, &lost);
  if (turned)
    qf_motion_background_shift (b, dx, dy, luma, stride);
  if (turned || misfit > UNFIT)
    m->turned = m->clock;
  m->lost = !turned && lost ? m->lost + 1 : 0;
  b->hurry = m->turned >= 0 && m->clock - m->turned <= UNSTEADY;
  return turned;
}

/* Whether a speck is out of the range of the background around it: an edge that
 * trembles is not. */
static gboolean
stands_out (
    const QfMotion *m, const guint8 *luma, gssize stride, const QfMotionBlob *b)
{
  for (int y = b->y; y < b->y + b->h; y++)
    for (int x = b->x; x < b->x + b->w; x++)
      if (m->off[(gsize) y * m->width + x] &&
          qf_motion_background_excess (&m->past.background, x, y,
              luma[(gssize) y * stride + x]) > m->noise.median_band)
        return TRUE;
  return FALSE;
}

/* What moves in the scene as a rule: pictures with something large, and how
 * large. */
static void
learn_scale (QfMotion *m, int n)
{
  double k;

  if (m->past.background.hurry)
    return;
  m->judged = MIN (m->judged + 1, SCENE_PICTURES);
  k = 1.0 / m->judged;
  m->busy += k * ((n > 0) - m->busy);
  for (int i = 0; i < n; i++) {
    double area = m->blobs.blobs[i].area;

    if (m->usual <= 0)
      m->usual = area;
    m->usual *= area > m->usual ? 1.02 : 1 / 1.02;
  }
}

/* Where large things move, what is much smaller is a part, a reflection or
 * something that sways. */
static int
least_speck (const QfMotion *m)
{
  return m->busy > BUSY ? MAX (LEAST_SPECK, (int) (m->usual * SCENE_SHARE))
                        : LEAST_SPECK;
}

/* What differs in the box of a speck that counts moves. Returns the pixels that
 * did not before. */
static gsize
add_to_mask (QfMotion *m, const QfMotionBlob *b)
{
  gsize added = 0;

  for (int y = b->y; y < b->y + b->h; y++) {
    guint8 *mask = m->mask + (gsize) y * m->width;
    const guint8 *off = m->off + (gsize) y * m->width;

    for (int x = b->x; x < b->x + b->w; x++) {
      added += off[x] & ~mask[x] & 1;
      mask[x] |= off[x];
    }
  }
  return added;
}

/* Appends small things that move to the blobs. */
static void
find_small (QfMotion *m, const guint8 *luma, gssize stride, QfMotionResult *r)
{
  const int n = r->n_blobs;
  const QfMotionOptions o = { .join = SPECK_JOIN };
  gboolean unsteady = m->past.background.hurry;
  QfMotionBlob *b = m->small.blobs, *out = m->blobs.blobs + n;
  int found = qf_motion_blobs_find (&m->small, m->off, &o, least_speck (m));
  int k = 0;

  for (int i = 0; i < found; i++)
    if (!qf_motion_specks_near (&b[i], m->blobs.blobs, n) &&
        (unsteady ? stands_out (m, luma, stride, &b[i])
                  : b[i].area < large_area (m)))
      b[k++] = b[i];
  r->n_blobs += qf_motion_specks_follow (
      &m->specks, b, k, &m->grid, out, QF_MOTION_MAX_BLOBS - n);
  for (int i = n; i < r->n_blobs; i++)
    r->changed += add_to_mask (m, &r->blobs[i]);
}

static void
find (QfMotion *m, const guint8 *luma, gssize stride, QfMotionResult *r)
{
  gboolean light = FALSE, turned = FALSE;
  gsize different;

  if (m->o.lighting) {
    light = qf_motion_light (&m->past, luma, stride, m->counts,
        qf_motion_noise_sigma (&m->noise), &r->gain, &r->offset);
    if (light)
      qf_motion_past_relight (&m->past, r->gain, r->offset);
    else
      r->gain = 1, r->offset = 0;
  }
  if (r->gain > LEAST_GAIN && r->gain < 1 / LEAST_GAIN)
    turned = follow_camera (m, luma, stride);
  qf_motion_noise_push (&m->noise, luma, stride, !light && !turned);
  if (m->lost >= LOST_PICTURES) {
    m->lost = 0;
    r->lighting = TRUE;
    start_anew (m, luma, stride);
    return;
  }
  if (m->o.noise_adaptive) {
    qf_motion_noise_bands (&m->noise, m->o.noise_factor, m->o.threshold);
    r->threshold = m->noise.median_band;
  }
  r->noise = qf_motion_noise_sigma (&m->noise);
  r->changed = compare (m, luma, stride, &different);
  if (whole_changed (m, different)) {
    r->lighting = TRUE;
    r->changed = 0;
    start_anew (m, luma, stride);
    return;
  }
  r->lighting = light;
  r->n_blobs =
      qf_motion_blobs_find (&m->blobs, m->mask, &m->small_o, large_area (m));
  learn_scale (m, r->n_blobs);
  if (m->o.min_area == 0)
    find_small (m, luma, stride, r);
}

void
qf_motion_push (QfMotion *m, const guint8 *luma, gssize stride, gint64 time,
    QfMotionResult *r)
{
  g_return_if_fail (m->width > 0);

  *r = (QfMotionResult){ .threshold = m->o.threshold,
    .gain = 1,
    .mask = m->mask,
    .blobs = m->blobs.blobs,
    .since = -1 };
  if (m->reduce.k > 1) {
    luma = qf_motion_reduce (&m->reduce, luma, stride);
    stride = m->width;
  }
  if (check_time (m, time)) {
    forget (m);
    m->light_since = -1;
    if (m->event) {
      r->stopped = TRUE;
      r->since = m->first;
    }
    m->event = FALSE;
    m->first = -1;
  }
  if (!m->o.noise_adaptive)
    memset (m->band, m->o.threshold, (gsize) m->width);
  if (m->o.want_then && !m->then)
    m->then = g_malloc ((gsize) m->width * m->height);
  else if (!m->o.want_then)
    g_clear_pointer (&m->then, g_free);
  r->known = qf_motion_past_begin (&m->past, m->timed ? m->clock : -1);
  if (r->known) {
    r->then = m->then;
    find (m, luma, stride, r);
  } else {
    memset (m->mask, 0, (gsize) m->width * m->height);
    qf_motion_noise_push (&m->noise, luma, stride, TRUE);
    keep_only (m, luma, stride);
  }
  qf_motion_past_end (&m->past, m->timed ? m->clock : -1);
  if (m->counted > 0)
    r->share = (double) r->changed / (double) m->counted;
  if (m->reduce.k > 1) {
    r->mask = qf_motion_reduce_mask (&m->reduce, m->mask, r->changed > 0);
    r->changed *= (gsize) m->reduce.k * m->reduce.k;
    for (int i = 0; i < r->n_blobs; i++)
      qf_motion_reduce_blob (&m->reduce, &m->blobs.blobs[i]);
  }
  follow_events (m, r->n_blobs > 0 && r->share >= m->o.min_share, r);
}
