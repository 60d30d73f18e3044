/* Makes ONNX files byte by byte, good and bad ones, for the tests of lib/model.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Field numbers are written here a second time, by hand, so that a slip in the
 * schema shows. */
#pragma once

#include "model/model-private.h"

#include <string.h>

typedef GByteArray Pb; /* a message in the making */

static inline Pb *
pb_new (void)
{
  return g_byte_array_new ();
}

static inline void
pb_raw_varint (Pb *p, guint64 v)
{
  do {
    guint8 b = (guint8) ((v & 127) | (v > 127 ? 128 : 0));

    g_byte_array_append (p, &b, 1);
    v >>= 7;
  } while (v);
}

static inline void
pb_int (Pb *p, guint field, gint64 v)
{
  pb_raw_varint (p, field << 3);
  pb_raw_varint (p, (guint64) v);
}

static inline void
pb_float (Pb *p, guint field, float v)
{
  guint32 bits;

  memcpy (&bits, &v, 4);
  bits = GUINT32_TO_LE (bits);
  pb_raw_varint (p, field << 3 | 5);
  g_byte_array_append (p, (guint8 *) &bits, 4);
}

static inline void
pb_bytes (Pb *p, guint field, const void *data, gsize n)
{
  pb_raw_varint (p, field << 3 | 2);
  pb_raw_varint (p, n);
  g_byte_array_append (p, data, (guint) n);
}

static inline void
pb_text (Pb *p, guint field, const char *s)
{
  pb_bytes (p, field, s, strlen (s));
}

/* Appends @message, which is freed. */
static inline void
pb_message (Pb *p, guint field, Pb *message)
{
  pb_bytes (p, field, message->data, message->len);
  g_byte_array_unref (message);
}

/* ---- a file ------------------------------------------------------------- */

typedef struct
{
  int opset;
  Pb *graph;
} File;

static inline File
file_new (int opset)
{
  return (File){ opset, pb_new () };
}

/* @dims: "1,3,4,4"; a name stands for a dynamic one, "" for a scalar. */
static inline Pb *
file_value (const char *name, int type, const char *dims)
{
  Pb *info = pb_new (), *t = pb_new (), *tensor = pb_new (), *shape = pb_new ();
  g_auto (GStrv) parts = g_strsplit (dims, ",", -1);

  for (int i = 0; parts[i] && parts[0][0]; i++) {
    Pb *d = pb_new ();

    if (g_ascii_isdigit (parts[i][0]) || parts[i][0] == '-')
      pb_int (d, 1, g_ascii_strtoll (parts[i], NULL, 10));
    else
      pb_text (d, 2, parts[i]);
    pb_message (shape, 1, d);
  }
  pb_int (tensor, 1, type);
  pb_message (tensor, 2, shape);
  pb_message (t, 1, tensor);
  pb_text (info, 1, name);
  pb_message (info, 2, t);
  return info;
}

static inline void
file_input (File *f, const char *name, int type, const char *dims)
{
  pb_message (f->graph, 11, file_value (name, type, dims));
}

static inline void
file_output (File *f, const char *name)
{
  pb_message (f->graph, 12, file_value (name, 1, ""));
}

/* A tensor with raw data. */
static inline Pb *
file_tensor (
    const char *name, int type, const char *dims, const void *data, gsize bytes)
{
  Pb *t = pb_new ();
  g_auto (GStrv) parts = g_strsplit (dims, ",", -1);

  for (int i = 0; parts[i] && parts[0][0]; i++)
    pb_int (t, 1, g_ascii_strtoll (parts[i], NULL, 10));
  pb_int (t, 2, type);
  pb_text (t, 8, name);
  pb_bytes (t, 9, data, bytes);
  return t;
}

static inline void
file_constant (File *f, const char *name, int type, const char *dims,
    const void *data, gsize bytes)
{
  pb_message (f->graph, 5, file_tensor (name, type, dims, data, bytes));
}

/* Float weights 1, 2, 3 … */
static inline void
file_weights (File *f, const char *name, const char *dims)
{
  g_auto (GStrv) parts = g_strsplit (dims, ",", -1);
  g_autofree float *x = NULL;
  gsize n = 1;

  for (int i = 0; parts[i] && parts[0][0]; i++)
    n *= (gsize) g_ascii_strtoll (parts[i], NULL, 10);
  x = g_new (float, n);
  for (gsize i = 0; i < n; i++)
    x[i] = (float) (i + 1);
  file_constant (f, name, 1, dims, x, n * sizeof (float));
}

/* ---- nodes -------------------------------------------------------------- */

/* @inputs: names separated by blanks, "-" for an absent one. The node has to be
 * added by file_node_end(). */
static inline Pb *
file_node (
    const char *op, const char *name, const char *inputs, const char *outputs)
{
  Pb *n = pb_new ();
  g_auto (GStrv) in = g_strsplit (inputs, " ", -1);
  g_auto (GStrv) out = g_strsplit (outputs, " ", -1);

  for (int i = 0; in[i] && in[0][0]; i++)
    pb_text (n, 1, strcmp (in[i], "-") == 0 ? "" : in[i]);
  for (int i = 0; out[i]; i++)
    pb_text (n, 2, out[i]);
  if (name)
    pb_text (n, 3, name);
  pb_text (n, 4, op);
  return n;
}

static inline void
file_add (File *f, Pb *node)
{
  pb_message (f->graph, 1, node);
}

static inline Pb *
node_int (Pb *n, const char *name, gint64 v)
{
  Pb *a = pb_new ();

  pb_text (a, 1, name);
  pb_int (a, 3, v);
  pb_int (a, 20, 2);
  pb_message (n, 5, a);
  return n;
}

static inline Pb *
node_float (Pb *n, const char *name, float v)
{
  Pb *a = pb_new ();

  pb_text (a, 1, name);
  pb_float (a, 2, v);
  pb_int (a, 20, 1);
  pb_message (n, 5, a);
  return n;
}

static inline Pb *
node_text (Pb *n, const char *name, const char *v)
{
  Pb *a = pb_new ();

  pb_text (a, 1, name);
  pb_text (a, 4, v);
  pb_int (a, 20, 3);
  pb_message (n, 5, a);
  return n;
}

/* @v: "1,2,3". */
static inline Pb *
node_ints (Pb *n, const char *name, const char *v)
{
  Pb *a = pb_new ();
  g_auto (GStrv) parts = g_strsplit (v, ",", -1);

  pb_text (a, 1, name);
  for (int i = 0; parts[i]; i++)
    pb_int (a, 8, g_ascii_strtoll (parts[i], NULL, 10));
  pb_int (a, 20, 7);
  pb_message (n, 5, a);
  return n;
}

static inline Pb *
node_tensor (Pb *n, const char *name, Pb *tensor)
{
  Pb *a = pb_new ();

  pb_text (a, 1, name);
  pb_message (a, 5, tensor);
  pb_int (a, 20, 4);
  pb_message (n, 5, a);
  return n;
}

/* ---- the whole ---------------------------------------------------------- */

/* The file's bytes; @f is used up. */
static inline GBytes *
file_end (File *f)
{
  Pb *model = pb_new (), *opset = pb_new ();

  pb_int (model, 1, 7);
  pb_text (opset, 1, "");
  pb_int (opset, 2, f->opset);
  pb_message (model, 8, opset);
  pb_message (model, 7, f->graph);
  return g_byte_array_free_to_bytes (model);
}

static inline QfModel *
file_load (File *f)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = file_end (f);
  QfModel *model = qf_model_load_bytes (bytes, "test.onnx", &error);

  g_assert_no_error (error);
  return model;
}

/* Asserts that the planner cannot take the file and says @part; whether it is
 * read as a graph of any operators is no matter. */
static inline void
file_unplanned (File *f, const char *part)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = file_end (f);
  g_autoptr (QfModel) model = qf_onnx_read (g_bytes_ref (bytes), &error);
  g_autoptr (QfModel) any = NULL;

  g_assert_null (model);
  g_assert_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED);
  if (!strstr (error->message, part))
    g_error ("wanted '%s', got %s", part, error->message);
  any = qf_model_load_bytes (bytes, "test.onnx", NULL);
  g_assert_true (!any || any->dag);
}

/* Asserts that the file is refused with @code and a message that has @part. */
static inline void
file_refused (File *f, int code, const char *part)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = file_end (f);
  QfModel *model = qf_model_load_bytes (bytes, "test.onnx", &error);

  g_assert_null (model);
  g_assert_true (g_str_has_prefix (error->message, "test.onnx: "));
  if (!error || error->code != code || !strstr (error->message, part))
    g_error ("wanted code %d with '%s', got %d: %s", code, part, error->code,
        error->message);
}

/* A file with input x [1, 3, 8, 8] of float32 and output y. */
static inline File
file_simple (int opset)
{
  File f = file_new (opset);

  file_input (&f, "x", 1, "1,3,8,8");
  file_output (&f, "y");
  return f;
}
