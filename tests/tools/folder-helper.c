/* Tests of the command: makes a folder of pictures with COCO's labels.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 *   folder-helper FOLDER JSON    8 pictures of 64x64 and 128x128 in turn, with
 * a white square of a quarter of the side, and one that JSON does not name */
#include <gst/app/gstappsrc.h>
#include <gst/gst.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N 8

static void
write_picture (const char *path, int side, int x, int y, int square)
{
  g_autofree char *line = g_strdup_printf (
      "appsrc name=s format=time caps=video/x-raw,format=GRAY8,width=%d,"
      "height=%d,framerate=1/1 ! pngenc ! filesink location=%s",
      side, side, path);
  GstElement *pipeline = gst_parse_launch (line, NULL);
  GstElement *source = gst_bin_get_by_name (GST_BIN (pipeline), "s");
  GstBus *bus = gst_element_get_bus (pipeline);
  GstBuffer *buffer =
      gst_buffer_new_allocate (NULL, (gsize) side * (gsize) side, NULL);
  GstMapInfo map;
  GstMessage *m;

  gst_buffer_map (buffer, &map, GST_MAP_WRITE);
  memset (map.data, 16, map.size);
  for (int row = y; row < y + square; row++)
    memset (map.data + row * side + x, 235, (gsize) square);
  gst_buffer_unmap (buffer, &map);
  GST_BUFFER_PTS (buffer) = 0;
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  gst_app_src_push_buffer (GST_APP_SRC (source), buffer);
  gst_app_src_end_of_stream (GST_APP_SRC (source));
  m = gst_bus_timed_pop_filtered (
      bus, 60 * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  if (!m || GST_MESSAGE_TYPE (m) != GST_MESSAGE_EOS) {
    fprintf (stderr, "%s cannot be written\n", path);
    exit (1);
  }
  gst_message_unref (m);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (source);
  gst_object_unref (pipeline);
}

int
main (int argc, char **argv)
{
  GString *images = g_string_new (NULL), *boxes = g_string_new (NULL);
  g_autofree char *text = NULL;

  gst_init (NULL, NULL);
  if (argc != 3)
    return 1;
  for (int i = 0; i <= N; i++) {
    int side = i % 2 ? 128 : 64, square = side / 4, number = 1000 - 37 * i;
    int x = i % 4 * square, y = i / 2 % 4 * square;
    g_autofree char *path =
        g_strdup_printf ("%s/picture_%012d.png", argv[1], number);

    write_picture (path, side, x, y, square);
    if (i == N)
      break;
    g_string_append_printf (images,
        "%s{\"id\":%d,\"file_name\":\"elsewhere/picture_%012d.jpg\"}",
        i ? "," : "", i + 5, number);
    g_string_append_printf (boxes,
        "%s{\"image_id\":%d,\"category_id\":18,\"bbox\":[%d,%d,%d,%d]}",
        i ? "," : "", i + 5, x, y, square, square);
  }
  text = g_strdup_printf ("{\"images\":[%s],\"annotations\":[%s],"
                          "\"categories\":[{\"id\":18,\"name\":\"square\"}]}\n",
      images->str, boxes->str);
  g_string_free (images, TRUE);
  g_string_free (boxes, TRUE);
  return g_file_set_contents (argv[2], text, -1, NULL) ? 0 : 1;
}
