/* Tests of pipelines: counts bytes of raw video files.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 *   pictures changed A B        of 10000 bytes so many differ by more than 50;
 *                               the files must be equally long
 *   pictures between FILE WIDTH HEIGHT LOW HIGH
 *                               I420: of 10000 luma bytes so many are in
 * LOW…HIGH */
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static guint8 *
read_file (const char *path, gsize *size)
{
  char *data;

  if (g_file_get_contents (path, &data, size, NULL) && *size > 0)
    return (guint8 *) data;
  fprintf (stderr, "%s: nothing in it\n", path);
  exit (1);
}

static int
changed (const char *a_path, const char *b_path)
{
  gsize a_size, b_size, n = 0;
  g_autofree guint8 *a = read_file (a_path, &a_size);
  g_autofree guint8 *b = read_file (b_path, &b_size);

  if (a_size != b_size) {
    fprintf (stderr, "%s has another size than %s\n", a_path, b_path);
    return 1;
  }
  for (gsize i = 0; i < a_size; i++)
    n += ABS (a[i] - b[i]) > 50;
  printf ("%d\n", (int) (10000 * n / a_size));
  return 0;
}

static int
between (const char *path, int width, int height, int low, int high)
{
  gsize size, n = 0, luma = (gsize) width * height, frame = luma * 3 / 2;
  g_autofree guint8 *data = read_file (path, &size);

  if (size % frame) {
    fprintf (stderr, "%s: not whole frames\n", path);
    return 1;
  }
  for (gsize i = 0; i < size; i++)
    n += i % frame < luma && data[i] >= low && data[i] <= high;
  printf ("%d\n", (int) (10000 * n / (size / frame * luma)));
  return 0;
}

int
main (int argc, char **argv)
{
  if (argc == 4 && !strcmp (argv[1], "changed"))
    return changed (argv[2], argv[3]);
  if (argc == 7 && !strcmp (argv[1], "between"))
    return between (argv[2], atoi (argv[3]), atoi (argv[4]), atoi (argv[5]),
        atoi (argv[6]));
  fprintf (stderr, "pictures: see the head of pictures.c\n");
  return 2;
}
