/* GStreamer qfuse: tests: from frames to planes, the planes meta, the query.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqfplanesmeta.h"
#include "testframes.h"

#define WIDTH 32
#define HEIGHT 24

static void
want_init (GstQfWant *want, const gchar *planes, gint width, gint height)
{
  *want = (GstQfWant){
    .width = width, .height = height, .fit = QF_FIT_LETTERBOX, .rate_d = 1
  };
  fail_unless (qf_planes_parse (&want->planes, planes, NULL));
}

/* Pushes @buffer (owned) into @p. */
static void
push (GstQfPlaner *p, const GstVideoInfo *info, GstBuffer *buffer,
    GstClockTime time, guint8 *out)
{
  GstVideoFrame frame;

  fail_unless (gst_video_frame_map (&frame, info, buffer, GST_MAP_READ));
  gst_qf_planer_push (p, &frame, time, out);
  gst_video_frame_unmap (&frame);
  gst_buffer_unref (buffer);
}

static void
planes_of (const gchar *planes, const GstVideoInfo *info, GstBuffer *buffer,
    guint8 *out)
{
  GstQfWant want;
  GstQfPlaner *p;

  want_init (&want, planes, WIDTH, HEIGHT);
  p = gst_qf_planer_new (&want);
  gst_qf_planer_set_info (p, info);
  push (p, info, buffer, GST_CLOCK_TIME_NONE, out);
  gst_qf_planer_free (p);
}

static void
info_of (GstVideoInfo *info, const gchar *format, gint width, gint height)
{
  GstCaps *caps = test_caps (format, width, height);

  fail_unless (gst_video_info_from_caps (info, caps));
  gst_caps_unref (caps);
}

static gint
largest_difference (const guint8 *a, const guint8 *b, gsize n)
{
  gint d = 0;

  for (gsize i = 0; i < n; i++)
    d = MAX (d, ABS (a[i] - b[i]));
  return d;
}

/* One picture gives one luma, whatever format it comes in. GStreamer's
 * converter, which makes the frames, rounds in its own way. */
GST_START_TEST (test_formats_agree)
{
  static const gint sizes[][2] = { { 64, 48 }, { 67, 45 }, { 21, 33 } };
  guint8 expected[WIDTH * HEIGHT], got[WIDTH * HEIGHT], other[WIDTH * HEIGHT];

  for (guint s = 0; s < G_N_ELEMENTS (sizes); s++) {
    GstVideoInfo i420;

    info_of (&i420, "I420", sizes[s][0], sizes[s][1]);
    planes_of ("Y", &i420, test_frame (&i420, 1), expected);
    planes_of ("Y", &i420, test_frame (&i420, 2), other);
    fail_unless (largest_difference (expected, other, sizeof other) > 20);
    for (guint f = 0; test_formats[f]; f++) {
      GstVideoInfo info;
      gint d;

      info_of (&info, test_formats[f], sizes[s][0], sizes[s][1]);
      planes_of ("Y", &info, test_frame (&info, 1), got);
      d = largest_difference (expected, got, sizeof got);
      fail_unless (d <= 2, "%s %dx%d: luma is off by %d", test_formats[f],
          sizes[s][0], sizes[s][1], d);
    }
  }
}
GST_END_TEST;

/* Strides, offsets and crop metas change where bytes lie, not what is seen. */
GST_START_TEST (test_strides_and_crop)
{
  guint8 tight[4 * WIDTH * HEIGHT], got[4 * WIDTH * HEIGHT];

  for (guint f = 0; test_formats[f]; f++) {
    GstVideoInfo info;

    info_of (&info, test_formats[f], 67, 45);
    planes_of ("Y,R,G,B", &info, test_frame (&info, 3), tight);

    memset (got, 0, sizeof got);
    planes_of ("Y,R,G,B", &info,
        test_frame_padded (&info, test_frame (&info, 3), 36, 20), got);
    fail_unless (
        memcmp (tight, got, sizeof got) == 0, "%s: padded", test_formats[f]);

    memset (got, 0, sizeof got);
    planes_of ("Y,R,G,B", &info,
        test_frame_cropped (&info, test_frame (&info, 3), 8, 6), got);
    fail_unless (memcmp (tight, got, WIDTH * HEIGHT) == 0, "%s: cropped",
        test_formats[f]);
    fail_unless (largest_difference (tight, got, sizeof got) <= 40,
        "%s: cropped colours, off by %d", test_formats[f],
        largest_difference (tight, got, sizeof got));
  }
}
GST_END_TEST;

GST_START_TEST (test_colours)
{
  guint8 got[3 * WIDTH * HEIGHT];

  for (guint f = 1; test_formats[f]; f++) {
    GstVideoInfo info, rgb;
    guint8 expected[3 * WIDTH * HEIGHT];

    info_of (&rgb, "RGB", 64, 48);
    planes_of ("R,G,B", &rgb, test_square (&rgb, 16, 16, 16), expected);
    info_of (&info, test_formats[f], 64, 48);
    planes_of ("R,G,B", &info, test_square (&info, 16, 16, 16), got);
    fail_unless (largest_difference (expected, got, sizeof got) <= 6, "%s: %d",
        test_formats[f], largest_difference (expected, got, sizeof got));
  }
}
GST_END_TEST;

/* 100x20 in 32x24: bands of 128 above and below, also of R, G, B; 0 of M. */
GST_START_TEST (test_letterbox)
{
  guint8 out[6 * WIDTH * HEIGHT];
  const QfGeometry *g;
  GstVideoInfo info;
  GstQfPlaner *p;
  GstQfWant want;

  info_of (&info, "I420", 100, 20);
  want_init (&want, "Y,R,G,B,D1,M1", WIDTH, HEIGHT);
  p = gst_qf_planer_new (&want);
  gst_qf_planer_set_info (p, &info);
  push (p, &info, test_frame (&info, 0), GST_CLOCK_TIME_NONE, out);
  push (p, &info, test_frame (&info, 1), GST_CLOCK_TIME_NONE, out);
  g = gst_qf_planer_geometry (p);
  fail_unless_equals_int (g->x, 0);
  fail_unless_equals_int (g->w, WIDTH);
  fail_unless (g->y >= 8 && g->h <= 7);
  for (gint i = 0; i < 6; i++)
    for (gint y = 0; y < HEIGHT; y++)
      for (gint x = 0; x < WIDTH; x++)
        if (y < g->y || y >= g->y + g->h)
          fail_unless_equals_int (
              out[(i * HEIGHT + y) * WIDTH + x], i == 5 ? 0 : 128);
  gst_qf_planer_free (p);

  /* pixels twice as wide as high: the picture is 200x20 to the eye */
  info.par_n = 2;
  p = gst_qf_planer_new (&want);
  gst_qf_planer_set_info (p, &info);
  push (p, &info, test_frame (&info, 0), GST_CLOCK_TIME_NONE, out);
  g = gst_qf_planer_geometry (p);
  fail_unless (g->h >= 3 && g->h <= 4);
  gst_qf_planer_free (p);
}
GST_END_TEST;

/* Whether the difference to the picture before is known. Two pictures are
 * pushed with @between called after the first. */
typedef void (*Between) (GstQfPlaner *p, GstVideoInfo *info);

static void
send (GstQfPlaner *p, GstEvent *event)
{
  gst_qf_planer_event (p, event);
  gst_event_unref (event);
}

static void
send_segment (
    GstQfPlaner *p, guint64 start, guint64 time, guint64 base, gdouble rate)
{
  GstSegment s;

  gst_segment_init (&s, GST_FORMAT_TIME);
  s.start = s.position = start;
  s.time = time;
  s.base = base;
  s.rate = rate;
  send (p, gst_event_new_segment (&s));
}

static void
between_nothing (GstQfPlaner *p, GstVideoInfo *info)
{
}

static void
between_flush (GstQfPlaner *p, GstVideoInfo *info)
{
  send (p, gst_event_new_flush_start ());
  send (p, gst_event_new_flush_stop (TRUE));
}

static void
between_stream_start (GstQfPlaner *p, GstVideoInfo *info)
{
  send (p, gst_event_new_stream_start ("other"));
}

static void
between_same_segment (GstQfPlaner *p, GstVideoInfo *info)
{
  send_segment (p, 0, 0, 0, 1);
}

/* As a demuxer sends: what follows is counted from 0, but goes on. */
static void
between_next_segment (GstQfPlaner *p, GstVideoInfo *info)
{
  send_segment (p, 0, 40 * GST_MSECOND, 40 * GST_MSECOND, 1);
}

/* As concat sends between clips. */
static void
between_clips (GstQfPlaner *p, GstVideoInfo *info)
{
  send_segment (p, 0, 0, 40 * GST_MSECOND, 1);
}

static void
between_seek (GstQfPlaner *p, GstVideoInfo *info)
{
  send_segment (p, 500 * GST_MSECOND, 500 * GST_MSECOND, 0, 1);
}

static void
between_rate (GstQfPlaner *p, GstVideoInfo *info)
{
  send_segment (p, 0, 0, 0, 2);
}

static void
between_frame_rate (GstQfPlaner *p, GstVideoInfo *info)
{
  info->fps_n = 50;
  gst_qf_planer_set_info (p, info);
}

static void
between_size (GstQfPlaner *p, GstVideoInfo *info)
{
  info_of (info, "I420", 60, 46);
  gst_qf_planer_set_info (p, info);
}

static void
between_format (GstQfPlaner *p, GstVideoInfo *info)
{
  info_of (info, "NV12", 64, 48);
  gst_qf_planer_set_info (p, info);
}

static void
between_par (GstQfPlaner *p, GstVideoInfo *info)
{
  info->par_n = 3;
  info->par_d = 2;
  gst_qf_planer_set_info (p, info);
}

static void
between_range (GstQfPlaner *p, GstVideoInfo *info)
{
  info->colorimetry.range = GST_VIDEO_COLOR_RANGE_0_255;
  gst_qf_planer_set_info (p, info);
}

static gboolean
is_known (
    Between between, GstClockTime time0, GstClockTime time1, gboolean discont)
{
  guint8 out[WIDTH * HEIGHT];
  gboolean known = FALSE;
  GstVideoInfo info;
  GstBuffer *buffer;
  GstQfPlaner *p;
  GstQfWant want;

  info_of (&info, "I420", 64, 48);
  want_init (&want, "D1", WIDTH, HEIGHT);
  p = gst_qf_planer_new (&want);
  gst_qf_planer_set_info (p, &info);
  send (p, gst_event_new_stream_start ("one"));
  send_segment (p, 0, 0, 0, 1);
  push (p, &info, test_stamp (test_frame (&info, 0), 0), time0, NULL);
  between (p, &info);
  buffer = test_stamp (test_frame (&info, 1), 1);
  if (discont)
    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DISCONT);
  push (p, &info, buffer, time1, out);
  for (guint i = 0; i < sizeof out; i++)
    known |= out[i] != 128;
  gst_qf_planer_free (p);
  return known;
}

GST_START_TEST (test_past_is_kept)
{
  const GstClockTime none = GST_CLOCK_TIME_NONE, frame = 40 * GST_MSECOND;

  fail_unless (is_known (between_nothing, 0, frame, FALSE));
  fail_unless (is_known (between_nothing, none, none, FALSE));
  fail_unless (is_known (between_same_segment, 0, frame, FALSE));
  fail_unless (is_known (between_next_segment, 0, frame, FALSE));
  fail_unless (is_known (between_frame_rate, 0, frame, FALSE));
  /* a camera that dropped frames */
  fail_unless (is_known (between_nothing, 0, 3 * frame, TRUE));
}
GST_END_TEST;

GST_START_TEST (test_past_is_forgotten)
{
  const GstClockTime none = GST_CLOCK_TIME_NONE, frame = 40 * GST_MSECOND;
  static const Between all[] = { between_flush, between_stream_start,
    between_clips, between_seek, between_rate, between_size, between_format,
    between_par, between_range };

  for (guint i = 0; i < G_N_ELEMENTS (all); i++)
    fail_if (is_known (all[i], 0, frame, FALSE), "case %u", i);
  fail_if (is_known (between_nothing, 2 * frame, frame, FALSE), "back");
  fail_if (is_known (between_nothing, 0, 2 * GST_SECOND, FALSE), "gap");
  fail_if (is_known (between_nothing, none, none, TRUE), "discont, no times");
}
GST_END_TEST;

/* A frame flagged GAP is the last picture again, whatever it holds; not where
 * one was left out before it. */
GST_START_TEST (test_gap)
{
  const gsize n = WIDTH * HEIGHT;

  for (guint discont = 0; discont < 2; discont++) {
    guint8 first[5 * WIDTH * HEIGHT], second[5 * WIDTH * HEIGHT];
    GstVideoInfo info;
    GstBuffer *buffer;
    GstQfPlaner *p;
    GstQfWant want;

    info_of (&info, "I420", 64, 48);
    want_init (&want, "Y,R,G,B,D1", WIDTH, HEIGHT);
    p = gst_qf_planer_new (&want);
    gst_qf_planer_set_info (p, &info);
    push (p, &info, test_stamp (test_frame (&info, 0), 0), 0, first);
    buffer = test_stamp (test_frame (&info, 7), 1);
    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_GAP);
    if (discont)
      GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DISCONT);
    push (p, &info, buffer, 40 * GST_MSECOND, second);
    fail_unless ((memcmp (first, second, 5 * n) == 0) == !discont);
    gst_qf_planer_free (p);
  }
}
GST_END_TEST;

/* The meta goes with whole buffers, and only with them. */
GST_START_TEST (test_meta)
{
  GstQfWant want, other;
  QfGeometry geometry = { 64, 48, 32, 24, 0, 0, 32, 24 };
  guint8 *data = g_malloc0 (WIDTH * HEIGHT);
  GBytes *bytes = g_bytes_new_take (data, WIDTH * HEIGHT);
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, 100, NULL), *copy;
  GstQfPlanesMeta *meta;

  want_init (&want, "D1", WIDTH, HEIGHT);
  want_init (&other, "D2", WIDTH, HEIGHT);
  fail_unless (gst_buffer_get_qf_planes_meta (buffer, &want) == NULL);
  gst_buffer_add_qf_planes_meta (buffer, &other, &geometry, bytes);
  gst_buffer_add_qf_planes_meta (buffer, &want, &geometry, bytes);
  g_bytes_unref (bytes);

  copy = gst_buffer_copy (buffer);
  meta = gst_buffer_get_qf_planes_meta (copy, &want);
  fail_unless (meta != NULL);
  fail_unless (g_bytes_get_data (meta->planes, NULL) == data);
  fail_unless (gst_qf_want_equal (&meta->want, &want));
  gst_buffer_unref (copy);

  copy = gst_buffer_copy_region (buffer, GST_BUFFER_COPY_ALL, 0, 50);
  fail_unless (gst_buffer_get_qf_planes_meta (copy, &want) == NULL);
  gst_buffer_unref (copy);

  gst_buffer_remove_qf_planes_metas (buffer);
  fail_unless (gst_buffer_get_qf_planes_meta (buffer, &want) == NULL);
  fail_unless (gst_buffer_get_qf_planes_meta (buffer, &other) == NULL);
  gst_buffer_unref (buffer);
}
GST_END_TEST;

GST_START_TEST (test_query)
{
  GstQuery *query = gst_qf_planes_query_new ();
  GstQfWant a, b, c;
  GArray *wants;

  want_init (&a, "Y,D1x2t8", WIDTH, HEIGHT);
  want_init (&b, "Y,D1x2t8", 2 * WIDTH, HEIGHT);
  c = a;
  c.fit = QF_FIT_STRETCH;
  c.rate_n = 25;
  fail_unless (gst_query_is_qf_planes (query));
  wants = gst_qf_planes_query_wants (query);
  fail_unless_equals_int (wants->len, 0);
  g_array_unref (wants);

  gst_qf_planes_query_append (query, &a);
  gst_qf_planes_query_append (query, &b);
  gst_qf_planes_query_append (query, &a);
  fail_if (gst_qf_planes_query_answer (query, &c, NULL));
  wants = gst_qf_planes_query_wants (query);
  fail_unless_equals_int (wants->len, 3);
  fail_unless (gst_qf_want_equal (&g_array_index (wants, GstQfWant, 0), &a));
  fail_unless (gst_qf_want_equal (&g_array_index (wants, GstQfWant, 1), &b));
  fail_unless (gst_qf_want_equal (&g_array_index (wants, GstQfWant, 2), &c));
  fail_if (gst_qf_want_equal (&a, &b));
  g_array_unref (wants);
  gst_query_unref (query);

  query = gst_query_new_latency ();
  fail_if (gst_query_is_qf_planes (query));
  gst_query_unref (query);
}
GST_END_TEST;

static Suite *
planes_suite (void)
{
  Suite *s = suite_create ("planes");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (s, tc);
  tcase_add_test (tc, test_formats_agree);
  tcase_add_test (tc, test_strides_and_crop);
  tcase_add_test (tc, test_colours);
  tcase_add_test (tc, test_letterbox);
  tcase_add_test (tc, test_past_is_kept);
  tcase_add_test (tc, test_past_is_forgotten);
  tcase_add_test (tc, test_gap);
  tcase_add_test (tc, test_meta);
  tcase_add_test (tc, test_query);
  return s;
}

GST_CHECK_MAIN (planes);
