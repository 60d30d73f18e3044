/* qfuse: the curves of a training as a picture.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train-picture.h"

#include <cairo.h>
#include <math.h>

#include "base/error.h"

#define WIDTH 720
#define HEIGHT 400
#define LEFT 60
#define TOP 40
#define RIGHT 20
#define BOTTOM 40

static const struct
{
  const char *name;
  gsize at; /* in TrainRow */
  double red, green, blue;
} curves[] = {
  { "loss", G_STRUCT_OFFSET (TrainRow, loss), 0.5, 0.5, 0.5 },
  { "AP50", G_STRUCT_OFFSET (TrainRow, ap50), 0.1, 0.4, 0.8 },
  { "best F1", G_STRUCT_OFFSET (TrainRow, best_f1), 0.8, 0.4, 0.1 },
  { "accuracy", G_STRUCT_OFFSET (TrainRow, accuracy), 0.1, 0.6, 0.2 },
};

static double
value_of (const GArray *rows, guint row, gsize curve)
{
  return G_STRUCT_MEMBER (
      double, &g_array_index (rows, TrainRow, row), curves[curve].at);
}

/* Largest finite value; NAN: none. */
static double
largest (const GArray *rows, gsize curve)
{
  double top = NAN;

  for (guint i = 0; i < rows->len; i++) {
    double v = value_of (rows, i, curve);

    if (isfinite (v))
      top = isnan (top) ? v : MAX (top, v);
  }
  return top;
}

static void
draw_text (cairo_t *c, double x, double y, const char *text)
{
  cairo_move_to (c, x, y);
  cairo_show_text (c, text);
}

static void
draw_axes (cairo_t *c, int first, int last, double top_loss)
{
  char text[32];

  cairo_set_source_rgb (c, 0.85, 0.85, 0.85);
  cairo_set_line_width (c, 1);
  for (int i = 0; i <= 4; i++) {
    double y = TOP + (HEIGHT - TOP - BOTTOM) * i / 4.0 + 0.5;

    cairo_move_to (c, LEFT, y);
    cairo_line_to (c, WIDTH - RIGHT, y);
    cairo_stroke (c);
  }
  cairo_set_source_rgb (c, 0, 0, 0);
  for (int i = 0; i <= 4; i++) {
    double y = TOP + (HEIGHT - TOP - BOTTOM) * i / 4.0 + 4;

    g_snprintf (text, sizeof text, "%.2f", 1 - i / 4.0);
    draw_text (c, LEFT - 36, y, text);
  }
  g_snprintf (text, sizeof text, "epoch %d", first);
  draw_text (c, LEFT, HEIGHT - 14, text);
  g_snprintf (text, sizeof text, "epoch %d", last);
  draw_text (c, WIDTH - RIGHT - 60, HEIGHT - 14, text);
  g_snprintf (text, sizeof text, "loss: 1 is %.4g", top_loss);
  draw_text (c, WIDTH / 2.0 - 50, HEIGHT - 14, text);
}

static void
draw_curve (cairo_t *c, const GArray *rows, gsize curve, double scale)
{
  double across = WIDTH - LEFT - RIGHT, down = HEIGHT - TOP - BOTTOM;

  cairo_set_source_rgb (
      c, curves[curve].red, curves[curve].green, curves[curve].blue);
  cairo_set_line_width (c, 2);
  cairo_new_path (c); /* text leaves a point */
  for (guint i = 0; i < rows->len; i++) {
    double v = value_of (rows, i, curve) / scale;
    double x = LEFT + across * (rows->len > 1 ? i / (rows->len - 1.0) : 0.5);
    double y = TOP + down * (1 - v);

    if (!isfinite (v))
      continue;
    cairo_line_to (c, x, y); /* from the first point on */
  }
  cairo_stroke (c);
  for (guint i = 0; i < rows->len && rows->len <= 60; i++) {
    double v = value_of (rows, i, curve) / scale;
    double x = LEFT + across * (rows->len > 1 ? i / (rows->len - 1.0) : 0.5);

    if (!isfinite (v))
      continue;
    cairo_arc (c, x, TOP + down * (1 - v), 2.5, 0, 2 * G_PI);
    cairo_fill (c);
  }
}

gboolean
train_picture_write (
    const GArray *rows, int first, const char *path, GError **error)
{
  cairo_surface_t *surface =
      cairo_image_surface_create (CAIRO_FORMAT_RGB24, WIDTH, HEIGHT);
  cairo_t *c = cairo_create (surface);
  double top_loss = largest (rows, 0), at = LEFT;
  cairo_status_t status;

  top_loss = top_loss > 0 ? top_loss : 1;
  cairo_set_source_rgb (c, 1, 1, 1);
  cairo_paint (c);
  cairo_set_font_size (c, 12);
  draw_axes (c, first, first + (int) rows->len - 1, top_loss);
  for (gsize k = 0; k < G_N_ELEMENTS (curves); k++) {
    if (isnan (largest (rows, k)))
      continue;
    draw_curve (c, rows, k, k == 0 ? top_loss : 1);
    draw_text (c, at, TOP - 16, curves[k].name);
    at += 80;
  }
  cairo_destroy (c);
  status = cairo_surface_write_to_png (surface, path);
  cairo_surface_destroy (surface);
  if (status != CAIRO_STATUS_SUCCESS)
    g_set_error (error, QF_ERROR, QF_ERROR_FILE, "%s: cannot be written: %s",
        path, cairo_status_to_string (status));
  return status == CAIRO_STATUS_SUCCESS;
}
