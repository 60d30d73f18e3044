/* GStreamer qfuse: tests: frames while two threads change every property.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * tests/tsan.sh runs this under ThreadSanitizer. */
#include "gstqfmeta-private.h"
#include "gstqfmotionmeta.h"
#include "testframes.h"
#include "testmodel.h"

#define WIDTH 64
#define HEIGHT 48
#define N_PUSHES 1000
#define MAX_PUSHES 100000

static gchar *models[2];

static void
setup (void)
{
  models[0] = test_model_path ("a.onnx");
  models[1] = test_model_path ("b.onnx");
  test_model_write_detector (models[0], "Y", "letterbox", NULL, "1");
  test_model_write_detector (models[1], "Y,D2", "stretch", "25/1", "2");
}

static void
teardown (void)
{
  test_model_cleanup ();
  g_clear_pointer (&models[0], g_free);
  g_clear_pointer (&models[1], g_free);
}

static const gchar *
random_string (const gchar *name, GRand *rand)
{
  static const gchar *const polygons[] = { NULL, "", "0,0 1,0 1,1",
    "0,0 0.5,0 0.5,0.5 0,0.5; 0.7,0.7 1,0.7 1,1", "no polygon" };

  if (g_str_equal (name, "ignore"))
    return polygons[g_rand_int_range (rand, 0, G_N_ELEMENTS (polygons))];
  return models[g_rand_int_range (rand, 0, 2)];
}

/* Any value that the property takes, mostly a small one. */
static void
random_value (const GParamSpec *spec, GRand *rand, GValue *value)
{
  const gdouble part = g_rand_boolean (rand) ? g_rand_double (rand) : 0.001;

  if (G_IS_PARAM_SPEC_BOOLEAN (spec)) {
    g_value_set_boolean (value, g_rand_boolean (rand));
  } else if (G_IS_PARAM_SPEC_ENUM (spec)) {
    const GEnumClass *values = G_PARAM_SPEC_ENUM (spec)->enum_class;

    g_value_set_enum (value,
        values->values[g_rand_int_range (rand, 0, (gint32) values->n_values)]
            .value);
  } else if (G_IS_PARAM_SPEC_INT (spec)) {
    const GParamSpecInt *s = G_PARAM_SPEC_INT (spec);

    g_value_set_int (
        value, s->minimum + (gint) (part * (s->maximum - s->minimum)));
  } else if (G_IS_PARAM_SPEC_UINT (spec)) {
    const GParamSpecUInt *s = G_PARAM_SPEC_UINT (spec);

    g_value_set_uint (
        value, s->minimum + (guint) (part * (s->maximum - s->minimum)));
  } else if (G_IS_PARAM_SPEC_UINT64 (spec)) {
    g_value_set_uint64 (value, (guint64) (part * (64 << 20)));
  } else if (G_IS_PARAM_SPEC_FLOAT (spec)) {
    const GParamSpecFloat *s = G_PARAM_SPEC_FLOAT (spec);

    g_value_set_float (
        value, s->minimum + (gfloat) part * (s->maximum - s->minimum));
  } else if (G_IS_PARAM_SPEC_DOUBLE (spec)) {
    const GParamSpecDouble *s = G_PARAM_SPEC_DOUBLE (spec);

    g_value_set_double (value, s->minimum + part * (s->maximum - s->minimum));
  } else if (G_IS_PARAM_SPEC_STRING (spec)) {
    g_value_set_string (value, random_string (spec->name, rand));
  } else {
    g_error ("no value for %s", spec->name);
  }
}

typedef struct
{
  GstElement *element;
  guint32 seed;
  gint stop;    /* atomic */
  gint changes; /* atomic */
} Changer;

/* Of GstObject and GstBaseTransform, name, parent and qos are theirs. Threads
 * are those of the processor, for the machine's sake. */
static gboolean
to_be_changed (const GParamSpec *spec)
{
  return (spec->flags & G_PARAM_WRITABLE) &&
      spec->owner_type != GST_TYPE_OBJECT &&
      spec->owner_type != GST_TYPE_BASE_TRANSFORM &&
      !g_str_equal (spec->name, "threads");
}

static gpointer
change (gpointer data)
{
  Changer *c = data;
  GObject *object = G_OBJECT (c->element);
  GRand *rand = g_rand_new_with_seed (c->seed);
  guint n, reload, changes = 0;
  GParamSpec **specs =
      g_object_class_list_properties (G_OBJECT_GET_CLASS (object), &n);

  reload = g_signal_lookup ("reload", G_OBJECT_TYPE (object));
  while (!g_atomic_int_get (&c->stop)) {
    const GParamSpec *spec = specs[g_rand_int_range (rand, 0, (gint32) n)];
    GValue value = G_VALUE_INIT;

    g_value_init (&value, spec->value_type);
    if (to_be_changed (spec)) {
      random_value (spec, rand, &value);
      g_object_set_property (object, spec->name, &value);
      g_value_reset (&value);
      g_atomic_int_set (&c->changes, ++changes);
    }
    if (spec->flags & G_PARAM_READABLE)
      g_object_get_property (object, spec->name, &value);
    g_value_unset (&value);
    if (reload && to_be_changed (spec) && changes % 64 == 0) {
      gboolean done;

      g_signal_emit (object, reload, 0, &done);
    }
    if (changes % 8 == 0)
      g_usleep (50);
  }
  g_free (specs);
  g_rand_free (rand);
  return NULL;
}

/* Boxes lie in the frame, shares in 0 … 1, whatever the settings were. */
static void
check_output (GstBuffer *buffer)
{
  QfuseDetectionsMeta *found = qfuse_buffer_get_detections (buffer);
  QfuseMotionMeta *motion = qfuse_buffer_get_motion (buffer);

  for (guint i = 0; found && i < found->detections->len; i++) {
    const QfuseDetection *d =
        &g_array_index (found->detections, QfuseDetection, i);

    fail_unless (d->x >= 0 && d->y >= 0 && d->x + d->w <= WIDTH &&
        d->y + d->h <= HEIGHT && d->score >= 0 && d->score <= 1);
  }
  if (motion)
    fail_unless (motion->share >= 0 && motion->share <= 1);
}

/* Each thread has changed as much as in the shortest of runs. */
static gboolean
enough (Changer *changers)
{
  return g_atomic_int_get (&changers[0].changes) > 200 &&
      g_atomic_int_get (&changers[1].changes) > 200;
}

/* Runs @line while two threads change the element @name. */
static void
check_changes (const gchar *line, const gchar *name)
{
  GstHarness *h = gst_harness_new_parse (line);
  GstCaps *caps = test_caps ("I420", WIDTH, HEIGHT);
  guint32 seed = g_random_int ();
  GThread *threads[2];
  GstBuffer *out, *frames[8];
  Changer changers[2];
  GstVideoInfo info;

  g_printerr ("%s: seed %u\n", name, seed);
  gst_video_info_from_caps (&info, caps);
  gst_harness_set_src_caps (h, caps);
  for (guint i = 0; i < G_N_ELEMENTS (frames); i++)
    frames[i] = test_square (&info, 6 * (gint) i, 4 * (gint) i, 16);
  for (guint i = 0; i < 2; i++) {
    changers[i] = (Changer){ .element = gst_harness_find_element (h, name),
      .seed = seed + i };
    threads[i] = g_thread_new ("properties", change, &changers[i]);
  }
  for (guint n = 0; n < N_PUSHES || (n < MAX_PUSHES && !enough (changers));
       n++) {
    /* now and then the scene stands still */
    guint i = n % 100 < 60 ? n % G_N_ELEMENTS (frames) : 0;

    fail_unless_equals_int (
        gst_harness_push (h, test_stamp (gst_buffer_copy (frames[i]), n)),
        GST_FLOW_OK);
    while ((out = gst_harness_try_pull (h))) {
      check_output (out);
      gst_buffer_unref (out);
    }
  }
  for (guint i = 0; i < 2; i++) {
    g_atomic_int_set (&changers[i].stop, TRUE);
    g_thread_join (threads[i]);
  }
  fail_unless (enough (changers));
  for (guint i = 0; i < 2; i++)
    gst_object_unref (changers[i].element);
  for (guint i = 0; i < G_N_ELEMENTS (frames); i++)
    gst_buffer_unref (frames[i]);
  gst_harness_teardown (h);
}

GST_START_TEST (test_framediff)
{
  check_changes ("framediff", "framediff");
}
GST_END_TEST;

GST_START_TEST (test_detector)
{
  g_autofree gchar *line =
      g_strdup_printf ("qfusedetect model-file=%s threads=2", models[0]);

  check_changes (line, "qfusedetect");
}
GST_END_TEST;

/* Planes are asked for, attached, taken and given up, across a queue. */
GST_START_TEST (test_both)
{
  g_autofree gchar *line =
      g_strdup_printf ("framediff output=planes ! queue max-size-buffers=2 ! "
                       "qfusedetect model-file=%s threads=2",
          models[1]);

  check_changes (line, "framediff");
  check_changes (line, "qfusedetect");
}
GST_END_TEST;

static Suite *
planes_threads_suite (void)
{
  Suite *s = suite_create ("planes-threads");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (s, tc);
  tcase_add_checked_fixture (tc, setup, teardown);
  tcase_add_test (tc, test_framediff);
  tcase_add_test (tc, test_detector);
  tcase_add_test (tc, test_both);
  return s;
}

GST_CHECK_MAIN (planes_threads);
