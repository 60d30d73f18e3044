/* libqfuse: what to train and how: defaults, and what is allowed.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/trainer-private.h"

#include <math.h>

void
qf_train_options_init (QfTrainOptions *o)
{
  *o = (QfTrainOptions){ 0 };
  o->width = 320;
  o->height = 240;
  o->fit = QF_FIT_LETTERBOX;
  o->head = "fcos";
  o->network = "nano";
  o->labels = "object";
  o->epochs = 24;
  o->batch_size = 16;
  o->learning_rate = 0;
  o->optimizer = "sgd";
  o->momentum = 0.9;
  o->assign = "fixed";
  o->ranges = "bound";
  o->weight_decay = -1;
  o->zoom_min = 0.5;
  o->zoom_max = 2.0;
  o->shift = 0.1;
  o->brightness = 0.2;
  o->speed = 1;
  o->flip = TRUE;
  o->seed = 1;
  o->quantize = TRUE;
  o->checkpoint_seconds = 60;
}

int
qf_train_count_labels (const char *labels)
{
  g_auto (GStrv) names = g_strsplit (labels, "\n", -1);
  int n = 0;

  for (int i = 0; names[i]; i++)
    n += names[i][0] != 0;
  return n;
}

gboolean
qf_train_options_check (const QfTrainOptions *o, GError **error)
{
  static const char *const ranges[] = { "bound", "minmax", "learned",
    "percentile", NULL };
  const char *wrong = NULL;
  QfOptimizerKind kind;
  QfAssign assign;

  if (!qf_optimizer_kind (o->optimizer, &kind, error) ||
      !qf_assign_parse (o->assign, &assign, error))
    return FALSE;
  if (!g_strv_contains (ranges, o->ranges))
    wrong = "ranges are bound, minmax, learned or percentile";
  else if (o->planes.n < 1)
    wrong = "no input planes are named";
  else if (o->epochs < 1 || o->epochs > 100000)
    wrong = "epochs must be from 1 to 100000";
  else if (o->batch_size < 1 || o->batch_size > 256)
    wrong = "the batch must have 1 to 256 samples";
  else if (!(o->learning_rate >= 0) || !isfinite (o->learning_rate))
    wrong = "the learning rate must not be negative";
  else if (!(o->momentum >= 0 && o->momentum < 1))
    wrong = "momentum must be from 0 up to, not including, 1";
  else if (!(o->average >= 0 && o->average <= 0.99999))
    wrong = "the average's decay must be from 0 to 0.99999";
  else if (!(o->clip_norm >= 0))
    wrong = "the gradient's longest norm must not be negative";
  else if (!(o->zoom_min > 0) || !(o->zoom_max >= o->zoom_min) ||
      o->zoom_max > 16 || o->zoom_min < 1.0 / 16)
    wrong = "zoom must be from 1/16 to 16, the lesser first";
  else if (!(o->noise >= 0 && o->noise <= 64))
    wrong = "noise must be from 0 to 64 codes";
  else if (!(o->mosaic >= 0 && o->mosaic <= 1 && o->paste >= 0 &&
               o->paste <= 1))
    wrong = "mosaic and paste are shares from 0 to 1";
  else if (!(o->speed >= 1 && o->speed <= 16))
    wrong = "speed must be from 1 to 16";
  else if (!qf_loss_find (o->head))
    wrong = "this head cannot be trained; fcos and classify can";
  else if (qf_train_count_labels (o->labels) < 1)
    wrong = "no label is named";
  if (wrong)
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT, "Cannot train: %s", wrong);
  return !wrong;
}

void
qf_train_options_fill (QfTrainOptions *o)
{
  gboolean adam = g_str_equal (o->optimizer, "adamw");

  if (o->learning_rate <= 0)
    o->learning_rate = adam ? 0.002 : 0.04;
  if (o->weight_decay < 0)
    o->weight_decay = adam ? 0.05 : 5e-4;
}
