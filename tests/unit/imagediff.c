/* libqfuse: tests: difference pictures against their equations.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The suite runs this file with Orc's compiled code, its C and its emulator
 * (ORC_CODE): each must give the bytes of the plain loops below. */
#include <string.h>

#include "vision/imagediff-rows.h"
#include "vision/planes.h"

#define SIDE 256

static const int gains[] = { 1, 2, 3, 4, 7, 16, 100, 254, 255 };

/* (V9), (V10), (V11): the difference of two samples of @bits bits, as a code.
 */
static int
code_of (int now, int then, int bits, const QfImageDiffOptions *o)
{
  int half = 1 << (bits - 1), most = (1 << bits) - 1, extra = bits - 8;
  int d = now - then, v;

  if (!o->absolute) {
    v = CLAMP (half + o->gain * d / 2, 0, most);
    return o->video_range ? CLAMP (v, 16 << extra, 235 << extra) : v;
  }
  v = MIN (o->gain * ABS (d), most);
  if (!o->video_range)
    return v;
  return (16 << extra) +
      (int) ((2 * (gint64) v * (bits == 8 ? 56284 : 56119) + 65536) / 131072);
}

static void
check_8 (const QfImageDiffOptions *o)
{
  guint8 now[SIDE + 3], past[SIDE + 3], then[SIDE + 3];
  guint8 tally[SIDE] = { 0 };
  QfRowMap m;

  qf_row_map_init (&m, o, QF_SAMPLES_8, SIDE);
  for (int b = 0; b < 256; b++) {
    guint8 *row = now + b % 3; /* any alignment */

    for (int a = 0; a < 256; a++) {
      row[a] = (guint8) a;
      then[a] = (guint8) b;
    }
    memset (tally, 7, sizeof (tally)); /* what is there stays */
    qf_row_difference (
        &m, row, b % 2 ? past : then, then, b % 4 < 2 ? tally : NULL);
    for (int a = 0; a < 256; a++) {
      g_assert_cmpint (row[a], ==, code_of (a, b, 8, o));
      g_assert_cmpint ((b % 2 ? past : then)[a], ==, a);
      g_assert_cmpint (tally[a], ==, 7 + (a == b && b % 4 < 2));
    }
  }
}

/* Every pair of 8-bit values, both modes and ranges, many gains. */
static void
test_pairs_8 (void)
{
  for (guint g = 0; g < G_N_ELEMENTS (gains); g++)
    for (int k = 0; k < 4; k++)
      check_8 (&(QfImageDiffOptions){ .absolute = k & 1,
          .video_range = k >> 1,
          .distance = 1,
          .gain = gains[g] });
}

/* All now of 10 bits against @step-th then. */
static void
check_10 (const QfImageDiffOptions *o, QfSamples samples, int step)
{
  int shift = samples == QF_SAMPLES_10_HIGH ? 6 : 0;
  guint16 now[1024], past[1024], then[1024];
  guint8 tally[1024] = { 0 };
  QfRowMap m;

  qf_row_map_init (&m, o, samples, 1024);
  for (int b = 0; b < 1024; b += step) {
    for (int a = 0; a < 1024; a++) {
      tally[a] = 0;
      now[a] = (guint16) (a << shift);
      then[a] = (guint16) (b << shift);
    }
    qf_row_difference (
        &m, (guint8 *) now, (guint8 *) past, (const guint8 *) then, tally);
    for (int a = 0; a < 1024; a++) {
      g_assert_cmpint (now[a], ==, code_of (a, b, 10, o) << shift);
      g_assert_cmpint (past[a], ==, a << shift);
      g_assert_cmpint (tally[a], ==, a == b);
    }
  }
}

/* With gain 1 all 2^20 pairs. */
static void
test_pairs_10 (void)
{
  for (guint g = 0; g < G_N_ELEMENTS (gains); g++)
    for (int k = 0; k < 8; k++)
      check_10 (&(QfImageDiffOptions){ .absolute = k & 1,
                    .video_range = k >> 1 & 1,
                    .distance = 1,
                    .gain = gains[g] },
          k & 4 ? QF_SAMPLES_10_HIGH : QF_SAMPLES_10_LOW, g == 0 ? 1 : 31);
}

/* Every pair against dead bands; and what is not 10 bits stays in bounds. */
static void
test_moving (void)
{
  guint8 now[256], then[256], moving[256];
  guint16 deep[1024], deep_then[1024];
  guint8 deep_moving[1024];
  QfRowMap m;

  for (int t = 1; t < 256; t += t < 20 ? 1 : 47) {
    QfImageDiffOptions o = { .distance = 1, .gain = 1, .threshold = t };

    for (int b = 0; b < 256; b++) {
      qf_row_map_init (&m, &o, QF_SAMPLES_8, 256);
      for (int a = 0; a < 256; a++) {
        now[a] = (guint8) a;
        then[a] = (guint8) b;
      }
      qf_row_moving (&m, now, then, moving);
      for (int a = 0; a < 256; a++)
        g_assert_cmpint (moving[a], ==, ABS (a - b) > t ? 255 : 0);
      qf_row_map_init (&m, &o, QF_SAMPLES_10_HIGH, 1024);
      for (int a = 0; a < 1024; a++) {
        deep[a] = (guint16) (a << 6);
        deep_then[a] = (guint16) ((4 * b + b % 4) << 6);
      }
      qf_row_moving (&m, (guint8 *) deep, (guint8 *) deep_then, deep_moving);
      for (int a = 0; a < 1024; a++)
        g_assert_cmpint (
            deep_moving[a], ==, ABS (a - (4 * b + b % 4)) > 4 * t ? 255 : 0);
    }
  }
}

static void
test_mean (void)
{
  guint16 sum[256];
  guint32 deep_sum[256];
  guint8 mean[256];
  guint16 deep_mean[256];
  QfImageDiffOptions o = { .distance = 1, .gain = 1 };
  QfRowMap m, deep;

  qf_row_map_init (&m, &o, QF_SAMPLES_8, 256);
  qf_row_map_init (&deep, &o, QF_SAMPLES_10_HIGH, 256);
  for (int n = 1; n <= QF_MAX_DISTANCE; n++)
    for (int from = 0; from < 1023 * n; from += 256 * (1 + n / 8)) {
      for (int i = 0; i < 256; i++) {
        sum[i] = (guint16) MIN (from + i, 255 * n);
        deep_sum[i] = (guint32) MIN (from + i, 1023 * n);
      }
      qf_row_mean (&m, sum, n, mean);
      qf_row_mean (&deep, deep_sum, n, (guint8 *) deep_mean);
      for (int i = 0; i < 256; i++) {
        g_assert_cmpint (mean[i], ==, (sum[i] + n / 2) / n);
        g_assert_cmpint (
            deep_mean[i], ==, ((int) deep_sum[i] + n / 2) / n << 6);
      }
    }
}

/* ---- whole pictures ---- */

typedef struct
{
  int width, height, bits, shift;
  GPtrArray *past; /* guint16 *, samples */
} Plain;

static int
mean_or_back (const Plain *p, const QfImageDiffOptions *o, gsize i)
{
  guint n = (guint) o->distance, len = p->past->len;
  int sum = 0;

  if (!o->mean)
    return ((const guint16 *) g_ptr_array_index (p->past, len - n))[i];
  for (guint k = 1; k <= n; k++)
    sum += ((const guint16 *) g_ptr_array_index (p->past, len - k))[i];
  return (sum + (int) n / 2) / (int) n;
}

/* (V8) */
static gboolean
keeps (const Plain *p, const int *d, int x, int y, int t)
{
  for (int top = y - 1; top <= y; top++)
    for (int left = x - 1; left <= x; left++) {
      gboolean all =
          top >= 0 && left >= 0 && top + 1 < p->height && left + 1 < p->width;

      for (int k = 0; k < 4 && all; k++)
        all = ABS (d[(top + k / 2) * p->width + left + k % 2]) > t;
      if (all)
        return TRUE;
    }
  return t == 0;
}

static gsize
plain_difference (
    Plain *p, const guint16 *now, const QfImageDiffOptions *o, guint16 *out)
{
  gsize size = (gsize) p->width * p->height, changed = 0;
  g_autofree int *d = g_new0 (int, size);
  int t = o->threshold << (p->bits - 8);

  if (p->past->len >= (guint) o->distance)
    for (gsize i = 0; i < size; i++)
      d[i] = now[i] - mean_or_back (p, o, i);
  for (int y = 0; y < p->height; y++)
    for (int x = 0; x < p->width; x++) {
      gsize i = (gsize) y * p->width + x;
      int v = keeps (p, d, x, y, t) ? d[i] : 0;

      changed += v != 0;
      out[i] = (guint16) code_of (v, 0, p->bits, o);
    }
  g_ptr_array_add (p->past, g_memdup2 (now, size * 2));
  return changed;
}

static void
check_stream (int width, int height, QfSamples samples, gssize pad, GRand *r)
{
  gsize size = (gsize) width * height;
  gssize stride = (samples == QF_SAMPLES_8 ? width : 2 * width) + 2 * pad;
  Plain p = { .width = width,
    .height = height,
    .bits = samples == QF_SAMPLES_8 ? 8 : 10,
    .shift = samples == QF_SAMPLES_10_HIGH ? 6 : 0,
    .past = g_ptr_array_new_with_free_func (g_free) };
  g_autofree guint16 *now = g_new0 (guint16, size);
  g_autofree guint16 *out = g_new0 (guint16, size);
  g_autofree guint8 *frame = g_malloc ((gsize) stride * height);
  g_autoptr (QfImageDiff) d = qf_image_diff_new (width, height, samples);
  QfImageDiffOptions o = { .distance = 1, .gain = 1 };

  for (int n = 0; n < 60; n++) {
    if (n % 7 == 6) { /* what is asked for changes, the past stays */
      o.absolute = g_rand_boolean (r);
      o.mean = g_rand_boolean (r);
      o.distance = g_rand_int_range (r, 1, 7);
      o.threshold = g_rand_boolean (r) ? 0 : g_rand_int_range (r, 1, 30);
      o.gain = g_rand_int_range (r, 1, 4);
      o.video_range = g_rand_boolean (r);
      /* pictures beyond the last distance are not held */
      while (p.past->len > 0 && n % 14 == 6)
        g_ptr_array_remove_index (p.past, 0);
      if (n % 14 == 6)
        qf_image_diff_reset (d);
      else
        o.distance = 1;
    }
    for (gsize i = 0; i < size; i++)
      now[i] = (guint16) g_rand_int_range (r, 0, n % 3 ? 60 : 1 << p.bits);
    memset (frame, 0xa5, (gsize) stride * height);
    for (int y = 0; y < height; y++)
      for (int x = 0; x < width; x++)
        if (p.bits == 8)
          frame[y * stride + x] = (guint8) now[y * width + x];
        else
          ((guint16 *) (frame + y * stride))[x] =
              (guint16) (now[y * width + x] << p.shift);
    g_assert_cmpuint (qf_image_diff_push (d, frame, stride, -1, &o), ==,
        plain_difference (&p, now, &o, out));
    for (int y = 0; y < height; y++) {
      const guint8 *row = frame + y * stride;

      for (int x = 0; x < width; x++)
        g_assert_cmpint (
            p.bits == 8 ? row[x] : ((const guint16 *) row)[x] >> p.shift, ==,
            out[y * width + x]);
      for (gssize x = stride - 2 * pad; x < stride; x++)
        g_assert_cmpint (row[x], ==, 0xa5);
    }
  }
  g_ptr_array_unref (p.past);
}

static void
test_streams (void)
{
  static const int sizes[][2] = { { 1, 1 }, { 1, 5 }, { 7, 1 }, { 16, 9 },
    { 37, 11 }, { 64, 8 }, { 2, 3 }, { 3, 2 }, { 12, 2 }, { 15, 3 }, { 31, 2 },
    { 33, 3 } };
  guint32 seed = g_test_rand_int ();
  g_autoptr (GRand) r = g_rand_new_with_seed (seed);

  g_test_message ("seed %u", seed);
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    for (int s = QF_SAMPLES_8; s <= QF_SAMPLES_10_HIGH; s++)
      check_stream (sizes[i][0], sizes[i][1], s, 3 * (int) (i % 2), r);
}

/* ---- distances in time ---- */

static int
push_level (QfImageDiff *d, int level, gint64 ms, const QfImageDiffOptions *o)
{
  guint8 picture[16 * 4];

  memset (picture, level, sizeof picture);
  qf_image_diff_push (d, picture, 16, ms < 0 ? -1 : ms * 1000000, o);
  for (guint i = 1; i < sizeof picture; i++)
    g_assert_cmpint (picture[i], ==, picture[0]);
  return picture[0];
}

static void
test_time_previous (void)
{
  g_autoptr (QfImageDiff) d = qf_image_diff_new (16, 4, QF_SAMPLES_8);
  QfImageDiffOptions o = { .absolute = TRUE,
    .distance = 1,
    .distance_time = 200 * G_GINT64_CONSTANT (1000000),
    .gain = 1 };
  /* time → level; the nearest to 200 ms before, the newer of two as near */
  static const int steps[][3] = { { 0, 10, 0 }, { 90, 11, 0 }, { 180, 13, 3 },
    { 310, 20, 9 }, { 400, 40, 27 }, { 800, 100, 60 } };

  for (guint i = 0; i < G_N_ELEMENTS (steps); i++)
    g_assert_cmpint (
        push_level (d, steps[i][1], steps[i][0], &o), ==, steps[i][2]);

  /* a slow stream: one back at least */
  o.distance_time = 1000000;
  g_assert_cmpint (push_level (d, 110, 1000, &o), ==, 10);
  g_assert_cmpint (push_level (d, 130, 1500, &o), ==, 20);
  /* pictures without times are counted, and do not mix */
  g_assert_cmpint (push_level (d, 50, -1, &o), ==, 0);
  g_assert_cmpint (push_level (d, 55, -1, &o), ==, 5);
  g_assert_cmpint (push_level (d, 90, 2000, &o), ==, 0);
}

/* However fast the stream: memory is bounded, and the reference is near. */
static void
test_time_memory (void)
{
  g_autoptr (QfImageDiff) d = qf_image_diff_new (16, 4, QF_SAMPLES_8);
  QfImageDiffOptions o = { .absolute = TRUE,
    .distance = 1,
    .distance_time = 10000 * G_GINT64_CONSTANT (1000000),
    .gain = 1 };

  for (int ms = 0; ms <= 24000; ms += 2) {
    int v = push_level (d, ms / 100, ms, &o);

    if (ms > 10100)
      g_assert_cmpint (ABS (v - 100), <=, 2);
    g_assert_cmpuint (
        qf_image_diff_memory (d), <=, 64 * (QF_IMAGE_DIFF_MAX_HELD + 1));
  }
}

static void
test_time_mean (void)
{
  g_autoptr (QfImageDiff) d = qf_image_diff_new (16, 4, QF_SAMPLES_8);
  QfImageDiffOptions o = { .absolute = TRUE,
    .mean = TRUE,
    .distance = 1,
    .distance_time = 120 * G_GINT64_CONSTANT (1000000),
    .gain = 1 };
  int levels[40];

  for (int i = 0; i < 40; i++) {
    int expected = 0;

    levels[i] = (i * 37) % 101;
    if (i >= 3)
      expected = ABS (
          levels[i] - (levels[i - 1] + levels[i - 2] + levels[i - 3] + 1) / 3);
    g_assert_cmpint (push_level (d, levels[i], 40 * i, &o), ==, expected);
    if (i == 20) /* another kind in between, then the mean again */
      o.mean = FALSE;
    if (i == 20) {
      levels[++i] = 7;
      push_level (d, 7, 40 * i, &o);
      o.mean = TRUE;
    }
  }
}

/* Where the mask is set. */
static void
test_masked_row (void)
{
  QfImageDiffOptions o = { .gain = 2, .distance = 1 };
  guint8 now[21], then[21], mask[21], scratch[21];

  for (int i = 0; i < 21; i++) {
    now[i] = (guint8) (100 + i);
    then[i] = 100;
    mask[i] = i % 3 ? 255 : 0;
  }
  qf_image_diff_row (&o, 21, now, then, mask, scratch);
  for (int i = 0; i < 21; i++)
    g_assert_cmpint (now[i], ==, i % 3 ? 128 + i : 128);
  o.absolute = o.video_range = TRUE;
  qf_image_diff_row (&o, 21, now, NULL, NULL, scratch);
  for (int i = 0; i < 21; i++)
    g_assert_cmpint (now[i], ==, 16);
}

/* Rows of other formats: every value, every alignment of pairs. */
static void
test_formats (void)
{
  guint8 grey[257], pairs[2 * 257 + 1], luma[257], mask[257], any[257],
      scratch[257];
  guint32 pixels[257];
  guint16 deep[257];

  for (int i = 0; i < 257; i++) {
    grey[i] = (guint8) (i * 3);
    mask[i] = (i * i) % 7 < 3 ? 255 : 0;
  }
  for (int k = 0; k < 4; k++) {
    guint8 *p = pairs + k / 2;
    int first = k % 2;

    qf_rows_put_422 (p, 257, first, grey);
    for (int i = 0; i < 257; i++) {
      g_assert_cmpint (p[2 * i + first], ==, grey[i]);
      g_assert_cmpint (p[2 * i + 1 - first], ==, 128);
    }
    qf_rows_take_422 (p, 257, first, luma);
    g_assert_cmpmem (luma, 257, grey, 257);
  }
  for (int a = 0; a < 4; a++) { /* the byte of alpha stays */
    guint8 bytes[4] = { 255, 255, 255, 255 };
    guint32 colours;

    bytes[a] = 0;
    memcpy (&colours, bytes, 4);
    memset (pixels, 0x5a, sizeof pixels);
    qf_rows_put_grey ((guint8 *) pixels, 257, colours, grey);
    for (int i = 0; i < 4 * 257; i++)
      g_assert_cmpint (
          ((guint8 *) pixels)[i], ==, i % 4 == a ? 0x5a : grey[i / 4]);
  }
  qf_rows_deepen (grey, 257, 8, deep);
  for (int i = 0; i < 257; i++)
    g_assert_cmpint (deep[i], ==, grey[i] << 8);
  for (int width = 1; width < 257; width += 5) {
    memset (any, 0, sizeof any);
    qf_rows_or (any, mask, width, TRUE, scratch);
    for (int i = 0; i < (width + 1) / 2; i++)
      g_assert_cmpint (
          any[i], ==, mask[2 * i] | (2 * i + 1 < width ? mask[2 * i + 1] : 0));
    g_assert_cmpint (any[(width + 1) / 2], ==, 0);
  }
}

static void
test_mix (void)
{
  guint8 pixels[512], mask[512];

  for (int k = 0; k < 512; k++) {
    int code = k / 2, cover = k % 2;

    for (int i = 0; i < 512; i++) {
      pixels[i] = (guint8) (i / 2);
      mask[i] = i % 2 ? 255 : 0;
    }
    qf_rows_mix (pixels, 512, mask, code, 255 - code, cover);
    for (int i = 0; i < 512; i++) {
      int to = i % 2 ? 255 - code : code;

      g_assert_cmpint (
          pixels[i], ==, i % 2 && cover ? to : (i / 2 + to + 1) / 2);
    }
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/imagediff/pairs-8", test_pairs_8);
  g_test_add_func ("/imagediff/pairs-10", test_pairs_10);
  g_test_add_func ("/imagediff/moving", test_moving);
  g_test_add_func ("/imagediff/mean", test_mean);
  g_test_add_func ("/imagediff/streams", test_streams);
  g_test_add_func ("/imagediff/time-previous", test_time_previous);
  g_test_add_func ("/imagediff/time-memory", test_time_memory);
  g_test_add_func ("/imagediff/time-mean", test_time_mean);
  g_test_add_func ("/imagediff/masked-row", test_masked_row);
  g_test_add_func ("/imagediff/formats", test_formats);
  g_test_add_func ("/imagediff/mix", test_mix);
  return g_test_run ();
}
