/* GStreamer qfuse: planes that travel on buffers, and who asks for them.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * `framediff output=planes` asks downstream with the custom query
 * `qfuse-planes` (not serialized); each network element appends its want,
 * forwards the query and returns FALSE, so that every branch of a tee is asked.
 * The planes then travel as metas, from which a network element takes the one
 * that equals its want. */
#pragma once

#include "gstqfplanes.h"

G_BEGIN_DECLS

/** Planes of the frame. "GstQfPlanesMeta", tagged video, colorspace, size,
 * orientation; copied only with the whole buffer. */
typedef struct
{
  GstMeta meta;
  GstQfWant want;
  QfGeometry geometry;
  GBytes *planes; /* [planes][height][width] */
  guint crop[4];  /* private: x, y, w, h of the frame's crop meta, or zeros */
} GstQfPlanesMeta;

/** Takes its own reference of @planes. */
GstQfPlanesMeta *gst_buffer_add_qf_planes_meta (GstBuffer *buffer,
    const GstQfWant *want, const QfGeometry *geometry, GBytes *planes);

/** The planes meta that equals @want, or NULL. Planes of a frame that has been
 * cropped since are not its planes. */
GstQfPlanesMeta *gst_buffer_get_qf_planes_meta (
    GstBuffer *buffer, const GstQfWant *want);

/** For whatever changes the picture in place. */
void gst_buffer_remove_qf_planes_metas (GstBuffer *buffer);

GstQuery *gst_qf_planes_query_new (void);

gboolean gst_query_is_qf_planes (GstQuery *query);

/** Appends @want where the query does not hold it yet. */
void gst_qf_planes_query_append (GstQuery *query, const GstQfWant *want);

/** The wants (GstQfWant) that were appended. */
GArray *gst_qf_planes_query_wants (GstQuery *query);

/** Answers the query for an element that wants @want (NULL: nothing) and whose
 * @srcpad leads on (NULL: nowhere). Always FALSE, what the query function is to
 * return. */
gboolean gst_qf_planes_query_answer (
    GstQuery *query, const GstQfWant *want, GstPad *srcpad);

/** An upstream event, by which an element that came late is asked too, and
 * elements upstream learn that it computes @want of their picture. */
GstEvent *gst_qf_planes_event_new (const GstQfWant *want);
gboolean gst_event_is_qf_planes (GstEvent *event);

/** Whether the sender wants planes of differences. */
gboolean gst_qf_planes_event_differences (GstEvent *event);

G_END_DECLS
