/* GStreamer qfuse: what moves, told in metas and messages.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstframediff-motion.h"

#include <string.h>

#include "gstqfinplace.h"

#define REPEAT_TIME GST_SECOND /* so long a repeated picture counts as one */

typedef struct
{
  GstClockTime stream, running, pts, duration;
} Times;

struct _GstFrameDiffMotion
{
  GstBaseTransform *trans;
  QfMotion *motion; /* NULL before the first frame */
  QfMotionResult result;

  GstVideoRectangle rect; /* of the picture in the frame */
  guint8 *luma[2];        /* [rect.h][rect.w]: last, and the one at hand */
  gboolean has_last;
  GstClockTime last_new; /* stream time of the last picture that was none's
                            repeat */
  GstQfFound found;

  QfPolygons *ignore;
  Times last;
  gboolean told; /* a start, and no stop yet */
};

GstFrameDiffMotion *
gst_frame_diff_motion_new (GstBaseTransform *trans)
{
  GstFrameDiffMotion *m = g_new0 (GstFrameDiffMotion, 1);

  m->trans = trans;
  m->last_new = GST_CLOCK_TIME_NONE;
  gst_qf_found_init (&m->found);
  return m;
}

void
gst_frame_diff_motion_free (GstFrameDiffMotion *m)
{
  if (!m)
    return;
  g_clear_pointer (&m->motion, qf_motion_free);
  g_clear_pointer (&m->ignore, qf_polygons_free);
  gst_qf_found_clear (&m->found);
  g_free (m->luma[0]);
  g_free (m->luma[1]);
  g_free (m);
}

void
gst_frame_diff_motion_set_ignore (
    GstFrameDiffMotion *m, const QfPolygons *ignore)
{
  g_clear_pointer (&m->ignore, qf_polygons_free);
  m->ignore = ignore ? qf_polygons_copy (ignore) : NULL;
  if (m->motion)
    qf_motion_set_ignore (m->motion, m->ignore);
}

/* --- messages ------------------------------------------------------------- */

static void
get_times (GstFrameDiffMotion *m, GstBuffer *buffer)
{
  const GstSegment *segment = &m->trans->segment;

  m->last = (Times){ .stream = gst_qf_stream_time (m->trans, buffer),
    .running = GST_CLOCK_TIME_NONE,
    .pts = GST_BUFFER_PTS (buffer),
    .duration = GST_BUFFER_DURATION (buffer) };
  if (segment->format == GST_FORMAT_TIME &&
      GST_CLOCK_TIME_IS_VALID (m->last.pts))
    m->last.running =
        gst_segment_to_running_time (segment, GST_FORMAT_TIME, m->last.pts);
}

static void
take_regions (GstStructure *s, const QfMotionResult *r)
{
  GValue list = G_VALUE_INIT, region = G_VALUE_INIT;

  g_value_init (&list, GST_TYPE_LIST);
  for (gint i = 0; i < r->n_blobs; i++) {
    const QfMotionBlob *b = &r->blobs[i];

    g_value_init (&region, GST_TYPE_STRUCTURE);
    g_value_take_boxed (&region,
        gst_structure_new ("region", "x", G_TYPE_INT, b->x, "y", G_TYPE_INT,
            b->y, "w", G_TYPE_INT, b->w, "h", G_TYPE_INT, b->h, "area",
            G_TYPE_INT, b->area, NULL));
    gst_value_list_append_and_take_value (&list, &region);
  }
  gst_structure_take_value (s, "regions", &list);
}

static void
post (GstFrameDiffMotion *m, const gchar *state, const QfMotionResult *r)
{
  GstElement *element = GST_ELEMENT (m->trans);
  GstStructure *s = gst_structure_new ("qfuse-motion", "state", G_TYPE_STRING,
      state, "share", G_TYPE_DOUBLE, r->share, "stream-time",
      GST_TYPE_CLOCK_TIME, m->last.stream, "running-time", GST_TYPE_CLOCK_TIME,
      m->last.running, "timestamp", GST_TYPE_CLOCK_TIME, m->last.pts,
      "duration", GST_TYPE_CLOCK_TIME, m->last.duration, NULL);

  take_regions (s, r);
  gst_element_post_message (
      element, gst_message_new_element (GST_OBJECT (element), s));
}

void
gst_frame_diff_motion_end (GstFrameDiffMotion *m)
{
  static const QfMotionResult still;

  if (m->told)
    post (m, "stop", &still);
  m->told = FALSE;
  m->result = still;
  if (m->motion)
    qf_motion_reset (m->motion);
}

void
gst_frame_diff_motion_forget (GstFrameDiffMotion *m)
{
  gst_frame_diff_motion_end (m);
  m->has_last = FALSE;
  m->last_new = GST_CLOCK_TIME_NONE;
}

static void
post_changes (GstFrameDiffMotion *m, const GstFrameDiffValues *v)
{
  const QfMotionResult *r = &m->result;

  if (!v->post_messages) {
    m->told = FALSE;
    return;
  }
  if (m->told && (r->stopped || !r->moving)) {
    post (m, "stop", r);
    m->told = FALSE;
  }
  if (r->moving && !m->told) {
    post (m, "start", r);
    m->told = TRUE;
  }
}

/* --- options -------------------------------------------------------------- */

gint
gst_frame_diff_distance (
    const GstFrameDiffValues *v, const GstVideoInfo *info, gboolean *clamped)
{
  guint64 n = v->distance;

  if (v->unit == GST_FRAME_DIFF_UNIT_TIME) {
    gint fps_n = GST_VIDEO_INFO_FPS_N (info),
         fps_d = GST_VIDEO_INFO_FPS_D (info);

    if (fps_n <= 0 || fps_d <= 0)
      fps_n = 25, fps_d = 1;
    n = gst_util_uint64_scale_round (
        n, (guint64) fps_n, 1000 * (guint64) fps_d);
  }
  if (clamped)
    *clamped = n > QF_MAX_DISTANCE;
  return (gint) CLAMP (n, 1, QF_MAX_DISTANCE);
}

void
gst_frame_diff_motion_options (QfMotionOptions *o, const GstFrameDiffValues *v,
    const GstVideoInfo *info, gint width, gint height)
{
  const gdouble second = (gdouble) GST_SECOND;

  *o = (QfMotionOptions) QF_MOTION_OPTIONS_INIT;
  if (v->reference == GST_FRAME_DIFF_REFERENCE_PREVIOUS)
    o->reference = QF_MOTION_PREVIOUS;
  else if (v->reference == GST_FRAME_DIFF_REFERENCE_MEAN)
    o->reference = QF_MOTION_MEAN;
  o->distance = gst_frame_diff_distance (v, info, NULL);
  if (v->unit == GST_FRAME_DIFF_UNIT_TIME && o->reference == QF_MOTION_PREVIOUS)
    o->distance_time = (gint64) v->distance * GST_MSECOND;
  o->learning_rate = v->learning_rate;
  if (v->threshold >= 0) {
    o->threshold = v->threshold;
    o->noise_adaptive = v->noise_adaptive;
  }
  if (v->shadow >= 0)
    o->shadow = v->shadow;
  if (v->min_area > 0)
    o->min_area = (gint) MAX (v->min_area * width * height, 1);
  o->start_time = (gint64) (v->start_time * second);
  o->stop_time = (gint64) (v->stop_time * second);
}

/* The ranges of the properties are those of the options. */
static void
set_options (GstFrameDiffMotion *m, const GstFrameDiffValues *v,
    const GstVideoInfo *info)
{
  QfMotionOptions o;
  GError *error = NULL;

  gst_frame_diff_motion_options (&o, v, info, m->rect.w, m->rect.h);
  if (!m->motion) {
    m->motion = qf_motion_new (&o, &error);
    if (m->motion)
      qf_motion_set_ignore (m->motion, m->ignore);
  } else {
    qf_motion_set_options (m->motion, &o, &error);
  }
  if (error)
    GST_WARNING_OBJECT (m->trans, "%s", error->message);
  g_clear_error (&error);
}

/* --- frames --------------------------------------------------------------- */

static void
fit_size (GstFrameDiffMotion *m, const GstVideoRectangle *r)
{
  gsize size = (gsize) r->w * r->h;

  if (m->luma[0] && r->w == m->rect.w && r->h == m->rect.h) {
    m->rect = *r;
    return;
  }
  m->rect = *r;
  for (guint i = 0; i < 2; i++)
    m->luma[i] = g_realloc (m->luma[i], size);
  m->has_last = FALSE;
}

/* Takes the luma of @frame; TRUE where it repeats the last picture. */
static gboolean
take_luma (GstFrameDiffMotion *m, GstVideoFrame *frame)
{
  GstVideoRectangle r;
  QfImage image;
  guint8 *last;

  gst_qf_frame_image (frame, &image, &r);
  fit_size (m, &r);
  if (m->has_last && gst_qf_buffer_repeats (frame->buffer))
    return TRUE;
  qf_image_luma (&image, 0, r.h, m->luma[1], r.w);
  if (m->has_last && memcmp (m->luma[0], m->luma[1], (gsize) r.w * r.h) == 0)
    return TRUE;
  last = m->luma[0];
  m->luma[0] = m->luma[1];
  m->luma[1] = last;
  m->has_last = TRUE;
  return FALSE;
}

/* Where nothing moved, a repeat is as good a picture as any. */
static gboolean
shows_last (const GstFrameDiffMotion *m, GstClockTime time)
{
  return m->result.known && m->result.changed > 0 &&
      GST_CLOCK_TIME_IS_VALID (time) && GST_CLOCK_TIME_IS_VALID (m->last_new) &&
      time >= m->last_new && time - m->last_new < REPEAT_TIME;
}

const QfMotionResult *
gst_frame_diff_motion_push (
    GstFrameDiffMotion *m, GstVideoFrame *frame, const GstFrameDiffValues *v)
{
  GstClockTime time = gst_qf_stream_time (m->trans, frame->buffer);
  gboolean repeats = take_luma (m, frame);

  get_times (m, frame->buffer);
  if (repeats && shows_last (m, time)) {
    m->result.started = m->result.stopped = FALSE;
    return &m->result;
  }
  if (!repeats)
    m->last_new = time;
  set_options (m, v, &frame->info);
  qf_motion_set_size (m->motion, m->rect.w, m->rect.h);
  qf_motion_push (m->motion, m->luma[0], m->rect.w,
      GST_CLOCK_TIME_IS_VALID (time) ? (gint64) time : -1, &m->result);
  return &m->result;
}

/* The same numbers as regions of interest get. */
static void
attach_regions (GstFrameDiffMotion *m, GstBuffer *buffer)
{
  gst_qf_found_reset (&m->found);
  m->found.width = (guint) m->rect.w;
  m->found.height = (guint) m->rect.h;
  for (gint i = 0; i < m->result.n_blobs; i++) {
    const QfMotionBlob *b = &m->result.blobs[i];
    QfuseDetection d = { .x = (gfloat) b->x,
      .y = (gfloat) b->y,
      .w = (gfloat) b->w,
      .h = (gfloat) b->h,
      .score = 1,
      .label_id = -1,
      .label = g_quark_from_static_string ("motion"),
      .roi_id = -1 };

    gst_qf_detections_array_append (m->found.detections, &d, 1);
  }
  gst_qf_found_attach_regions (buffer, &m->found);
}

static void
attach (GstFrameDiffMotion *m, GstBuffer *buffer, gboolean with_regions)
{
  const QfMotionResult *r = &m->result;
  QfuseMotionMeta *meta;

  gst_buffer_remove_qfuse_motion (buffer);
  if (!r->known)
    return;
  if (with_regions)
    attach_regions (m, buffer);
  /* last, so that its transform finds the regions transformed already */
  meta = gst_buffer_add_qfuse_motion (
      buffer, (guint) m->rect.w, (guint) m->rect.h);
  meta->share = r->share;
  meta->analysed = TRUE;
  meta->moving = r->moving;
  meta->borders = (gint) gst_qf_in_place_borders (m->trans);
  for (gint i = 0; i < r->n_blobs; i++) {
    const QfMotionBlob *b = &r->blobs[i];
    QfuseMotionRegion region = { .x = (gfloat) b->x,
      .y = (gfloat) b->y,
      .w = (gfloat) b->w,
      .h = (gfloat) b->h,
      .area = (gfloat) b->area,
      .roi_id = with_regions
          ? g_array_index (m->found.detections, QfuseDetection, i).roi_id
          : -1 };

    g_array_append_val (meta->regions, region);
  }
}

void
gst_frame_diff_motion_tell (
    GstFrameDiffMotion *m, GstBuffer *buffer, const GstFrameDiffValues *v)
{
  attach (m, buffer, v->attach_regions);
  post_changes (m, v);
}

gboolean
gst_frame_diff_motion_moves (const GstFrameDiffMotion *m)
{
  return m->result.moving && m->result.n_blobs > 0;
}
