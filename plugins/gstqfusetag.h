/* GStreamer qfuse: qfusetag attaches ground truth to frames.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/base/gstbasetransform.h>
#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_QFUSE_TAG (gst_qfuse_tag_get_type ())
G_DECLARE_FINAL_TYPE (
    GstQfuseTag, gst_qfuse_tag, GST, QFUSE_TAG, GstBaseTransform)

GST_ELEMENT_REGISTER_DECLARE (qfusetag)

G_END_DECLS
