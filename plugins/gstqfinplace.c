/* GStreamer qfuse: what the transforms that attach to frames have in common.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqfinplace.h"

/* Kept with the element: its own class knows nothing of it. */
typedef struct
{
  gint stale; /* atomic */
  GstQfBorders borders;
} InPlace;

static GQuark
in_place_quark (void)
{
  return g_quark_from_static_string ("gst-qf-in-place");
}

static inline InPlace *
in_place (GstBaseTransform *trans)
{
  return g_object_get_qdata (G_OBJECT (trans), in_place_quark ());
}

GstQfBorders
gst_qf_in_place_borders (GstBaseTransform *trans)
{
  InPlace *p = in_place (trans);

  if (g_atomic_int_compare_and_exchange (&p->stale, TRUE, FALSE))
    p->borders = gst_qf_borders_downstream (GST_BASE_TRANSFORM_SRC_PAD (trans));
  return p->borders;
}

static gboolean
src_event (GstBaseTransform *trans, GstEvent *event)
{
  GstBaseTransformClass *base = g_type_class_peek (GST_TYPE_BASE_TRANSFORM);

  if (GST_EVENT_TYPE (event) == GST_EVENT_RECONFIGURE)
    g_atomic_int_set (&in_place (trans)->stale, TRUE);
  return base->src_event (trans, event);
}

/* The default would take a buffer from a pool that downstream proposed, and
 * copy nothing into it. */
static GstFlowReturn
prepare_output_buffer (GstBaseTransform *trans, GstBuffer *in, GstBuffer **out)
{
  *out = gst_buffer_is_writable (in) ? in : gst_buffer_copy (in);
  return *out ? GST_FLOW_OK : GST_FLOW_ERROR;
}

static gboolean
propose_allocation (GstBaseTransform *trans, GstQuery *decide, GstQuery *query)
{
  return gst_pad_peer_query (GST_BASE_TRANSFORM_SRC_PAD (trans), query);
}

static void
before_transform (GstBaseTransform *trans, GstBuffer *buffer)
{
  GstClockTime time = gst_qf_stream_time (trans, buffer);

  if (GST_CLOCK_TIME_IS_VALID (time))
    gst_object_sync_values (GST_OBJECT (trans), time);
}

void
gst_qf_in_place_class_init (GstBaseTransformClass *klass)
{
  klass->prepare_output_buffer = prepare_output_buffer;
  klass->propose_allocation = propose_allocation;
  klass->before_transform = before_transform;
  klass->src_event = src_event;
  klass->passthrough_on_same_caps = FALSE;
}

void
gst_qf_in_place_init (GstBaseTransform *trans)
{
  InPlace *p = g_new0 (InPlace, 1);

  p->stale = TRUE;
  g_object_set_qdata_full (G_OBJECT (trans), in_place_quark (), p, g_free);
  gst_base_transform_set_in_place (trans, TRUE);
  gst_base_transform_set_passthrough (trans, FALSE);
  gst_base_transform_set_gap_aware (trans, TRUE);
  gst_base_transform_set_qos_enabled (trans, FALSE);
}

GstClockTime
gst_qf_stream_time (GstBaseTransform *trans, GstBuffer *buffer)
{
  if (trans->segment.format != GST_FORMAT_TIME ||
      !GST_BUFFER_PTS_IS_VALID (buffer))
    return GST_CLOCK_TIME_NONE;
  return gst_segment_to_stream_time (
      &trans->segment, GST_FORMAT_TIME, GST_BUFFER_PTS (buffer));
}

gboolean
gst_qf_in_place_read_caps (
    GstBaseTransform *trans, GstCaps *caps, GstVideoInfo *info)
{
  if (!gst_video_info_from_caps (info, caps)) {
    GST_ELEMENT_ERROR (trans, STREAM, FORMAT,
        ("The video's format cannot be read."), ("%" GST_PTR_FORMAT, caps));
    return FALSE;
  }
  if (info->width > 32767 || info->height > 32767) {
    GST_ELEMENT_ERROR (trans, STREAM, FORMAT,
        ("Pictures over 32767 pixels to a side are not supported, these have "
         "%d x %d: scale them before this element.",
            info->width, info->height),
        (NULL));
    return FALSE;
  }
  return TRUE;
}
