/* libqfuse: a model: reads and writes files, holds the metadata.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/model-private.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#define MAX_FILE_SIZE ((gsize) 1 << 30)
#define MAX_FIELDS 400000 /* of the model and of its graph */
#ifndef MAP_POPULATE /* Linux: all pages at once, which are filled at once */
#define MAP_POPULATE 0
#endif
#define GRAPH_TAG 0x3a /* field 7, bytes */

static void
split_labels (QfModel *model)
{
  const char *text = g_hash_table_lookup (model->metadata, "qfuse.labels");
  guint n;

  g_strfreev (model->labels);
  model->labels = g_strsplit (text ? text : "", "\n", -1);
  n = g_strv_length (model->labels);
  for (guint i = 0; i < n; i++)
    g_strchomp (model->labels[i]);
  while (n > 0 && model->labels[n - 1][0] == '\0')
    g_clear_pointer (&model->labels[--n], g_free);
}

QfModel *
qf_model_new (QfGraph *graph)
{
  QfModel *model = g_new0 (QfModel, 1);

  model->refs = 1;
  model->graph = graph;
  g_mutex_init (&model->lock);
  model->metadata =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  split_labels (model);
  return model;
}

QfModel *
qf_model_ref (QfModel *model)
{
  g_atomic_int_inc (&model->refs);
  return model;
}

void
qf_model_unref (QfModel *model)
{
  if (!model || !g_atomic_int_dec_and_test (&model->refs))
    return;
  qf_graph_free (model->graph);
  qf_dag_free (model->dag);
  g_clear_pointer (&model->file, g_bytes_unref);
  g_mutex_clear (&model->lock);
  g_hash_table_unref (model->metadata);
  g_strfreev (model->labels);
  g_free (model);
}

/* An ONNX file begins with one of ModelProto's fields: the tag of a number
 * (1, 5) or of bytes (2, 3, 4, 6, 7, 8, 14, 20, 25). */
static gboolean
looks_like_onnx (const guint8 *b, gsize size)
{
  static const guint8 tags[] = { 0x08, 0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42,
    0x72, 0xa2, 0xca };

  return size > 1 && memchr (tags, b[0], sizeof tags) != NULL;
}

/* A varint at @b; returns its bytes, 0 where there is none. */
static int
get_varint (const guint8 *b, gsize n, guint64 *v)
{
  *v = 0;
  for (int i = 0; i < 10 && (gsize) i < n; i++) {
    *v |= (guint64) (b[i] & 127) << (7 * i);
    if (b[i] < 128)
      return i + 1;
  }
  return 0;
}

/* Bytes before the content of a field whose tag took @used of @b[@n], and the
 * content's @length; 0 where it is no field. */
static int
field_head (guint64 tag, const guint8 *b, int used, gssize n, guint64 *length)
{
  int more = get_varint (b + used, (gsize) (n - used), length);

  switch (tag & 7) {
    case 0: /* the number itself */
      *length = 0;
      return more ? used + more : 0;
    case 1:
      *length = 8;
      return used;
    case 2:
      return more ? used + more : 0;
    case 5:
      *length = 4;
      return used;
    default:
      return 0;
  }
}

/* Walks over the fields from @at to @end, and over those of the graph, without
 * reading them: a file that is cut off or something else is known at once,
 * however large it is. */
static gboolean
check_fields (int fd, guint64 at, guint64 end, gboolean outermost, int *left,
    GError **error)
{
  while (at < end) {
    guint8 b[20];
    gssize n = pread (fd, b, MIN (sizeof b, end - at), (off_t) at);
    guint64 tag, length = 0;
    int used = n > 0 ? get_varint (b, (gsize) n, &tag) : 0;

    if (n < 0) {
      g_set_error (error, QF_ERROR, QF_ERROR_FILE, "cannot be read: %s",
          g_strerror (errno));
      return FALSE;
    }
    if (at == 0 && !looks_like_onnx (b, (gsize) n)) {
      g_set_error (error, QF_ERROR, QF_ERROR_FORMAT, "is not an ONNX file");
      return FALSE;
    }
    used = used && tag >= 8 ? field_head (tag, b, used, n, &length) : 0;
    if (!used || length > end - at - (guint64) used || --*left < 0) {
      g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
          "is not an ONNX file, or it is damaged");
      return FALSE;
    }
    at += (guint64) used;
    if (outermost && tag == GRAPH_TAG &&
        !check_fields (fd, at, at + length, FALSE, left, error))
      return FALSE;
    at += length;
  }
  return TRUE;
}

typedef struct
{
  void *data;
  gsize size;
} Pages;

static void
pages_free (gpointer p)
{
  Pages *pages = p;

  munmap (pages->data, pages->size);
  g_free (pages);
}

/* Into pages of their own: the heap would keep what it has once had. */
static GBytes *
read_all (int fd, gsize size, GError **error)
{
  g_autoptr (GBytes) bytes = NULL;
  guint8 *data = mmap (NULL, size, PROT_READ | PROT_WRITE,
      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  gsize done = 0;

  if (data == MAP_FAILED) {
    g_set_error (error, QF_ERROR, QF_ERROR_FILE,
        "no memory for its %" G_GSIZE_FORMAT " bytes", size);
    return NULL;
  }
  bytes = g_bytes_new_with_free_func (data, size, pages_free,
      g_memdup2 (&(Pages){ data, size }, sizeof (Pages)));
  while (done < size) {
    gssize got = read (fd, data + done, size - done);

    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0) {
      g_set_error (error, QF_ERROR, QF_ERROR_FILE, "cannot be read: %s",
          got < 0 ? g_strerror (errno) : "it became shorter meanwhile");
      return NULL;
    }
    done += (gsize) got;
  }
  return g_steal_pointer (&bytes);
}

/* What the planner cannot take is read as a graph of any operators, unless it
 * found the file damaged. */
static gboolean
is_final (GError *planned, GError **error)
{
  if (!planned || planned->code != QF_ERROR_FORMAT)
    return FALSE;
  g_propagate_error (error, g_error_copy (planned));
  return TRUE;
}

static QfModel *
load_bytes (GBytes *bytes, GError **error)
{
  g_autoptr (GError) planned = NULL;
  QfModel *model = qf_onnx_read (g_bytes_ref (bytes), &planned);

  if (!model && !is_final (planned, error))
    model = qf_onnx_read_any (g_bytes_ref (bytes), NULL, 0, error);
  return model;
}

/* The bytes of a file that looks like a whole one. */
static GBytes *
read_fd (int fd, GError **error)
{
  int fields = MAX_FIELDS;
  struct stat st;

  if (fstat (fd, &st) < 0 || !S_ISREG (st.st_mode)) {
    g_set_error (error, QF_ERROR, QF_ERROR_FILE, "is not a regular file");
    return NULL;
  }
  if (st.st_size == 0) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT, "is empty");
    return NULL;
  }
  if ((guint64) st.st_size > MAX_FILE_SIZE) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "is larger than 1 GiB, the most that a model may have");
    return NULL;
  }
  if (!check_fields (fd, 0, (guint64) st.st_size, TRUE, &fields, error))
    return NULL;
  return read_all (fd, (gsize) st.st_size, error);
}

static QfModel *
load_fd (int fd, const QfBinding *bindings, int n_bindings, GError **error)
{
  g_autoptr (GError) planned = NULL;
  GBytes *bytes = read_fd (fd, error);
  QfModel *model;

  if (bytes && n_bindings == 0) {
    gsize size = g_bytes_get_size (bytes);

    model = qf_onnx_read (bytes, &planned);
    if (model || is_final (planned, error))
      return model;
    bytes = lseek (fd, 0, SEEK_SET) == 0 /* they are gone */
        ? read_all (fd, size, error)
        : NULL;
  }
  return bytes ? qf_onnx_read_any (bytes, bindings, n_bindings, error) : NULL;
}

/* O_NONBLOCK: a FIFO must not hold us up before fstat() sees what it is. */
static int
open_file (const char *path, GError **error)
{
  int fd = g_open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);

  if (fd < 0)
    g_set_error (error, QF_ERROR, QF_ERROR_FILE, "%s: cannot be opened: %s",
        path, g_strerror (errno));
  return fd;
}

GBytes *
qf_model_read_file (const char *path, GError **error)
{
  int fd = open_file (path, error);
  GBytes *bytes = fd < 0 ? NULL : read_fd (fd, error);

  if (fd < 0)
    return NULL;
  close (fd);
  if (!bytes)
    g_prefix_error (error, "%s: ", path);
  return bytes;
}

QfModel *
qf_model_load (const char *path, GError **error)
{
  return qf_model_load_bound (path, NULL, 0, error);
}

QfModel *
qf_model_load_bound (
    const char *path, const QfBinding *bindings, int n_bindings, GError **error)
{
  QfModel *model;
  int fd = open_file (path, error);

  if (fd < 0)
    return NULL;
  model = load_fd (fd, bindings, n_bindings, error);
  close (fd);
  if (!model)
    g_prefix_error (error, "%s: ", path);
  return model;
}

QfModel *
qf_model_load_bytes (GBytes *bytes, const char *name, GError **error)
{
  QfModel *model = NULL;
  gsize size;
  const guint8 *data = g_bytes_get_data (bytes, &size);

  if (size == 0)
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT, "is empty");
  else if (size > MAX_FILE_SIZE)
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "is larger than 1 GiB, the most that a model may have");
  else if (!looks_like_onnx (data, size))
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT, "is not an ONNX file");
  else
    model = load_bytes (bytes, error);
  if (!model)
    g_prefix_error (error, "%s: ", name);
  return model;
}

GBytes *
qf_model_to_bytes (const QfModel *model, GError **error)
{
  return qf_onnx_write (model, error);
}

gboolean
qf_model_save (const QfModel *model, const char *path, GError **error)
{
  g_autoptr (GBytes) bytes = qf_onnx_write (model, error);
  gconstpointer data;
  gsize size;

  if (!bytes) {
    g_prefix_error (error, "%s: ", path);
    return FALSE;
  }
  data = g_bytes_get_data (bytes, &size);
  return qf_file_replace (path, data, size, error);
}

const char *
qf_model_get (const QfModel *model, const char *key)
{
  return g_hash_table_lookup (model->metadata, key);
}

double
qf_model_get_double (const QfModel *model, const char *key, double fallback)
{
  const char *text = qf_model_get (model, key);
  char *end;
  double x;

  if (!text)
    return fallback;
  x = g_ascii_strtod (text, &end);
  while (g_ascii_isspace (*end))
    end++;
  return end == text || *end || !isfinite (x) ? fallback : x;
}

void
qf_model_set (QfModel *model, const char *key, const char *value)
{
  if (value)
    g_hash_table_replace (model->metadata, g_strdup (key), g_strdup (value));
  else
    g_hash_table_remove (model->metadata, key);
  if (strcmp (key, "qfuse.labels") == 0)
    split_labels (model);
}

GList *
qf_model_keys (const QfModel *model)
{
  return g_list_sort (
      g_hash_table_get_keys (model->metadata), (GCompareFunc) strcmp);
}

int
qf_model_n_labels (const QfModel *model)
{
  return (int) g_strv_length (model->labels);
}

const char *
qf_model_label (const QfModel *model, int i)
{
  if (i < 0 || i >= qf_model_n_labels (model) || !model->labels[i][0])
    return NULL;
  return model->labels[i];
}

int
qf_model_find_label (const QfModel *model, const char *label)
{
  for (int i = 0; label[0] && model->labels[i]; i++)
    if (strcmp (model->labels[i], label) == 0)
      return i;
  return -1;
}

int
qf_model_n_inputs (const QfModel *model)
{
  return (int) (model->dag ? model->dag->inputs : model->graph->inputs)->len;
}

int
qf_model_n_outputs (const QfModel *model)
{
  return (int) (model->dag ? model->dag->outputs : model->graph->outputs)->len;
}

static const char *
end_of (const QfModel *m, int i, gboolean in, QfDType *dtype, int *rank,
    gint64 *dims)
{
  const QfValue *v;
  int number;

  if (m->dag) {
    const QfDagValue *value;

    number = g_array_index (in ? m->dag->inputs : m->dag->outputs, int, i);
    value = qf_dag_value (m->dag, number);
    *dtype = value->a.dtype;
    *rank = value->a.rank;
    memcpy (dims, value->a.dims, sizeof value->a.dims);
    return value->name;
  }
  number = g_array_index (in ? m->graph->inputs : m->graph->outputs, int, i);
  v = qf_graph_value (m->graph, number);
  *dtype = v->dtype;
  *rank = v->rank;
  memcpy (dims, v->dims, sizeof v->dims);
  return v->name;
}

const char *
qf_model_input (
    const QfModel *model, int i, QfDType *dtype, int *rank, gint64 *dims)
{
  return end_of (model, i, TRUE, dtype, rank, dims);
}

const char *
qf_model_output (
    const QfModel *model, int i, QfDType *dtype, int *rank, gint64 *dims)
{
  return end_of (model, i, FALSE, dtype, rank, dims);
}

void
qf_model_input_shape (const QfModel *model, int *c, int *h, int *w)
{
  gint64 dims[QF_MAX_RANK];
  QfDType dtype;
  int rank;

  qf_model_input (model, 0, &dtype, &rank, dims);
  *c = rank > 1 ? (int) dims[1] : 1;
  *h = rank > 2 ? (int) dims[2] : 1;
  *w = rank > 3 ? (int) dims[3] : 1;
}

QfGraph *
qf_model_graph (const QfModel *model, const char *what, GError **error)
{
  if (!model->graph)
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "a model with operator %s cannot %s",
        model->dag->nodes->len ? qf_dag_node (model->dag, 0)->op->name : "none",
        what);
  return model->graph;
}

gint64
qf_model_macs (const QfModel *model)
{
  return model->dag ? qf_dag_macs (model->dag) : qf_graph_macs (model->graph);
}
