/* libqfuse: writes graphs of any operators as ONNX files.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/dag-edit.h"
#include "model/onnx-private.h"

#include <string.h>

/* Messages point into the graph; the rest belongs to @memory. */
typedef struct
{
  const QfDag *dag;
  GPtrArray *memory;
} Writer;

static Onnx__TensorProto *
write_tensor (Writer *w, const char *name, const QfArray *a)
{
  Onnx__TensorProto *t = QF_KEEP_NEW (w, Onnx__TensorProto, 1);

  onnx__tensor_proto__init (t);
  t->name = (char *) name;
  t->has_data_type = TRUE;
  t->data_type = qf_onnx_data_type (a->dtype);
  t->n_dims = (gsize) a->rank;
  t->dims = (gint64 *) a->dims;
  t->has_raw_data = TRUE;
  t->raw_data.len = qf_array_bytes (a);
  t->raw_data.data = a->data;
#if G_BYTE_ORDER == G_BIG_ENDIAN
  t->raw_data.data = QF_KEEP (w, g_memdup2 (a->data, t->raw_data.len));
  qf_onnx_swap (a->dtype, t->raw_data.data, (gsize) qf_array_elements (a));
#endif
  return t;
}

static Onnx__AttributeProto *
write_attr (Writer *w, const QfAttr *a)
{
  static const int types[] = {
    [QF_ATTR_INT] = QF_ONNX_ATTR_INT,
    [QF_ATTR_FLOAT] = QF_ONNX_ATTR_FLOAT,
    [QF_ATTR_TEXT] = QF_ONNX_ATTR_STRING,
    [QF_ATTR_INTS] = QF_ONNX_ATTR_INTS,
    [QF_ATTR_FLOATS] = QF_ONNX_ATTR_FLOATS,
    [QF_ATTR_TENSOR] = QF_ONNX_ATTR_TENSOR,
  };
  Onnx__AttributeProto *p = QF_KEEP_NEW (w, Onnx__AttributeProto, 1);

  onnx__attribute_proto__init (p);
  p->name = a->name;
  p->has_type = TRUE;
  p->type = types[a->type];
  p->has_i = a->type == QF_ATTR_INT;
  p->i = a->i;
  p->has_f = a->type == QF_ATTR_FLOAT;
  p->f = a->f;
  p->has_s = a->type == QF_ATTR_TEXT;
  if (p->has_s) {
    p->s.data = (guint8 *) a->text;
    p->s.len = strlen (a->text);
  }
  p->n_ints = a->type == QF_ATTR_INTS ? (gsize) a->n : 0;
  p->ints = a->ints;
  p->n_floats = a->type == QF_ATTR_FLOATS ? (gsize) a->n : 0;
  p->floats = a->floats;
  if (a->type == QF_ATTR_TENSOR)
    p->t = write_tensor (w, a->name, &a->tensor);
  return p;
}

static Onnx__NodeProto *
write_node (Writer *w, const QfDagNode *n)
{
  Onnx__NodeProto *p = QF_KEEP_NEW (w, Onnx__NodeProto, 1);

  onnx__node_proto__init (p);
  p->name = n->name;
  p->op_type = (char *) n->op->name;
  p->domain = (char *) n->op->domain;
  p->n_input = (gsize) n->n_in;
  p->input = QF_KEEP_NEW (w, char *, n->n_in);
  for (int i = 0; i < n->n_in; i++)
    p->input[i] =
        n->in[i] < 0 ? (char *) "" : qf_dag_value (w->dag, n->in[i])->name;
  p->n_output = (gsize) n->n_out;
  p->output = QF_KEEP_NEW (w, char *, n->n_out);
  for (int i = 0; i < n->n_out; i++)
    p->output[i] =
        n->out[i] < 0 ? (char *) "" : qf_dag_value (w->dag, n->out[i])->name;
  p->n_attribute = n->attrs->len;
  p->attribute = QF_KEEP_NEW (w, Onnx__AttributeProto *, n->attrs->len);
  for (guint i = 0; i < n->attrs->len; i++)
    p->attribute[i] = write_attr (w, g_ptr_array_index (n->attrs, i));
  return p;
}

static Onnx__ValueInfoProto *
write_info (Writer *w, const QfDagValue *v)
{
  Onnx__ValueInfoProto *info = QF_KEEP_NEW (w, Onnx__ValueInfoProto, 1);
  Onnx__TypeProto *type = QF_KEEP_NEW (w, Onnx__TypeProto, 1);
  Onnx__TypeProto__Tensor *tensor = QF_KEEP_NEW (w, Onnx__TypeProto__Tensor, 1);
  Onnx__TensorShapeProto *shape = QF_KEEP_NEW (w, Onnx__TensorShapeProto, 1);

  onnx__value_info_proto__init (info);
  onnx__type_proto__init (type);
  onnx__type_proto__tensor__init (tensor);
  onnx__tensor_shape_proto__init (shape);
  info->name = v->name;
  info->type = type;
  type->tensor_type = tensor;
  tensor->has_elem_type = TRUE;
  tensor->elem_type = qf_onnx_data_type (v->a.dtype);
  if (v->a.open) /* its size is not known before a run */
    return info;
  tensor->shape = shape;
  shape->dim = QF_KEEP_NEW (w, Onnx__TensorShapeProto__Dimension *, v->a.rank);
  for (int k = 0; k < v->a.rank; k++) {
    Onnx__TensorShapeProto__Dimension *d =
        QF_KEEP_NEW (w, Onnx__TensorShapeProto__Dimension, 1);

    onnx__tensor_shape_proto__dimension__init (d);
    d->has_dim_value = TRUE;
    d->dim_value = v->a.dims[k];
    shape->dim[shape->n_dim++] = d;
  }
  return info;
}

static Onnx__ValueInfoProto **
write_ends (Writer *w, const GArray *ends)
{
  Onnx__ValueInfoProto **infos =
      QF_KEEP_NEW (w, Onnx__ValueInfoProto *, ends->len);

  for (guint i = 0; i < ends->len; i++)
    infos[i] =
        write_info (w, qf_dag_value (w->dag, g_array_index (ends, int, i)));
  return infos;
}

/* Constants that nodes or outputs name. */
static void
write_constants (Writer *w, Onnx__GraphProto *g)
{
  g_autofree int *uses = qf_dag_uses (w->dag);
  guint n = w->dag->values->len;

  g->initializer = QF_KEEP_NEW (w, Onnx__TensorProto *, n);
  for (guint i = 0; i < n; i++) {
    const QfDagValue *v = qf_dag_value (w->dag, (int) i);

    if (v->a.data && uses[i])
      g->initializer[g->n_initializer++] = write_tensor (w, v->name, &v->a);
  }
}

/* Domains of the nodes: ONNX's own and, where one needs it, Microsoft's. */
static void
write_opsets (Writer *w, Onnx__ModelProto *m)
{
  const char *other = NULL;

  for (guint i = 0; i < w->dag->nodes->len; i++)
    if (qf_dag_node (w->dag, (int) i)->op->domain[0])
      other = qf_dag_node (w->dag, (int) i)->op->domain;
  m->opset_import = QF_KEEP_NEW (w, Onnx__OperatorSetIdProto *, 2);
  for (int i = 0; i < (other ? 2 : 1); i++) {
    Onnx__OperatorSetIdProto *o = QF_KEEP_NEW (w, Onnx__OperatorSetIdProto, 1);

    onnx__operator_set_id_proto__init (o);
    o->domain = i ? (char *) other : (char *) "";
    o->has_version = TRUE;
    o->version = i ? 1 : w->dag->opset;
    m->opset_import[m->n_opset_import++] = o;
  }
}

GBytes *
qf_dag_write (const QfDag *dag, GError **error)
{
  Writer w = { dag, g_ptr_array_new_with_free_func (g_free) };
  Onnx__ModelProto m = ONNX__MODEL_PROTO__INIT;
  Onnx__GraphProto g = ONNX__GRAPH_PROTO__INIT;
  GBytes *bytes;

  g.name = (char *) "qfuse";
  g.n_node = dag->nodes->len;
  g.node = QF_KEEP_NEW (&w, Onnx__NodeProto *, dag->nodes->len);
  for (guint i = 0; i < dag->nodes->len; i++)
    g.node[i] = write_node (&w, qf_dag_node (dag, (int) i));
  write_constants (&w, &g);
  g.n_input = dag->inputs->len;
  g.input = write_ends (&w, dag->inputs);
  g.n_output = dag->outputs->len;
  g.output = write_ends (&w, dag->outputs);
  m.has_ir_version = TRUE;
  m.ir_version = qf_onnx_ir_version (dag->opset);
  m.producer_name = (char *) "qfuse";
  write_opsets (&w, &m);
  m.graph = &g;
  bytes = qf_onnx_pack (&m, error);
  g_ptr_array_unref (w.memory);
  return bytes;
}
