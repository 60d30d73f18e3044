/* GStreamer qfuse: the plugin.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gst/gst.h>

#include "gstqfmeta-private.h"

/* The elements: one line each. */
/* clang-format off */
#define QF_ELEMENTS(E) \
  E (framediff) \
  E (qfusedetect) \
  E (qfuseoverlay) \
  E (qfusetag) \
  E (qfusetrain) \
  E (qfusewrite)
/* clang-format on */

#define DECLARE(name) GST_ELEMENT_REGISTER_DECLARE (name)
#define REGISTER(name) done &= GST_ELEMENT_REGISTER (name, plugin);

QF_ELEMENTS (DECLARE)

static gboolean
plugin_init (GstPlugin *plugin)
{
  gboolean done = TRUE;

  gst_qf_metas_register ();
  QF_ELEMENTS (REGISTER)
  return done;
}

GST_PLUGIN_DEFINE (GST_VERSION_MAJOR, GST_VERSION_MINOR, qfuse,
    "Difference images, int8 networks on video and their training", plugin_init,
    QFUSE_VERSION, "LGPL", "qfuse", QFUSE_ORIGIN)
