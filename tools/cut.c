/* qfuse: cuts the still stretches out of all streams of a video.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cut.h"

#include "gstqfnumber.h"

#define FRAME_TIME (GST_SECOND / 25) /* of a frame that does not tell */

/* Running times of the input; @out: where the stretch begins in the output. */
typedef struct
{
  GstClockTime start, end, out;
} Stretch;

struct _Cut
{
  GMutex lock;
  GCond news;
  guint64 frames;
  GArray *stretches;    /* Stretch */
  GstClockTime known;   /* up to here it is known what stays */
  GstClockTime last;    /* frame that came out; NONE: none yet */
  GstClockTime between; /* the last two of them */
};

Cut *
cut_new (void)
{
  Cut *cut = g_new0 (Cut, 1);

  g_mutex_init (&cut->lock);
  g_cond_init (&cut->news);
  cut->stretches = g_array_new (FALSE, FALSE, sizeof (Stretch));
  cut->last = GST_CLOCK_TIME_NONE;
  cut->between = FRAME_TIME;
  return cut;
}

void
cut_free (Cut *cut)
{
  if (!cut)
    return;
  g_array_unref (cut->stretches);
  g_mutex_clear (&cut->lock);
  g_cond_clear (&cut->news);
  g_free (cut);
}

guint64
cut_frames (Cut *cut)
{
  guint64 frames;

  g_mutex_lock (&cut->lock);
  frames = cut->frames;
  g_mutex_unlock (&cut->lock);
  return frames;
}

/* Running time of @time on @pad, or GST_CLOCK_TIME_NONE. */
static GstClockTime
running_time (GstPad *pad, GstClockTime time)
{
  GstEvent *event = gst_pad_get_sticky_event (pad, GST_EVENT_SEGMENT, 0);
  const GstSegment *segment;
  GstClockTime running = GST_CLOCK_TIME_NONE;

  if (!event)
    return running;
  gst_event_parse_segment (event, &segment);
  if (segment->format == GST_FORMAT_TIME && GST_CLOCK_TIME_IS_VALID (time))
    running = gst_segment_to_running_time (segment, GST_FORMAT_TIME, time);
  gst_event_unref (event);
  return running;
}

static GstClockTime
buffer_time (GstBuffer *buffer)
{
  return GST_BUFFER_PTS_IS_VALID (buffer) ? GST_BUFFER_PTS (buffer)
                                          : GST_BUFFER_DTS (buffer);
}

/* ---- at the gate --------------------------------------------------------- */

/* Tells what numbers frames behind the gate of the first. */
static GstPadProbeReturn
on_input (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  GstElement *gate = gst_pad_get_parent_element (pad);
  GstPad *src = gst_element_get_static_pad (gate, "src");
  gboolean first;
  Cut *cut = data;

  g_mutex_lock (&cut->lock);
  first = cut->frames++ == 0;
  g_mutex_unlock (&cut->lock);
  if (first && GST_BUFFER_PTS_IS_VALID (buffer))
    gst_pad_push_event (src, gst_qf_number_event_new (GST_BUFFER_PTS (buffer)));
  gst_object_unref (src);
  gst_object_unref (gate);
  return GST_PAD_PROBE_OK;
}

static void
know (Cut *cut, GstClockTime time)
{
  cut->known = MAX (cut->known, time);
  g_cond_broadcast (&cut->news);
}

/* A frame stays; with the lock held. */
static void
add_frame (Cut *cut, GstClockTime time, GstBuffer *buffer)
{
  guint n = cut->stretches->len;
  Stretch *s = n ? &g_array_index (cut->stretches, Stretch, n - 1) : NULL;

  if (s && time > cut->last && time < s->end + cut->between / 2)
    cut->between = time - cut->last;
  else if (s && time <= cut->last)
    return;
  if (!s ||
      (GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_DISCONT) &&
          time > s->end + cut->between / 2)) {
    Stretch next = { time, time, s ? s->out + (s->end - s->start) : 0 };

    g_array_append_val (cut->stretches, next);
    s = &g_array_index (cut->stretches, Stretch, n);
  }
  s->end = time +
      (GST_BUFFER_DURATION_IS_VALID (buffer) ? GST_BUFFER_DURATION (buffer)
                                             : cut->between);
  cut->last = time;
}

static GstPadProbeReturn
on_gate (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  GstPadProbeReturn result = GST_PAD_PROBE_OK;
  GstClockTime time, length;
  Cut *cut = data;

  if (info->type & GST_PAD_PROBE_TYPE_BUFFER) {
    GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);

    time = running_time (pad, GST_BUFFER_PTS (buffer));
    g_mutex_lock (&cut->lock);
    if (GST_CLOCK_TIME_IS_VALID (time)) {
      add_frame (cut, time, buffer);
      know (cut, time);
    }
    g_mutex_unlock (&cut->lock);
    return result;
  }
  switch (GST_EVENT_TYPE (GST_PAD_PROBE_INFO_EVENT (info))) {
    case GST_EVENT_GAP: /* there is none in the output */
      gst_event_parse_gap (GST_PAD_PROBE_INFO_EVENT (info), &time, &length);
      if (GST_CLOCK_TIME_IS_VALID (length))
        time += length;
      time = running_time (pad, time);
      g_mutex_lock (&cut->lock);
      if (GST_CLOCK_TIME_IS_VALID (time) && length > 0)
        know (cut, time);
      g_mutex_unlock (&cut->lock);
      result = GST_PAD_PROBE_DROP;
      break;
    case GST_EVENT_EOS:
      g_mutex_lock (&cut->lock);
      know (cut, GST_CLOCK_TIME_NONE); /* the largest number */
      g_mutex_unlock (&cut->lock);
      break;
    default:
      break;
  }
  return result;
}

void
cut_watch (Cut *cut, GstElement *gate)
{
  GstPad *pad = gst_element_get_static_pad (gate, "sink");

  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, on_input, cut, NULL);
  gst_object_unref (pad);
  pad = gst_element_get_static_pad (gate, "src");
  gst_pad_add_probe (pad,
      GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, on_gate,
      cut, NULL);
  gst_object_unref (pad);
}

/* ---- new times ----------------------------------------------------------- */

/* By how much what is at @time comes earlier. FALSE: it is cut out, and
 * *@earlier takes it to where the cut is. With the lock held. */
static gboolean
find_shift (const Cut *cut, GstClockTime time, GstClockTime *earlier)
{
  *earlier = time;
  for (guint i = cut->stretches->len; i-- > 0;) {
    const Stretch *s = &g_array_index (cut->stretches, Stretch, i);

    if (time < s->start)
      continue;
    *earlier = MIN (time, s->end) - s->start; /* into it */
    *earlier = time - (s->out + *earlier);
    return time < s->end;
  }
  return FALSE;
}

static void
move (GstPadProbeInfo *info, GstClockTime earlier)
{
  GstBuffer *buffer =
      gst_buffer_make_writable (GST_PAD_PROBE_INFO_BUFFER (info));

  if (GST_BUFFER_PTS_IS_VALID (buffer))
    GST_BUFFER_PTS (buffer) -= MIN (earlier, GST_BUFFER_PTS (buffer));
  if (GST_BUFFER_DTS_IS_VALID (buffer))
    GST_BUFFER_DTS (buffer) -= MIN (earlier, GST_BUFFER_DTS (buffer));
  GST_PAD_PROBE_INFO_DATA (info) = buffer;
}

static GstPadProbeReturn
on_video (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  GstClockTime time =
      running_time (pad, GST_BUFFER_PTS (GST_PAD_PROBE_INFO_BUFFER (info)));
  GstClockTime earlier = 0;
  Cut *cut = data;

  if (!GST_CLOCK_TIME_IS_VALID (time))
    return GST_PAD_PROBE_OK;
  g_mutex_lock (&cut->lock);
  find_shift (cut, time, &earlier);
  g_mutex_unlock (&cut->lock);
  move (info, earlier);
  return GST_PAD_PROBE_OK;
}

void
cut_move_video (Cut *cut, GstPad *pad)
{
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, on_video, cut, NULL);
}

/* Waits until it is known whether @time stays; with the lock held. FALSE: the
 * pipeline stops. */
static gboolean
wait_for (Cut *cut, GstPad *pad, GstClockTime time)
{
  while (cut->known < time) {
    if (GST_PAD_IS_FLUSHING (pad))
      return FALSE;
    g_cond_wait_until (&cut->news, &cut->lock,
        g_get_monotonic_time () + 100 * G_TIME_SPAN_MILLISECOND);
  }
  return TRUE;
}

static GstPadProbeReturn
on_other (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  const gboolean is_buffer = info->type & GST_PAD_PROBE_TYPE_BUFFER;
  GstClockTime at, length, time, earlier;
  gboolean stays;
  Cut *cut = data;

  if (is_buffer)
    at = buffer_time (GST_PAD_PROBE_INFO_BUFFER (info));
  else if (GST_EVENT_TYPE (GST_PAD_PROBE_INFO_EVENT (info)) == GST_EVENT_GAP)
    gst_event_parse_gap (GST_PAD_PROBE_INFO_EVENT (info), &at, &length);
  else
    return GST_PAD_PROBE_OK;
  time = running_time (pad, at);
  if (!GST_CLOCK_TIME_IS_VALID (time)) /* a header */
    return GST_PAD_PROBE_OK;

  g_mutex_lock (&cut->lock);
  if (!wait_for (cut, pad, time)) {
    g_mutex_unlock (&cut->lock);
    return GST_PAD_PROBE_DROP;
  }
  stays = find_shift (cut, time, &earlier);
  g_mutex_unlock (&cut->lock);
  if (is_buffer && !stays)
    return GST_PAD_PROBE_DROP;
  if (is_buffer) {
    move (info, earlier);
  } else { /* how far the stream is, for muxers that wait for it */
    gst_event_unref (GST_PAD_PROBE_INFO_EVENT (info));
    GST_PAD_PROBE_INFO_DATA (info) =
        gst_event_new_gap (at - MIN (at, earlier), GST_CLOCK_TIME_NONE);
  }
  return GST_PAD_PROBE_OK;
}

void
cut_other (Cut *cut, GstPad *pad)
{
  gst_pad_add_probe (pad,
      GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, on_other,
      cut, NULL);
}
