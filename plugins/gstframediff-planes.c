/* GStreamer qfuse: planes computed once for all network elements downstream.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstframediff-planes.h"

typedef struct
{
  GstQfWant want;
  GstQfPlaner *planer;
} Entry;

struct _GstFrameDiffPlanes
{
  GArray *entries; /* Entry */
};

static void
entry_clear (gpointer data)
{
  g_clear_pointer (&((Entry *) data)->planer, gst_qf_planer_free);
}

static GArray *
entries_new (void)
{
  GArray *a = g_array_new (FALSE, TRUE, sizeof (Entry));

  g_array_set_clear_func (a, entry_clear);
  return a;
}

static inline Entry *
entry_at (const GstFrameDiffPlanes *d, guint i)
{
  return &g_array_index (d->entries, Entry, i);
}

GstFrameDiffPlanes *
gst_frame_diff_planes_new (void)
{
  GstFrameDiffPlanes *d = g_new0 (GstFrameDiffPlanes, 1);

  d->entries = entries_new ();
  return d;
}

void
gst_frame_diff_planes_free (GstFrameDiffPlanes *d)
{
  if (!d)
    return;
  g_array_unref (d->entries);
  g_free (d);
}

/* Takes the planer that served this want until now. */
static GstQfPlaner *
steal_planer (GstFrameDiffPlanes *d, const GstQfWant *want)
{
  for (guint i = 0; i < d->entries->len; i++)
    if (entry_at (d, i)->planer &&
        gst_qf_want_equal (&entry_at (d, i)->want, want))
      return g_steal_pointer (&entry_at (d, i)->planer);
  return NULL;
}

/* Elements upstream learn what is computed of their picture: networks that find
 * their planes say nothing. */
static void
tell_upstream (GstFrameDiffPlanes *d, GstBaseTransform *trans)
{
  for (guint i = 0; i < d->entries->len; i++)
    if (qf_planes_history (&entry_at (d, i)->want.planes) > 0) {
      gst_pad_push_event (GST_BASE_TRANSFORM_SINK_PAD (trans),
          gst_qf_planes_event_new (&entry_at (d, i)->want));
      return;
    }
}

guint
gst_frame_diff_planes_ask (
    GstFrameDiffPlanes *d, GstBaseTransform *trans, const GstVideoInfo *info)
{
  GstQuery *query = gst_qf_planes_query_new ();
  GArray *entries = entries_new (), *wants;

  gst_pad_peer_query (GST_BASE_TRANSFORM_SRC_PAD (trans), query);
  wants = gst_qf_planes_query_wants (query);
  gst_query_unref (query);

  for (guint i = 0; i < wants->len; i++) {
    Entry e = { .want = g_array_index (wants, GstQfWant, i) };

    e.planer = steal_planer (d, &e.want);
    if (!e.planer) {
      GstEvent *event;

      e.planer = gst_qf_planer_new (&e.want);
      gst_qf_planer_set_info (e.planer, info);
      if (trans->segment.format != GST_FORMAT_UNDEFINED) {
        event = gst_event_new_segment (&trans->segment);
        gst_qf_planer_event (e.planer, event);
        gst_event_unref (event);
      }
    }
    g_array_append_val (entries, e);
  }
  g_array_unref (wants);
  g_array_unref (d->entries);
  d->entries = entries;
  tell_upstream (d, trans);
  return entries->len;
}

void
gst_frame_diff_planes_set_info (GstFrameDiffPlanes *d, const GstVideoInfo *info)
{
  for (guint i = 0; i < d->entries->len; i++)
    gst_qf_planer_set_info (entry_at (d, i)->planer, info);
}

void
gst_frame_diff_planes_event (GstFrameDiffPlanes *d, GstEvent *event)
{
  for (guint i = 0; i < d->entries->len; i++)
    gst_qf_planer_event (entry_at (d, i)->planer, event);
}

void
gst_frame_diff_planes_forget (GstFrameDiffPlanes *d)
{
  for (guint i = 0; i < d->entries->len; i++)
    gst_qf_planer_forget (entry_at (d, i)->planer);
}

void
gst_frame_diff_planes_attach (
    GstFrameDiffPlanes *d, GstVideoFrame *frame, GstClockTime time)
{
  for (guint i = 0; i < d->entries->len; i++) {
    Entry *e = entry_at (d, i);
    gsize size = gst_qf_want_size (&e->want);
    guint8 *planes = g_malloc (size);
    GBytes *bytes;

    gst_qf_planer_push (e->planer, frame, time, planes);
    bytes = g_bytes_new_take (planes, size);
    gst_buffer_add_qf_planes_meta (
        frame->buffer, &e->want, gst_qf_planer_geometry (e->planer), bytes);
    g_bytes_unref (bytes);
  }
}
