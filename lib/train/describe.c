/* libqfuse: a trained network with its metadata.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/trainer-private.h"

static char *
recipe_of (const QfTrainer *t)
{
  const QfTrainOptions *o = &t->o;
  char lr[G_ASCII_DTOSTR_BUF_SIZE];

  return g_strdup_printf ("network=%s epochs=%d batch=%d lr=%s seed=%"
      G_GUINT64_FORMAT " samples=%u step=%" G_GINT64_FORMAT "/%"
      G_GINT64_FORMAT, o->network, o->epochs, o->batch_size,
      g_ascii_formatd (lr, sizeof lr, "%g", o->learning_rate), o->seed,
      t->train->len, t->step, t->total);
}

/* FNV-1a, 64 bits: names the training and the step. */
static guint64
serial_of (const char *planes, const char *recipe)
{
  guint64 h = UINT64_C (0xcbf29ce484222325);

  for (const char *p = planes; *p; p++)
    h = (h ^ (guint8) *p) * UINT64_C (0x100000001b3);
  for (const char *p = recipe; *p; p++)
    h = (h ^ (guint8) *p) * UINT64_C (0x100000001b3);
  return h;
}

static void
set_double (QfModel *m, const char *key, double v)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];

  qf_model_set (m, key, g_ascii_formatd (text, sizeof text, "%.4g", v));
}

/* A model of @graph (taken) with the metadata of this training. */
QfModel *
qf_trainer_model_of (QfTrainer *t, QfGraph *graph)
{
  QfModel *m = qf_model_new (graph);
  g_autofree char *planes = qf_planes_to_string (&t->o.planes);
  g_autofree char *recipe = recipe_of (t);
  g_autofree char *serial
      = g_strdup_printf ("%" G_GUINT64_FORMAT, serial_of (planes, recipe));
  g_autofree char *rate = g_strdup_printf ("%d/%d", t->o.rate_n, t->o.rate_d);

  qf_model_set (m, "qfuse.version", "1");
  qf_model_set (m, "qfuse.planes", planes);
  if (t->o.rate_n > 0)
    qf_model_set (m, "qfuse.rate", rate);
  qf_model_set (m, "qfuse.fit", qf_fit_to_string (t->o.fit));
  qf_model_set (m, "qfuse.head", t->head);
  qf_model_set (m, "qfuse.labels", t->labels);
  qf_model_set (m, "qfuse.recipe", recipe);
  qf_model_set (m, "qfuse.serial", serial);
  set_double (m, "qfuse.threshold", t->threshold);
  set_double (m, "qfuse.iou", 0.5);
  return m;
}

QfModel *
qf_trainer_export (QfTrainer *t, GError **error)
{
  QfGraph *g;

  if (!t->net) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "There is no model yet: train first");
    return NULL;
  }
  g = qf_net_export (t->net, error);
  return g ? qf_trainer_model_of (t, g) : NULL;
}
