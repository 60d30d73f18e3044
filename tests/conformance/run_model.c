/* Runs a model on raw input bytes, for ort_compare.py.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Usage: run-model MODEL INPUT OUTPUT [THREADS]. INPUT holds all inputs one
 * after the other, NCHW; OUTPUT gets all outputs, NCHW, likewise. */
#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gsize
bytes_of (const QfTensor *t)
{
  return (gsize) t->c * t->h * t->w * qf_dtype_size (t->dtype);
}

static gboolean
read_inputs (QfEngine *e, const char *path, GError **error)
{
  g_autofree char *data = NULL;
  gsize size, at = 0;

  if (!g_file_get_contents (path, &data, &size, error))
    return FALSE;
  for (int i = 0; i < qf_engine_n_inputs (e); i++) {
    const QfTensor *t = qf_engine_input (e, i);

    if (size - at < bytes_of (t)) {
      g_set_error (error, QF_ERROR, QF_ERROR_FORMAT, "%s is too short", path);
      return FALSE;
    }
    memcpy (t->data, data + at, bytes_of (t));
    at += bytes_of (t);
  }
  return TRUE;
}

static void
append_planar (GByteArray *out, const QfTensor *t)
{
  gsize size = qf_dtype_size (t->dtype);

  for (int c = 0; c < t->c; c++)
    for (int y = 0; y < t->h; y++)
      for (int x = 0; x < t->w; x++)
        g_byte_array_append (out,
            (const guint8 *) t->data + qf_tensor_index (t, c, y, x) * size,
            (guint) size);
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (QfModel) model = NULL;
  g_autoptr (QfEngine) e = NULL;
  g_autoptr (GByteArray) out = g_byte_array_new ();

  if (argc < 4) {
    fprintf (stderr, "usage: %s MODEL INPUT OUTPUT [THREADS]\n", argv[0]);
    return 2;
  }
  model = qf_model_load (argv[1], &error);
  e = model ? qf_engine_new (model, argc > 4 ? atoi (argv[4]) : 1, &error)
            : NULL;
  if (!e || !read_inputs (e, argv[2], &error))
    goto failed;
  qf_engine_run (e);
  for (int i = 0; i < qf_engine_n_outputs (e); i++)
    append_planar (out, qf_engine_output (e, i));
  if (!g_file_set_contents (
          argv[3], (const char *) out->data, out->len, &error))
    goto failed;
  return 0;

failed:
  fprintf (stderr, "%s: %s\n", argv[0], error->message);
  return 1;
}
