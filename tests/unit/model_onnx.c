/* Writes graphs as ONNX and reads them back.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model-nets.h"

#include <string.h>

static void
assert_same_graph (const QfGraph *a, const QfGraph *b)
{
  g_assert_cmpuint (a->nodes->len, ==, b->nodes->len);
  g_assert_cmpuint (a->inputs->len, ==, b->inputs->len);
  g_assert_cmpuint (a->outputs->len, ==, b->outputs->len);
  for (guint i = 0; i < a->nodes->len; i++) {
    const QfNode *m = qf_graph_node (a, (int) i);
    const QfNode *n = qf_graph_node (b, (int) i);

    g_assert_cmpstr (m->name, ==, n->name);
    g_assert_cmpint (m->op, ==, n->op);
    g_assert_cmpint (m->n_in, ==, n->n_in);
    g_assert_true (memcmp (&m->win, &n->win, sizeof m->win) == 0);
    g_assert_cmpint (m->axis, ==, n->axis);
    g_assert_cmpfloat (m->epsilon, ==, n->epsilon);
    g_assert_cmpfloat (m->lo, ==, n->lo);
    g_assert_cmpfloat (m->hi, ==, n->hi);
    g_assert_cmpint (m->scale_h, ==, n->scale_h);
    g_assert_cmpint (m->scale_w, ==, n->scale_w);
    for (int k = -1; k < m->n_in; k++) {
      const QfValue *u = qf_graph_value (a, k < 0 ? m->out : m->in[k]);
      const QfValue *v = qf_graph_value (b, k < 0 ? n->out : n->in[k]);

      g_assert_cmpstr (u->name, ==, v->name);
      g_assert_cmpint (u->dtype, ==, v->dtype);
      g_assert_cmpint (u->rank, ==, v->rank);
      for (int d = 0; d < u->rank; d++)
        g_assert_cmpint (u->dims[d], ==, v->dims[d]);
      g_assert_true (!u->data == !v->data);
      if (u->data)
        g_assert_cmpmem (u->data,
            (gsize) qf_value_elements (u) * qf_dtype_size (u->dtype), v->data,
            (gsize) qf_value_elements (v) * qf_dtype_size (v->dtype));
    }
  }
}

static QfModel *
round_trip (const QfModel *model)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = qf_model_to_bytes (model, &error);
  QfModel *back;

  g_assert_no_error (error);
  back = qf_model_load_bytes (bytes, "back", &error);
  g_assert_no_error (error);
  return back;
}

static void
test_float (void)
{
  g_autoptr (GError) error = NULL;
  QfGraph *g = net_float ();
  g_autoptr (QfModel) model = qf_model_new (g);
  g_autoptr (QfModel) back = NULL;

  qf_graph_validate (g, &error);
  g_assert_no_error (error);
  back = round_trip (model);
  assert_same_graph (g, back->graph);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/onnx/float", test_float);
  return g_test_run ();
}
