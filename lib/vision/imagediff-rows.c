/* libqfuse: the arithmetic of difference pictures (docs/numerics.md, V7 to
 * V11). SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The loops themselves are in difference-orc.orc. */
#include "vision/imagediff-rows.h"

#include <string.h>

#include "vision/difference-orc-dist.h"
#include "vision/planes.h"

/* (V11) 219 / 255 and 876 / 1023 in 2^16. */
#define SCALE_VIDEO_8 56284
#define SCALE_VIDEO_10 56119
#define SCALE_ONE 65535

void
qf_row_map_init (
    QfRowMap *m, const QfImageDiffOptions *o, QfSamples samples, int width)
{
  gboolean deep = samples != QF_SAMPLES_8;
  int extra = deep ? 2 : 0; /* bits more than 8 */
  int half = 128 << extra, most = (256 << extra) - 1;

  *m = (QfRowMap){ .width = width,
    .deep = deep,
    .shift = samples == QF_SAMPLES_10_HIGH ? 6 : 0,
    .absolute = o->absolute,
    .gain = o->gain,
    .limit = MIN (most, (2 * half + o->gain - 1) / o->gain),
    .low = o->video_range ? 16 << extra : 0,
    .high = o->video_range ? 235 << extra : most,
    .black = o->video_range ? 16 << extra : 0,
    .scale = !o->video_range ? SCALE_ONE
        : deep               ? SCALE_VIDEO_10
                             : SCALE_VIDEO_8,
    .threshold = o->threshold << extra };
  m->none = o->absolute ? m->black : half;
}

static void
difference_8 (const QfRowMap *m, guint8 *now, guint8 *past, const guint8 *then,
    guint8 *tally)
{
  gboolean once = m->gain == 1 && (!m->absolute || m->scale == SCALE_ONE);

  if (tally && !once)
    qf_orc_tally_u8 (tally, now, then, m->width);
  if (once && m->absolute && tally)
    qf_orc_absolute_once_tally_u8 (now, past, tally, then, m->width);
  else if (once && m->absolute)
    qf_orc_absolute_once_u8 (now, past, then, m->width);
  else if (once && tally)
    qf_orc_signed_once_tally_u8 (
        now, past, tally, then, m->low, m->high, m->width);
  else if (once)
    qf_orc_signed_once_u8 (now, past, then, m->low, m->high, m->width);
  else if (m->absolute)
    qf_orc_absolute_u8 (now, past, then, 2 * m->gain, m->limit, m->scale,
        2 * m->black, m->width);
  else
    qf_orc_signed_u8 (
        now, past, then, m->gain, m->limit, m->low, m->high, m->width);
}

static void
difference_10 (const QfRowMap *m, guint16 *now, guint16 *past,
    const guint16 *then, guint8 *tally)
{
  if (tally)
    qf_orc_tally_u16 (tally, now, then, m->shift, m->width);
  if (m->absolute)
    qf_orc_absolute_u16 (now, past, then, 2 * m->gain, m->limit, m->shift,
        m->scale, 2 * m->black, m->width);
  else
    qf_orc_signed_u16 (now, past, then, m->gain, m->limit, m->shift, m->low,
        m->high, m->width);
}

void
qf_row_difference (const QfRowMap *m, guint8 *now, guint8 *past,
    const guint8 *then, guint8 *tally)
{
  if (m->deep)
    difference_10 (
        m, (guint16 *) now, (guint16 *) past, (const guint16 *) then, tally);
  else
    difference_8 (m, now, past, then, tally);
}

void
qf_row_none (const QfRowMap *m, guint8 *now, guint8 *past)
{
  memcpy (past, now, qf_row_bytes (m));
  if (m->deep)
    for (int x = 0; x < m->width; x++)
      ((guint16 *) now)[x] = (guint16) (m->none << m->shift);
  else
    memset (now, m->none, (gsize) m->width);
}

void
qf_row_moving (
    const QfRowMap *m, const guint8 *now, const guint8 *then, guint8 *moving)
{
  if (m->deep)
    qf_orc_moving_u16 (moving, (const guint16 *) now, (const guint16 *) then,
        m->shift, m->threshold, m->width);
  else
    qf_orc_moving_u8 (moving, now, then, m->threshold, m->width);
}

void
qf_row_blocks (
    const QfRowMap *m, const guint8 *above, const guint8 *below, guint8 *block)
{
  if (m->width > 1)
    qf_orc_blocks (block + 1, above, above + 1, below, below + 1, m->width - 1);
}

void
qf_row_keep (const QfRowMap *m, const guint8 *now, const guint8 *then,
    const guint8 *above, const guint8 *below, guint8 *kept)
{
  if (m->deep)
    qf_orc_keep_u16 ((guint16 *) kept, (const guint16 *) now,
        (const guint16 *) then, above, above + 1, below, below + 1, m->width);
  else
    qf_orc_keep_u8 (
        kept, now, then, above, above + 1, below, below + 1, m->width);
}

void
qf_row_slide (
    const QfRowMap *m, void *sum, const guint8 *now, const guint8 *old)
{
  if (m->deep)
    qf_orc_slide_u16 (
        sum, (const guint16 *) now, (const guint16 *) old, m->shift, m->width);
  else
    qf_orc_slide_u8 (sum, now, old, m->width);
}

void
qf_row_mean (const QfRowMap *m, const void *sum, int n, guint8 *mean)
{
  if (m->deep)
    qf_orc_mean_u16 (
        (guint16 *) mean, sum, n / 2, 1.0f / (float) n, m->shift, m->width);
  else
    qf_orc_mean_u8 (
        mean, sum, n / 2, MIN (65536 / n, 65535), n, n - 1, m->width);
}

void
qf_image_diff_row (const QfImageDiffOptions *options, int width, guint8 *now,
    const guint8 *then, const guint8 *mask, guint8 *scratch)
{
  QfRowMap m;

  qf_row_map_init (&m, options, QF_SAMPLES_8, width);
  if (!then) {
    qf_row_none (&m, now, scratch);
    return;
  }
  if (mask) {
    qf_orc_keep_u8 (scratch, now, then, mask, mask, mask, mask, width);
    then = scratch;
  }
  qf_row_difference (&m, now, scratch, then, NULL);
}

/* Orc wants 16-bit words at even addresses. */
void
qf_rows_take_422 (const guint8 *pairs, int width, int first, guint8 *luma)
{
  if ((guintptr) pairs % 2 != 0)
    for (int x = 0; x < width; x++)
      luma[x] = pairs[2 * x + first];
  else if (first == 0)
    qf_orc_luma_first (luma, (const guint16 *) pairs, width);
  else
    qf_orc_luma_second (luma, (const guint16 *) pairs, width);
}

void
qf_rows_put_422 (guint8 *pairs, int width, int first, const guint8 *luma)
{
  if ((guintptr) pairs % 2 != 0)
    for (int x = 0; x < width; x++) {
      pairs[2 * x + first] = luma[x];
      pairs[2 * x + 1 - first] = 128;
    }
  else if (first == 0)
    qf_orc_grey_first ((guint16 *) pairs, luma, width);
  else
    qf_orc_grey_second ((guint16 *) pairs, luma, width);
}

void
qf_rows_put_grey (guint8 *pixels, int width, guint32 mask, const guint8 *grey)
{
  qf_orc_grey_u32 ((guint32 *) pixels, grey, (int) mask, width);
}

void
qf_rows_deepen (const guint8 *codes, int width, int shift, guint16 *deep)
{
  qf_orc_deepen (deep, codes, shift, width);
}

void
qf_rows_mix (guint8 *pixels, int width, const guint8 *mask, int still,
    int moving, gboolean cover)
{
  if (cover)
    qf_orc_cover_u8 (pixels, mask, still, moving, width);
  else
    qf_orc_mix_u8 (pixels, mask, still, moving, width);
}

void
qf_rows_or (
    guint8 *any, const guint8 *mask, int width, gboolean halve, guint8 *scratch)
{
  if (!halve) {
    qf_orc_or (any, mask, width);
    return;
  }
  qf_orc_pairs (scratch, (const guint16 *) mask, width / 2);
  qf_orc_or (any, scratch, width / 2);
  if (width % 2)
    any[width / 2] |= mask[width - 1];
}
