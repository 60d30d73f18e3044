/* GStreamer qfuse: qfuseoverlay draws what was found on frames.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/base/gstbasetransform.h>
#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_QFUSE_OVERLAY (gst_qfuse_overlay_get_type ())
G_DECLARE_FINAL_TYPE (
    GstQfuseOverlay, gst_qfuse_overlay, GST, QFUSE_OVERLAY, GstBaseTransform)

GST_ELEMENT_REGISTER_DECLARE (qfuseoverlay)

G_END_DECLS
