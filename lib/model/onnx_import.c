/* libqfuse: foreign networks: an input of uint8 planes before theirs.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The file's own nodes stay as they are. What they read as their input is made
 * of ours by the nodes that are put before them. */
#include <math.h>
#include <string.h>

#include "model/onnx-private.h"

#define VALUE_INFO 13 /* GraphProto's field */

/* New messages point into the file's; the rest belongs to the editor. */
typedef struct
{
  GPtrArray *memory;       /* freed at the end */
  GPtrArray *nodes;        /* Onnx__NodeProto *, before the file's */
  GPtrArray *initializers; /* Onnx__TensorProto *, after the file's */
  GHashTable *names;       /* that are taken; theirs and ours */
  int opset;
  const char *last;              /* what the next node reads */
  int channels, height, width;   /* of the picture */
  gboolean channels_last, codes; /* NHWC; uint8 already */
} Editor;

static char *
new_name (Editor *e, const char *stem)
{
  char *name = g_strdup (stem);

  for (int i = 2; g_hash_table_contains (e->names, name); i++) {
    g_free (name);
    name = g_strdup_printf ("%s_%d", stem, i);
  }
  g_hash_table_add (e->names, QF_KEEP (e, name));
  return name;
}

static void
take_names (Editor *e, const Onnx__GraphProto *g)
{
  for (gsize i = 0; i < g->n_input; i++)
    if (g->input[i]->name)
      g_hash_table_add (e->names, g->input[i]->name);
  for (gsize i = 0; i < g->n_initializer; i++)
    if (g->initializer[i]->name)
      g_hash_table_add (e->names, g->initializer[i]->name);
  for (gsize i = 0; i < g->n_node; i++) {
    for (gsize k = 0; k < g->node[i]->n_output; k++)
      g_hash_table_add (e->names, g->node[i]->output[k]);
    if (g->node[i]->name)
      g_hash_table_add (e->names, g->node[i]->name);
  }
}

/* A constant of @n elements: without dimensions, or one for each channel. */
static char *
add_constant (Editor *e, const char *name, QfDType dtype, int n, const void *x)
{
  Onnx__TensorProto *t = QF_KEEP_NEW (e, Onnx__TensorProto, 1);

  onnx__tensor_proto__init (t);
  t->name = new_name (e, name);
  t->has_data_type = TRUE;
  t->data_type = qf_onnx_data_type (dtype);
  if (n > 1) {
    t->n_dims = 4;
    t->dims = QF_KEEP_NEW (e, gint64, 4);
    t->dims[0] = t->dims[2] = t->dims[3] = 1;
    t->dims[1] = n;
  }
  t->has_raw_data = TRUE;
  t->raw_data.len = (gsize) n * qf_dtype_size (dtype);
  t->raw_data.data = QF_KEEP (e, g_memdup2 (x, t->raw_data.len));
#if G_BYTE_ORDER == G_BIG_ENDIAN
  qf_onnx_swap (dtype, t->raw_data.data, (gsize) n);
#endif
  g_ptr_array_add (e->initializers, t);
  return t->name;
}

/* A node on what the last one made, and at most two constants. */
static Onnx__NodeProto *
add_node (Editor *e, const char *op, char *a, char *b)
{
  Onnx__NodeProto *n = QF_KEEP_NEW (e, Onnx__NodeProto, 1);
  g_autofree char *stem = g_strconcat ("qfuse_", op, NULL);

  onnx__node_proto__init (n);
  n->op_type = QF_KEEP (e, g_strdup (op));
  n->input = QF_KEEP_NEW (e, char *, 3);
  n->input[n->n_input++] = (char *) e->last;
  if (a)
    n->input[n->n_input++] = a;
  if (b)
    n->input[n->n_input++] = b;
  n->n_output = 1;
  n->output = QF_KEEP_NEW (e, char *, 1);
  n->output[0] = n->name = new_name (e, stem);
  e->last = n->output[0];
  g_ptr_array_add (e->nodes, n);
  return n;
}

static Onnx__AttributeProto *
add_attribute (Editor *e, Onnx__NodeProto *n, const char *name, int type)
{
  Onnx__AttributeProto *a = QF_KEEP_NEW (e, Onnx__AttributeProto, 1);

  onnx__attribute_proto__init (a);
  a->name = (char *) name;
  a->has_type = TRUE;
  a->type = type;
  n->attribute = QF_KEEP_NEW (e, Onnx__AttributeProto *, 1);
  n->attribute[n->n_attribute++] = a;
  return a;
}

/* ---- from codes to what the network sees -------------------------------- */

static gboolean
is_uniform (const float *x, int n)
{
  for (int i = 1; i < n; i++)
    if (x[i] != x[0])
      return FALSE;
  return TRUE;
}

/* One zero point and scale of all channels say it, where they can. */
static gboolean
fits_dequantize (const Editor *e, const QfImport *how)
{
  float m = how->mean[0];

  return e->opset >= 10 && is_uniform (how->mean, how->n) &&
      is_uniform (how->scale, how->n) && how->scale[0] > 0 && m >= 0 &&
      m <= 255 && m == floorf (m);
}

static void
add_floats (Editor *e, const char *op, const char *name, const float *x, int n,
    float nothing)
{
  if (is_uniform (x, n))
    n = 1;
  if (n > 1 || x[0] != nothing)
    add_node (e, op, add_constant (e, name, QF_F32, n, x), NULL);
}

static void
add_normalization (Editor *e, const QfImport *how)
{
  gboolean whole = how->n > 0 && fits_dequantize (e, how);
  float scale = whole ? how->scale[0] : 1;
  guint8 zero = whole ? (guint8) how->mean[0] : 0;

  if (e->opset >= 10) {
    char *s = add_constant (e, "qfuse_scale", QF_F32, 1, &scale);

    add_node (e, "DequantizeLinear", s,
        add_constant (e, "qfuse_zero", QF_U8, 1, &zero));
  } else {
    Onnx__AttributeProto *to = add_attribute (
        e, add_node (e, "Cast", NULL, NULL), "to", QF_ONNX_ATTR_INT);

    to->has_i = TRUE;
    to->i = QF_ONNX_FLOAT;
  }
  if (whole || how->n == 0)
    return;
  add_floats (e, "Sub", "qfuse_mean", how->mean, how->n, 0);
  add_floats (e, "Mul", "qfuse_factor", how->scale, how->n, 1);
}

static void
add_channels_last (Editor *e)
{
  static const gint64 order[4] = { 0, 2, 3, 1 };
  Onnx__AttributeProto *perm = add_attribute (
      e, add_node (e, "Transpose", NULL, NULL), "perm", QF_ONNX_ATTR_INTS);

  perm->n_ints = 4;
  perm->ints = QF_KEEP (e, g_memdup2 (order, sizeof order));
}

/* ---- the input ---------------------------------------------------------- */

/* The one input that is no constant. */
static gboolean
find_input (const Onnx__GraphProto *g, gsize *at, GError **error)
{
  g_autoptr (GHashTable) constants = g_hash_table_new (g_str_hash, g_str_equal);
  gsize n = 0;

  for (gsize i = 0; i < g->n_initializer; i++)
    if (g->initializer[i]->name)
      g_hash_table_add (constants, g->initializer[i]->name);
  for (gsize i = 0; i < g->n_input; i++)
    if (!g->input[i]->name ||
        !g_hash_table_contains (constants, g->input[i]->name)) {
      *at = i;
      n++;
    }
  if (n != 1)
    return FAIL (QF_ERROR_UNSUPPORTED,
        "has %" G_GSIZE_FORMAT " inputs, but one picture is needed", n);
  return g->input[*at]->name && g->input[*at]->name[0]
      ? TRUE
      : FAIL (QF_ERROR_FORMAT, "has an input without a name");
}

/* Sizes of the picture; what the file leaves open is −1. */
static gboolean
read_shape (
    Editor *e, const Onnx__ValueInfoProto *info, gint64 dims[4], GError **error)
{
  const Onnx__TypeProto__Tensor *type =
      info->type ? info->type->tensor_type : NULL;

  if (!type ||
      (type->elem_type != QF_ONNX_FLOAT && type->elem_type != QF_ONNX_UINT8))
    return FAIL (QF_ERROR_UNSUPPORTED,
        "input '%s' is neither float32 nor uint8", info->name);
  if (!type->shape || type->shape->n_dim != 4)
    return FAIL (QF_ERROR_UNSUPPORTED,
        "input '%s' is no picture of four dimensions", info->name);
  for (int i = 0; i < 4; i++) {
    const Onnx__TensorShapeProto__Dimension *d = type->shape->dim[i];

    dims[i] = d->has_dim_value && d->dim_value > 0 ? d->dim_value : -1;
  }
  if (dims[0] > 1)
    return FAIL (QF_ERROR_UNSUPPORTED,
        "input '%s' takes %" G_GINT64_FORMAT " pictures at once, not one",
        info->name, dims[0]);
  e->codes = type->elem_type == QF_ONNX_UINT8;
  e->channels_last =
      (dims[3] == 1 || dims[3] == 3) && dims[1] != 1 && dims[1] != 3;
  return TRUE;
}

/* @how's size, else the file's. *@resized: the file has another. */
static gboolean
choose_size (Editor *e, const char *name, const gint64 dims[4],
    const QfImport *how, gboolean *resized, GError **error)
{
  gint64 c = dims[e->channels_last ? 3 : 1], h = dims[e->channels_last ? 1 : 2],
         w = dims[e->channels_last ? 2 : 3];

  if (c < 0)
    c = how->n > 1 ? how->n : 3;
  *resized = how->width > 0 &&
      ((h > 0 && h != how->height) || (w > 0 && w != how->width));
  if (how->width > 0) {
    h = how->height;
    w = how->width;
  }
  if (h < 1 || w < 1)
    return FAIL (QF_ERROR_ARGUMENT,
        "input '%s' has no fixed size; say which it is to be", name);
  if (c > QF_IMPORT_CHANNELS || h > QF_MAX_DIM || w > QF_MAX_DIM)
    return FAIL (QF_ERROR_UNSUPPORTED,
        "input '%s' of %" G_GINT64_FORMAT "x%" G_GINT64_FORMAT
        "x%" G_GINT64_FORMAT " is no picture",
        name, c, h, w);
  if (how->n > 1 && how->n != c)
    return FAIL (QF_ERROR_ARGUMENT,
        "input '%s' has %d channels, but means and scales are of %d", name,
        (int) c, how->n);
  if (e->codes && how->n > 0)
    return FAIL (QF_ERROR_ARGUMENT,
        "input '%s' takes codes already, so there is no mean or scale to give",
        name);
  e->channels = (int) c;
  e->height = (int) h;
  e->width = (int) w;
  return TRUE;
}

static Onnx__ValueInfoProto *
planes_info (Editor *e)
{
  Onnx__ValueInfoProto *info = QF_KEEP_NEW (e, Onnx__ValueInfoProto, 1);
  Onnx__TypeProto *type = QF_KEEP_NEW (e, Onnx__TypeProto, 1);
  Onnx__TypeProto__Tensor *tensor = QF_KEEP_NEW (e, Onnx__TypeProto__Tensor, 1);
  Onnx__TensorShapeProto *shape = QF_KEEP_NEW (e, Onnx__TensorShapeProto, 1);
  const int dims[4] = { 1, e->channels, e->height, e->width };

  onnx__value_info_proto__init (info);
  onnx__type_proto__init (type);
  onnx__type_proto__tensor__init (tensor);
  onnx__tensor_shape_proto__init (shape);
  info->name = new_name (e, "qfuse_planes");
  info->type = type;
  type->tensor_type = tensor;
  tensor->has_elem_type = TRUE;
  tensor->elem_type = QF_ONNX_UINT8;
  tensor->shape = shape;
  shape->dim = QF_KEEP_NEW (e, Onnx__TensorShapeProto__Dimension *, 4);
  for (int i = 0; i < 4; i++) {
    Onnx__TensorShapeProto__Dimension *d =
        QF_KEEP_NEW (e, Onnx__TensorShapeProto__Dimension, 1);

    onnx__tensor_shape_proto__dimension__init (d);
    d->has_dim_value = TRUE;
    d->dim_value = dims[i];
    shape->dim[shape->n_dim++] = d;
  }
  return info;
}

/* ---- the file ----------------------------------------------------------- */

/* @a[@n] followed by @b; of pointers. */
static gpointer
joined (Editor *e, gconstpointer a, gsize n, gconstpointer b, gsize more)
{
  gpointer *both = QF_KEEP_NEW (e, gpointer, n + more);

  if (n)
    memcpy (both, a, n * sizeof *both);
  if (more)
    memcpy (both + n, b, more * sizeof *both);
  return both;
}

/* Shapes that hold for another size are not kept: the outputs', and those of
 * what is between, which we do not read. */
static void
drop_shapes (Editor *e, Onnx__GraphProto *g)
{
  ProtobufCMessageUnknownField *unread = g->base.unknown_fields;
  unsigned n = 0;

  g->base.unknown_fields =
      QF_KEEP_NEW (e, ProtobufCMessageUnknownField, g->base.n_unknown_fields);
  for (unsigned i = 0; i < g->base.n_unknown_fields; i++)
    if (unread[i].tag != VALUE_INFO)
      g->base.unknown_fields[n++] = unread[i];
  g->base.n_unknown_fields = n;
  g->output = joined (e, g->output, g->n_output, NULL, 0);
  for (gsize i = 0; i < g->n_output; i++) {
    Onnx__ValueInfoProto *info =
        QF_KEEP (e, g_memdup2 (g->output[i], sizeof *info));

    if (info->type && info->type->tensor_type) {
      info->type = QF_KEEP (e, g_memdup2 (info->type, sizeof *info->type));
      info->type->tensor_type = QF_KEEP (e,
          g_memdup2 (info->type->tensor_type, sizeof *info->type->tensor_type));
      info->type->tensor_type->shape = NULL;
    }
    g->output[i] = info;
  }
}

static gboolean
edit_graph (Editor *e, Onnx__GraphProto *g, const QfImport *how, GError **error)
{
  Onnx__ValueInfoProto *planes;
  gboolean resized;
  gint64 dims[4];
  gsize at;

  take_names (e, g);
  if (!find_input (g, &at, error) ||
      !read_shape (e, g->input[at], dims, error) ||
      !choose_size (e, g->input[at]->name, dims, how, &resized, error))
    return FALSE;
  planes = planes_info (e);
  e->last = planes->name;
  if (!e->codes)
    add_normalization (e, how);
  if (e->channels_last)
    add_channels_last (e);
  if (e->nodes->len > 0) {
    Onnx__NodeProto *last = g_ptr_array_index (e->nodes, e->nodes->len - 1);

    last->output[0] = g->input[at]->name;
  } else {
    planes->name = g->input[at]->name;
  }
  g->input = joined (e, g->input, g->n_input, NULL, 0);
  g->input[at] = planes;
  g->node = joined (e, e->nodes->pdata, e->nodes->len, g->node, g->n_node);
  g->n_node += e->nodes->len;
  g->initializer = joined (e, g->initializer, g->n_initializer,
      e->initializers->pdata, e->initializers->len);
  g->n_initializer += e->initializers->len;
  if (resized)
    drop_shapes (e, g);
  return TRUE;
}

static GBytes *
edit_file (const Onnx__ModelProto *file, const QfImport *how, gboolean *codes,
    GError **error)
{
  Editor e = { 0 };
  Onnx__ModelProto m = *file;
  Onnx__GraphProto g;
  GBytes *bytes = NULL;

  if (!file->graph) {
    g_set_error (
        error, QF_ERROR, QF_ERROR_FORMAT, "is no ONNX model: it has no graph");
    return NULL;
  }
  for (gsize i = 0; i < file->n_opset_import; i++) {
    const char *domain = file->opset_import[i]->domain;

    if (!domain || !domain[0] || strcmp (domain, "ai.onnx") == 0)
      e.opset = (int) CLAMP (file->opset_import[i]->version, 0, 1000);
  }
  e.memory = g_ptr_array_new_with_free_func (g_free);
  e.nodes = g_ptr_array_new ();
  e.initializers = g_ptr_array_new ();
  e.names = g_hash_table_new (g_str_hash, g_str_equal);
  g = *file->graph;
  m.graph = &g;
  if (m.ir_version < 4) { /* constants need not be inputs from then on */
    m.has_ir_version = TRUE;
    m.ir_version = 4;
  }
  if (edit_graph (&e, &g, how, error))
    bytes = qf_onnx_pack (&m, error);
  if (codes)
    *codes = e.codes;
  g_hash_table_unref (e.names);
  g_ptr_array_unref (e.initializers);
  g_ptr_array_unref (e.nodes);
  g_ptr_array_unref (e.memory);
  return bytes;
}

QfModel *
qf_model_import (
    const char *path, const QfImport *how, gboolean *codes, GError **error)
{
  g_autoptr (GBytes) foreign = qf_model_read_file (path, error);
  g_autoptr (GBytes) ours = NULL;
  ProtobufCAllocator allocator;
  QfOnnxBudget budget;
  Onnx__ModelProto *file;

  if (!foreign)
    return NULL;
  file = qf_onnx_unpack (foreign, &budget, &allocator, error);
  if (file) {
    ours = edit_file (file, how, codes, error);
    onnx__model_proto__free_unpacked (file, &allocator);
  }
  if (!ours) {
    g_prefix_error (error, "%s: ", path);
    return NULL;
  }
  return qf_model_load_bytes (ours, path, error);
}
