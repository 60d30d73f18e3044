/* qfuse eval: figures of each clip.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>

#include "eval-report.h"
#include "tool.h"

/* Columns of a clip's name. */
#define NAME 32

/* What a clip of actions mostly shows, and what was mostly said of it: labels,
 * the lower number of equals; −1: none. */
typedef struct
{
  int truth, said;
} ClipAction;

static ClipAction
clip_action (const EvalReport *r, guint clip)
{
  const QfMetrics *m = g_ptr_array_index (r->clip_metrics, clip);
  int most_there = 0, most_said = 0;
  ClipAction a = { -1, -1 };

  for (int i = 0; i < r->n_labels; i++) {
    int there = qf_metrics_confusion (m, i, -1), said = 0;

    for (int k = 0; k < r->n_labels; k++) {
      there += qf_metrics_confusion (m, i, k);
      said += qf_metrics_confusion (m, k, i);
    }
    if (there > most_there)
      a.truth = i;
    if (said > most_said)
      a.said = i;
    most_there = MAX (most_there, there);
    most_said = MAX (most_said, said);
  }
  return a;
}

double
eval_clip_accuracy (const EvalReport *r)
{
  int right = 0, n = 0;

  for (guint i = 0; i < r->clip_metrics->len; i++) {
    ClipAction a = clip_action (r, i);

    n += a.truth >= 0;
    right += a.truth >= 0 && a.said == a.truth;
  }
  return n ? (double) right / n : NAN;
}

/* The end of a path that is too long says more than its start. */
static void
print_clip_name (const char *path)
{
  g_autofree char *valid = g_utf8_make_valid (path, -1);
  glong n = g_utf8_strlen (valid, -1);
  g_autofree char *end =
      g_utf8_substring (valid, n > NAME ? n - NAME + 1 : 0, n);

  g_print ("  %s%s%*s", n > NAME ? "…" : "", end,
      n > NAME ? 0 : (int) (NAME - n), "");
}

static void
print_value (double value)
{
  if (isnan (value))
    g_print (" %7s", "-");
  else
    g_print (" %7.4f", value);
}

static const char *
said_name (const EvalReport *r, int label, char buffer[16])
{
  return label < 0 ? "-" : eval_label_name (r, label, buffer);
}

void
eval_print_clips (const EvalReport *r)
{
  char number[2][16];

  g_print ("\n  %-*s %8s", NAME, "clip", "pictures");
  if (r->actions)
    g_print (" %8s  %-14s %s\n", "accuracy", "action", "mostly said");
  else
    g_print (" %7s %7s %7s %7s\n", "boxes", "AP50", "AP", "best F1");
  for (guint i = 0; i < r->clip_metrics->len; i++) {
    QfScores s;

    qf_metrics_get (g_ptr_array_index (r->clip_metrics, i), &s);
    print_clip_name (r->clip_names[i]);
    g_print (" %8d", s.n_pictures);
    if (r->actions) {
      ClipAction a = clip_action (r, i);

      print_value (s.accuracy);
      g_print ("   %-14s %s\n", said_name (r, a.truth, number[0]),
          said_name (r, a.said, number[1]));
      continue;
    }
    g_print (" %7d", s.n_truth);
    print_value (s.ap50);
    print_value (s.ap);
    print_value (s.best_f1);
    g_print ("\n");
  }
}

static void
add_label (const EvalReport *r, JsonBuilder *b, const char *member, int label)
{
  char number[16];

  if (label >= 0) {
    tool_json_string (b, member, eval_label_name (r, label, number));
    return;
  }
  json_builder_set_member_name (b, member);
  json_builder_add_null_value (b);
}

void
eval_add_clips (const EvalReport *r, JsonBuilder *b)
{
  json_builder_set_member_name (b, "per_clip");
  json_builder_begin_array (b);
  for (guint i = 0; i < r->clip_metrics->len; i++) {
    ClipAction a = clip_action (r, i);
    QfScores s;

    qf_metrics_get (g_ptr_array_index (r->clip_metrics, i), &s);
    json_builder_begin_object (b);
    tool_json_string (b, "clip", r->clip_names[i]);
    tool_json_int (b, "pictures", s.n_pictures);
    if (r->actions) {
      tool_json_number (b, "accuracy", s.accuracy);
      add_label (r, b, "action", a.truth);
      add_label (r, b, "mostly_said", a.said);
    } else {
      tool_json_number (b, "ap50", s.ap50);
      tool_json_number (b, "ap", s.ap);
      tool_json_number (b, "best_f1", s.best_f1);
      tool_json_int (b, "truth", s.n_truth);
      tool_json_int (b, "detections", s.n_detections);
    }
    json_builder_end_object (b);
  }
  json_builder_end_array (b);
}
