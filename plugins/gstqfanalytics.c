/* GStreamer qfuse: detections as GstAnalyticsRelationMeta, GStreamer ≥ 1.24.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqfanalytics.h"

#ifndef HAVE_GST_ANALYTICS

gboolean
gst_qf_analytics_write (GstBuffer *buffer, GstQfFound *found)
{
  return FALSE;
}

void
gst_qf_analytics_read (GstBuffer *buffer, GstQfFound *found)
{
}

#endif
