/* GStreamer qfuse: what the transforms that attach to frames have in common.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqfinplace.h"

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
  klass->passthrough_on_same_caps = FALSE;
}

void
gst_qf_in_place_init (GstBaseTransform *trans)
{
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
