/* qfuse: clips and what is known of them.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clips.h"

#include <string.h>

#include "base/error.h"
#include "pictures.h"
#include "pipeline.h"
#include "qfuse.h"
#include "tool.h"

GOptionEntry *
clip_entries (ClipOptions *o)
{
  const GOptionEntry entries[] = {
    { "truth", 0, 0, G_OPTION_ARG_FILENAME, &o->truth,
        "Label file of the one clip (default: beside it, same name, .txt or "
        ".jsonl)",
        "FILE" },
    { "truth-format", 0, 0, G_OPTION_ARG_STRING, &o->format,
        "Format of label files: auto, mot (MOTChallenge, pixels from 1), mot0 "
        "(pixels from 0), coco, jsonl, cvat, voc, yolo",
        "FORMAT" },
    { "action", 0, 0, G_OPTION_ARG_STRING, &o->action,
        "All clips show this action", "NAME" },
    { "folder-actions", 0, 0, G_OPTION_ARG_NONE, &o->folder_actions,
        "A clip shows the action that its folder is named after", NULL },
    { NULL },
  };

  return g_memdup2 (entries, sizeof entries);
}

static void
clip_free (gpointer data)
{
  Clip *clip = data;

  g_free (clip->video);
  g_free (clip->truth);
  g_free (clip->action);
  g_clear_pointer (&clip->pictures, g_ptr_array_unref);
  g_free (clip);
}

static gboolean
is_video_name (const char *name)
{
  static const char *const endings[] = { ".mkv", ".webm", ".mp4", ".m4v",
    ".mov", ".avi", ".ts", ".mts", ".mpg", ".mpeg", ".ogv", ".wmv", ".flv",
    ".y4m" };
  g_autofree char *lower = g_ascii_strdown (name, -1);

  for (gsize i = 0; i < G_N_ELEMENTS (endings); i++)
    if (g_str_has_suffix (lower, endings[i]))
      return TRUE;
  return FALSE;
}

/* clip.mp4 → clip.txt, or clip.jsonl where only that exists */
static char *
label_file_of (const char *video)
{
  const char *slash = strrchr (video, '/');
  const char *dot = strrchr (video, '.');
  gsize stem = dot && (!slash || dot > slash + 1) ? (gsize) (dot - video)
                                                  : strlen (video);
  char *text = g_strdup_printf ("%.*s.txt", (int) stem, video);
  char *lines = g_strdup_printf ("%.*s.jsonl", (int) stem, video);
  gboolean own = !g_file_test (text, G_FILE_TEST_IS_REGULAR) &&
      g_file_test (lines, G_FILE_TEST_IS_REGULAR);

  g_free (own ? text : lines);
  return own ? lines : text;
}

static gboolean
add_clip (GPtrArray *clips, const char *video, const char *action,
    const ClipOptions *o, GError **error)
{
  Clip *clip = g_new0 (Clip, 1);
  g_autofree char *folder = g_path_get_dirname (video);

  g_ptr_array_add (clips, clip);
  clip->video = g_strdup (video);
  clip->action = action   ? g_strdup (action)
      : o->folder_actions ? g_path_get_basename (folder)
                          : g_strdup (o->action);
  clip->truth = o->truth ? g_strdup (o->truth) : label_file_of (video);
  if (!tool_check_input (video, error))
    return FALSE;
  if (o->truth || g_file_test (clip->truth, G_FILE_TEST_IS_REGULAR))
    return tool_check_input (clip->truth, error);
  if (!clip->action) {
    g_set_error (error, QF_ERROR, QF_ERROR_FILE,
        "%s has no label file %s; name one with --truth, or what it shows with "
        "--action",
        video, clip->truth);
    return FALSE;
  }
  g_clear_pointer (&clip->truth, g_free);
  return TRUE;
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

static gboolean
add_pictures (
    GPtrArray *clips, const char *path, const ClipOptions *o, GError **error)
{
  Clip *clip = g_new0 (Clip, 1);

  g_ptr_array_add (clips, clip);
  clip->video = g_strdup (path);
  clip->truth = o->truth ? g_strdup (o->truth) : pictures_truth (path);
  if (!clip->truth) {
    g_set_error (error, QF_ERROR, QF_ERROR_FILE,
        "the folder %s holds pictures, but there is no label file in it or "
        "beside it; name one with --truth",
        path);
    return FALSE;
  }
  clip->pictures = pictures_find (path, clip->truth, o->format, error);
  return clip->pictures != NULL;
}

/* The videos of a folder, by name; those without label files are not for us. */
static gboolean
add_folder (
    GPtrArray *clips, const char *path, const ClipOptions *o, GError **error)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, error);
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  const char *name;
  guint before = clips->len;

  if (!dir)
    return FALSE;
  while ((name = g_dir_read_name (dir)))
    if (is_video_name (name))
      g_ptr_array_add (names, g_build_filename (path, name, NULL));
  g_ptr_array_sort (names, compare_names);
  for (guint i = 0; i < names->len; i++) {
    const char *video = g_ptr_array_index (names, i);
    g_autofree char *truth = label_file_of (video);

    if (!o->action && !o->folder_actions &&
        !g_file_test (truth, G_FILE_TEST_IS_REGULAR))
      continue;
    if (!add_clip (clips, video, NULL, o, error))
      return FALSE;
  }
  if (clips->len == before && pictures_in (path))
    return add_pictures (clips, path, o, error);
  if (clips->len == before) {
    g_set_error (error, QF_ERROR, QF_ERROR_FILE,
        "the folder %s holds no video with a label file beside it and no "
        "pictures",
        path);
    return FALSE;
  }
  return TRUE;
}

static gboolean
add_list (
    GPtrArray *clips, const char *path, const ClipOptions *o, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;

  if (!tool_check_input (path, error) ||
      !g_file_get_contents (path, &text, NULL, error))
    return FALSE;
  lines = g_strsplit (text, "\n", -1);
  for (int i = 0; lines[i]; i++) {
    char *line = g_strstrip (lines[i]);
    char *tab = strchr (line, '\t');
    g_autofree char *video = NULL;

    if (!*line || *line == '#')
      continue;
    if (tab)
      *tab++ = 0;
    video = g_path_is_absolute (line) ? g_strdup (line)
                                      : g_build_filename (folder, line, NULL);
    if (!add_clip (clips, video, tab, o, error)) {
      g_prefix_error (error, "%s:%d: ", path, i + 1);
      return FALSE;
    }
  }
  return TRUE;
}

GPtrArray *
clips_find (char **arguments, const ClipOptions *o, GError **error)
{
  GPtrArray *clips = g_ptr_array_new_with_free_func (clip_free);
  gboolean done = TRUE;

  for (int i = 0; arguments[i] && done; i++) {
    if (arguments[i][0] == '@')
      done = add_list (clips, arguments[i] + 1, o, error);
    else if (g_file_test (arguments[i], G_FILE_TEST_IS_DIR))
      done = add_folder (clips, arguments[i], o, error);
    else
      done = add_clip (clips, arguments[i], NULL, o, error);
  }
  if (done && (clips->len == 0 || (o->truth && clips->len > 1))) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        clips->len == 0
            ? "no clip is named"
            : "--truth is for one clip; several have label files beside them");
    done = FALSE;
  }
  if (!done)
    g_clear_pointer (&clips, g_ptr_array_unref);
  return clips;
}

gboolean
clips_have_pictures (const GPtrArray *clips)
{
  for (guint i = 0; i < clips->len; i++)
    if (((Clip *) g_ptr_array_index (clips, i))->pictures)
      return TRUE;
  return FALSE;
}

gboolean
clips_check_planes (const GPtrArray *clips, const char *planes, GError **error)
{
  QfPlanes parsed;

  if (!planes || !clips_have_pictures (clips))
    return TRUE;
  if (!qf_planes_parse (&parsed, planes, error))
    return FALSE;
  if (qf_planes_history (&parsed) == 0)
    return TRUE;
  g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
      "a folder of pictures has no past to differ from: planes can be Y, or "
      "R,G,B, not %s",
      planes);
  return FALSE;
}

static void
on_decoded (GstElement *decodebin, GstPad *pad, gpointer data)
{
  GstElement *convert = data;
  GstPad *sink = gst_element_get_static_pad (convert, "sink");
  GstPadLinkReturn result = GST_PAD_LINK_OK;

  if (!gst_pad_is_linked (sink)) // a second video stream is not looked at
    result = gst_pad_link (pad, sink);
  if (result != GST_PAD_LINK_OK)
    pipeline_fail (convert, "its video has a format that cannot be used");
  gst_object_unref (sink);
}

static void
on_no_more_pads (GstElement *decodebin, gpointer data)
{
  GstElement *convert = data;
  GstPad *sink = gst_element_get_static_pad (convert, "sink");

  if (!gst_pad_is_linked (sink))
    pipeline_fail (convert, "there is no video in it");
  gst_object_unref (sink);
}

static void
decode_video (GstElement *source, GstElement *decoder, GstElement *convert,
    const char *path)
{
  g_autoptr (GstCaps) caps = gst_caps_from_string ("video/x-raw(ANY)");

  g_object_set (source, "location", path, NULL);
  g_object_set (decoder, "caps", caps, "expose-all-streams", FALSE, NULL);
  g_signal_connect (decoder, "pad-added", G_CALLBACK (on_decoded), convert);
  g_signal_connect (
      decoder, "no-more-pads", G_CALLBACK (on_no_more_pads), convert);
}

GstElement *
clip_source (
    const Clip *clip, const ClipOptions *o, const char *labels, GError **error)
{
  GstElement *bin = gst_bin_new (NULL);
  GstElement *source = clip->pictures
      ? pictures_source (clip->pictures)
      : gst_element_factory_make ("filesrc", NULL);
  GstElement *decoder = gst_element_factory_make (
      clip->pictures ? "identity" : "decodebin", NULL);
  GstElement *convert = gst_element_factory_make ("videoconvert", NULL);
  GstElement *tag = gst_element_factory_make ("qfusetag", "tag");
  GstPad *pad;

  if (!source || !decoder || !convert || !tag) {
    g_set_error_literal (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "GStreamer lacks filesrc, appsrc, decodebin or videoconvert; install "
        "gstreamer1.0-plugins-base");
    return NULL;
  }
  pipeline_set_file (bin, clip->video);
  g_object_set (tag, "location", clip->truth, "label", clip->action, "labels",
      labels, "validation", clip->validation, NULL);
  if (o->format)
    gst_util_set_object_arg (G_OBJECT (tag), "format", o->format);
  gst_bin_add_many (GST_BIN (bin), source, decoder, convert, tag, NULL);
  gst_element_link (source, decoder);
  gst_element_link (convert, tag);
  if (clip->pictures)
    gst_element_link (decoder, convert);
  else
    decode_video (source, decoder, convert, clip->video);
  pad = gst_element_get_static_pad (tag, "src");
  gst_element_add_pad (bin, gst_ghost_pad_new ("src", pad));
  gst_object_unref (pad);
  return bin;
}
