/* qfuse: plays a pipeline to its end.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/** What the caller wants to see while it plays; every member may be NULL. */
typedef struct
{
  const char *label; /**< of the progress bar */
  /** How far it is, 0 … 1, and a few words (@size bytes at @note). */
  double (*progress) (gpointer data, char *note, gsize size);
  /** An element message. */
  void (*message) (GstMessage *message, gpointer data);
  gpointer data;
} PipelineWatch;

/** Plays @pipeline until its end and sets it to NULL. FALSE: @error is an
 * element's error in one line, or QF_ERROR_CANCELLED after Ctrl-C (SIGINT,
 * SIGTERM, SIGHUP). */
gboolean pipeline_run (
    GstElement *pipeline, const PipelineWatch *watch, GError **error);

/** Errors of @object, and of what is in it, name @path first. */
void pipeline_set_file (gpointer object, const char *path);

/** Posts @text as an error of @pipeline, from any thread. */
void pipeline_fail (GstElement *pipeline, const char *text);

/** Links @from to @to's static pad @name; a failure becomes an error of
 * @pipeline. */
gboolean pipeline_link (
    GstElement *pipeline, GstPad *from, GstElement *to, const char *name);

G_END_DECLS
