/* Fuzz target: the annotation readers, each on the same bytes, as a file and as
 * the file of a folder.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/annotations.h"

#include <glib/gstdio.h>
#include <stdlib.h>

#include "fuzz.h"

/* json-glib 1.6 leaks the object that it is in when it meets an error. For the
 * sanitizer to see that, stacks must be whole. */
const char *__lsan_default_suppressions (void);
const char *__asan_default_options (void);

const char *
__lsan_default_suppressions (void)
{
  return "leak:json_parser_load_from_data\n";
}

const char *
__asan_default_options (void)
{
  return "fast_unwind_on_malloc=0:malloc_context_size=16";
}

static char *folder, *inside;

static void
remove_folder (void)
{
  g_unlink (inside);
  g_rmdir (folder);
}

static void
read_as (const char *path, const char *format)
{
  static const char *const names[] = { "person", "car", NULL };
  g_autoptr (GError) error = NULL;
  g_autoptr (QfAnnotations) a = qf_annotations_load (path, format, &error);
  int n, last;

  g_assert ((a == NULL) == (error != NULL));
  if (!a)
    return;
  qf_annotations_set_size (a, 640, 480);
  last = qf_annotations_last_frame (a);
  for (int frame = MAX (1, last - 100); frame <= last && frame > 0; frame++) {
    const QfBox *boxes = qf_annotations_frame (a, frame, &n);

    g_assert (n >= 0 && (n == 0 || boxes));
    for (int i = 0; i < n; i++)
      g_assert (boxes[i].label < qf_annotations_n_labels (a));
    if (frame == G_MAXINT)
      break;
  }
  qf_annotations_relabel (a, names, NULL);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const char *const formats[] = { "auto", "mot", "mot0", "coco", "jsonl",
    "cvat", "voc" };

  if (!folder) {
    folder = g_dir_make_tmp ("qfuse-fuzz-XXXXXX", NULL);
    inside = g_build_filename (folder, "1.txt", NULL);
    atexit (remove_folder);
  }
  if (!g_file_set_contents_full (inside, (const char *) data, (gssize) size,
          G_FILE_SET_CONTENTS_NONE, 0600, NULL))
    g_error ("cannot write %s", inside);
  for (guint i = 0; i < G_N_ELEMENTS (formats); i++)
    read_as (inside, formats[i]);
  read_as (folder, "yolo");
  return 0;
}
