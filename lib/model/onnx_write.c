/* libqfuse: writes ONNX files.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/onnx-private.h"

#include <math.h>
#include <string.h>

/* Protobuf structures point into the graph; the rest of what they point to
 * belongs to the writer. */
typedef struct
{
  const QfGraph *graph;
  GPtrArray *memory;       /* freed at the end */
  GPtrArray *initializers; /* Onnx__TensorProto * */
  GPtrArray *nodes;        /* Onnx__NodeProto * */
  GHashTable *names;       /* of values, to keep new ones apart */
} Writer;

static char *
unique_name (Writer *w, const char *stem, const char *suffix)
{
  char *name = g_strconcat (stem, suffix, NULL);

  for (int i = 2; g_hash_table_contains (w->names, name); i++) {
    g_free (name);
    name = g_strdup_printf ("%s%s_%d", stem, suffix, i);
  }
  g_hash_table_add (w->names, QF_KEEP (w, name));
  return name;
}

/* Two codes of 4 bits a byte, the first in the low half. */
static guint8 *
pack_halves (Writer *w, const guint8 *codes, gsize n)
{
  guint8 *packed = QF_KEEP (w, g_malloc0 ((n + 1) / 2));

  for (gsize i = 0; i < n; i++)
    packed[i / 2] |= (guint8) ((codes[i] & 15) << (i % 2 ? 4 : 0));
  return packed;
}

static Onnx__TensorProto *
add_initializer (Writer *w, char *name, QfDType dtype, int rank,
    const gint64 *dims, const void *data, gsize n)
{
  Onnx__TensorProto *t = QF_KEEP_NEW (w, Onnx__TensorProto, 1);

  onnx__tensor_proto__init (t);
  t->name = name;
  t->has_data_type = TRUE;
  t->data_type = qf_onnx_data_type (dtype);
  t->n_dims = (gsize) rank;
  t->dims = QF_KEEP (w, g_memdup2 (dims, (gsize) rank * sizeof *dims));
  t->has_raw_data = TRUE;
  t->raw_data.len = n * qf_dtype_size (dtype);
  t->raw_data.data = (guint8 *) data;
#if G_BYTE_ORDER == G_BIG_ENDIAN
  t->raw_data.data = QF_KEEP (w, g_memdup2 (data, t->raw_data.len));
  qf_onnx_swap (dtype, t->raw_data.data, n);
#endif
  g_ptr_array_add (w->initializers, t);
  return t;
}

static void
add_constant (Writer *w, const QfValue *v)
{
  gsize n = (gsize) qf_value_elements (v);
  Onnx__TensorProto *t =
      add_initializer (w, v->name, v->dtype, v->rank, v->dims, v->data, n);

  if (v->bits != 4)
    return;
  t->data_type = v->dtype == QF_I8 ? QF_ONNX_INT4 : QF_ONNX_UINT4;
  t->raw_data.data = pack_halves (w, v->data, n);
  t->raw_data.len = (n + 1) / 2;
}

/* A small float constant that the graph holds as an attribute. */
static char *
add_floats (Writer *w, const char *stem, const char *suffix, int rank, int n,
    const float *x)
{
  char *name = unique_name (w, stem, suffix);
  gint64 dims[1] = { n };

  add_initializer (w, name, QF_F32, rank, dims,
      QF_KEEP (w, g_memdup2 (x, (gsize) n * sizeof *x)), (gsize) n);
  return name;
}

/* ---- attributes --------------------------------------------------------- */

static Onnx__AttributeProto *
add_attribute (Writer *w, Onnx__NodeProto *node, const char *name, int type)
{
  Onnx__AttributeProto *a = QF_KEEP_NEW (w, Onnx__AttributeProto, 1);

  onnx__attribute_proto__init (a);
  a->name = (char *) name;
  a->has_type = TRUE;
  a->type = type;
  if (!node->attribute) /* room for the most that a node has */
    node->attribute = QF_KEEP_NEW (w, Onnx__AttributeProto *, 8);
  node->attribute[node->n_attribute++] = a;
  return a;
}

static void
add_int (Writer *w, Onnx__NodeProto *node, const char *name, int value)
{
  Onnx__AttributeProto *a = add_attribute (w, node, name, QF_ONNX_ATTR_INT);

  a->has_i = TRUE;
  a->i = value;
}

static void
add_float (Writer *w, Onnx__NodeProto *node, const char *name, float value)
{
  Onnx__AttributeProto *a = add_attribute (w, node, name, QF_ONNX_ATTR_FLOAT);

  a->has_f = TRUE;
  a->f = value;
}

static void
add_ints (Writer *w, Onnx__NodeProto *node, const char *name, int n,
    const int *values)
{
  Onnx__AttributeProto *a = add_attribute (w, node, name, QF_ONNX_ATTR_INTS);

  a->n_ints = (gsize) n;
  a->ints = QF_KEEP_NEW (w, gint64, n);
  for (int i = 0; i < n; i++)
    a->ints[i] = values[i];
}

static void
add_text (Writer *w, Onnx__NodeProto *node, const char *name, const char *text)
{
  Onnx__AttributeProto *a = add_attribute (w, node, name, QF_ONNX_ATTR_STRING);

  a->has_s = TRUE;
  a->s.len = strlen (text);
  a->s.data = (guint8 *) text;
}

/* ---- nodes -------------------------------------------------------------- */

static void
write_window (Writer *w, Onnx__NodeProto *node, const QfNode *n)
{
  add_ints (w, node, "kernel_shape", 2, n->win.kernel);
  add_ints (w, node, "strides", 2, n->win.stride);
  if (n->op != QF_OP_AVERAGE_POOL || n->win.dilation[0] > 1 ||
      n->win.dilation[1] > 1) /* AveragePool has them since opset 19 */
    add_ints (w, node, "dilations", 2, n->win.dilation);
  add_ints (w, node, "pads", 4, n->win.pad);
  if (n->op == QF_OP_CONV)
    add_int (w, node, "group", n->win.groups);
}

static void
write_clip (Writer *w, Onnx__NodeProto *node, const QfNode *n)
{
  node->n_input = 3;
  node->input[1] = isinf (n->lo)
      ? (char *) ""
      : add_floats (w, node->output[0], "_min", 0, 1, &n->lo);
  node->input[2] = isinf (n->hi)
      ? (char *) ""
      : add_floats (w, node->output[0], "_max", 0, 1, &n->hi);
  while (node->input[node->n_input - 1][0] == '\0')
    node->n_input--;
}

/* SiLU has no operator of its own in the opset that is written. */
static void
write_silu (Writer *w, Onnx__NodeProto *node)
{
  Onnx__NodeProto *s = QF_KEEP_NEW (w, Onnx__NodeProto, 1);

  onnx__node_proto__init (s);
  s->op_type = (char *) qf_op_name (QF_OP_SIGMOID);
  s->n_input = s->n_output = 1;
  s->input = QF_KEEP_NEW (w, char *, 1);
  s->input[0] = node->input[0];
  s->output = QF_KEEP_NEW (w, char *, 1);
  s->output[0] = s->name = unique_name (w, node->output[0], "_sigmoid");
  g_ptr_array_add (w->nodes, s);
  node->op_type = (char *) qf_op_name (QF_OP_MUL);
  node->n_input = 2;
  node->input[1] = s->output[0];
}

static char *
add_index (Writer *w, const char *stem, const char *suffix, gint64 x)
{
  char *name = unique_name (w, stem, suffix);
  gint64 dims[1] = { 1 };

  add_initializer (
      w, name, QF_I64, 1, dims, QF_KEEP (w, g_memdup2 (&x, sizeof x)), 1);
  return name;
}

static void
write_slice (Writer *w, Onnx__NodeProto *node, const QfNode *n)
{
  node->n_input = 4;
  node->input[1] = add_index (w, node->output[0], "_begin", n->begin);
  node->input[2] = add_index (w, node->output[0], "_end", n->end);
  node->input[3] = add_index (w, node->output[0], "_axis", n->axis);
}

static void
write_gather (Writer *w, Onnx__NodeProto *node, const QfNode *n)
{
  gint64 dims[1] = { n->n_select },
         *select = QF_KEEP_NEW (w, gint64, n->n_select);
  char *name = unique_name (w, node->output[0], "_channels");

  for (int i = 0; i < n->n_select; i++)
    select[i] = n->select[i];
  add_initializer (w, name, QF_I64, 1, dims, select, (gsize) n->n_select);
  node->n_input = 2;
  node->input[1] = name;
  add_int (w, node, "axis", 1);
}

static void
write_resize (Writer *w, Onnx__NodeProto *node, const QfNode *n)
{
  float scales[4] = { 1, 1, (float) n->scale_h, (float) n->scale_w };

  node->n_input = 3;
  node->input[1] = (char *) "";
  node->input[2] = add_floats (w, node->output[0], "_scales", 1, 4, scales);
  add_text (w, node, "mode", "nearest");
  add_text (w, node, "coordinate_transformation_mode", "asymmetric");
  add_text (w, node, "nearest_mode", "floor");
}

static void
write_attributes (Writer *w, Onnx__NodeProto *node, const QfNode *n)
{
  switch (n->op) {
    case QF_OP_CONV:
    case QF_OP_MAX_POOL:
      write_window (w, node, n);
      break;
    case QF_OP_AVERAGE_POOL:
      write_window (w, node, n);
      add_int (w, node, "count_include_pad", n->include_pad);
      break;
    case QF_OP_SLICE:
      write_slice (w, node, n);
      break;
    case QF_OP_GATHER:
      write_gather (w, node, n);
      break;
    case QF_OP_LEAKY_RELU:
      add_float (w, node, "alpha", n->alpha);
      break;
    case QF_OP_SILU:
      write_silu (w, node);
      break;
    case QF_OP_BATCH_NORM:
      add_float (w, node, "epsilon", n->epsilon);
      break;
    case QF_OP_CLIP:
      write_clip (w, node, n);
      break;
    case QF_OP_CONCAT:
    case QF_OP_FLATTEN:
      add_int (w, node, "axis", n->axis);
      break;
    case QF_OP_RESIZE_NEAREST:
      write_resize (w, node, n);
      break;
    case QF_OP_GEMM:
      add_int (w, node, "transB", 1);
      break;
    case QF_OP_QUANTIZE:
    case QF_OP_DEQUANTIZE:
      if (qf_value_elements (qf_graph_value (w->graph, n->in[1])) > 1)
        add_int (w, node, "axis", n->axis);
      break;
    default:
      break;
  }
}

static void
write_node (Writer *w, const QfNode *n)
{
  Onnx__NodeProto *node = QF_KEEP_NEW (w, Onnx__NodeProto, 1);

  onnx__node_proto__init (node);
  node->name = n->name;
  node->op_type = (char *) qf_op_name (n->op);
  node->n_input = (gsize) n->n_in;
  node->input =
      QF_KEEP_NEW (w, char *, n->n_in + 3); /* Clip, Slice … add some */
  for (int i = 0; i < n->n_in; i++)
    node->input[i] =
        n->in[i] < 0 ? (char *) "" : qf_graph_value (w->graph, n->in[i])->name;
  node->n_output = 1;
  node->output = QF_KEEP_NEW (w, char *, 1);
  node->output[0] = qf_graph_value (w->graph, n->out)->name;
  write_attributes (w, node, n);
  while (node->n_input > 0 && node->input[node->n_input - 1][0] == '\0')
    node->n_input--;
  g_ptr_array_add (w->nodes, node);
}

/* ---- the model ---------------------------------------------------------- */

static Onnx__ValueInfoProto **
write_ends (Writer *w, const GArray *ends)
{
  Onnx__ValueInfoProto **infos =
      QF_KEEP_NEW (w, Onnx__ValueInfoProto *, ends->len);

  for (guint i = 0; i < ends->len; i++) {
    const QfValue *v = qf_graph_value (w->graph, g_array_index (ends, int, i));
    Onnx__ValueInfoProto *info = QF_KEEP_NEW (w, Onnx__ValueInfoProto, 1);
    Onnx__TypeProto *type = QF_KEEP_NEW (w, Onnx__TypeProto, 1);
    Onnx__TypeProto__Tensor *tensor =
        QF_KEEP_NEW (w, Onnx__TypeProto__Tensor, 1);
    Onnx__TensorShapeProto *shape = QF_KEEP_NEW (w, Onnx__TensorShapeProto, 1);

    onnx__value_info_proto__init (info);
    onnx__type_proto__init (type);
    onnx__type_proto__tensor__init (tensor);
    onnx__tensor_shape_proto__init (shape);
    info->name = v->name;
    info->type = type;
    type->tensor_type = tensor;
    tensor->has_elem_type = TRUE;
    tensor->elem_type = qf_onnx_data_type (v->dtype);
    tensor->shape = shape;
    shape->dim = QF_KEEP_NEW (w, Onnx__TensorShapeProto__Dimension *, v->rank);
    for (int k = 0; k < v->rank; k++) {
      Onnx__TensorShapeProto__Dimension *d =
          QF_KEEP_NEW (w, Onnx__TensorShapeProto__Dimension, 1);

      onnx__tensor_shape_proto__dimension__init (d);
      d->has_dim_value = TRUE;
      d->dim_value = v->dims[k];
      shape->dim[shape->n_dim++] = d;
    }
    infos[i] = info;
  }
  return infos;
}

static void
write_graph (Writer *w, Onnx__GraphProto *out)
{
  const QfGraph *g = w->graph;
  g_autofree guint8 *used = g_malloc0 (g->values->len + 1);

  for (guint i = 0; i < g->values->len; i++)
    g_hash_table_add (w->names, qf_graph_value (g, (int) i)->name);
  for (guint i = 0; i < g->nodes->len; i++) {
    const QfNode *n = qf_graph_node (g, (int) i);

    for (int k = 0; k < n->n_in; k++)
      if (n->in[k] >= 0)
        used[n->in[k]] = TRUE;
    write_node (w, n);
  }
  for (guint i = 0; i < g->values->len; i++) {
    QfValue *v = qf_graph_value (g, (int) i);

    if (v->data && used[i])
      add_constant (w, v);
  }
  onnx__graph_proto__init (out);
  out->name = (char *) "qfuse";
  out->n_node = w->nodes->len;
  out->node = (Onnx__NodeProto **) w->nodes->pdata;
  out->n_initializer = w->initializers->len;
  out->initializer = (Onnx__TensorProto **) w->initializers->pdata;
  out->n_input = g->inputs->len;
  out->input = write_ends (w, g->inputs);
  out->n_output = g->outputs->len;
  out->output = write_ends (w, g->outputs);
}

static void
write_metadata (Writer *w, const QfModel *model, Onnx__ModelProto *out)
{
  GList *keys = qf_model_keys (model);
  guint n = g_list_length (keys);

  out->metadata_props = QF_KEEP_NEW (w, Onnx__StringStringEntryProto *, n);
  for (GList *l = keys; l; l = l->next) {
    Onnx__StringStringEntryProto *p =
        QF_KEEP_NEW (w, Onnx__StringStringEntryProto, 1);

    onnx__string_string_entry_proto__init (p);
    p->key = l->data;
    p->value = (char *) qf_model_get (model, l->data);
    out->metadata_props[out->n_metadata_props++] = p;
  }
  g_list_free (keys);
}

GBytes *
qf_onnx_pack (const Onnx__ModelProto *m, GError **error)
{
  gsize size = onnx__model_proto__get_packed_size (m);
  guint8 *bytes = size > (gsize) 1 << 30 ? NULL : g_try_malloc (size);

  if (!bytes) {
    g_set_error (error, QF_ERROR, QF_ERROR_FAILED,
        "the model would take %" G_GSIZE_FORMAT " bytes; at most 1 GiB, and "
        "the free memory, can be written",
        size);
    return NULL;
  }
  onnx__model_proto__pack (m, bytes);
  return g_bytes_new_take (bytes, size);
}

/* The lowest opset that has all of @g; 13 does for most. */
static int
lowest_opset (const QfGraph *g)
{
  int opset = QF_ONNX_OPSET;

  for (guint i = 0; i < g->values->len; i++)
    if (qf_graph_value (g, (int) i)->bits == 4)
      return 21;
  for (guint i = 0; i < g->nodes->len; i++) {
    const QfNode *n = qf_graph_node (g, (int) i);

    if (n->op == QF_OP_HARD_SWISH)
      opset = MAX (opset, 14);
    if (n->op == QF_OP_AVERAGE_POOL &&
        (n->win.dilation[0] > 1 || n->win.dilation[1] > 1))
      opset = MAX (opset, 19);
  }
  return opset;
}

int
qf_onnx_ir_version (int opset)
{
  return opset >= 21 ? 10 : opset >= 19 ? 9 : opset >= 15 ? 8 : QF_ONNX_IR;
}

/* A fused graph has no ONNX form. */
static gboolean
check_unfused (const QfGraph *g, GError **error)
{
  gboolean fused = FALSE;

  for (guint i = 0; i < g->values->len; i++)
    fused |= qf_graph_value (g, (int) i)->scale != 0 ||
        qf_graph_value (g, (int) i)->scales;
  for (guint i = 0; i < g->nodes->len; i++)
    fused |= qf_graph_node (g, (int) i)->act != QF_ACT_NONE;
  if (fused)
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "a graph that was fused for running cannot be written");
  return !fused;
}

/* A file that was read, with the metadata as it is now. */
static GBytes *
rewrite_metadata (const QfModel *model, GError **error)
{
  Writer w = { 0 };
  gsize size;
  const guint8 *data = g_bytes_get_data (model->file, &size);
  Onnx__ModelProto *file = onnx__model_proto__unpack (NULL, size, data);
  Onnx__ModelProto m;
  GBytes *bytes;

  if (!file) {
    g_set_error (error, QF_ERROR, QF_ERROR_FAILED, "no memory for the model");
    return NULL;
  }
  w.memory = g_ptr_array_new_with_free_func (g_free);
  m = *file;
  m.n_metadata_props = 0;
  m.metadata_props = NULL;
  write_metadata (&w, model, &m);
  bytes = qf_onnx_pack (&m, error);
  g_ptr_array_unref (w.memory);
  onnx__model_proto__free_unpacked (file, NULL);
  return bytes;
}

GBytes *
qf_onnx_write (const QfModel *model, GError **error)
{
  Writer w = { .graph = model->graph };
  Onnx__ModelProto m = ONNX__MODEL_PROTO__INIT;
  Onnx__GraphProto graph;
  Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT;
  Onnx__OperatorSetIdProto *opsets[1] = { &opset };
  GBytes *bytes;

  if (model->dag)
    return rewrite_metadata (model, error);
  if (!check_unfused (model->graph, error))
    return NULL;
  w.memory = g_ptr_array_new_with_free_func (g_free);
  w.initializers = g_ptr_array_new ();
  w.nodes = g_ptr_array_new ();
  w.names = g_hash_table_new (g_str_hash, g_str_equal);
  m.has_ir_version = TRUE;
  m.ir_version = qf_onnx_ir_version (lowest_opset (model->graph));
  m.producer_name = (char *) "qfuse";
  opset.domain = (char *) "";
  opset.has_version = TRUE;
  opset.version = lowest_opset (model->graph);
  m.n_opset_import = 1;
  m.opset_import = opsets;
  write_graph (&w, &graph);
  m.graph = &graph;
  write_metadata (&w, model, &m);
  bytes = qf_onnx_pack (&m, error);
  g_hash_table_unref (w.names);
  g_ptr_array_unref (w.nodes);
  g_ptr_array_unref (w.initializers);
  g_ptr_array_unref (w.memory);
  return bytes;
}
