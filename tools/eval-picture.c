/* qfuse eval: pictures of what was measured.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "eval-report.h"

#include <math.h>
#include <pango/pangocairo.h>
#include <stdlib.h>

#include "base/error.h"

#define FONT "Sans"
/* Of the curves, in pixels. */
#define SIDE 480
#define LEFT 70
#define TOP 60
#define LEGEND 300
/* Classes in the legend; those with the most boxes, where there are more. */
#define MAX_CURVES 16

/* Okabe and Ito's colours, which colour-blind people tell apart (Color
 * Universal Design, 2008), without the yellow and black; dashed when they come
 * around again. */
static const double colours[][3] = { { 0, 0.447, 0.698 }, { 0.835, 0.369, 0 },
  { 0, 0.62, 0.451 }, { 0.8, 0.475, 0.655 }, { 0.337, 0.706, 0.914 },
  { 0.902, 0.624, 0 } };
#define N_COLOURS ((int) G_N_ELEMENTS (colours))

/* Draws @text with (@x, @y) at the share (@right, @down) of its box; returns
 * its width. @width: it is cut to that, 0: not. */
static int
draw_text (cairo_t *c, double x, double y, double right, double down, int size,
    int width, const char *text)
{
  PangoLayout *layout = pango_cairo_create_layout (c);
  PangoFontDescription *font = pango_font_description_from_string (FONT);
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  int w, h;

  pango_font_description_set_absolute_size (font, size * PANGO_SCALE);
  pango_layout_set_font_description (layout, font);
  pango_layout_set_text (layout, valid, -1);
  pango_layout_set_single_paragraph_mode (layout, TRUE);
  pango_layout_get_pixel_size (layout, &w, &h);
  if (width && w > width) {
    pango_layout_set_width (layout, width * PANGO_SCALE);
    pango_layout_set_ellipsize (layout, PANGO_ELLIPSIZE_END);
    pango_layout_get_pixel_size (layout, &w, &h);
  }
  cairo_move_to (c, x - right * w, y - down * h);
  pango_cairo_show_layout (c, layout);
  cairo_new_path (c); /* no line starts from here */
  pango_font_description_free (font);
  g_object_unref (layout);
  return w;
}

static void draw_textf (cairo_t *c, double x, double y, double right,
    double down, int size, const char *format, ...) G_GNUC_PRINTF (7, 8);

static void
draw_textf (cairo_t *c, double x, double y, double right, double down, int size,
    const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  draw_text (c, x, y, right, down, size, 0, text);
}

static double
at_recall (double recall)
{
  return LEFT + recall * SIDE;
}

static double
at_precision (double precision)
{
  return TOP + (1 - precision) * SIDE;
}

/* Lines of equal F1: precision = f · recall / (2 · recall − f). */
static void
draw_f1_lines (cairo_t *c)
{
  cairo_set_line_width (c, 1);
  for (int i = 1; i < 10; i++) {
    double f = i * 0.1;

    cairo_set_source_rgb (c, 0.87, 0.87, 0.87);
    for (int k = 0; k <= 100; k++) {
      double recall = f / (2 - f) + (1 - f / (2 - f)) * k / 100;

      cairo_line_to (
          c, at_recall (recall), at_precision (f * recall / (2 * recall - f)));
    }
    cairo_stroke (c);
    cairo_set_source_rgb (c, 0.6, 0.6, 0.6);
    draw_textf (c, at_recall (1) + 4, at_precision (f / (2 - f)), 0, 0.5, 10,
        "%.1f", f);
  }
  draw_text (c, at_recall (1) + 4, at_precision (1), 0, 0.5, 10, 0, "F1");
}

static void
draw_axes (cairo_t *c)
{
  cairo_set_line_width (c, 1);
  for (int i = 0; i <= 5; i++) {
    double v = i * 0.2;

    cairo_set_source_rgb (c, 0.75, 0.75, 0.75);
    cairo_move_to (c, floor (at_recall (v)) + 0.5, at_precision (0));
    cairo_line_to (c, floor (at_recall (v)) + 0.5, at_precision (1));
    cairo_move_to (c, at_recall (0), floor (at_precision (v)) + 0.5);
    cairo_line_to (c, at_recall (1), floor (at_precision (v)) + 0.5);
    cairo_stroke (c);
    cairo_set_source_rgb (c, 0.2, 0.2, 0.2);
    draw_textf (c, at_recall (v), at_precision (0) + 6, 0.5, 0, 13, "%.1f", v);
    draw_textf (c, LEFT - 8, at_precision (v), 1, 0.5, 13, "%.1f", v);
  }
  draw_text (
      c, at_recall (0.5), at_precision (0) + 26, 0.5, 0, 14, 0, "recall");
  cairo_save (c);
  cairo_translate (c, LEFT - 54, at_precision (0.5));
  cairo_rotate (c, -G_PI / 2);
  draw_text (c, 0, 0, 0.5, 0, 14, 0, "precision");
  cairo_restore (c);
}

/* The curve of @label (−1: all) and its line of the legend at @y. */
static void
draw_curve (cairo_t *c, const EvalReport *r, int label, int overlap,
    const char *name, double average, double y)
{
  double precision[QF_N_RECALLS];

  if (!qf_metrics_get_curve (r->metrics, label, overlap, precision, NULL))
    return;
  for (int i = 0; i < QF_N_RECALLS; i++) {
    cairo_line_to (c, at_recall (i * 0.01), at_precision (precision[i]));
    if (precision[i] == 0)
      break;
  }
  cairo_stroke (c);
  cairo_move_to (c, LEFT + SIDE + 40, y);
  cairo_line_to (c, LEFT + SIDE + 70, y);
  cairo_stroke (c);
  cairo_save (c);
  cairo_set_source_rgb (c, 0.1, 0.1, 0.1);
  draw_text (c, LEFT + SIDE + 78, y, 0, 0.5, 13, LEGEND - 140, name);
  draw_textf (c, LEFT + SIDE + LEGEND - 12, y, 1, 0.5, 13, "%.3f", average);
  cairo_restore (c);
}

static void
draw_best (cairo_t *c, const QfScores *s)
{
  if (!(s->best_f1 > 0))
    return;
  cairo_arc (c, at_recall (s->best_f1_recall),
      at_precision (s->best_f1_precision), 4, 0, 2 * G_PI);
  cairo_fill (c);
}

static int
compare_numbers (const void *a, const void *b)
{
  return *(const int *) b - *(const int *) a;
}

/* The least number of boxes that a class in the legend has. */
static int
least_truth (const QfScores *scores, guint n)
{
  g_autofree int *sorted = g_new (int, n);

  for (guint i = 0; i < n; i++)
    sorted[i] = scores[i].n_truth;
  qsort (sorted, n, sizeof *sorted, compare_numbers);
  return MAX (sorted[MIN (n, MAX_CURVES) - 1], 1);
}

static void
draw_classes (cairo_t *c, const EvalReport *r, double y)
{
  g_autofree QfScores *scores = g_new (QfScores, (gsize) r->n_labels);
  const double dashes[] = { 6, 3 };
  int least, n = 0, left_out = 0;
  char number[16];

  for (int i = 0; i < r->n_labels; i++)
    qf_metrics_get_label (r->metrics, i, &scores[i]);
  least = least_truth (scores, (guint) r->n_labels);
  for (int i = 0; i < r->n_labels; i++) {
    const double *colour = colours[n % N_COLOURS];

    if (scores[i].n_truth == 0)
      continue;
    if (scores[i].n_truth < least || n == MAX_CURVES) {
      left_out++;
      continue;
    }
    cairo_set_source_rgb (c, colour[0], colour[1], colour[2]);
    cairo_set_line_width (c, 1.5);
    cairo_set_dash (c, dashes, n / N_COLOURS % 2 ? 2 : 0, 0);
    draw_curve (c, r, i, 0, eval_label_name (r, i, number), scores[i].ap50, y);
    draw_best (c, &scores[i]);
    y += 22;
    n++;
  }
  cairo_set_dash (c, NULL, 0, 0);
  cairo_set_source_rgb (c, 0.4, 0.4, 0.4);
  if (left_out)
    draw_textf (c, LEFT + SIDE + 40, y, 0, 0.5, 13,
        "and %d with fewer boxes, not drawn", left_out);
}

static cairo_surface_t *
draw_boxes (const EvalReport *r)
{
  cairo_surface_t *surface = cairo_image_surface_create (
      CAIRO_FORMAT_RGB24, LEFT + SIDE + LEGEND, TOP + SIDE + 60);
  cairo_t *c = cairo_create (surface);
  g_autofree char *name = g_path_get_basename (r->model_path);
  const double dashes[] = { 3, 3 };
  double y = TOP + 10;
  QfScores all;

  qf_metrics_get (r->metrics, &all);
  cairo_set_source_rgb (c, 1, 1, 1);
  cairo_paint (c);
  cairo_set_source_rgb (c, 0.1, 0.1, 0.1);
  draw_text (c, LEFT, 10, 0, 0, 17, LEFT + SIDE, name);
  draw_textf (c, LEFT, 34, 0, 0, 13,
      "%d pictures, %d boxes; AP %.3f; dots: best F1", all.n_pictures,
      all.n_truth, all.ap);
  draw_f1_lines (c);
  draw_axes (c);
  cairo_set_source_rgb (c, 0.1, 0.1, 0.1);
  draw_text (c, LEFT + SIDE + LEGEND - 12, TOP - 14, 1, 0.5, 13, 0,
      "average precision");
  cairo_set_line_width (c, 3);
  cairo_set_line_join (c, CAIRO_LINE_JOIN_ROUND);
  draw_curve (
      c, r, -1, 0, r->n_labels > 1 ? "mean, IoU 0.5" : "IoU 0.5", all.ap50, y);
  if (r->n_labels == 1)
    draw_best (c, &all);
  cairo_set_line_width (c, 1.5);
  cairo_set_dash (c, dashes, 2, 0);
  draw_curve (c, r, -1, 5, r->n_labels > 1 ? "mean, IoU 0.75" : "IoU 0.75",
      all.ap75, y += 22);
  cairo_set_dash (c, NULL, 0, 0);
  if (r->n_labels > 1)
    draw_classes (c, r, y + 30);
  cairo_destroy (c);
  return surface;
}

/* Rows: what was true; columns: what was said, the last: none. Shaded by the
 * share of the row. */
static void
draw_cell (
    cairo_t *c, const EvalReport *r, int t, int s, double cell, int there)
{
  int n = qf_metrics_confusion (r->metrics, t, s < r->n_labels ? s : -1);
  double share = there ? (double) n / there : 0;

  cairo_rectangle (c, s * cell, t * cell, cell - 1, cell - 1);
  if (s == t)
    cairo_set_source_rgb (
        c, 1 - share, 1 - 0.38 * share, 1 - 0.549 * share); /* green */
  else
    cairo_set_source_rgb (
        c, 1 - 0.165 * share, 1 - 0.631 * share, 1 - share); /* red */
  cairo_fill (c);
  if (share > 0.6)
    cairo_set_source_rgb (c, 1, 1, 1);
  else
    cairo_set_source_rgb (c, 0.1, 0.1, 0.1);
  if (n && cell >= 24)
    draw_textf (c, (s + 0.5) * cell, (t + 0.5) * cell, 0.5, 0.5,
        cell >= 50 ? 14 : 10, "%d", n);
}

static cairo_surface_t *
draw_confusion (const EvalReport *r)
{
  int n = r->n_labels, names = 150, top = 80 + names;
  double cell = CLAMP (640 / (n + 1), 8, 72);
  int width = (int) MAX (names + (n + 1) * cell + 120, 520);
  cairo_surface_t *surface = cairo_image_surface_create (
      CAIRO_FORMAT_RGB24, width, (int) (top + n * cell + 20));
  cairo_t *c = cairo_create (surface);
  g_autofree char *title = g_path_get_basename (r->model_path);
  int size = (int) MIN (cell - 1, 13);
  char number[16];
  QfScores all;

  qf_metrics_get (r->metrics, &all);
  cairo_set_source_rgb (c, 1, 1, 1);
  cairo_paint (c);
  cairo_set_source_rgb (c, 0.1, 0.1, 0.1);
  draw_text (c, 20, 10, 0, 0, 17, width - 40, title);
  draw_textf (c, 20, 34, 0, 0, 13,
      "%d pictures; accuracy %.3f, mean over classes %.3f", all.n_pictures,
      all.accuracy, eval_mean_recall (r));
  draw_text (
      c, 20, 54, 0, 0, 13, 0, "rows: what is there, columns: what was said");
  cairo_translate (c, names + 20, top);
  cairo_set_source_rgb (c, 0.75, 0.75, 0.75);
  cairo_rectangle (c, -1, -1, (n + 1) * cell + 1, n * cell + 1);
  cairo_fill (c);
  for (int t = 0; t < n; t++) {
    int there = eval_action (r, t).n_pictures;

    for (int s = 0; s <= n; s++)
      draw_cell (c, r, t, s, cell, there);
    cairo_set_source_rgb (c, 0.1, 0.1, 0.1);
    draw_text (c, -8, (t + 0.5) * cell, 1, 0.5, size, names,
        eval_label_name (r, t, number));
  }
  for (int s = 0; s <= n; s++) {
    cairo_save (c);
    cairo_translate (c, (s + 0.5) * cell, -8);
    cairo_rotate (c, -G_PI / 2);
    draw_text (c, 0, 0, 0, 0.5, size, names - 10,
        s < n ? eval_label_name (r, s, number) : "(none)");
    cairo_restore (c);
  }
  cairo_destroy (c);
  return surface;
}

gboolean
eval_draw (const EvalReport *r, const char *path, GError **error)
{
  cairo_surface_t *surface = r->actions ? draw_confusion (r) : draw_boxes (r);
  cairo_status_t status = cairo_surface_write_to_png (surface, path);

  cairo_surface_destroy (surface);
  if (status != CAIRO_STATUS_SUCCESS)
    g_set_error (error, QF_ERROR, QF_ERROR_FILE, "cannot write %s: %s", path,
        cairo_status_to_string (status));
  return status == CAIRO_STATUS_SUCCESS;
}
