/* Test of the heads of foreign networks: boxes that are known, written into
 * outputs as the networks would, come back; recognition; wrong shapes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "model/model-private.h"
#include "vision/heads.h"

#define MAX_OUTPUTS 12

typedef struct
{
  const char *head;
  const char *labels;                   /* NULL: the file names none */
  int h, w;                             /* of the input */
  const char *outputs[MAX_OUTPUTS + 1]; /* "name dims…" without the batch */
  const char *metadata[8];              /* key, value … */
  gboolean recognised;                  /* from shapes alone */
} Net;

static const Net nets[] = {
  { "yunet", NULL, 96, 64,
      { "cls_8 96 1", "cls_16 24 1", "cls_32 6 1", "obj_8 96 1", "obj_16 24 1",
          "obj_32 6 1", "bbox_8 96 4", "bbox_16 24 4", "bbox_32 6 4",
          "kps_8 96 10", "kps_16 24 10", "kps_32 6 10" },
      { NULL }, TRUE },
  { "fastestdet", "a\nb\nc", 64, 96, { "o 8 4 6" }, { NULL }, TRUE },
  { "yolox", NULL, 64, 96, { "o 126 8" }, { NULL }, TRUE },
  { "yolov5", NULL, 64, 96, { "o 378 8" }, { NULL }, TRUE },
  { "yolov8", NULL, 64, 96, { "o 7 126" }, { NULL }, TRUE },
  { "yolov8", "a", 64, 96, { "o 11 126" }, { NULL }, TRUE }, /* two points */
  { "nanodet", "a\nb\nc", 64, 128, { "o 170 35" }, { NULL }, TRUE },
  { "ssd", NULL, 64, 96, { "scores 120 4", "boxes 120 4" }, { NULL }, TRUE },
  { "ssd", "a\nb\nc", 64, 96, { "loc 108 4", "conf 108 4" },
      { "qfuse.head.boxes", "encoded", "qfuse.head.score", "softmax",
          "qfuse.head.priors", "8 20x10; 32 30x40 60x30" },
      FALSE },
  { "boxes", NULL, 64, 96, { "boxes 50 4", "scores 50", "labels 50" }, { NULL },
      TRUE },
  { "boxes", NULL, 64, 96,
      { "num_detections", "detection_boxes 50 4", "detection_scores 50",
          "detection_classes 50" },
      { NULL }, TRUE },
  { "boxes", NULL, 64, 96, { "o 50 6" }, { NULL }, TRUE },
  { "boxes", NULL, 64, 96, { "o 1 50 7" },
      { "qfuse.head.columns", "image,label,score,cx,cy,w,h" }, TRUE },
  { "boxes", NULL, 64, 96, { "boxes 50 4", "scores 3 50", "selected 9 3" },
      { NULL }, TRUE },
};

static QfModel *
make_model (const Net *net)
{
  QfGraph *g = qf_graph_new ();
  gint64 dims[4] = { 1, 3, net->h, net->w };
  int input = qf_graph_add_value (g, "in", QF_F32, 4, dims);
  QfModel *model;

  g_array_append_val (g->inputs, input);
  for (int i = 0; net->outputs[i]; i++) {
    g_auto (GStrv) f = g_strsplit (net->outputs[i], " ", -1);
    int rank = (int) g_strv_length (f), out;

    for (int j = 1; j < rank; j++)
      dims[j] = g_ascii_strtoll (f[j], NULL, 10);
    out = qf_graph_add_value (g, f[0], QF_F32, rank, dims);
    g_array_append_val (g->outputs, out);
  }
  model = qf_model_new (g);
  qf_model_set (model, "qfuse.labels", net->labels);
  return model;
}

/* All outputs, @fill everywhere. */
static int
make_outputs (const Net *net, QfTensor *t, QfLayout layout, float fill)
{
  int n = 0;

  for (; net->outputs[n]; n++) {
    g_auto (GStrv) f = g_strsplit (net->outputs[n], " ", -1);
    int rank = (int) g_strv_length (f), dims[4] = { 1, 1, 1, 1 };
    gsize size;

    for (int j = 1; j < rank; j++)
      dims[j] = (int) g_ascii_strtoll (f[j], NULL, 10);
    size = (gsize) dims[1] * dims[2] * dims[3];
    t[n] = (QfTensor){ .name = "any",
      .dtype = QF_F32,
      .layout = layout,
      .n = 1,
      .c = dims[1],
      .h = dims[2],
      .w = dims[3],
      .data = g_new (float, size) };
    for (gsize i = 0; i < size; i++)
      ((float *) t[n].data)[i] = fill;
  }
  return n;
}

/* Element @i of row-major data [c][h·w] or [c][h]. */
static void
put (const QfTensor *t, int c, int y, int x, double v)
{
  ((float *) t->data)[qf_tensor_index (t, c, y, x)] = (float) v;
}

static double
logit (double p)
{
  return log (p / (1 - p));
}

static int
row_of (const int *strides, int n, int w, int h, int level, int x, int y)
{
  int first = 0;

  for (int i = 0; i < level; i++)
    first += ((w + strides[i] - 1) / strides[i]) *
        ((h + strides[i] - 1) / strides[i]);
  g_assert_cmpint (level, <, n);
  return first + y * ((w + strides[level] - 1) / strides[level]) + x;
}

static const int strides[] = { 8, 16, 32, 64 };

/* Writes @b with its label and score (and points at its corners) as the cell of
 * its centre on stride 16 says it. */
static void
encode (const Net *net, const QfModel *model, const QfTensor *t, const QfBox *b)
{
  double cx = b->x + b->w / 2, cy = b->y + b->h / 2;
  int x = (int) (cx / 16), y = (int) (cy / 16);
  int row = row_of (strides, 3, net->w, net->h, 1, x, y);

  if (strcmp (net->head, "yunet") == 0) {
    int i = y * (net->w / 16) + x;

    put (&t[1], i, 0, 0, b->score);
    put (&t[4], i, 0, 0, b->score);
    put (&t[7], i, 0, 0, cx / 16 - x);
    put (&t[7], i, 1, 0, cy / 16 - y);
    put (&t[7], i, 2, 0, log (b->w / 16.0));
    put (&t[7], i, 3, 0, log (b->h / 16.0));
    for (int k = 0; k < 5; k++) {
      put (&t[10], i, 2 * k, 0, b->x / 16.0 - x + k);
      put (&t[10], i, 2 * k + 1, 0, b->y / 16.0 - y - k);
    }
  } else if (strcmp (net->head, "fastestdet") == 0) {
    put (t, 0, y, x, b->score);
    put (t, 5 + b->label, y, x, b->score);
    put (t, 1, y, x, atanh (cx / 16 - x));
    put (t, 2, y, x, atanh (cy / 16 - y));
    put (t, 3, y, x, logit (b->w / net->w));
    put (t, 4, y, x, logit (b->h / net->h));
  } else if (strcmp (net->head, "yolox") == 0) {
    put (t, row, 4, 0, sqrt (b->score));
    put (t, row, 5 + b->label, 0, sqrt (b->score));
    put (t, row, 0, 0, cx / 16 - x);
    put (t, row, 1, 0, cy / 16 - y);
    put (t, row, 2, 0, log (b->w / 16.0));
    put (t, row, 3, 0, log (b->h / 16.0));
  } else if (strcmp (net->head, "yolov5") == 0) {
    const double v[4] = { cx, cy, b->w, b->h };

    for (int j = 0; j < 4; j++)
      put (t, 3 * row, j, 0, v[j]);
    put (t, 3 * row, 4, 0, sqrt (b->score));
    put (t, 3 * row, 5 + b->label, 0, sqrt (b->score));
  } else if (strcmp (net->head, "yolov8") == 0) {
    const double v[4] = { cx, cy, b->w, b->h };
    int labels = MAX (1, qf_model_n_labels (model));

    for (int j = 0; j < 4; j++)
      put (t, j, row, 0, v[j]);
    put (t, 4 + b->label, row, 0, b->score);
    for (int k = 0; k < 2 && t->c == 11; k++) {
      put (t, 4 + labels + 3 * k, row, 0, b->x + 16 * k);
      put (t, 5 + labels + 3 * k, row, 0, b->y - 16 * k);
      put (t, 6 + labels + 3 * k, row, 0, b->score);
    }
  } else {
    g_assert_not_reached ();
  }
}

static void
encode_nanodet (const Net *net, const QfTensor *t, const QfBox *b)
{
  int x = (int) ((b->x + b->w / 2) / 16), y = (int) ((b->y + b->h / 2) / 16);
  int row = row_of (strides, 4, net->w, net->h, 1, x, y);
  const double d[4] = { x - b->x / 16.0, y - b->y / 16.0,
    (b->x + b->w) / 16.0 - x, (b->y + b->h) / 16.0 - y };

  put (t, row, b->label, 0, b->score);
  for (int j = 0; j < 4; j++)
    for (int k = 0; k < 8; k++) { /* all weight on the two bins around */
      double p = 1 - fabs (k - d[j]);

      put (t, row, 3 + 8 * j + k, 0, p > 0 ? log (p) : -60);
    }
}

static void
encode_ssd (const Net *net, const QfTensor *t, const QfBox *b)
{
  double cx = b->x + b->w / 2, cy = b->y + b->h / 2;

  if (net->metadata[0]) { /* the second prior, 60x30, of stride 32's cell */
    int x = (int) (cx / 32), y = (int) (cy / 32);
    int row = 12 * 8 + 2 * (y * 3 + x) + 1;

    put (&t[0], row, 0, 0, (cx - 32 * (x + 0.5)) / 60 / 0.1);
    put (&t[0], row, 1, 0, (cy - 32 * (y + 0.5)) / 30 / 0.1);
    put (&t[0], row, 2, 0, log (b->w / 60.0) / 0.2);
    put (&t[0], row, 3, 0, log (b->h / 30.0) / 0.2);
    /* the other three classes have logit 0 */
    for (int c = 0; c < 4; c++)
      put (&t[1], row, c, 0, 0);
    put (&t[1], row, 1 + b->label, 0, log (3 * b->score / (1 - b->score)));
  } else {
    int row = (int) (cx + cy) % 120;

    put (&t[1], row, 0, 0, b->x / net->w);
    put (&t[1], row, 1, 0, b->y / net->h);
    put (&t[1], row, 2, 0, (b->x + b->w) / net->w);
    put (&t[1], row, 3, 0, (b->y + b->h) / net->h);
    put (&t[0], row, 0, 0, 0.99); /* the background does not count */
    put (&t[0], row, 1 + b->label, 0, b->score);
  }
}

/* Row 7; NMS's boxes are listed as (0, label, 7). */
static void
encode_boxes (const Net *net, const QfTensor *t, const QfBox *b)
{
  double x1 = b->x + b->w, y1 = b->y + b->h;
  const double corners[6] = { b->x, b->y, x1, y1, b->score, b->label };
  const double shares[4] = { b->y / net->h, b->x / net->w, y1 / net->h,
    x1 / net->w };
  const double listed[7] = { 0, b->label, b->score, b->x + b->w / 2,
    b->y + b->h / 2, b->w, b->h };
  gboolean tf = net->outputs[3] != NULL, one = !net->outputs[1];

  if (one && net->metadata[0]) {
    for (int j = 0; j < 7; j++)
      put (t, 0, 7, j, listed[j]);
    return;
  }
  for (int j = 0; j < (one ? 6 : 4); j++)
    put (&t[tf], 7, j, 0, tf ? shares[j] : corners[j]);
  if (tf)
    put (t, 0, 0, 0, 8); /* rows count */
  if (!one && strstr (net->outputs[2], "selected")) {
    put (&t[1], b->label, 7, 0, b->score);
    put (&t[2], 4, 1, 0, b->label);
    put (&t[2], 4, 2, 0, 7);
  } else if (!one) {
    put (&t[1 + tf], 7, 0, 0, b->score);
    put (&t[2 + tf], 7, 0, 0, 1 + b->label);
  }
}

/* What stands where nothing is: scores of 0, or logits that favour the
 * background. */
static void
fill_rest (const Net *net, const QfTensor *t)
{
  if (strcmp (net->head, "ssd") == 0 && net->metadata[0])
    for (int i = 0; i < t[1].c; i++)
      put (&t[1], i, 0, 0, 20);
}

static void
check_net (const Net *net, QfLayout layout, QfRng *rng)
{
  g_autoptr (QfModel) model = make_model (net);
  g_autoptr (QfDecoder) d = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GArray) boxes = g_array_new (FALSE, TRUE, sizeof (QfBox));
  g_autoptr (GArray) points = g_array_new (FALSE, TRUE, sizeof (QfKeyPoint));
  QfResult result = { boxes, 0, 0, points, 0 };
  QfTensor t[MAX_OUTPUTS];
  int n = make_outputs (net, t, layout, 0);
  QfBox b = { .w = (float) (20 + qf_rng_below (rng, 12)),
    .h = (float) (18 + qf_rng_below (rng, 12)),
    .score = (float) (0.4 + 0.5 * qf_rng_uniform (rng)),
    .label =
        g_str_equal (net->head, "yunet") || g_strcmp0 (net->labels, "a") == 0
        ? 0
        : (int) qf_rng_below (rng, 3) };
  const QfBox *got;

  if (g_str_equal (net->head, "nanodet")) {
    /* distances are not negative: the cell's left top corner is in the box */
    b.w += 12;
    b.h += 14;
  }
  b.x = (float) (1 + qf_rng_uniform (rng) * (net->w - b.w - 2));
  b.y = (float) (1 + qf_rng_uniform (rng) * (net->h - b.h - 2));
  if (net->recognised) {
    g_assert_cmpstr (qf_head_recognise (model, &error), ==, net->head);
    g_assert_no_error (error);
    g_assert_cmpstr (qf_model_get (model, "qfuse.head"), ==, net->head);
  }
  qf_model_set (model, "qfuse.head", net->head);
  for (int i = 0; net->metadata[i]; i += 2)
    qf_model_set (model, net->metadata[i], net->metadata[i + 1]);
  d = qf_decoder_new (model, &error);
  g_assert_no_error (error);

  fill_rest (net, t);
  qf_decoder_run (d, t, n, 0.3f, 0.5f, 0, &result);
  g_assert_cmpint (boxes->len, ==, 0);
  if (g_str_equal (net->head, "nanodet"))
    encode_nanodet (net, t, &b);
  else if (g_str_equal (net->head, "ssd"))
    encode_ssd (net, t, &b);
  else if (g_str_equal (net->head, "boxes"))
    encode_boxes (net, t, &b);
  else
    encode (net, model, t, &b);
  qf_decoder_run (d, t, n, b.score - 1e-3f, 0.5f, 0, &result);
  g_assert_cmpint (boxes->len, ==, 1);
  got = &g_array_index (boxes, QfBox, 0);
  g_assert_cmpint (got->label, ==, b.label);
  g_assert_cmpfloat_with_epsilon (got->score, b.score, 1e-5);
  g_assert_cmpfloat_with_epsilon (got->x, b.x, 1e-3);
  g_assert_cmpfloat_with_epsilon (got->y, b.y, 1e-3);
  g_assert_cmpfloat_with_epsilon (got->w, b.w, 1e-3);
  g_assert_cmpfloat_with_epsilon (got->h, b.h, 1e-3);
  for (int k = 0; k < result.n_points; k++) {
    const QfKeyPoint *p =
        &g_array_index (points, QfKeyPoint, got->points - 1 + k);

    g_assert_cmpfloat_with_epsilon (p->x, b.x + 16 * k, 1e-3);
    g_assert_cmpfloat_with_epsilon (p->y, b.y - 16 * k, 1e-3);
    g_assert_cmpfloat_with_epsilon (p->score, b.score, 1e-5);
  }
  g_assert_cmpint (result.n_points, ==,
      g_str_equal (net->head, "yunet") ? 5
          : t[0].c == 11               ? 2
                                       : 0);
  qf_decoder_run (d, t, n, b.score + 1e-3f, 0.5f, 0, &result);
  g_assert_cmpint (boxes->len, ==, 0);

  /* What is no number finds nothing and breaks nothing. */
  for (int i = 0; i < n; i++)
    for (int j = 0; j < t[i].c * t[i].h * t[i].w; j++)
      ((float *) t[i].data)[j] = NAN;
  qf_decoder_run (d, t, n, 0, 0.5f, 0, &result);
  g_assert_cmpint (boxes->len, ==, 0);
  for (int i = 0; i < n; i++)
    g_free (t[i].data);
}

static void
test_known_boxes (void)
{
  guint32 seed = g_test_rand_int_range (0, G_MAXINT32);
  QfRng rng = { seed };

  g_test_message ("seed %u", seed);
  for (guint i = 0; i < G_N_ELEMENTS (nets); i++)
    for (int round = 0; round < 20; round++)
      check_net (&nets[i], round & 1 ? QF_NHWC : QF_NCHW, &rng);
}

static void
test_misfits (void)
{
  static const struct
  {
    Net net;
    const char *message;
  } rows[] = {
    { { "yunet", NULL, 96, 64, { "cls_8 96 1", "obj_8 96 1" } }, "bbox_s" },
    { { "yunet", NULL, 96, 64, { "cls_8 95 1", "obj_8 96 1", "bbox_8 96 4" },
          { "qfuse.head.strides", "8" } },
        "cls_8 [1, 95, 1, 1]" },
    { { "yunet", NULL, 96, 64, { "o 1 1" }, { "qfuse.head.strides", "8,x" } },
        "qfuse.head.strides" },
    { { "yunet", NULL, 96, 64, { "o 1 1" }, { "qfuse.head.strides", "0" } },
        "qfuse.head.strides" },
    { { "fastestdet", "a\nb", 64, 96, { "o 8 4 6" } }, "5 + labels" },
    { { "fastestdet", NULL, 64, 96, { "o 5 4 6" } }, "5 + labels" },
    { { "yolox", NULL, 64, 96, { "o 125 8" } }, "cells" },
    { { "yolox", NULL, 64, 96, { "o 126 5" } }, "5 + labels" },
    { { "yolov5", "a\nb", 64, 96, { "o 378 8" } }, "5 + labels" },
    { { "yolov5", NULL, 64, 96, { "o 378 8" }, { "qfuse.head.score", "best" } },
        "\"best\"" },
    { { "yolov8", "a\nb", 64, 96, { "o 7 126" } }, "labels" },
    { { "nanodet", NULL, 64, 128, { "o 171 35" } }, "cells" },
    { { "ssd", NULL, 64, 96, { "scores 120 4", "boxes 119 4" } }, "priors" },
    { { "ssd", NULL, 64, 96, { "scores 120 6", "boxes 120 5" } }, "priors" },
    { { "ssd", "a", 64, 96, { "scores 120 4", "boxes 120 4" } }, "background" },
    { { "ssd", NULL, 64, 96, { "scores 120 4", "boxes 120 4" },
          { "qfuse.head.background", "4" } },
        "background" },
    { { "ssd", NULL, 64, 96, { "scores 120 4", "boxes 120 4" },
          { "qfuse.head.boxes", "encoded" } },
        "qfuse.head.priors" },
    { { "ssd", NULL, 64, 96, { "scores 120 4", "boxes 120 4" },
          { "qfuse.head.boxes", "encoded", "qfuse.head.priors", "8 9y9" } },
        "8 9y9" },
    { { "ssd", NULL, 64, 96, { "scores 120 4", "boxes 120 4" },
          { "qfuse.head.boxes", "encoded", "qfuse.head.priors", "8 9x9" } },
        "another number" },
    { { "ssd", NULL, 64, 96, { "scores 120 4", "boxes 120 4" },
          { "qfuse.head.boxes", "encoded", "qfuse.head.priors", "8 9x9",
              "qfuse.head.variances", "0,1" } },
        "variances" },
    { { "boxes", NULL, 64, 96, { "boxes 50 3", "scores 50" } }, "4 to 7" },
    { { "boxes", NULL, 64, 96, { "boxes 50 4", "scores 49" } }, "4 to 7" },
    { { "boxes", NULL, 64, 96, { "boxes 50 4", "labels 50" } }, "scores" },
    { { "boxes", NULL, 64, 96, { "o 50 6" },
          { "qfuse.head.columns", "x0,y0" } },
        "x0,y0,x1,y1,score,label" },
    { { "boxes", NULL, 64, 96, { "o 50 6" },
          { "qfuse.head.columns", "x0,y0,x1,h,score,w" } },
        "qfuse.head.columns" },
    { { "boxes", NULL, 64, 96, { "o 50 6" }, { "qfuse.head.units", "inches" } },
        "inches" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (QfModel) model = make_model (&rows[i].net);
    g_autoptr (GError) error = NULL;

    qf_model_set (model, "qfuse.head", rows[i].net.head);
    for (int k = 0; rows[i].net.metadata[k]; k += 2)
      qf_model_set (
          model, rows[i].net.metadata[k], rows[i].net.metadata[k + 1]);
    g_assert_null (qf_decoder_new (model, &error));
    g_assert_nonnull (error);
    if (!strstr (error->message, rows[i].message))
      g_error ("row %u: %s", i, error->message);
  }
}

static void
test_nothing_recognised (void)
{
  static const Net net = { NULL, NULL, 64, 96, { "o 13 17 19" } };
  g_autoptr (QfModel) model = make_model (&net);
  g_autoptr (GError) error = NULL;

  g_assert_null (qf_head_recognise (model, &error));
  g_assert_error (error, QF_ERROR, QF_ERROR_FORMAT);
  g_assert_nonnull (strstr (error->message, "o [1, 13, 17, 19]"));
  g_assert_null (qf_model_get (model, "qfuse.head"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/heads-foreign/known-boxes", test_known_boxes);
  g_test_add_func ("/heads-foreign/misfits", test_misfits);
  g_test_add_func (
      "/heads-foreign/nothing-recognised", test_nothing_recognised);
  return g_test_run ();
}
