/* GStreamer qfuse: tests: what becomes of detections and truth on their way.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A bright square is drawn and told by metas; behind each chain of elements the
 * metas are on the square that is there, or lost. Never wrong. */
#include <math.h>

#ifdef HAVE_GST_ANALYTICS
#include <gst/analytics/analytics.h>
#endif

#include "gstqfmeta-private.h"
#include "gstqfplanes.h"
#include "testframes.h"

#define WIDTH 160
#define HEIGHT 120
#define X 24
#define Y 40
#define SIZE 32

typedef enum
{
  KEPT, /* must be there, and right */
  ANY   /* right or lost */
} Expectation;

typedef struct
{
  const gchar *chain;
  Expectation expectation;
} Case;

static const Case cases[] = {
  { "identity", KEPT },
  { "queue", KEPT },
  { "tee ! queue", KEPT },
  { "tee ! queue ! videoconvert ! video/x-raw,format=RGB", KEPT },
  { "videoconvert ! video/x-raw,format=I420", KEPT },
  { "videoconvert ! video/x-raw,format=BGRA ! videoconvert ! "
    "video/x-raw,format=NV12",
      KEPT },
  { "videoscale ! video/x-raw,width=80,height=60", KEPT },
  { "videoscale ! video/x-raw,width=400,height=300", KEPT },
  /* the pixel aspect ratio takes the change up */
  { "videoscale ! video/x-raw,width=100,height=100", KEPT },
  /* borders left and right, above and below */
  { "videoscale ! video/x-raw,width=300,height=120,pixel-aspect-ratio=1/1",
      KEPT },
  { "videoscale ! video/x-raw,width=160,height=301,pixel-aspect-ratio=1/1",
      KEPT },
  { "videoscale ! video/x-raw,width=80,height=60 ! queue ! videoscale ! "
    "video/x-raw,width=240,height=120,pixel-aspect-ratio=1/1",
      KEPT },
  { "videoscale add-borders=false ! "
    "video/x-raw,width=300,height=120,pixel-aspect-ratio=1/1",
      KEPT },
  /* one adds borders, one does not, and no meta is told which */
  { "videoscale add-borders=false ! "
    "video/x-raw,width=300,height=120,pixel-aspect-ratio=1/1 ! videoscale ! "
    "video/x-raw,width=200,height=200,pixel-aspect-ratio=1/1",
      ANY },
  { "videoconvert ! videoscale ! videoconvert ! "
    "video/x-raw,format=RGBx,width=64,height=48",
      KEPT },
  { "videoconvertscale ! video/x-raw,format=RGB,width=80,height=60", KEPT },
  { "videorate ! video/x-raw,framerate=25/1", KEPT },
  { "videobalance brightness=0.1", ANY },
  { "gamma gamma=1.5", ANY },
  { "videocrop left=10 top=20", ANY },
  { "videocrop left=10 top=20 right=30 bottom=10 ! videoconvert ! "
    "video/x-raw,format=RGB",
      ANY },
  { "videobox left=-16 top=-8", ANY },
  { "videobox left=8 top=8 right=8 bottom=8", ANY },
  { "videobox left=8 right=-8", ANY },
  { "videoflip video-direction=horiz", ANY },
  { "videoflip video-direction=vert", ANY },
  { "videoflip video-direction=90r", ANY },
  { "videoflip video-direction=180", ANY },
  { "videoflip video-direction=ul-lr", ANY },
  { "jpegenc ! jpegdec", ANY },
  { "jpegenc ! jpegdec ! videoconvert ! video/x-raw,format=I420", ANY },
  { "theoraenc ! theoradec", ANY },
  { "avenc_mpeg4 ! avdec_mpeg4", ANY },
};

static void
attach (GstBuffer *buffer, GstQfBorders borders)
{
  QfuseKeyPoint point = { X + 2, Y + 4, 0.5f };
  QfuseDetection d = { .x = X,
    .y = Y,
    .w = SIZE,
    .h = SIZE,
    .score = 0.75f,
    .label_id = 3,
    .label = g_quark_from_static_string ("square"),
    .id = 12,
    .n_points = 1,
    .points = &point };
  QfuseTruthMeta *truth;
  GstQfFound found;

  gst_qf_found_init (&found);
  found.width = WIDTH;
  found.height = HEIGHT;
  found.serial = 99;
  found.borders = borders;
  gst_qf_detections_array_append (found.detections, &d, 1);
  gst_qf_found_attach (buffer, &found);
  gst_qf_found_clear (&found);

  truth = gst_buffer_add_qfuse_truth (buffer, WIDTH, HEIGHT);
  gst_qf_detections_array_append (truth->boxes, &d, 1);
  truth->frame = 17;
  truth->borders = (gint) borders;
}

/* Where the bright pixels are. */
static void
find_square (GstBuffer *buffer, const GstVideoInfo *info, gint *x0, gint *y0,
    gint *x1, gint *y1)
{
  guint8 *luma = g_malloc ((gsize) info->width * info->height);
  GstVideoFrame frame;
  QfImage image;

  *x0 = *y0 = G_MAXINT;
  *x1 = *y1 = 0;
  fail_unless (gst_video_frame_map (&frame, info, buffer, GST_MAP_READ));
  gst_qf_frame_image (&frame, &image, NULL);
  qf_image_luma (&image, 0, image.height, luma, image.width);
  for (gint y = 0; y < image.height; y++)
    for (gint x = 0; x < image.width; x++)
      if (luma[y * image.width + x] > 130) {
        *x0 = MIN (*x0, x);
        *x1 = MAX (*x1, x + 1);
        *y0 = MIN (*y0, y);
        *y1 = MAX (*y1, y + 1);
      }
  gst_video_frame_unmap (&frame);
  g_free (luma);
}

static void
check_on_square (const QfuseDetection *d, GstBuffer *buffer,
    const GstVideoInfo *info, const gchar *what, const gchar *chain)
{
  gint x0, y0, x1, y1;

  find_square (buffer, info, &x0, &y0, &x1, &y1);
  fail_unless (fabsf (d->x - (gfloat) x0) <= 1.5f &&
          fabsf (d->y - (gfloat) y0) <= 1.5f &&
          fabsf (d->x + d->w - (gfloat) x1) <= 1.5f &&
          fabsf (d->y + d->h - (gfloat) y1) <= 1.5f,
      "%s: %s says %g,%g %gx%g, the square is at %d,%d %dx%d", chain, what,
      d->x, d->y, d->w, d->h, x0, y0, x1 - x0, y1 - y0);
}

/* What a reader of ours gets. */
static void
check_detections (GstBuffer *buffer, const GstVideoInfo *info, const Case *c)
{
  const QfuseDetection *d;
  GstQfFound found;

  gst_qf_found_init (&found);
  gst_qf_found_read (&found, buffer, (guint) info->width, (guint) info->height);
  fail_unless (found.detections->len <= 1, "%s: %u detections", c->chain,
      found.detections->len);
  if (c->expectation == KEPT)
    fail_unless_equals_int (found.detections->len, 1);
  if (found.detections->len != 1) {
    gst_qf_found_clear (&found);
    return;
  }

  d = &g_array_index (found.detections, QfuseDetection, 0);
  check_on_square (d, buffer, info, "detection", c->chain);
  fail_unless_equals_string (g_quark_to_string (d->label), "square");
  if (c->expectation == KEPT) {
    gfloat sx = d->w / SIZE, sy = d->h / SIZE;

    fail_unless (d->score == 0.75f);
    fail_unless_equals_int (d->label_id, 3);
    fail_unless_equals_int (d->id, 12);
    fail_unless_equals_int (d->n_points, 1);
    fail_unless (fabsf (d->points[0].x - d->x - 2 * sx) < 0.01f);
    fail_unless (fabsf (d->points[0].y - d->y - 4 * sy) < 0.01f);
    fail_unless_equals_uint64 (found.serial, 99);
  }
  gst_qf_found_clear (&found);
}

/* Regions of interest keep class and score, and lie on the square with borders
 * too. */
static void
check_region (GstBuffer *buffer, const GstVideoInfo *info, const Case *c)
{
  GstVideoRegionOfInterestMeta *roi =
      (GstVideoRegionOfInterestMeta *) gst_buffer_get_meta (
          buffer, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
  QfuseDetection d = { 0 };
  GstStructure *s;
  gdouble score;

  fail_unless (roi != NULL, "%s: the region is lost", c->chain);
  d.x = (gfloat) roi->x;
  d.y = (gfloat) roi->y;
  d.w = (gfloat) roi->w;
  d.h = (gfloat) roi->h;
  check_on_square (&d, buffer, info, "region", c->chain);
  s = gst_video_region_of_interest_meta_get_param (roi, "detection");
  fail_unless (
      s && gst_structure_get_double (s, "confidence", &score) && score == 0.75);
  fail_unless (
      gst_video_region_of_interest_meta_get_param (roi, "object_id") != NULL);
}

static void
check_truth (GstBuffer *buffer, const GstVideoInfo *info, const Case *c)
{
  QfuseTruthMeta *truth =
      gst_qf_truth_read (buffer, (guint) info->width, (guint) info->height);

  if (c->expectation == KEPT)
    fail_unless (truth != NULL, "%s: truth is lost", c->chain);
  if (!truth)
    return;
  fail_unless_equals_int (truth->frame, 17);
  fail_unless_equals_int (truth->boxes->len, 1);
  check_on_square (&g_array_index (truth->boxes, QfuseDetection, 0), buffer,
      info, "truth", c->chain);
}

static gboolean
elements_exist (const gchar *chain)
{
  gchar **words = g_strsplit_set (chain, " ", -1);
  gboolean all = TRUE, first = TRUE;

  for (gchar **w = words; *w; w++) {
    if (first && !strchr (*w, '/')) {
      GstElementFactory *f = gst_element_factory_find (*w);

      all &= f != NULL;
      gst_clear_object (&f);
    }
    first = strcmp (*w, "!") == 0;
  }
  g_strfreev (words);
  return all;
}

/* With caps written out as capsfilter: a parsed bin cannot end with caps. */
static GstHarness *
new_chain_harness (const gchar *chain)
{
  gchar **parts = g_strsplit (chain, " ! ", -1), *line;
  GstHarness *h;

  for (gchar **p = parts; *p; p++)
    if (g_str_has_prefix (*p, "video/")) {
      gchar *filter = g_strdup_printf ("capsfilter caps=\"%s\"", *p);

      g_free (*p);
      *p = filter;
    }
  line = g_strjoinv (" ! ", parts);
  h = gst_harness_new_parse (line);
  g_strfreev (parts);
  g_free (line);
  return h;
}

GST_START_TEST (test_matrix)
{
  const Case *c = &cases[__i__];
  GstCaps *caps = test_caps ("I420", WIDTH, HEIGHT);
  gboolean coded = strstr (c->chain, "enc ") || strstr (c->chain, "enc_");
  GstVideoInfo info, out_info;
  GstBuffer *out;
  GstHarness *h;
  GstCaps *out_caps;

  if (!elements_exist (c->chain)) {
    g_print ("skipped, an element is not installed: %s\n", c->chain);
    gst_caps_unref (caps);
    return;
  }
  gst_video_info_from_caps (&info, caps);
  h = new_chain_harness (c->chain);
  gst_harness_set_src_caps (h, caps);
  for (guint i = 0; i < 3; i++) {
    GstBuffer *in = test_stamp (test_square (&info, X, Y, SIZE), i);

    attach (in, gst_qf_borders_downstream (h->srcpad));
    fail_unless_equals_int (gst_harness_push (h, in), GST_FLOW_OK);
  }
  if (coded || strstr (c->chain, "videorate"))
    gst_harness_push_event (h, gst_event_new_eos ());

  out = gst_harness_pull (h);
  fail_unless (out != NULL, "%s", c->chain);
  out_caps = gst_pad_get_current_caps (h->sinkpad);
  fail_unless (gst_video_info_from_caps (&out_info, out_caps));
  gst_caps_unref (out_caps);
  check_detections (out, &out_info, c);
  check_truth (out, &out_info, c);
  if (c->expectation == KEPT)
    check_region (out, &out_info, c);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* A crop meta put on the buffer in place: boxes for the whole frame are not
 * read as boxes of the cropped picture. */
GST_START_TEST (test_other_size)
{
  GstBuffer *buffer = gst_buffer_new ();
  GstQfFound found;

  attach (buffer, GST_QF_BORDERS_UNKNOWN);
  gst_qf_found_init (&found);
  gst_qf_found_read (&found, buffer, WIDTH, HEIGHT);
  fail_unless_equals_int (found.detections->len, 1);
  fail_unless (gst_qf_truth_read (buffer, WIDTH, HEIGHT) != NULL);
  fail_unless (gst_qf_truth_read (buffer, WIDTH, HEIGHT - 2) == NULL);
  gst_qf_found_clear (&found);
  gst_buffer_unref (buffer);
}
GST_END_TEST;

/* Regions of others are read too; ids decide, not overlap. */
GST_START_TEST (test_foreign_regions)
{
  GstBuffer *buffer = gst_buffer_new ();
  GstVideoRegionOfInterestMeta *roi;
  const QfuseDetection *d;
  GstQfFound found;

  roi =
      gst_buffer_add_video_region_of_interest_meta (buffer, "dog", 5, 6, 7, 8);
  roi->id = 40;
  gst_video_region_of_interest_meta_add_param (roi,
      gst_structure_new ("detection", "confidence", G_TYPE_DOUBLE, 0.9,
          "label_id", G_TYPE_INT, 4, NULL));
  gst_video_region_of_interest_meta_add_param (
      roi, gst_structure_new ("object_id", "id", G_TYPE_INT, 6, NULL));
  attach (buffer, GST_QF_BORDERS_UNKNOWN);
  roi = gst_buffer_add_video_region_of_interest_meta (
      buffer, "cat", X, Y, SIZE, SIZE);
  roi->id = 90;

  gst_qf_found_init (&found);
  fail_unless (gst_qf_found_read (&found, buffer, WIDTH, HEIGHT));
  fail_unless_equals_int (found.detections->len, 3);
  d = &g_array_index (found.detections, QfuseDetection, 0);
  fail_unless_equals_string (g_quark_to_string (d[0].label), "cat");
  fail_unless (d[0].score == 1);
  fail_unless_equals_string (g_quark_to_string (d[1].label), "dog");
  fail_unless (fabsf (d[1].score - 0.9f) < 1e-6f);
  fail_unless_equals_int (d[1].label_id, 4);
  fail_unless_equals_int (d[1].id, 6);
  fail_unless (d[1].x == 5 && d[1].y == 6 && d[1].w == 7 && d[1].h == 8);
  fail_unless_equals_string (g_quark_to_string (d[2].label), "square");
  gst_qf_found_clear (&found);
  gst_buffer_unref (buffer);
}
GST_END_TEST;

#ifdef HAVE_GST_ANALYTICS
/* From 1.24 on detections are GstAnalyticsRelationMeta too: the action first,
 * then the objects, with the ids of the regions; appended to what is there. */
GST_START_TEST (test_analytics)
{
  GstBuffer *buffer = gst_buffer_new ();
  GstAnalyticsRelationMeta *meta =
      gst_buffer_add_analytics_relation_meta (buffer);
  QfuseDetection d[2] = { { .x = 1.4f,
                              .y = 2.6f,
                              .w = 10,
                              .h = 20,
                              .score = 0.75f,
                              .label_id = 2,
                              .label = g_quark_from_static_string ("cat"),
                              .id = 7 },
    { .x = 3, .y = 4, .w = 5, .h = 6, .score = 0.5f, .label_id = -1 } };
  GstAnalyticsMtd other, mtd, track;
  GstVideoRegionOfInterestMeta *roi;
  gpointer state = NULL;
  gint x, y, w, h, n = 0;
  guint64 track_id;
  gfloat score;
  GstQfFound found;

  fail_unless (gst_analytics_relation_meta_add_od_mtd (
      meta, g_quark_from_static_string ("dog"), 50, 60, 7, 8, 0.6f, &other));
  gst_qf_found_init (&found);
  found.width = WIDTH;
  found.height = HEIGHT;
  found.action = g_quark_from_static_string ("fall");
  found.action_id = 1;
  found.action_score = 0.8f;
  gst_qf_detections_array_append (found.detections, d, 2);
  gst_qf_found_attach (buffer, &found);
  gst_qf_found_clear (&found);

  fail_unless (gst_buffer_get_analytics_relation_meta (buffer) == meta);
  fail_unless (gst_analytics_relation_meta_iterate (
      meta, &state, gst_analytics_cls_mtd_get_mtd_type (), &mtd));
  fail_unless_equals_int (mtd.id, other.id + 1);
  fail_unless (gst_analytics_cls_mtd_get_quark (&mtd, 0) ==
      g_quark_from_static_string ("fall"));
  fail_unless (gst_analytics_cls_mtd_get_level (&mtd, 0) == 0.8f);

  state = NULL;
  while (gst_analytics_relation_meta_iterate (
      meta, &state, gst_analytics_od_mtd_get_mtd_type (), &mtd)) {
    if (mtd.id == other.id)
      continue;
    fail_unless (
        gst_analytics_od_mtd_get_location (&mtd, &x, &y, &w, &h, &score));
    roi =
        gst_buffer_get_video_region_of_interest_meta_id (buffer, (gint) mtd.id);
    fail_unless (roi != NULL);
    fail_unless_equals_int (x, (gint) roi->x);
    fail_unless_equals_int (y, (gint) roi->y);
    fail_unless_equals_int (w, (gint) roi->w);
    fail_unless_equals_int (h, (gint) roi->h);
    fail_unless (score == d[n].score);
    fail_unless (gst_analytics_od_mtd_get_obj_type (&mtd) ==
        (n == 0 ? d[0].label : g_quark_from_static_string ("object")));
    fail_unless (gst_analytics_relation_meta_get_direct_related (meta, mtd.id,
                     GST_ANALYTICS_REL_TYPE_RELATE_TO,
                     gst_analytics_tracking_mtd_get_mtd_type (), NULL,
                     &track) == (n == 0));
    if (n == 0) {
      fail_unless (gst_analytics_tracking_mtd_get_info (
          &track, &track_id, NULL, NULL, NULL));
      fail_unless_equals_uint64 (track_id, 7);
    }
    n++;
  }
  fail_unless_equals_int (n, 2);

  /* read back: ours once, and the foreign one */
  gst_qf_found_init (&found);
  fail_unless (gst_qf_found_read (&found, buffer, WIDTH, HEIGHT));
  fail_unless_equals_int (found.detections->len, 3);
  fail_unless_equals_string (
      g_quark_to_string (
          g_array_index (found.detections, QfuseDetection, 1).label),
      "dog");
  gst_qf_found_clear (&found);
  gst_buffer_unref (buffer);
}
GST_END_TEST;

/* GStreamer's own overlay draws them. */
GST_START_TEST (test_upstream_overlay)
{
  GstElementFactory *f = gst_element_factory_find ("objectdetectionoverlay");
  GstCaps *caps = test_caps ("BGRA", WIDTH, HEIGHT);
  GstVideoInfo info;
  GstMapInfo map;
  GstBuffer *in, *out;
  GstHarness *h;
  gint red = 0, wrong = 0;

  if (!f) {
    g_print ("skipped: no objectdetectionoverlay\n");
    gst_caps_unref (caps);
    return;
  }
  gst_object_unref (f);
  gst_video_info_from_caps (&info, caps);
  h = gst_harness_new_parse ("objectdetectionoverlay draw-labels=false "
                             "object-detection-outline-color=0xffff0000");
  gst_harness_set_src_caps (h, caps);
  in = test_square (&info, X, Y, SIZE);
  attach (in, GST_QF_BORDERS_UNKNOWN);
  out = gst_harness_push_and_pull (h, in);
  fail_unless (gst_buffer_map (out, &map, GST_MAP_READ));
  for (gint y = 0; y < HEIGHT; y++)
    for (gint x = 0; x < WIDTH; x++) {
      const guint8 *p = map.data + 4 * (y * WIDTH + x);
      gboolean far = x < X - 4 || x > X + SIZE + 4 || y < Y - 4 ||
          y > Y + SIZE + 4 ||
          (x > X + 4 && x < X + SIZE - 4 && y > Y + 4 && y < Y + SIZE - 4);

      if (ABS (p[0] - p[1]) + ABS (p[1] - p[2]) > 20) {
        red++;
        wrong += far;
      }
    }
  gst_buffer_unmap (out, &map);
  fail_unless (red > 3 * SIZE, "%d coloured pixels", red);
  fail_unless_equals_int (wrong, 0);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}
GST_END_TEST;
#endif

/* A part of a buffer is no picture. */
GST_START_TEST (test_region_copy)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, 100, NULL), *part;

  attach (buffer, GST_QF_BORDERS_UNKNOWN);
  part = gst_buffer_copy_region (buffer, GST_BUFFER_COPY_ALL, 10, 50);
  fail_unless (qfuse_buffer_get_detections (part) == NULL);
  fail_unless (qfuse_buffer_get_truth (part) == NULL);
  gst_buffer_unref (part);
  part = gst_buffer_copy_deep (buffer);
  fail_unless (qfuse_buffer_get_detections (part) != NULL);
  fail_unless (qfuse_buffer_get_truth (part) != NULL);
  gst_buffer_unref (part);
  gst_buffer_unref (buffer);
}
GST_END_TEST;

static Suite *
meta_matrix_suite (void)
{
  Suite *s = suite_create ("meta-matrix");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (s, tc);
  tcase_add_loop_test (tc, test_matrix, 0, G_N_ELEMENTS (cases));
  tcase_add_test (tc, test_other_size);
  tcase_add_test (tc, test_foreign_regions);
  tcase_add_test (tc, test_region_copy);
#ifdef HAVE_GST_ANALYTICS
  tcase_add_test (tc, test_analytics);
  tcase_add_test (tc, test_upstream_overlay);
#endif
  return s;
}

GST_CHECK_MAIN (meta_matrix);
