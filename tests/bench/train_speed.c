/* Benchmark: training steps (forward, backward, SGD) of a 3x3 pyramid with
 * batch norm at 320x320, the layers of the network "n2": images/s, and the peak
 * memory of the process. tests/bench/pytorch_speed.py runs this beside the same
 * network in PyTorch.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Usage: bench-train-speed [--threads N] [--batch N] [--steps N] [--layers]
 *   [--serve]: one step for each line of standard input, then "SECONDS\n" */
#include "base/rng.h"
#include "train/net.h"
#include "train/optimizer.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static int threads = 1, batch = 8, steps = 20;
static gboolean layers, serve;

static const GOptionEntry options[] = {
  { "threads", 0, 0, G_OPTION_ARG_INT, &threads, "threads", "N" },
  { "batch", 0, 0, G_OPTION_ARG_INT, &batch, "images a step", "N" },
  { "steps", 0, 0, G_OPTION_ARG_INT, &steps, "steps", "N" },
  { "layers", 0, 0, G_OPTION_ARG_NONE, &layers, "milliseconds a layer", NULL },
  { "serve", 0, 0, G_OPTION_ARG_NONE, &serve, "a step for each line", NULL },
  { NULL }
};

/* The network ------------------------------------------------------------- */

static int
constant (QfGraph *g, const char *stem, const char *what, int rank,
    const gint64 *dims, float fill)
{
  g_autofree char *name = g_strdup_printf ("%s.%s", stem, what);
  g_autofree float *data = NULL;
  gsize n = 1;

  for (int i = 0; i < rank; i++)
    n *= (gsize) dims[i];
  data = g_new (float, n);
  for (gsize i = 0; i < n; i++)
    data[i] = fill;
  return qf_graph_add_constant (g, name, QF_F32, rank, dims, data);
}

static int
conv (QfGraph *g, int x, const char *name, int ic, int oc, int kernel,
    int stride, gboolean bias)
{
  gint64 dims[4] = { oc, ic, kernel, kernel };
  int pad = kernel / 2;
  int in[3] = { x, constant (g, name, "w", 4, dims, 0), -1 };
  QfNode *n;

  if (bias)
    in[2] = constant (g, name, "b", 1, dims, 0);
  n = qf_graph_add_node (g, QF_OP_CONV, name, bias ? 3 : 2, in);
  n->win = (QfWindow){ { kernel, kernel }, { stride, stride }, { 1, 1 },
    { pad, pad, pad, pad }, 1 };
  return n->out;
}

/* Convolution, batch norm, Relu. */
static int
block (QfGraph *g, int x, const char *name, int ic, int oc, int kernel,
    int stride)
{
  gint64 dims[1] = { oc };
  g_autofree char *bn = g_strdup_printf ("%s.bn", name);
  g_autofree char *relu = g_strdup_printf ("%s.relu", name);
  int in[5] = { conv (g, x, name, ic, oc, kernel, stride, FALSE),
    constant (g, name, "gamma", 1, dims, 1),
    constant (g, name, "beta", 1, dims, 0),
    constant (g, name, "mean", 1, dims, 0),
    constant (g, name, "var", 1, dims, 1) };
  QfNode *n = qf_graph_add_node (g, QF_OP_BATCH_NORM, bn, 5, in);

  n->epsilon = 1e-3f;
  return qf_graph_add_node (g, QF_OP_RELU, relu, 1, &n->out)->out;
}

static QfGraph *
pyramid (void)
{
  QfGraph *g = qf_graph_new ();
  gint64 dims[4] = { 1, 3, 320, 320 };
  const float scale = 1.0f / 64;
  const guint8 zero = 128;
  int x = qf_graph_add_value (g, "planes", QF_U8, 4, dims), s8, s16, join, y;
  int in[3] = { x, qf_graph_add_constant (g, "in.scale", QF_F32, 0, NULL, &scale),
    qf_graph_add_constant (g, "in.zero", QF_U8, 0, NULL, &zero) };
  QfNode *n;

  g_array_append_val (g->inputs, x);
  x = qf_graph_add_node (g, QF_OP_DEQUANTIZE, "in.dq", 3, in)->out;
  x = block (g, x, "c1", 3, 16, 3, 2);
  x = block (g, x, "c2", 16, 32, 3, 2);
  x = block (g, x, "c3", 32, 64, 3, 1);
  x = block (g, x, "c4", 64, 64, 3, 2);
  s8 = block (g, x, "c5", 64, 128, 3, 1);
  x = block (g, s8, "c6", 128, 128, 3, 2);
  x = block (g, x, "c7", 128, 128, 3, 1);
  s16 = block (g, x, "c8", 128, 128, 3, 1);
  n = qf_graph_add_node (g, QF_OP_RESIZE_NEAREST, "up", 1, &s16);
  n->scale_h = n->scale_w = 2;
  in[0] = block (g, n->out, "lat16", 128, 64, 1, 1);
  in[1] = block (g, s8, "lat8", 128, 64, 1, 1);
  n = qf_graph_add_node (g, QF_OP_CONCAT, "cat", 2, in);
  n->axis = 1;
  join = block (g, n->out, "join", 128, 64, 3, 1);
  in[0] = block (g, join, "down", 64, 128, 3, 2);
  in[1] = s16;
  n = qf_graph_add_node (g, QF_OP_ADD, "add", 2, in);
  y = conv (g, join, "head8", 64, 9, 1, 1, TRUE);
  g_array_append_val (g->outputs, y);
  y = conv (g, n->out, "head16", 128, 9, 1, 1, TRUE);
  g_array_append_val (g->outputs, y);
  return g;
}

/* One step ---------------------------------------------------------------- */

static double
seconds (void)
{
  return (double) g_get_monotonic_time () * 1e-6;
}

/* dLoss/dy of the loss mean(y²), as the peer has it. */
static void
loss_grad (QfNet *net)
{
  for (guint i = 0; i < net->outputs->len; i++) {
    QfBlob *y = qf_net_blob (net, g_array_index (net->outputs, int, i));
    gsize n = (gsize) batch * y->h * y->w * y->c;

    for (gsize j = 0; j < n; j++)
      y->grad[j] = 2 * y->scale * (float) (y->codes[j] - y->zero) / (float) n;
  }
}

static double
step (QfNet *net, QfOptimizer *optimizer)
{
  double t = seconds ();

  qf_net_forward (net, batch, TRUE);
  loss_grad (net);
  qf_net_backward (net, batch);
  qf_optimizer_step (optimizer, 0.01);
  return seconds () - t;
}

/* The least of some runs of each layer by itself. */
static void
print_layers (QfNet *net)
{
  double all[3] = { 0 };

  printf ("%-10s %8s %8s %8s %8s   ms a step\n", "layer", "prepare", "forward",
      "backward", "MMAC");
  for (guint i = 0; i < net->layers->len; i++) {
    QfLayer *l = qf_net_layer (net, (int) i);
    double best[3] = { 1e9, 1e9, 1e9 }, macs = 0;

    for (int r = 0; r < 5; r++) {
      double t = seconds (), u;

      if (l->conv)
        qf_conv_prepare (net, l);
      best[0] = MIN (best[0], (u = seconds ()) - t);
      if (l->conv)
        qf_conv_forward (net, l, batch, TRUE);
      else
        qf_simple_forward (net, l, batch, TRUE);
      best[1] = MIN (best[1], (t = seconds ()) - u);
      if (l->conv)
        qf_conv_backward (net, l, batch);
      else
        qf_simple_backward (net, l, batch);
      best[2] = MIN (best[2], seconds () - t);
    }
    if (l->conv)
      macs = 1e-6 * batch * l->conv->k * l->conv->shape.out_c
          * l->conv->shape.out_h * l->conv->shape.out_w;
    printf ("%-10s %8.2f %8.2f %8.2f %8.1f\n", l->name, 1e3 * best[0],
        1e3 * best[1], 1e3 * best[2], macs);
    for (int j = 0; j < 3; j++)
      all[j] += best[j];
  }
  printf ("%-10s %8.2f %8.2f %8.2f\n", "all", 1e3 * all[0], 1e3 * all[1],
      1e3 * all[2]);
}

static void
print_memory (void)
{
  struct rusage u;

  getrusage (RUSAGE_SELF, &u);
  printf ("peak memory %.0f MB\n", (double) u.ru_maxrss / 1024);
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (QfGraph) graph = pyramid ();
  QfRng rng = { 1 };
  QfPool *pool;
  const QfOptimizerOptions sgd = { QF_OPTIMIZER_SGD, 0.9, 0.999, 1e-4, 0, 0 };
  QfOptimizer *optimizer;
  QfNet *net;
  QfBlob *x;
  char line[64];
  double least = 1e9;

  g_option_context_add_main_entries (context, options, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error) || batch < 1) {
    g_printerr ("%s\n", error ? error->message : "--batch takes 1 or more");
    return 2;
  }
  if (!qf_graph_validate (graph, &error))
    g_error ("%s", error->message);
  pool = qf_pool_new (threads);
  net = qf_net_new (graph, batch, TRUE, pool, &error);
  if (!net)
    g_error ("%s", error->message);
  qf_net_init (net, &rng);
  optimizer = qf_optimizer_new (net, &sgd);
  x = qf_net_blob (net, net->input);
  for (gsize i = 0; i < (gsize) batch * x->h * x->w * x->c; i++)
    x->codes[i] = (guint8) qf_rng_below (&rng, 256);
  while (serve && fgets (line, sizeof line, stdin)) {
    printf ("%.6f\n", step (net, optimizer));
    fflush (stdout);
  }
  for (int i = 0; i < steps && !serve; i++)
    least = MIN (least, step (net, optimizer));
  if (layers)
    print_layers (net);
  if (!serve)
    printf ("%d threads: %.2f images/s\n", qf_pool_threads (pool),
        batch / least);
  print_memory ();
  qf_optimizer_free (optimizer);
  qf_net_free (net);
  qf_pool_free (pool);
  return 0;
}
