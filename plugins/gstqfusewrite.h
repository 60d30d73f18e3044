/* GStreamer qfuse: qfusewrite writes detections to a file.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/base/gstbasetransform.h>
#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_QFUSE_WRITE (gst_qfuse_write_get_type ())
G_DECLARE_FINAL_TYPE (
    GstQfuseWrite, gst_qfuse_write, GST, QFUSE_WRITE, GstBaseTransform)

GST_ELEMENT_REGISTER_DECLARE (qfusewrite)

G_END_DECLS
