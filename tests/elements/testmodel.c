/* GStreamer qfuse: tests: tiny models whose answers are known.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "testmodel.h"

#include <glib/gstdio.h>
#include <math.h>

#include "model/model-private.h"
#include "vision/planes.h"

#define BRIGHT 160 /* codes above this are bright */
#define SLOPE 0.1f /* of the logit, per code */

static gchar *folder;

static gint
n_planes (const gchar *text)
{
  QfPlanes planes;

  g_assert_true (qf_planes_parse (&planes, text, NULL));
  return planes.n;
}

/* uint8 planes as real numbers 0 … 255. */
static gint
add_input (QfGraph *g, gint c)
{
  const gint64 dims[] = { 1, c, TEST_MODEL_HEIGHT, TEST_MODEL_WIDTH };
  const gfloat scale = 1;
  const guint8 zero = 0;
  gint x = qf_graph_add_value (g, "x", QF_U8, 4, dims), in[3] = { x };

  g_array_append_val (g->inputs, x);
  in[1] = qf_graph_add_constant (g, "scale", QF_F32, 0, NULL, &scale);
  in[2] = qf_graph_add_constant (g, "zero", QF_U8, 0, NULL, &zero);
  return qf_graph_add_node (g, QF_OP_DEQUANTIZE, "real", 3, in)->out;
}

static gint
add_conv (QfGraph *g, const gchar *name, gint x, gint ic, gint oc, gint cell,
    gfloat weight, gfloat bias)
{
  const gint64 dims[] = { oc, ic, cell, cell }, bias_dims[] = { oc };
  gsize one = (gsize) cell * cell;
  g_autofree gfloat *w = g_new0 (gfloat, (gsize) oc * ic * one);
  g_autofree gfloat *b = g_new (gfloat, oc);
  g_autofree gchar *w_name = g_strconcat (name, "_w", NULL);
  g_autofree gchar *b_name = g_strconcat (name, "_b", NULL);
  gint in[3] = { x };
  QfNode *n;

  for (gint o = 0; o < oc; o++) {
    b[o] = bias;
    for (gsize i = 0; i < one; i++)
      w[((gsize) o * ic + ic - 1) * one + i] = weight / (gfloat) one;
  }
  in[1] = qf_graph_add_constant (g, w_name, QF_F32, 4, dims, w);
  in[2] = qf_graph_add_constant (g, b_name, QF_F32, 1, bias_dims, b);
  n = qf_graph_add_node (g, QF_OP_CONV, name, 3, in);
  n->win.kernel[0] = n->win.kernel[1] = cell;
  n->win.stride[0] = n->win.stride[1] = cell;
  g_array_append_val (g->outputs, n->out);
  return n->out;
}

static void
save (QfGraph *g, const gchar *path, const gchar *planes, const gchar *fit,
    const gchar *rate, const gchar *serial, const gchar *head,
    const gchar *labels)
{
  g_autoptr (QfModel) model = NULL;
  g_autoptr (GError) error = NULL;

  if (!qf_graph_validate (g, &error))
    g_error ("test model: %s", error->message);
  model = qf_model_new (g);
  qf_model_set (model, "qfuse.version", "1");
  qf_model_set (model, "qfuse.planes", planes);
  qf_model_set (model, "qfuse.fit", fit);
  qf_model_set (model, "qfuse.rate", rate);
  qf_model_set (model, "qfuse.serial", serial);
  qf_model_set (model, "qfuse.head", head);
  qf_model_set (model, "qfuse.labels", labels);
  qf_model_set (model, "qfuse.threshold", "0.6");
  qf_model_set (model, "qfuse.iou", "0.5");
  if (!qf_model_save (model, path, &error))
    g_error ("test model: %s", error->message);
}

void
test_model_write_detector (const gchar *path, const gchar *planes,
    const gchar *fit, const gchar *rate, const gchar *serial)
{
  QfGraph *g = qf_graph_new ();
  gint c = n_planes (planes), x = add_input (g, c);

  add_conv (g, "cls_16", x, c, 1, TEST_MODEL_CELL, SLOPE, -SLOPE * BRIGHT);
  /* half a cell to each side */
  add_conv (g, "box_16", x, c, 4, TEST_MODEL_CELL, 0, logf (0.5f));
  save (g, path, planes, fit, rate, serial, "fcos", "square");
}

void
test_model_write_classifier (const gchar *path, const gchar *planes)
{
  QfGraph *g = qf_graph_new ();
  gint c = n_planes (planes), x = add_input (g, c), in[3];
  const gint64 w_dims[] = { 2, c }, b_dims[] = { 2 };
  const gfloat b[2] = { SLOPE * 128, -SLOPE * 128 };
  g_autofree gfloat *w = g_new0 (gfloat, 2 * c);
  QfNode *n;

  w[0] = -SLOPE;
  w[c] = SLOPE;
  n = qf_graph_add_node (g, QF_OP_GLOBAL_AVG_POOL, "mean", 1, &x);
  n = qf_graph_add_node (g, QF_OP_FLATTEN, "flat", 1, &n->out);
  n->axis = 1;
  in[0] = n->out;
  in[1] = qf_graph_add_constant (g, "w", QF_F32, 2, w_dims, w);
  in[2] = qf_graph_add_constant (g, "b", QF_F32, 1, b_dims, b);
  n = qf_graph_add_node (g, QF_OP_GEMM, "logits", 3, in);
  g_array_append_val (g->outputs, n->out);
  save (g, path, planes, "stretch", NULL, "1", "classify", "dark\nbright");
}

gchar *
test_model_path (const gchar *name)
{
  if (!folder) {
    folder = g_dir_make_tmp ("qfuse-test-XXXXXX", NULL);
    g_assert_nonnull (folder);
  }
  return g_build_filename (folder, name, NULL);
}

void
test_model_cleanup (void)
{
  const gchar *name;
  GDir *dir;

  if (!folder)
    return;
  dir = g_dir_open (folder, 0, NULL);
  while (dir && (name = g_dir_read_name (dir))) {
    g_autofree gchar *path = g_build_filename (folder, name, NULL);

    g_unlink (path);
  }
  g_clear_pointer (&dir, g_dir_close);
  g_rmdir (folder);
  g_clear_pointer (&folder, g_free);
}
