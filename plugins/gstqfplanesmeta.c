/* GStreamer qfuse: planes that travel on buffers, and who asks for them.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqfplanesmeta.h"

#include <string.h>

#define QUERY_NAME "qfuse-planes"

static gboolean
planes_meta_init (GstMeta *meta, gpointer params, GstBuffer *buffer)
{
  ((GstQfPlanesMeta *) meta)->planes = NULL;
  return TRUE;
}

static void
planes_meta_free (GstMeta *meta, GstBuffer *buffer)
{
  g_clear_pointer (&((GstQfPlanesMeta *) meta)->planes, g_bytes_unref);
}

static void
get_crop (GstBuffer *buffer, guint crop[4])
{
  const GstVideoCropMeta *m = gst_buffer_get_video_crop_meta (buffer);

  crop[0] = m ? m->x : 0;
  crop[1] = m ? m->y : 0;
  crop[2] = m ? m->width : 0;
  crop[3] = m ? m->height : 0;
}

static gboolean
planes_meta_transform (
    GstBuffer *to, GstMeta *meta, GstBuffer *from, GQuark type, gpointer data)
{
  const GstQfPlanesMeta *m = (GstQfPlanesMeta *) meta;
  const GstMetaTransformCopy *copy = data;
  GstQfPlanesMeta *added;

  if (!GST_META_TRANSFORM_IS_COPY (type) || (copy && copy->region))
    return FALSE;
  added = gst_buffer_add_qf_planes_meta (to, &m->want, &m->geometry, m->planes);
  if (added) /* the crop meta may be copied later */
    memcpy (added->crop, m->crop, sizeof (added->crop));
  return added != NULL;
}

/* A meta can be in the process already where a test links the plugin's inside.
 */
static const GstMetaInfo *
register_planes_meta (void)
{
  static const gchar *tags[] = { GST_META_TAG_VIDEO_STR,
    GST_META_TAG_VIDEO_COLORSPACE_STR, GST_META_TAG_VIDEO_SIZE_STR,
    GST_META_TAG_VIDEO_ORIENTATION_STR, NULL };
  const GstMetaInfo *info = gst_meta_get_info ("GstQfPlanesMeta");

  if (info)
    return info;
  return gst_meta_register (
      gst_meta_api_type_register ("GstQfPlanesMetaAPI", tags),
      "GstQfPlanesMeta", sizeof (GstQfPlanesMeta), planes_meta_init,
      planes_meta_free, planes_meta_transform);
}

static const GstMetaInfo *
planes_meta_info (void)
{
  static const GstMetaInfo *info;

  if (g_once_init_enter (&info))
    g_once_init_leave (&info, register_planes_meta ());
  return info;
}

static GType
planes_meta_api (void)
{
  return planes_meta_info ()->api;
}

GstQfPlanesMeta *
gst_buffer_add_qf_planes_meta (GstBuffer *buffer, const GstQfWant *want,
    const QfGeometry *geometry, GBytes *planes)
{
  GstQfPlanesMeta *m;

  m = (GstQfPlanesMeta *) gst_buffer_add_meta (
      buffer, planes_meta_info (), NULL);
  if (m) {
    m->want = *want;
    m->geometry = *geometry;
    m->planes = g_bytes_ref (planes);
    get_crop (buffer, m->crop);
  }
  return m;
}

GstQfPlanesMeta *
gst_buffer_get_qf_planes_meta (GstBuffer *buffer, const GstQfWant *want)
{
  gpointer state = NULL;
  GstMeta *meta;
  guint crop[4];

  get_crop (buffer, crop);
  while ((meta = gst_buffer_iterate_meta_filtered (
              buffer, &state, planes_meta_api ()))) {
    GstQfPlanesMeta *m = (GstQfPlanesMeta *) meta;

    if (memcmp (m->crop, crop, sizeof (crop)) == 0 &&
        gst_qf_want_equal (&m->want, want))
      return m;
  }
  return NULL;
}

void
gst_buffer_remove_qf_planes_metas (GstBuffer *buffer)
{
  GstMeta *meta;

  while ((meta = gst_buffer_get_meta (buffer, planes_meta_api ())))
    gst_buffer_remove_meta (buffer, meta);
}

GstQuery *
gst_qf_planes_query_new (void)
{
  return gst_query_new_custom (
      GST_QUERY_CUSTOM, gst_structure_new_empty (QUERY_NAME));
}

gboolean
gst_query_is_qf_planes (GstQuery *query)
{
  const GstStructure *s;

  if (GST_QUERY_TYPE (query) != GST_QUERY_CUSTOM)
    return FALSE;
  s = gst_query_get_structure (query);
  return s && gst_structure_has_name (s, QUERY_NAME);
}

static GstStructure *
want_to_structure (const GstQfWant *want)
{
  gchar *planes = qf_planes_to_string (&want->planes);
  GstStructure *s = gst_structure_new ("want", "planes", G_TYPE_STRING, planes,
      "width", G_TYPE_INT, want->width, "height", G_TYPE_INT, want->height,
      "fit", G_TYPE_STRING, qf_fit_to_string (want->fit), "rate-n", G_TYPE_INT,
      want->rate_n, "rate-d", G_TYPE_INT, want->rate_d, NULL);

  g_free (planes);
  return s;
}

static gboolean
want_from_structure (GstQfWant *want, const GstStructure *s)
{
  const gchar *planes = gst_structure_get_string (s, "planes");
  const gchar *fit = gst_structure_get_string (s, "fit");

  return planes && fit && qf_planes_parse (&want->planes, planes, NULL) &&
      qf_fit_parse (fit, &want->fit) &&
      gst_structure_get (s, "width", G_TYPE_INT, &want->width, "height",
          G_TYPE_INT, &want->height, "rate-n", G_TYPE_INT, &want->rate_n,
          "rate-d", G_TYPE_INT, &want->rate_d, NULL) &&
      want->width > 0 && want->height > 0;
}

GArray *
gst_qf_planes_query_wants (GstQuery *query)
{
  GArray *wants = g_array_new (FALSE, TRUE, sizeof (GstQfWant));
  const GValue *list =
      gst_structure_get_value (gst_query_get_structure (query), "wants");

  if (!list || !GST_VALUE_HOLDS_LIST (list))
    return wants;
  for (guint i = 0; i < gst_value_list_get_size (list); i++) {
    const GValue *v = gst_value_list_get_value (list, i);
    GstQfWant want = { 0 };

    if (GST_VALUE_HOLDS_STRUCTURE (v) &&
        want_from_structure (&want, gst_value_get_structure (v)))
      g_array_append_val (wants, want);
  }
  return wants;
}

void
gst_qf_planes_query_append (GstQuery *query, const GstQfWant *want)
{
  GArray *wants = gst_qf_planes_query_wants (query);
  GValue list = G_VALUE_INIT;
  gboolean held = FALSE;

  for (guint i = 0; i < wants->len && !held; i++)
    held = gst_qf_want_equal (&g_array_index (wants, GstQfWant, i), want);
  if (held || !gst_query_is_writable (query)) {
    g_array_unref (wants);
    return;
  }

  g_array_append_vals (wants, want, 1);
  g_value_init (&list, GST_TYPE_LIST);
  for (guint i = 0; i < wants->len; i++) {
    GValue v = G_VALUE_INIT;

    g_value_init (&v, GST_TYPE_STRUCTURE);
    g_value_take_boxed (
        &v, want_to_structure (&g_array_index (wants, GstQfWant, i)));
    gst_value_list_append_and_take_value (&list, &v);
  }
  gst_structure_take_value (
      gst_query_writable_structure (query), "wants", &list);
  g_array_unref (wants);
}

gboolean
gst_qf_planes_query_answer (
    GstQuery *query, const GstQfWant *want, GstPad *srcpad)
{
  if (want)
    gst_qf_planes_query_append (query, want);
  if (srcpad)
    gst_pad_peer_query (srcpad, query);
  return FALSE;
}

GstEvent *
gst_qf_planes_event_new (const GstQfWant *want)
{
  return gst_event_new_custom (GST_EVENT_CUSTOM_UPSTREAM,
      gst_structure_new (QUERY_NAME, "differences", G_TYPE_BOOLEAN,
          qf_planes_history (&want->planes) > 0, NULL));
}

gboolean
gst_qf_planes_event_differences (GstEvent *event)
{
  gboolean differences = FALSE;

  return gst_structure_get_boolean (
             gst_event_get_structure (event), "differences", &differences) &&
      differences;
}

gboolean
gst_event_is_qf_planes (GstEvent *event)
{
  return GST_EVENT_TYPE (event) == GST_EVENT_CUSTOM_UPSTREAM &&
      gst_event_has_name (event, QUERY_NAME);
}
