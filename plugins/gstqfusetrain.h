/* GStreamer qfuse: qfusetrain learns from a tagged stream.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/base/gstbasesink.h>
#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_QFUSE_TRAIN (gst_qfuse_train_get_type ())
G_DECLARE_FINAL_TYPE (
    GstQfuseTrain, gst_qfuse_train, GST, QFUSE_TRAIN, GstBaseSink)

GST_ELEMENT_REGISTER_DECLARE (qfusetrain)

G_END_DECLS
