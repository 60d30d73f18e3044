/* Benchmark: from a picture to a network's planes, in milliseconds of one
 * thread, beside a plain copy of the memory that is read. The last column is a
 * hash of all planes: the same on every processor, but for colour planes, which
 * GStreamer's converter makes.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Usage: bench-planes-speed [PART of "FORMAT PLANES WxH"] */
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "gstqfplanes.h"

#define WIDTH 1920
#define HEIGHT 1080
#define FRAMES 4 /* as a small pool has: together larger than most caches */
#define ROUNDS 60

static const gchar *const formats[] = { "I420", "NV12", "I420 full", "YUY2",
  "I420_10LE", "P010_10LE", "RGB", "BGRx" };

static const struct
{
  const gchar *planes;
  gint width, height;
} wants[] = { { "Y", 320, 256 }, { "Y", 416, 416 }, { "Y,D1,D5", 320, 256 },
  { "Y,D1x2t8,D5x2t8", 640, 384 }, { "Y,A8,M1t10", 320, 256 },
  { "Y", 301, 173 }, { "R,G,B", 576, 432 } };

static double
seconds (void)
{
  struct timespec t;

  clock_gettime (CLOCK_MONOTONIC, &t);
  return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

static gint
compare (gconstpointer a, gconstpointer b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return x < y ? -1 : x > y;
}

/* A smooth picture with noise and a square that moves. */
static GstBuffer *
make_frame (const GstVideoInfo *info, guint number)
{
  gsize size = GST_VIDEO_INFO_SIZE (info);
  guint8 *p = g_malloc (size);
  QfRng rng = { number + 1 };

  for (gsize i = 0; i < size; i++) {
    gsize x = i % WIDTH, y = i / WIDTH;

    p[i] = (guint8) (60 + x / 16 + y / 32 + qf_rng_next (&rng) % 8 +
        (x / 200 == number + 1 && y / 200 == 2 ? 90 : 0));
  }
  return gst_buffer_new_wrapped (p, size);
}

static double
time_copy (GstVideoFrame frames[FRAMES], gsize size)
{
  g_autofree guint8 *to = g_malloc (size);
  double t[ROUNDS];

  for (guint i = 0; i < ROUNDS; i++) {
    t[i] = seconds ();
    memcpy (to, GST_VIDEO_FRAME_PLANE_DATA (&frames[i % FRAMES], 0), size);
    t[i] = seconds () - t[i];
  }
  qsort (t, ROUNDS, sizeof *t, compare);
  return t[ROUNDS / 2];
}

static void
time_planes (const gchar *name, guint w, const GstVideoInfo *info,
    GstVideoFrame frames[FRAMES])
{
  GstQfWant want = { .width = wants[w].width,
    .height = wants[w].height,
    .fit = QF_FIT_LETTERBOX,
    .rate_d = 1 };
  g_autofree guint8 *out = NULL;
  GstQfPlaner *planer;
  guint64 hash = G_GUINT64_CONSTANT (14695981039346656037);
  double t[ROUNDS], copy;

  g_assert_true (qf_planes_parse (&want.planes, wants[w].planes, NULL));
  planer = gst_qf_planer_new (&want);
  gst_qf_planer_set_info (planer, info);
  out = g_malloc (gst_qf_want_size (&want));
  for (guint i = 0; i < ROUNDS; i++) {
    t[i] = seconds ();
    gst_qf_planer_push (planer, &frames[i % FRAMES], i * GST_SECOND / 25, out);
    t[i] = seconds () - t[i];
    if (i < 2 * FRAMES)
      for (gsize b = 0; b < gst_qf_want_size (&want); b++)
        hash = (hash ^ out[b]) * 1099511628211u;
  }
  gst_qf_planer_free (planer);
  qsort (t, ROUNDS, sizeof *t, compare);
  copy = time_copy (
      frames, (gsize) GST_VIDEO_FRAME_PLANE_STRIDE (&frames[0], 0) * HEIGHT);
  g_print ("%-10s %-16s %4dx%-4d %8.3f %8.3f %8.3f  %016" G_GINT64_MODIFIER
           "x\n",
      name, wants[w].planes, want.width, want.height, 1e3 * t[ROUNDS / 2],
      1e3 * t[0], 1e3 * copy, hash);
}

static void
time_format (const gchar *name, const gchar *part)
{
  g_auto (GStrv) words = g_strsplit (name, " ", 2);
  GstVideoInfo info;
  GstVideoFrame frames[FRAMES];

  gst_video_info_set_format (
      &info, gst_video_format_from_string (words[0]), WIDTH, HEIGHT);
  if (words[1])
    info.colorimetry.range = GST_VIDEO_COLOR_RANGE_0_255;
  for (guint i = 0; i < FRAMES; i++) {
    GstBuffer *buffer = make_frame (&info, i);

    g_assert_true (
        gst_video_frame_map (&frames[i], &info, buffer, GST_MAP_READ));
    gst_buffer_unref (buffer);
  }
  for (guint w = 0; w < G_N_ELEMENTS (wants); w++) {
    g_autofree gchar *line = g_strdup_printf (
        "%s %s %dx%d", name, wants[w].planes, wants[w].width, wants[w].height);

    if (strstr (line, part))
      time_planes (name, w, &info, frames);
  }
  for (guint i = 0; i < FRAMES; i++)
    gst_video_frame_unmap (&frames[i]);
}

int
main (int argc, char **argv)
{
  const gchar *part = argc > 1 ? argv[1] : "";

  gst_init (NULL, NULL);
  g_print ("%dx%d to planes; ms a picture\n%-10s %-16s %-9s %8s %8s %8s  %s\n",
      WIDTH, HEIGHT, "picture", "planes", "size", "median", "least", "copy",
      "hash");
  for (guint f = 0; f < G_N_ELEMENTS (formats); f++)
    time_format (formats[f], part);
  return 0;
}
