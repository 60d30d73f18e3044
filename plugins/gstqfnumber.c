/* GStreamer qfuse: the number of a frame, as label files count.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqfnumber.h"

#include <math.h>

/* Timestamps rounded to milliseconds (Matroska) move a frame by at most
 * 0.001·fps ≤ 0.25 up to 250 frames a second. */
#define MAX_RESIDUE 0.25
#define MAX_RESIDUES 3

static void
restart (GstQfNumber *n)
{
  n->seen = n->have_t0 = FALSE;
  n->last_time = -1;
  n->last = 0;
  n->residues = 0;
  n->counting = n->lost = FALSE;
}

void
gst_qf_number_init (GstQfNumber *n)
{
  *n = (GstQfNumber){ .fps_d = 1 };
  gst_segment_init (&n->segment, GST_FORMAT_UNDEFINED);
  restart (n);
}

static void
take_caps (GstQfNumber *n, const GstCaps *caps)
{
  const GstStructure *s = gst_caps_get_structure (caps, 0);

  if (!gst_structure_get_fraction (s, "framerate", &n->fps_n, &n->fps_d) ||
      n->fps_n <= 0 || n->fps_d <= 0) {
    n->fps_n = 0;
    n->fps_d = 1;
  }
}

/* The stream time at which playback of the segment starts. */
static gint64
segment_begin (const GstSegment *s)
{
  guint64 at = s->rate < 0 ? s->stop : s->start, time;

  if (s->format != GST_FORMAT_TIME || !GST_CLOCK_TIME_IS_VALID (at) ||
      gst_segment_to_stream_time_full (s, s->format, at, &time) <= 0)
    return -1;
  return (gint64) time;
}

/* Counted frames keep their numbers where a segment goes on or starts over at
 * 0; a seek into the middle leaves nothing to count from. */
static void
take_segment (GstQfNumber *n, const GstSegment *before)
{
  gint64 begin = segment_begin (&n->segment);
  gboolean same = before->start == n->segment.start &&
      before->time == n->segment.time && before->base == n->segment.base;

  if (begin == 0 && n->segment.rate > 0) {
    if (n->flushed || (n->last_time > 0 && !same)) {
      n->last = 0;
      n->lost = FALSE;
    }
  } else if (n->flushed && n->seen)
    n->lost = TRUE;
  n->flushed = FALSE;
}

static void
take_first (GstQfNumber *n, GstEvent *event)
{
  GstClockTime first;

  if (!gst_event_has_name (event, GST_QF_NUMBER_FIRST) || n->have_t0 ||
      n->segment.format != GST_FORMAT_TIME ||
      !gst_structure_get_clock_time (
          gst_event_get_structure (event), "pts", &first))
    return;
  first = gst_segment_to_stream_time (&n->segment, GST_FORMAT_TIME, first);
  if (!GST_CLOCK_TIME_IS_VALID (first))
    return;
  n->t0 = segment_begin (&n->segment) > 0 ? 0 : (gint64) first;
  n->have_t0 = TRUE;
}

void
gst_qf_number_event (GstQfNumber *n, GstEvent *event)
{
  GstSegment before;
  GstCaps *caps;

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_STREAM_START:
      /* a sticky event sent again is no new stream */
      if (!n->have_stream || n->stream_seqnum != gst_event_get_seqnum (event))
        restart (n);
      n->have_stream = TRUE;
      n->stream_seqnum = gst_event_get_seqnum (event);
      break;
    case GST_EVENT_CAPS:
      gst_event_parse_caps (event, &caps);
      take_caps (n, caps);
      break;
    case GST_EVENT_SEGMENT:
      before = n->segment;
      gst_event_copy_segment (event, &n->segment);
      take_segment (n, &before);
      break;
    case GST_EVENT_CUSTOM_DOWNSTREAM:
      take_first (n, event);
      break;
    case GST_EVENT_FLUSH_STOP:
      gst_segment_init (&n->segment, GST_FORMAT_UNDEFINED);
      n->flushed = TRUE;
      n->residues = 0;
      break;
    default:
      break;
  }
}

/* May be negative: frames before the segment, which a decoder did not drop. */
static gboolean
stream_time (const GstQfNumber *n, GstBuffer *buffer, gint64 *time)
{
  guint64 t;
  gint sign;

  if (n->segment.format != GST_FORMAT_TIME || !GST_BUFFER_PTS_IS_VALID (buffer))
    return FALSE;
  sign = gst_segment_to_stream_time_full (
      &n->segment, GST_FORMAT_TIME, GST_BUFFER_PTS (buffer), &t);
  *time = sign < 0 ? -(gint64) t : (gint64) t;
  return sign != 0;
}

/* A decoder cuts the frame on which an accurate seek lands: its timestamp
 * becomes the segment's start, its duration what is left of it. How much was
 * cut off, ns. */
static gint64
cut_off (const GstQfNumber *n, GstBuffer *buffer, gint64 t)
{
  gint64 whole = (gint64) gst_util_uint64_scale (
      GST_SECOND, (guint64) n->fps_d, (guint64) n->fps_n);

  if (GST_BUFFER_PTS (buffer) != n->segment.start || n->segment.start == 0 ||
      !GST_BUFFER_DURATION_IS_VALID (buffer) ||
      (gint64) GST_BUFFER_DURATION (buffer) > whole * 3 / 4)
    return 0;
  whole -= (gint64) GST_BUFFER_DURATION (buffer);
  return t >= whole ? whole : 0; /* no frame is from before the stream */
}

static gint
count (GstQfNumber *n, GstElement *element)
{
  if (!n->lost)
    return n->last + 1;
  if (!n->warned && element) {
    GST_ELEMENT_WARNING (element, STREAM, DECODE,
        ("Frames after the seek have no number."),
        ("Without a constant frame rate and timestamps frames are counted, "
         "which only works from the start of the stream."));
    n->warned = TRUE;
  }
  return 0;
}

static void
warn_varying (GstQfNumber *n, GstElement *element)
{
  n->counting = TRUE;
  if (n->warned || !element)
    return;
  GST_ELEMENT_WARNING (element, STREAM, DECODE,
      ("The frame rate varies: frames are counted from number %d on.", n->last),
      ("Timestamps do not fit the %d/%d frames per second that the caps tell; "
       "put videorate before this element, or check that labels fit.",
          n->fps_n, n->fps_d));
  n->warned = TRUE;
}

gint
gst_qf_number_next (
    GstQfNumber *n, GstBuffer *buffer, GstElement *element, GstClockTime *time)
{
  gint64 t = 0;
  gboolean timed = stream_time (n, buffer, &t);
  gint number;

  if (time)
    *time = timed && t >= 0 ? (GstClockTime) t : GST_CLOCK_TIME_NONE;
  if (timed && !n->have_t0) {
    n->t0 = segment_begin (&n->segment) > 0 ? 0 : t;
    n->have_t0 = TRUE;
  }

  if (n->counting || !timed || n->fps_n == 0) {
    number = count (n, element);
  } else {
    gint64 cut = n->seen || n->t0 == 0 ? cut_off (n, buffer, t) : 0;
    double x = (double) (t - cut - n->t0) * n->fps_n / (1e9 * n->fps_d);
    double r = rint (x); /* to nearest, ties to even */

    number = r < 0 || r >= G_MAXINT ? 0 : 1 + (gint) r;
    n->lost = FALSE;
    n->residues = fabs (x - r) > MAX_RESIDUE ? n->residues + 1 : 0;
    if (n->residues >= MAX_RESIDUES) {
      number = n->last + 1;
      n->last = number;
      warn_varying (n, element);
    }
  }

  if (number > 0 || !n->lost)
    n->last = number;
  n->last_time = timed ? t : -1;
  n->seen = TRUE;
  return number;
}
