/* libqfuse: a trained float network becomes one on codes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/quantize-private.h"
#include "model/model-private.h"
#include "model/onnx-private.h"

#include <math.h>
#include <string.h>

/* ---- apart -------------------------------------------------------------- */

/* Everything that may become codes, with all layers quantized, is watched, and
 * so is what layers read: for its means. */
static void
watch_values (QfQuantizer *q)
{
  guint n = q->dag->values->len;
  g_autofree gboolean *wanted = g_new0 (gboolean, n + 1);
  QfPlaces p;

  qf_quantize_place (q, &p);
  memcpy (wanted, p.codes, n * sizeof *wanted);
  for (guint i = 0; i < q->layers->len; i++)
    wanted[g_array_index (q->layers, QfQuantLayer, i).in] = TRUE;
  q->watched = g_array_new (FALSE, FALSE, sizeof (int));
  q->watch = g_new (int, n + 1);
  for (guint i = 0; i < n; i++) {
    int v = (int) i;

    q->watch[i] = wanted[i] ? (int) q->watched->len : -1;
    if (wanted[i])
      g_array_append_val (q->watched, v);
  }
  q->seen = g_new0 (QfSeen, q->watched->len + 1);
  qf_places_clear (&p);
}

QfQuantizer *
qf_quantizer_new (const QfModel *model, gboolean equalize, GError **error)
{
  g_autoptr (QfQuantizer) q = g_new0 (QfQuantizer, 1);
  g_autoptr (GBytes) bytes = qf_model_to_bytes (model, error);
  QfDagEdit e;
  gboolean ok;

  q->layers = g_array_new (FALSE, FALSE, sizeof (QfQuantLayer));
  q->model = qf_model_ref ((QfModel *) model);
  q->pass = equalize ? QF_PASS_CHANNELS : QF_PASS_RANGES;
  if (!bytes || !(q->dag = qf_onnx_read_dag (bytes, error)))
    return NULL;
  qf_dag_edit_init (&e, q->dag);
  ok = qf_quantize_prepare (&e, error);
  qf_dag_edit_clear (&e);
  if (!ok)
    return NULL;
  qf_quantize_find_layers (q->dag, q->layers);
  if (q->layers->len == 0) {
    g_set_error_literal (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "holds no convolution or matrix product with constant weights that "
        "could be quantized");
    return NULL;
  }
  watch_values (q);
  if (q->watched->len + q->dag->outputs->len > QF_MAX_ENDS) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "has %u values to observe; at most %d are supported", q->watched->len,
        QF_MAX_ENDS);
    return NULL;
  }
  return g_steal_pointer (&q);
}

void
qf_quantizer_free (QfQuantizer *q)
{
  if (!q)
    return;
  for (guint i = 0; q->watched && i < q->watched->len; i++)
    qf_seen_clear (&q->seen[i]);
  g_free (q->seen);
  g_free (q->watch);
  if (q->watched)
    g_array_unref (q->watched);
  g_array_unref (q->layers);
  qf_dag_free (q->dag);
  qf_model_unref (q->model);
  g_free (q);
}

int
qf_quantizer_n_layers (const QfQuantizer *q)
{
  return (int) q->layers->len;
}

void
qf_quantizer_layer (const QfQuantizer *q, int i, QfQuantizerLayer *layer)
{
  const QfQuantLayer *l = &g_array_index (q->layers, QfQuantLayer, i);
  const QfDagNode *n = qf_dag_node (q->dag, l->node);

  layer->name = n->name;
  layer->op = n->op->name;
  layer->n_weights = qf_array_elements (&qf_dag_value (q->dag, n->in[1])->a);
  layer->kept = l->kept;
}

void
qf_quantizer_keep_float (QfQuantizer *q, int i, gboolean keep)
{
  g_array_index (q->layers, QfQuantLayer, i).kept = keep;
}

/* ---- observing ---------------------------------------------------------- */

/* The model that @dag is, with our metadata. */
static QfModel *
model_of (const QfQuantizer *q, const QfDag *dag, GError **error)
{
  g_autoptr (GBytes) bytes = qf_dag_write (dag, error);
  QfModel *model =
      bytes ? qf_model_load_bytes (bytes, "the quantized model", error) : NULL;
  GList *keys = qf_model_keys (q->model);

  for (GList *k = keys; model && k; k = k->next)
    qf_model_set (model, k->data, qf_model_get (q->model, k->data));
  g_list_free (keys);
  return model;
}

QfModel *
qf_quantizer_float_model (const QfQuantizer *q, GError **error)
{
  g_autoptr (QfDag) dag = qf_dag_copy (q->dag);

  for (guint i = 0; i < q->watched->len; i++) {
    int v = g_array_index (q->watched, int, i);

    /* one that is an output is observed there */
    if (!qf_dag_is_output (q->dag, v))
      g_array_append_val (dag->outputs, v);
  }
  return model_of (q, dag, error);
}

void
qf_quantizer_observe (QfQuantizer *q, const QfTensor *outputs, int n_outputs)
{
  int next = (int) q->dag->outputs->len;

  for (guint i = 0; i < q->watched->len; i++) {
    int v = g_array_index (q->watched, int, i), at = next;

    for (guint k = 0; k < q->dag->outputs->len; k++)
      if (g_array_index (q->dag->outputs, int, k) == v)
        at = (int) k;
    next += at == next;
    g_assert (at < n_outputs);
    qf_seen_add (&q->seen[i], &outputs[at], q->pass);
  }
}

gboolean
qf_quantizer_next_pass (QfQuantizer *q)
{
  if (q->pass == QF_PASS_CHANNELS) {
    qf_quantize_equalize (q);
    for (guint i = 0; i < q->watched->len; i++)
      qf_seen_clear (&q->seen[i]);
  }
  if (q->pass != QF_PASS_DONE)
    q->pass++;
  return q->pass != QF_PASS_DONE;
}

/* ---- together ----------------------------------------------------------- */

/* Scale and zero point of a range that holds 0. */
static QfCodes
codes_of (float min, float max)
{
  QfCodes c = { 0 };

  c.scale = (float) (((double) max - min) / 255);
  if (!isnormal (c.scale))
    c.scale = 1;
  c.zero = (int) CLAMP (rint (-(double) min / c.scale), 0, 255);
  return c;
}

/* What the file's own DequantizeLinear says of @value. */
static QfCodes
given_codes (const QfDag *dag, const int *maker, int value)
{
  const QfDagNode *n = qf_dag_node (dag, maker[value]);
  const QfArray *zero =
      n->n_in > 2 && n->in[2] >= 0 ? &qf_dag_value (dag, n->in[2])->a : NULL;
  QfCodes c = { .given = TRUE };

  c.scale = *(const float *) qf_dag_value (dag, n->in[1])->a.data;
  c.zero = zero && zero->dtype == QF_U8 ? *(const guint8 *) zero->data : 0;
  return c;
}

/* Codes of each value; a group has the range of all its members, or what is
 * given to one of them. */
static QfCodes *
choose_codes (const QfQuantizer *q, const QfPlaces *p, QfRanges how)
{
  guint n = q->dag->values->len;
  QfCodes *codes = g_new0 (QfCodes, n + 1);
  g_autofree float *min = g_new0 (float, n + 1), *max = g_new0 (float, n + 1);
  g_autofree int *maker = qf_dag_makers (q->dag);

  for (guint i = 0; i < n; i++) {
    int g = qf_places_group (p, (int) i);
    float lo, hi;

    if (p->given[i])
      codes[g] = given_codes (q->dag, maker, (int) i);
    if (!p->codes[i] || q->watch[i] < 0)
      continue;
    qf_seen_range (&q->seen[q->watch[i]], how, &lo, &hi);
    min[g] = MIN (min[g], lo);
    max[g] = MAX (max[g], hi);
  }
  for (guint i = 0; i < n; i++)
    if (p->group[i] == (int) i && !codes[i].given && p->codes[i])
      codes[i] = codes_of (min[i], max[i]);
  for (guint i = 0; i < n; i++)
    if (p->codes[i] || p->given[i])
      codes[i] = codes[qf_places_group (p, (int) i)];
  return codes;
}

/* QuantizeLinear and DequantizeLinear behind what makes @value, which keeps its
 * name for its readers. */
static void
insert_codes (QfDagEdit *e, int value, const int *maker, const QfCodes *c)
{
  const QfDagValue *v = qf_dag_value (e->dag, value);
  QfArray a = v->a;
  guint8 zero = (guint8) c->zero;
  int in[3], raw = value, codes, back = value;

  if (maker[value] < 0) { /* an input keeps its name */
    back =
        qf_dag_add_value (e, v->name, "_dequantized", QF_F32, a.rank, a.dims);
    qf_dag_replace (e->dag, value, back);
  } else {
    QfDagNode *n = qf_dag_node (e->dag, maker[value]);

    raw = qf_dag_add_value (e, v->name, "_float", QF_F32, a.rank, a.dims);
    for (int k = 0; k < n->n_out; k++)
      if (n->out[k] == value)
        n->out[k] = raw;
  }
  in[1] =
      qf_dag_add_constant (e, v->name, "_scale", QF_F32, 0, NULL, &c->scale);
  in[2] = qf_dag_add_constant (e, v->name, "_zero", QF_U8, 0, NULL, &zero);
  codes = qf_dag_add_value (e, v->name, "_codes", QF_U8, a.rank, a.dims);
  in[0] = raw;
  qf_dag_add_node (e, "QuantizeLinear", 3, in, codes);
  in[0] = codes;
  qf_dag_add_node (e, "DequantizeLinear", 3, in, back);
}

static void
quantize_layers (const QfQuantizer *q, QfDagEdit *e, const QfCodes *codes,
    gboolean correct_bias)
{
  for (guint i = 0; i < q->layers->len; i++) {
    const QfQuantLayer *l = &g_array_index (q->layers, QfQuantLayer, i);
    const QfSeen *seen = &q->seen[q->watch[l->in]];
    g_autofree double *mean = NULL;

    if (l->kept)
      continue;
    if (correct_bias && seen->n > 0) {
      mean = g_new (double, seen->channels);
      for (int c = 0; c < seen->channels; c++)
        mean[c] = seen->sum[c] / (double) seen->n;
    }
    if (!qf_quantize_layer (
            e, qf_dag_node (e->dag, l->node), &codes[l->in], mean))
      g_debug ("layer '%s' does not fit into 32 bits",
          qf_dag_node (e->dag, l->node)->name);
  }
}

QfModel *
qf_quantizer_model (
    const QfQuantizer *q, const QfQuantizeOptions *options, GError **error)
{
  g_autoptr (QfDag) dag = qf_dag_copy (q->dag);
  g_autofree QfCodes *codes = NULL;
  g_autofree int *maker = qf_dag_makers (dag);
  guint n = dag->values->len;
  QfDagEdit e;
  QfPlaces p;

  g_return_val_if_fail (q->pass == QF_PASS_DONE, NULL);
  qf_quantize_place (q, &p);
  codes = choose_codes (q, &p, options->ranges);
  qf_dag_edit_init (&e, dag);
  quantize_layers (q, &e, codes, options->correct_bias);
  for (guint i = 0; i < n; i++)
    if (p.codes[i])
      insert_codes (&e, (int) i, maker, &codes[i]);
  qf_dag_edit_order (dag);
  qf_dag_edit_clear (&e);
  qf_places_clear (&p);
  return model_of (q, dag, error);
}
