/* GStreamer qfuse: the number of a frame, as label files count.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_QF_NUMBER_FIRST "qfuse-first-frame"

/** Numbers frames from 1: n = 1 + rne((t − t0)·fps), t the stream time, t0 that
 * of the first frame after STREAM_START (kept over flushes and seeks; 0 where
 * the first segment starts elsewhere), fps from caps. Without timestamps or
 * frame rate, and where the rate turns out to vary, frames are counted. Not
 * thread-safe: the streaming thread's alone. */
typedef struct
{
  GstSegment segment;
  gboolean have_stream; /* a STREAM_START was seen */
  guint32 stream_seqnum;
  gint fps_n, fps_d; /* fps_n 0: not known */
  gboolean seen;     /* a frame since the STREAM_START */
  gboolean have_t0;
  gint64 t0;         /* stream time of the first frame, ns */
  gint64 last_time;  /* stream time of the last frame, ns, or −1 */
  gint last;         /* its number; 0: none yet, or not known */
  gint residues;     /* frames running with a residue over 0.25 */
  gboolean counting; /* the rate varies: count */
  gboolean lost;     /* counting, after a seek to the middle */
  gboolean flushed;  /* since the last segment */
  gboolean warned;
} GstQfNumber;

void gst_qf_number_init (GstQfNumber *n);

/** Call for every event of the sink pad. */
void gst_qf_number_event (GstQfNumber *n, GstEvent *event);

/** A downstream event from where frames are dropped: the first frame of the
 * stream has this PTS, whether it comes or not. */
static inline GstEvent *
gst_qf_number_event_new (GstClockTime first)
{
  return gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM,
      gst_structure_new (
          GST_QF_NUMBER_FIRST, "pts", GST_TYPE_CLOCK_TIME, first, NULL));
}

/** The number of the next frame, from 1; 0 where it cannot be known (counted
 * frames after a seek into the middle, frames before the first one). *@time
 * (optional) is its stream time or GST_CLOCK_TIME_NONE. @element posts the one
 * WARNING that a varying rate causes. */
gint gst_qf_number_next (
    GstQfNumber *n, GstBuffer *buffer, GstElement *element, GstClockTime *time);

G_END_DECLS
