/* GStreamer qfuse: qfusedetect runs a network on a stream.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/base/gstbasetransform.h>
#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_QFUSE_DETECT (gst_qfuse_detect_get_type ())
G_DECLARE_FINAL_TYPE (
    GstQfuseDetect, gst_qfuse_detect, GST, QFUSE_DETECT, GstBaseTransform)

GST_ELEMENT_REGISTER_DECLARE (qfusedetect)

G_END_DECLS
