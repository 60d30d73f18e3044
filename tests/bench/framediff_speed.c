/* Benchmark: difference pictures beside a plain copy, framediff beside
 * GStreamer's videodiff. Run it by framediff_speed.sh, pinned to one core.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gst/gst.h>
#include <string.h>
#include <time.h>

#include "qfuse.h"

#define WIDTH 1920
#define HEIGHT 1080
#define FRAMES 4 /* as a small pool has */
#define ROUNDS 11
#define REPEAT 40  /* frames a round */
#define BUFFERS 60 /* frames a pipeline */

static double
cpu_seconds (void)
{
  struct timespec t;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

static gint
compare (gconstpointer a, gconstpointer b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return x < y ? -1 : x > y;
}

static double
median (double v[ROUNDS])
{
  qsort (v, ROUNDS, sizeof *v, compare);
  return v[ROUNDS / 2];
}

static void
fill (guint8 *p, gsize size, guint32 seed)
{
  for (gsize i = 0; i < size; i++) {
    seed = seed * 1664525u + 1013904223u;
    p[i] = (guint8) (100 + (seed >> 30));
  }
}

/* ms a frame. */
static double
time_copy (guint8 *const frame[FRAMES], guint8 *const other[FRAMES],
    guint8 *past, guint8 *next, gsize row)
{
  double start = cpu_seconds ();

  for (int n = 0; n < REPEAT; n++)
    for (gsize y = 0; y < HEIGHT; y++) {
      memcpy (other[n % FRAMES] + y * row, frame[n % FRAMES] + y * row, row);
      memcpy (next + y * row, past + y * row, row);
    }
  return (cpu_seconds () - start) / REPEAT * 1e3;
}

static double
time_difference (QfImageDiff *d, guint8 *const frame[FRAMES], gsize row,
    const QfImageDiffOptions *o)
{
  double start = cpu_seconds ();

  for (int n = 0; n < REPEAT; n++)
    qf_image_diff_push (d, frame[n % FRAMES], (gssize) row, -1, o);
  return (cpu_seconds () - start) / REPEAT * 1e3;
}

static void
bench_difference (
    const gchar *name, QfSamples samples, const QfImageDiffOptions *o)
{
  gsize row = WIDTH << (samples != QF_SAMPLES_8), size = row * HEIGHT;
  g_autoptr (QfImageDiff) d = qf_image_diff_new (WIDTH, HEIGHT, samples);
  guint8 *frame[FRAMES], *other[FRAMES], *past = g_malloc (size),
                                         *next = g_malloc (size);
  double copy[ROUNDS], diff[ROUNDS], c, t;

  for (int i = 0; i < FRAMES; i++) {
    fill (frame[i] = g_malloc (size), size, (guint32) i);
    fill (other[i] = g_malloc (size), size, (guint32) i);
  }
  fill (past, size, 9);
  fill (next, size, 9);
  time_difference (d, frame, row, o);
  time_copy (frame, other, past, next, row);
  for (int i = 0; i < ROUNDS; i++) {
    copy[i] = time_copy (frame, other, past, next, row);
    diff[i] = time_difference (d, frame, row, o);
  }
  c = median (copy);
  t = median (diff);
  g_print ("%-34s %6.3f ms, plain copy of as much %6.3f ms: %3.0f %% of its "
           "speed\n",
      name, t, c, 100 * c / t);
  for (int i = 0; i < FRAMES; i++) {
    g_free (frame[i]);
    g_free (other[i]);
  }
  g_free (past);
  g_free (next);
}

/* ms a frame, or −1 where it does not run. */
static double
time_pipeline (const gchar *format, const gchar *element)
{
  g_autofree gchar *line = g_strdup_printf (
      "videotestsrc num-buffers=%d ! video/x-raw,format=%s,width=%d,height=%d "
      "! %s fakesink sync=false",
      BUFFERS, format, WIDTH, HEIGHT, element);
  GstElement *p = gst_parse_launch (line, NULL);
  GstMessage *m = NULL;
  GstBus *bus;
  double start = 0, time = -1;

  if (!p)
    return -1;
  bus = gst_element_get_bus (p);
  if (gst_element_set_state (p, GST_STATE_PAUSED) != GST_STATE_CHANGE_FAILURE &&
      gst_element_get_state (p, NULL, NULL, GST_CLOCK_TIME_NONE) ==
          GST_STATE_CHANGE_SUCCESS) {
    start = cpu_seconds ();
    gst_element_set_state (p, GST_STATE_PLAYING);
    m = gst_bus_timed_pop_filtered (
        bus, GST_CLOCK_TIME_NONE, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
    if (GST_MESSAGE_TYPE (m) == GST_MESSAGE_EOS)
      time = (cpu_seconds () - start) / (BUFFERS - 1) * 1e3;
  }
  gst_clear_message (&m);
  gst_element_set_state (p, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (p);
  return time;
}

static void
bench_elements (const gchar *format)
{
  static const gchar *const elements[] = { "", "framediff !",
    "framediff mode=absolute threshold=8 !", "videodiff !" };
  double ms[G_N_ELEMENTS (elements)][ROUNDS], cost[G_N_ELEMENTS (elements)];

  for (int i = 0; i < ROUNDS; i++)
    for (guint e = 0; e < G_N_ELEMENTS (elements); e++)
      ms[e][i] = time_pipeline (format, elements[e]);
  for (guint e = 0; e < G_N_ELEMENTS (elements); e++)
    cost[e] = median (ms[e]);
  g_print ("%s videotestsrc alone %.3f ms a frame\n", format, cost[0]);
  for (guint e = 1; e < G_N_ELEMENTS (elements); e++) {
    if (cost[e] < 0) {
      g_print ("  %-38s does not run here\n", elements[e]);
      continue;
    }
    g_print ("  %-38s costs %6.3f ms", elements[e], cost[e] - cost[0]);
    if (cost[3] >= 0 && e < 3)
      g_print (
          ", %.2f of videodiff's", (cost[e] - cost[0]) / (cost[3] - cost[0]));
    g_print ("\n");
  }
}

int
main (int argc, char **argv)
{
  QfImageDiffOptions o = { .distance = 1, .gain = 1, .video_range = TRUE };

  gst_init (&argc, &argv);
  g_print ("%dx%d, CPU time, median of %d\n", WIDTH, HEIGHT, ROUNDS);
  bench_difference ("8 bits, signed, counted", QF_SAMPLES_8, &o);
  o.uncounted = TRUE;
  bench_difference ("8 bits, signed", QF_SAMPLES_8, &o);
  o.video_range = FALSE;
  bench_difference ("8 bits, signed, full range", QF_SAMPLES_8, &o);
  o.absolute = TRUE;
  bench_difference ("8 bits, absolute, full range", QF_SAMPLES_8, &o);
  o.absolute = FALSE;
  o.gain = 3;
  bench_difference ("8 bits, signed, gain 3", QF_SAMPLES_8, &o);
  o.absolute = TRUE;
  bench_difference ("8 bits, absolute, gain 3", QF_SAMPLES_8, &o);
  o.threshold = 8;
  bench_difference ("8 bits, absolute, dead band", QF_SAMPLES_8, &o);
  o.threshold = 0;
  o.mean = TRUE;
  o.distance = 8;
  bench_difference ("8 bits, absolute, mean of 8", QF_SAMPLES_8, &o);
  o = (QfImageDiffOptions){ .distance = 1, .gain = 1, .uncounted = TRUE };
  bench_difference ("10 bits, signed", QF_SAMPLES_10_LOW, &o);
  bench_elements ("I420");
  bench_elements ("GRAY8");
  return 0;
}
