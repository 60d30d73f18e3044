/* GStreamer qfuse: passes the frames around motion, drops the others.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstframediff-gate.h"

#include <gst/base/gstbasetransform.h>

#define UNTIMED_FRAME (GST_SECOND / 25) /* as in lib/vision/motion */
#define GAP_TIME GST_SECOND

typedef struct
{
  GstBuffer *buffer;
  GstClockTime clock;
  gsize size;
} Held;

struct _GstFrameDiffGate
{
  GstElement *element;
  GstPad *srcpad;

  GstClockTime clock; /* of the frame at hand */
  GstClockTime moved; /* when something moved, NONE: closed */
  GQueue held;        /* Held, oldest at the head */
  GQueue out;         /* GstBuffer: come out */
  guint64 bytes;      /* of all held */
  gboolean warned;
  gboolean dropped; /* frames, since the last that passed */
  gboolean begun;   /* downstream has got something */

  /* times in the segment of dropped frames that nobody was told of */
  GstClockTime gap_start, gap_end; /* start NONE: none */
  gboolean gap_told;               /* since the last frame that passed */
};

GstFrameDiffGate *
gst_frame_diff_gate_new (GstElement *element, GstPad *srcpad)
{
  GstFrameDiffGate *g = g_new0 (GstFrameDiffGate, 1);

  g->element = element;
  g->srcpad = srcpad;
  g->clock = g->moved = g->gap_start = GST_CLOCK_TIME_NONE;
  g_queue_init (&g->held);
  g_queue_init (&g->out);
  return g;
}

static void
held_free (gpointer held)
{
  gst_buffer_unref (((Held *) held)->buffer);
  g_free (held);
}

void
gst_frame_diff_gate_drop_held (GstFrameDiffGate *g)
{
  if (!g_queue_is_empty (&g->held) || !g_queue_is_empty (&g->out))
    g->dropped = TRUE;
  g_queue_clear_full (&g->held, held_free);
  g_queue_clear_full (&g->out, (GDestroyNotify) gst_buffer_unref);
  g->bytes = 0;
  g->gap_start = GST_CLOCK_TIME_NONE;
  g->gap_told = FALSE;
}

void
gst_frame_diff_gate_forget (GstFrameDiffGate *g)
{
  gst_frame_diff_gate_drop_held (g);
  g->begun = FALSE;
  g->clock = g->moved = GST_CLOCK_TIME_NONE;
}

void
gst_frame_diff_gate_free (GstFrameDiffGate *g)
{
  if (!g)
    return;
  gst_frame_diff_gate_drop_held (g);
  g_free (g);
}

/* Tells of a dropped frame: the first at once, since a sink prerolls on it. */
static void
tell_gap (GstFrameDiffGate *g, GstBuffer *buffer)
{
  GstClockTime start = GST_BUFFER_PTS (buffer), end = start;

  g->dropped = TRUE;
  if (!GST_CLOCK_TIME_IS_VALID (start))
    return;
  if (GST_BUFFER_DURATION_IS_VALID (buffer))
    end += GST_BUFFER_DURATION (buffer);
  if (!GST_CLOCK_TIME_IS_VALID (g->gap_start) || start < g->gap_start)
    g->gap_start = start;
  g->gap_end = end;
  if (g->gap_told && g->gap_end - g->gap_start < GAP_TIME)
    return;
  gst_pad_push_event (
      g->srcpad, gst_event_new_gap (g->gap_start, g->gap_end - g->gap_start));
  g->gap_start = GST_CLOCK_TIME_NONE;
  g->gap_told = g->begun = TRUE;
}

static gboolean
is_live (GstFrameDiffGate *g)
{
  GstQuery *query = gst_query_new_latency ();
  gboolean live = FALSE;

  if (gst_pad_peer_query (GST_BASE_TRANSFORM_SINK_PAD (g->element), query))
    gst_query_parse_latency (query, &live, NULL, NULL);
  gst_query_unref (query);
  return live;
}

/* Where the first frame is held, no sink gets anything for as long as pre-roll:
 * one that waits to preroll would stop the other branches of a tee, and they
 * the source. A GAP of no length says that it has begun. Live streams do not
 * preroll, and a sink would make the source wait for as long as the latency. */
static void
tell_begin (GstFrameDiffGate *g, GstBuffer *buffer)
{
  if (g->begun || !GST_BUFFER_PTS_IS_VALID (buffer))
    return;
  g->begun = TRUE;
  if (!is_live (g))
    gst_pad_push_event (
        g->srcpad, gst_event_new_gap (GST_BUFFER_PTS (buffer), 0));
}

static void
drop_oldest (GstFrameDiffGate *g)
{
  Held *h = g_queue_pop_head (&g->held);

  g->bytes -= h->size;
  tell_gap (g, h->buffer);
  held_free (h);
}

static void
warn_full (GstFrameDiffGate *g, guint64 max_bytes)
{
  if (g->warned)
    return;
  g->warned = TRUE;
  GST_ELEMENT_WARNING (g->element, RESOURCE, NO_SPACE_LEFT,
      ("The frames before motion do not fit into max-bytes=%" G_GUINT64_FORMAT
       ": pre-roll is shorter than asked for.",
          max_bytes),
      ("Raise max-bytes, or encode first and pass encoded frames."));
}

static void
hold (GstFrameDiffGate *g, GstBuffer *buffer, const GstFrameDiffValues *v)
{
  GstClockTime roll = gst_frame_diff_values_latency (v);
  gsize size = gst_buffer_get_size (buffer);
  Held *first, *h;

  while (
      (first = g_queue_peek_head (&g->held)) && first->clock + roll < g->clock)
    drop_oldest (g);
  if (roll == 0) {
    tell_gap (g, buffer);
    return;
  }
  while (!g_queue_is_empty (&g->held) &&
      (size > v->max_bytes || g->bytes > v->max_bytes - size)) {
    warn_full (g, v->max_bytes);
    drop_oldest (g);
  }
  if (size > v->max_bytes) {
    warn_full (g, v->max_bytes);
    tell_gap (g, buffer);
    return;
  }
  tell_begin (g, buffer);
  h = g_new (Held, 1);
  *h = (Held){
    .buffer = gst_buffer_copy_deep (buffer), .clock = g->clock, .size = size
  };
  g_queue_push_tail (&g->held, h);
  g->bytes += size;
}

static void
set_clock (GstFrameDiffGate *g, GstClockTime time)
{
  GstClockTime last = g->clock;

  if (GST_CLOCK_TIME_IS_VALID (time))
    g->clock = time;
  else
    g->clock = GST_CLOCK_TIME_IS_VALID (last) ? last + UNTIMED_FRAME : 0;
  if (GST_CLOCK_TIME_IS_VALID (last) && g->clock < last) {
    gst_frame_diff_gate_drop_held (g);
    g->moved = GST_CLOCK_TIME_NONE;
  }
}

static void
let_out (GstFrameDiffGate *g, GstBuffer *buffer)
{
  if (g->dropped) {
    buffer = gst_buffer_make_writable (buffer);
    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DISCONT);
  }
  g->dropped = FALSE;
  g->begun = TRUE;
  g->gap_start = GST_CLOCK_TIME_NONE;
  g->gap_told = FALSE;
  g_queue_push_tail (&g->out, buffer);
}

static void
let_held_out (GstFrameDiffGate *g, GstClockTime roll)
{
  Held *h;

  while ((h = g_queue_peek_head (&g->held)) && h->clock + roll < g->clock)
    drop_oldest (g);
  while ((h = g_queue_pop_head (&g->held))) {
    let_out (g, h->buffer);
    g_free (h);
  }
  g->bytes = 0;
}

void
gst_frame_diff_gate_take (GstFrameDiffGate *g, GstBuffer *buffer,
    GstClockTime time, gboolean moves, const GstFrameDiffValues *v)
{
  GstClockTime post_roll = (GstClockTime) (v->post_roll * (gdouble) GST_SECOND);

  set_clock (g, time);
  if (moves)
    g->moved = g->clock;
  if (GST_CLOCK_TIME_IS_VALID (g->moved) && g->clock - g->moved <= post_roll) {
    let_held_out (g, gst_frame_diff_values_latency (v));
    let_out (g, buffer);
  } else {
    g->moved = GST_CLOCK_TIME_NONE;
    hold (g, buffer, v);
    gst_buffer_unref (buffer);
  }
}

void
gst_frame_diff_gate_open (GstFrameDiffGate *g, GstBuffer *buffer)
{
  let_out (g, buffer);
}

GstBuffer *
gst_frame_diff_gate_next (GstFrameDiffGate *g)
{
  return g_queue_pop_head (&g->out);
}
