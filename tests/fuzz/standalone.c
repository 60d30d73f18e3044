/* Runs a fuzz target on files and on all files of folders, once each: how the
 * corpus and crashes that were found become tests where libFuzzer is not.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <stdio.h>

#include "fuzz.h"

static int n_files;

static gboolean
run (const char *path)
{
  g_autoptr (GDir) folder = g_dir_open (path, 0, NULL);
  g_autofree char *data = NULL;
  g_autoptr (GError) error = NULL;
  const char *name;
  gsize size;

  while (folder && (name = g_dir_read_name (folder))) {
    g_autofree char *inside = g_build_filename (path, name, NULL);

    if (!run (inside))
      return FALSE;
  }
  if (folder)
    return TRUE;
  if (!g_file_get_contents (path, &data, &size, &error)) {
    fprintf (stderr, "%s\n", error->message);
    return FALSE;
  }
  LLVMFuzzerTestOneInput ((const guint8 *) data, size);
  n_files++;
  return TRUE;
}

int
main (int argc, char **argv)
{
  for (int i = 1; i < argc; i++)
    if (!run (argv[i]))
      return 1;
  printf ("%d files\n", n_files);
  return n_files > 0 ? 0 : 1;
}
