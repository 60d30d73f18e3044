/* qfuse: pictures of a clip as a network sees them.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstqfplanes.h"

G_BEGIN_DECLS

/** Of one picture: its planes, [planes][height][width], valid for the call. */
typedef void (*FramesFunc) (const guint8 *planes, gpointer data);

/** Calls @func for each picture of the video @path with the planes that @want
 * says; @doing says on errors and progress what for. FALSE: @error is set, as
 * where the clip has no picture. */
gboolean frames_each (const GstQfWant *want, const char *path,
    const char *doing, FramesFunc func, gpointer data, GError **error);

/** Appends to @frames (of guint8 *, to be freed by g_free()) the planes
 * [planes][height][width] that @model wants of at most @max pictures of the
 * video @path, spread evenly over it. FALSE: @error is set. */
gboolean frames_read (const QfModel *model, const char *path, int max,
    GPtrArray *frames, GError **error);

/** Gives @planes to the first input of @engine, which is uint8 or float32. */
void frames_give (const QfEngine *engine, const guint8 *planes);

/** A pipeline that plays @source, which it takes, as the pictures that planes
 * are made of; @on_data gets its buffers and events before they are dropped. */
GstElement *frames_pipeline (
    GstElement *source, GstPadProbeCallback on_data, gpointer data);

/** Tells @planer of @event; @info becomes what caps say. */
void frames_event (GstQfPlaner *planer, GstVideoInfo *info, GstEvent *event);

G_END_DECLS
