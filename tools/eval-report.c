/* qfuse eval: what was measured, as text and as JSON.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "eval-report.h"

#include <math.h>

#include "tool.h"

/* With more classes the confusion matrix is no longer readable as text. */
#define MAX_COLUMNS 20

static const char *const size_names[QF_N_SIZES] = { "small", "medium",
  "large" };
static const char *const size_limits[QF_N_SIZES] = { "to 32x32", "to 96x96",
  "from 96x96" };

const char *
eval_label_name (const EvalReport *r, int i, char buffer[16])
{
  const char *name = qf_model_label (r->model, i);

  if (name)
    return name;
  g_snprintf (buffer, 16, "%d", i);
  return buffer;
}

EvalAction
eval_action (const EvalReport *r, int label)
{
  int right = qf_metrics_confusion (r->metrics, label, label);
  int said = 0, there = qf_metrics_confusion (r->metrics, label, -1);

  for (int i = 0; i < r->n_labels; i++) {
    said += qf_metrics_confusion (r->metrics, i, label);
    there += qf_metrics_confusion (r->metrics, label, i);
  }
  return (EvalAction){ there, there ? (double) right / there : NAN,
    said ? (double) right / said : NAN,
    there ? 2.0 * right / (there + said) : NAN };
}

double
eval_mean_recall (const EvalReport *r)
{
  double sum = 0;
  int n = 0;

  for (int i = 0; i < r->n_labels; i++) {
    EvalAction a = eval_action (r, i);

    sum += a.n_pictures ? a.recall : 0;
    n += a.n_pictures > 0;
  }
  return n ? sum / n : NAN;
}

/* Left-aligned in @width columns, cut where it is longer. */
static void
print_name (const char *name, int width)
{
  g_autofree char *valid = g_utf8_make_valid (name, -1);
  int n = (int) MIN (g_utf8_strlen (valid, -1), width);
  g_autofree char *cut = g_utf8_substring (valid, 0, n);

  g_print ("%s%*s", cut, width - n, "");
}

/* Right-aligned with a space before. */
static void
print_heading (const char *name, int width)
{
  int n = (int) MIN (g_utf8_strlen (name, -1), width);
  g_autofree char *cut = g_utf8_substring (name, 0, n);

  g_print (" %*s%s", width - n, "", cut);
}

static void
print_number (double value)
{
  if (isnan (value))
    g_print (" %7s", "-");
  else
    g_print (" %7.4f", value);
}

static void
print_numbers (const double *values, int n)
{
  for (int i = 0; i < n; i++)
    print_number (values[i]);
}

static void
print_class (const char *name, const QfScores *s)
{
  g_print ("  ");
  print_name (name, 14);
  g_print (" %7d", s->n_truth);
  print_numbers ((double[]){ s->ap50, s->ap75, s->ap, s->ar, s->size[0].ap50,
                     s->size[1].ap50, s->size[2].ap50, s->best_f1 },
      8);
  if (isnan (s->best_f1))
    g_print (" %6s\n", "-");
  else
    g_print (" %6.3f\n", s->best_f1_score);
}

static void
print_boxes (const EvalReport *r, const QfScores *all)
{
  char number[16];

  g_print ("AP50 %.4f  AP %.4f  best F1 %.4f at score %.3f  (%d pictures, %d "
           "boxes, %d detections)\n\n",
      all->ap50, all->ap, all->best_f1, all->best_f1_score, all->n_pictures,
      all->n_truth, all->n_detections);
  g_print ("  %-14s %7s %7s %7s %7s %7s %23s %7s %6s\n", "", "", "", "", "", "",
      "AP50 by size", "best", "at");
  g_print ("  %-14s %7s %7s %7s %7s %7s %7s %7s %7s %7s %6s\n", "class",
      "boxes", "AP50", "AP75", "AP", "AR", size_names[0], size_names[1],
      size_names[2], "F1", "score");
  for (int i = 0; r->n_labels > 1 && i < r->n_labels; i++) {
    QfScores s;

    qf_metrics_get_label (r->metrics, i, &s);
    print_class (eval_label_name (r, i, number), &s);
  }
  print_class ("all", all);
  g_print ("\n  %-6s %-10s %6s %7s %7s %7s %7s\n", "size", "in pixels", "boxes",
      "AP50", "AP75", "AP", "AR");
  for (int i = 0; i < QF_N_SIZES; i++) {
    const QfSizeScores *z = &all->size[i];

    g_print ("  %-6s ", size_names[i]);
    print_name (size_limits[i], 10);
    g_print (" %6d", z->n_truth);
    print_numbers ((double[]){ z->ap50, z->ap75, z->ap, z->ar }, 4);
    g_print ("\n");
  }
}

static void
print_confusion (const EvalReport *r, int label, int width)
{
  for (int s = 0; s <= r->n_labels; s++)
    g_print (" %*d", width,
        qf_metrics_confusion (r->metrics, label, s < r->n_labels ? s : -1));
}

static void
print_actions (const EvalReport *r, const QfScores *all)
{
  gboolean matrix = r->n_labels <= MAX_COLUMNS;
  int width = r->n_labels > 8 ? 6 : 10;
  char number[16];

  g_print ("accuracy %.4f  mean over classes %.4f  (%d pictures)",
      all->accuracy, eval_mean_recall (r), all->n_pictures);
  if (r->n_clips > 1)
    g_print ("  of %d clips %.4f", r->n_clips, eval_clip_accuracy (r));
  g_print ("\n\n  %-14s %7s %7s %7s %7s", "true", "pictures", "recall", "prec.",
      "F1");
  for (int s = 0; matrix && s < r->n_labels; s++) {
    g_autofree char *name =
        g_utf8_make_valid (eval_label_name (r, s, number), -1);

    print_heading (name, width);
  }
  if (matrix)
    print_heading ("(none)", width);
  g_print ("\n");
  for (int t = 0; t < r->n_labels; t++) {
    EvalAction a = eval_action (r, t);

    g_print ("  ");
    print_name (eval_label_name (r, t, number), 14);
    g_print (" %8d", a.n_pictures);
    print_numbers ((double[]){ a.recall, a.precision, a.f1 }, 3);
    if (matrix)
      print_confusion (r, t, width);
    g_print ("\n");
  }
  if (!matrix)
    g_print ("\n%d classes: --json and --picture have the confusion matrix.\n",
        r->n_labels);
}

void
eval_print_text (const EvalReport *r)
{
  QfScores all;

  qf_metrics_get (r->metrics, &all);
  if (r->actions)
    print_actions (r, &all);
  else
    print_boxes (r, &all);
  if (r->n_clips > 1)
    eval_print_clips (r);
}

static void
add_sizes (JsonBuilder *b, const QfScores *s)
{
  json_builder_set_member_name (b, "size");
  json_builder_begin_object (b);
  for (int i = 0; i < QF_N_SIZES; i++) {
    const QfSizeScores *z = &s->size[i];

    json_builder_set_member_name (b, size_names[i]);
    json_builder_begin_object (b);
    tool_json_number (b, "ap50", z->ap50);
    tool_json_number (b, "ap75", z->ap75);
    tool_json_number (b, "ap", z->ap);
    tool_json_number (b, "ar", z->ar);
    tool_json_int (b, "truth", z->n_truth);
    json_builder_end_object (b);
  }
  json_builder_end_object (b);
}

static void
add_boxes (JsonBuilder *b, const QfScores *s)
{
  tool_json_number (b, "ap50", s->ap50);
  tool_json_number (b, "ap75", s->ap75);
  tool_json_number (b, "ap", s->ap);
  tool_json_number (b, "ar1", s->ar1);
  tool_json_number (b, "ar10", s->ar10);
  tool_json_number (b, "ar", s->ar);
  tool_json_number (b, "best_f1", s->best_f1);
  tool_json_number (b, "best_f1_score", s->best_f1_score);
  tool_json_number (b, "best_f1_precision", s->best_f1_precision);
  tool_json_number (b, "best_f1_recall", s->best_f1_recall);
  tool_json_int (b, "truth", s->n_truth);
  tool_json_int (b, "detections", s->n_detections);
  add_sizes (b, s);
}

static void
add_class (JsonBuilder *b, const EvalReport *r, int label)
{
  json_builder_begin_object (b);
  if (r->actions) {
    EvalAction a = eval_action (r, label);

    tool_json_number (b, "accuracy", a.recall);
    tool_json_number (b, "precision", a.precision);
    tool_json_number (b, "f1", a.f1);
    tool_json_int (b, "pictures", a.n_pictures);
  } else {
    QfScores s;

    qf_metrics_get_label (r->metrics, label, &s);
    add_boxes (b, &s);
  }
  json_builder_end_object (b);
}

static void
add_confusion (JsonBuilder *b, const EvalReport *r)
{
  json_builder_set_member_name (b, "confusion");
  json_builder_begin_array (b);
  for (int t = 0; t < r->n_labels; t++) {
    json_builder_begin_array (b);
    for (int s = 0; s < r->n_labels; s++)
      json_builder_add_int_value (b, qf_metrics_confusion (r->metrics, t, s));
    json_builder_end_array (b);
  }
  json_builder_end_array (b);
  json_builder_set_member_name (b, "said_none");
  json_builder_begin_array (b);
  for (int t = 0; t < r->n_labels; t++)
    json_builder_add_int_value (b, qf_metrics_confusion (r->metrics, t, -1));
  json_builder_end_array (b);
}

void
eval_print_json (const EvalReport *r)
{
  g_autoptr (JsonBuilder) b = json_builder_new ();
  char number[16];
  QfScores all;

  qf_metrics_get (r->metrics, &all);
  json_builder_begin_object (b);
  tool_json_string (b, "model", r->model_path);
  tool_json_int (b, "clips", r->n_clips);
  tool_json_int (b, "pictures", all.n_pictures);
  if (r->actions) {
    tool_json_number (b, "accuracy", all.accuracy);
    tool_json_number (b, "mean_accuracy", eval_mean_recall (r));
    tool_json_number (b, "clip_accuracy", eval_clip_accuracy (r));
  } else {
    add_boxes (b, &all);
  }
  json_builder_set_member_name (b, "per_class");
  json_builder_begin_object (b);
  for (int i = 0; i < r->n_labels; i++) {
    json_builder_set_member_name (b, eval_label_name (r, i, number));
    add_class (b, r, i);
  }
  json_builder_end_object (b);
  if (r->actions)
    add_confusion (b, r);
  eval_add_clips (r, b);
  json_builder_end_object (b);
  tool_print_json (b);
}
