/* qfuse: containers and what goes into them, by look-up in the registry.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/** Whether the extension of @path is a container we know. */
gboolean container_known (const char *path);

/** A muxer for the extension of @path; the error lists those there are. */
GstElement *container_muxer_new (const char *path, GError **error);

/** Requests a pad of @mux that takes @caps as they are; NULL: it has none. */
GstPad *container_request_pad (GstElement *mux, const GstCaps *caps);

/** A bin that encodes raw video of @width x @height (0: not known) into what
 * @mux takes; *@caps (owned by the caller) is what comes out. */
GstElement *container_video_encoder (
    GstElement *mux, int width, int height, GstCaps **caps, GError **error);

/** The same for raw audio of any format. */
GstElement *container_audio_encoder (
    GstElement *mux, GstCaps **caps, GError **error);

G_END_DECLS
