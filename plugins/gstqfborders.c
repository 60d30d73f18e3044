/* GStreamer qfuse: what scalers downstream do with another shape.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqfmeta-private.h"

#define MAX_ELEMENTS 1000 /* of a pipeline that is looked through */

typedef struct
{
  GHashTable *seen; /* pads */
  guint adding, stretching;
} Walk;

static void
look_at (Walk *walk, GstPad *pad)
{
  GstElement *element = gst_pad_get_parent_element (pad);
  GParamSpec *spec;
  gboolean borders;

  if (!element)
    return;
  spec = g_object_class_find_property (
      G_OBJECT_GET_CLASS (element), "add-borders");
  if (spec && G_IS_PARAM_SPEC_BOOLEAN (spec)) {
    g_object_get (element, "add-borders", &borders, NULL);
    if (borders)
      walk->adding++;
    else
      walk->stretching++;
  }
  gst_object_unref (element);
}

static void visit (Walk *walk, GstPad *srcpad);

static void
visit_each (const GValue *item, gpointer walk)
{
  visit (walk, g_value_get_object (item));
}

static void
visit (Walk *walk, GstPad *srcpad)
{
  GstPad *peer = gst_pad_get_peer (srcpad);
  GstIterator *links;

  if (!peer)
    return;
  if (g_hash_table_size (walk->seen) < MAX_ELEMENTS &&
      g_hash_table_add (walk->seen, peer)) {
    look_at (walk, peer);
    links = gst_pad_iterate_internal_links (peer);
    while (links &&
        gst_iterator_foreach (links, visit_each, walk) == GST_ITERATOR_RESYNC)
      gst_iterator_resync (links);
    g_clear_pointer (&links, gst_iterator_free);
  }
  gst_object_unref (peer);
}

GstQfBorders
gst_qf_borders_downstream (GstPad *srcpad)
{
  Walk walk = { .seen = g_hash_table_new (NULL, NULL) };

  visit (&walk, srcpad);
  g_hash_table_unref (walk.seen);
  if (walk.stretching == 0)
    return GST_QF_BORDERS_ADDED;
  return walk.adding == 0 ? GST_QF_BORDERS_NONE : GST_QF_BORDERS_UNKNOWN;
}
