/* GStreamer qfuse: tests: the plugin as a whole.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gst/check/gstcheck.h>

#include "gstqfmeta.h"

GST_START_TEST (test_loads)
{
  GstPlugin *plugin = gst_registry_find_plugin (gst_registry_get (), "qfuse");
  GstPlugin *loaded;

  fail_unless (plugin != NULL, "libgstqfuse.so is not found");
  fail_unless_equals_string (gst_plugin_get_license (plugin), "LGPL");
  loaded = gst_plugin_load (plugin);
  fail_unless (loaded != NULL);
  fail_unless (gst_meta_get_info ("QfuseDetectionsMeta") != NULL);
  fail_unless (gst_meta_get_info ("QfuseTruthMeta") != NULL);
  gst_object_unref (loaded);
  gst_object_unref (plugin);
}
GST_END_TEST;

/* Every element has what gst-inspect shows, and properties with blurbs whose
 * defaults can be read. */
GST_START_TEST (test_elements)
{
  static const gchar *keys[] = { GST_ELEMENT_METADATA_LONGNAME,
    GST_ELEMENT_METADATA_KLASS, GST_ELEMENT_METADATA_DESCRIPTION };
  GList *features =
      gst_registry_get_feature_list_by_plugin (gst_registry_get (), "qfuse");

  for (GList *l = features; l; l = l->next) {
    GstElementFactory *factory = l->data;
    GstElement *element;
    GParamSpec **specs;
    guint n;

    fail_unless (GST_IS_ELEMENT_FACTORY (factory));
    for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
      fail_unless (
          strlen (gst_element_factory_get_metadata (factory, keys[i])) > 8);
    element = gst_element_factory_create (factory, NULL);
    fail_unless (element != NULL);
    specs = g_object_class_list_properties (G_OBJECT_GET_CLASS (element), &n);
    for (guint i = 0; i < n; i++) {
      GValue value = G_VALUE_INIT;

      fail_unless (g_param_spec_get_blurb (specs[i]) != NULL, "%s:%s",
          GST_OBJECT_NAME (element), specs[i]->name);
      if (!(specs[i]->flags & G_PARAM_READABLE))
        continue;
      g_value_init (&value, specs[i]->value_type);
      g_object_get_property (G_OBJECT (element), specs[i]->name, &value);
      g_value_unset (&value);
    }
    g_free (specs);
    gst_object_unref (element);
  }
  gst_plugin_feature_list_free (features);
}
GST_END_TEST;

static Suite *
plugin_suite (void)
{
  Suite *s = suite_create ("plugin");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (s, tc);
  tcase_add_test (tc, test_loads);
  tcase_add_test (tc, test_elements);
  return s;
}

GST_CHECK_MAIN (plugin);
