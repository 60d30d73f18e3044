/* libqfuse: one picture of motion analysis: compared, then blobs and specks.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/motion-private.h"

#include <string.h>

/* specks; measured on recordings of aircraft and birds in infrared */
#define SPECK_JOIN 8
#define SCENE_PICTURES 100 /* that tell what moves as a rule */
#define BUSY 0.75          /* share of them with something large */
#define SCENE_SHARE 0.5    /* of what is usual there, a speck must have */

/* camera */
#define UNFIT 0.5 /* misfit over this: it trembles */
#define LOST_PICTURES 3
#define LEAST_GAIN 0.6 /* of light; beyond, a fit would be by chance */
#define UNSTEADY                                                               \
  (2 * G_GINT64_CONSTANT (1000000000)) /* after a camera turned */

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

void
qf_motion_keep_only (QfMotion *m, const guint8 *luma, gssize stride)
{
  for (int y = 0; y < m->height; y++)
    qf_motion_past_keep (&m->past, y, luma + (gssize) y * stride, m->band);
}

/* --- scene -----------------------------------------------------------------
 */

/* The smallest blob that one picture alone may tell of. */
static int
large_area (const QfMotion *m)
{
  gsize size = (gsize) m->width * m->height;
  int square = m->reduce.k * m->reduce.k;

  return m->o.min_area > 0 ? (m->o.min_area + square - 1) / square
                           : (int) MAX (size / 1000, 8);
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
  qf_motion_keep_only (m, luma, stride);
  memset (m->mask, 0, (gsize) m->width * m->height);
}

/* The background follows a camera that turns. TRUE: it does. */
static gboolean
follow_camera (QfMotion *m, const guint8 *luma, gssize stride)
{
  QfMotionBackground *b = &m->past.background;
  gboolean turned;
  QfMotionTurn t;

  b->hurry = FALSE;
  if (!m->o.camera || m->o.reference != QF_MOTION_BACKGROUND ||
      m->o.learning_rate <= 0)
    return FALSE;
  turned = qf_motion_camera (
      &m->past, luma, stride, m->counts, qf_motion_noise_sigma (&m->noise), &t);
  if (turned)
    qf_motion_background_shift (b, t.dx, t.dy, luma, stride);
  if (turned || t.misfit > UNFIT)
    m->turned = m->clock;
  m->lost = !turned && t.lost ? m->lost + 1 : 0;
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
  return m->busy > BUSY
      ? MAX (QF_MOTION_LEAST_SPECK, (int) (m->usual * SCENE_SHARE))
      : QF_MOTION_LEAST_SPECK;
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

void
qf_motion_find (
    QfMotion *m, const guint8 *luma, gssize stride, QfMotionResult *r)
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
