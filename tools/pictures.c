/* qfuse: folders of pictures as clips.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pictures.h"

#include <string.h>

#include "gstqfnumber.h"
#include "pipeline.h"
#include "qfuse.h"

#define LOOK (50 * GST_MSECOND) /* how often errors are looked for */
#define LOOKS 400

static void
picture_free (gpointer data)
{
  Picture *p = data;

  g_free (p->path);
  g_free (p);
}

static gboolean
has_ending (const char *name, const char *const *endings)
{
  g_autofree char *lower = g_ascii_strdown (name, -1);

  for (; *endings; endings++)
    if (g_str_has_suffix (lower, *endings))
      return TRUE;
  return FALSE;
}

static gboolean
is_picture_name (const char *name)
{
  static const char *const endings[] = { ".jpg", ".jpeg", ".png", ".bmp",
    ".webp", NULL };

  return *name != '.' && has_ending (name, endings);
}

/* Files of the folder @path that @is is true of. */
static GPtrArray *
list (const char *path, gboolean (*is) (const char *name))
{
  GPtrArray *files = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir && (name = g_dir_read_name (dir)))
    if (is (name))
      g_ptr_array_add (files, g_build_filename (path, name, NULL));
  return files;
}

gboolean
pictures_in (const char *path)
{
  g_autoptr (GPtrArray) files = list (path, is_picture_name);

  return files->len > 0;
}

static gboolean
is_json_name (const char *name)
{
  return g_str_has_suffix (name, ".json");
}

static gboolean
is_label_name (const char *name)
{
  static const char *const endings[] = { ".xml", ".txt", NULL };

  return has_ending (name, endings);
}

char *
pictures_truth (const char *path)
{
  g_autoptr (GPtrArray) json = list (path, is_json_name);
  g_autoptr (GPtrArray) labels = list (path, is_label_name);
  g_autofree char *beside = g_strdup (path);

  for (gsize n = strlen (beside); n > 1 && beside[n - 1] == '/';)
    beside[--n] = 0;
  beside = g_realloc (beside, strlen (beside) + sizeof ".json");
  strcat (beside, ".json");
  if (g_file_test (beside, G_FILE_TEST_IS_REGULAR))
    return g_steal_pointer (&beside);
  if (json->len == 1)
    return g_strdup (g_ptr_array_index (json, 0));
  return labels->len > 0 ? g_strdup (path) : NULL;
}

static int
compare_pictures (gconstpointer a, gconstpointer b)
{
  const Picture *p = *(Picture *const *) a, *q = *(Picture *const *) b;

  return p->frame != q->frame ? (p->frame < q->frame ? -1 : 1)
                              : strcmp (p->path, q->path);
}

GPtrArray *
pictures_find (
    const char *path, const char *truth, const char *format, GError **error)
{
  g_autoptr (QfAnnotations) known = qf_annotations_load (truth, format, error);
  g_autoptr (GPtrArray) files = list (path, is_picture_name);
  g_autoptr (GPtrArray) pictures =
      g_ptr_array_new_with_free_func (picture_free);

  if (!known)
    return NULL;
  for (guint i = 0; i < files->len; i++) {
    const char *file = g_ptr_array_index (files, i);
    int frame = qf_annotations_picture (known, file);
    Picture *p;

    if (frame == 0)
      continue;
    p = g_new (Picture, 1);
    *p = (Picture){ g_strdup (file), frame };
    g_ptr_array_add (pictures, p);
  }
  if (pictures->len == 0) {
    g_set_error (error, QF_ERROR, QF_ERROR_FILE,
        "none of the %u pictures in %s is named in %s", files->len, path,
        truth);
    return NULL;
  }
  g_ptr_array_sort (pictures, compare_pictures);
  return g_steal_pointer (&pictures);
}

/* What is wrong with the pipeline that decodes a picture; NULL: nothing yet. */
static char *
error_text (GstBus *bus)
{
  GstMessage *m = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  g_autoptr (GError) error = NULL;

  if (!m)
    return NULL;
  gst_message_parse_error (m, &error, NULL);
  gst_message_unref (m);
  return g_strdup (error->message);
}

/* An error does not wake whoever waits for a sample. */
static GstSample *
wait_for_sample (GstElement *pipeline, GstElement *sink, char **wrong)
{
  GstBus *bus = gst_element_get_bus (pipeline);
  GstSample *sample = NULL;
  gboolean eos = FALSE;

  for (int i = 0; i < LOOKS && !sample && !*wrong && !eos; i++) {
    g_signal_emit_by_name (sink, "try-pull-sample", (guint64) LOOK, &sample);
    *wrong = sample ? NULL : error_text (bus);
    g_object_get (sink, "eos", &eos, NULL);
  }
  if (!sample && !*wrong)
    *wrong = g_strdup ("it holds no picture");
  gst_object_unref (bus);
  return sample;
}

/* The picture of a file; NULL with what is wrong in *@wrong. */
static GstSample *
decode (const char *path, char **wrong)
{
  GstElement *pipeline = gst_parse_launch (
      "filesrc name=file ! decodebin ! video/x-raw(ANY) ! appsink name=sink "
      "sync=false",
      NULL);
  GstElement *file, *sink;
  GstSample *sample;

  if (!pipeline) {
    *wrong = g_strdup ("GStreamer lacks filesrc, decodebin or appsink; install "
                       "gstreamer1.0-plugins-base");
    return NULL;
  }
  file = gst_bin_get_by_name (GST_BIN (pipeline), "file");
  sink = gst_bin_get_by_name (GST_BIN (pipeline), "sink");
  g_object_set (file, "location", path, NULL);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  sample = wait_for_sample (pipeline, sink, wrong);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (file);
  gst_object_unref (sink);
  gst_object_unref (pipeline);
  return sample;
}

typedef struct
{
  const GPtrArray *pictures;
  guint next;
} Player;

static void
player_free (gpointer data, GClosure *closure)
{
  g_free (data);
}

/* One picture, as the frame of its number at one a second. */
static gboolean
push (GstElement *source, const Picture *p, char **wrong)
{
  GstSample *sample = decode (p->path, wrong), *numbered;
  GstFlowReturn ret;
  GstBuffer *buffer;
  GstCaps *caps;

  if (!sample)
    return FALSE;
  buffer = gst_buffer_copy (gst_sample_get_buffer (sample));
  caps = gst_caps_copy (gst_sample_get_caps (sample));
  gst_caps_set_simple (caps, "framerate", GST_TYPE_FRACTION, 1, 1, NULL);
  GST_BUFFER_PTS (buffer) = (GstClockTime) (p->frame - 1) * GST_SECOND;
  GST_BUFFER_DTS (buffer) = GST_CLOCK_TIME_NONE;
  GST_BUFFER_DURATION (buffer) = GST_SECOND;
  numbered = gst_sample_new (buffer, caps, NULL, NULL);
  g_signal_emit_by_name (source, "push-sample", numbered, &ret);
  gst_sample_unref (numbered);
  gst_sample_unref (sample);
  gst_buffer_unref (buffer);
  gst_caps_unref (caps);
  return TRUE;
}

static void
on_need_data (GstElement *source, guint bytes, gpointer data)
{
  Player *player = data;
  g_autofree char *wrong = NULL, *text = NULL;
  GstFlowReturn ret;

  if (player->next < player->pictures->len) {
    const Picture *p = g_ptr_array_index (player->pictures, player->next++);

    if (push (source, p, &wrong))
      return;
    text = g_strdup_printf ("%s: %s", p->path, wrong);
    pipeline_fail (source, text);
  }
  g_signal_emit_by_name (source, "end-of-stream", &ret);
}

/* Numbers count from the first picture that could be, not that is. */
static GstPadProbeReturn
before_first (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  gst_pad_push_event (pad, gst_qf_number_event_new (0));
  return GST_PAD_PROBE_REMOVE;
}

GstElement *
pictures_source (const GPtrArray *pictures)
{
  GstElement *source = gst_element_factory_make ("appsrc", NULL);
  Player *player;
  GstPad *pad;

  if (!source)
    return NULL;
  player = g_new (Player, 1);
  *player = (Player){ pictures, 0 };
  g_object_set (source, "format", GST_FORMAT_TIME, NULL);
  g_signal_connect_data (source, "need-data", G_CALLBACK (on_need_data), player,
      player_free, (GConnectFlags) 0);
  pad = gst_element_get_static_pad (source, "src");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, before_first, NULL, NULL);
  gst_object_unref (pad);
  return source;
}
