/* Test of the heads: shapes, decoding against plain formulas, wrong models.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/heads.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "model/model-private.h"

/* A model that is only what a decoder looks at: an input, outputs given as
 * "name c h w" (c alone: rank 2), and metadata. */
static QfModel *
make_model (const char *head, const char *labels, int h, int w,
    const char *const *outputs)
{
  QfGraph *g = qf_graph_new ();
  gint64 dims[QF_MAX_RANK] = { 1, 3, h, w };
  int input = qf_graph_add_value (g, "planes", QF_U8, 4, dims);
  QfModel *model;

  g_array_append_val (g->inputs, input);
  for (int i = 0; outputs[i]; i++) {
    g_auto (GStrv) f = g_strsplit (outputs[i], " ", -1);
    int rank = (int) g_strv_length (f), out;

    g_assert_cmpint (rank, <=, QF_MAX_RANK);
    for (int j = 1; j < rank; j++)
      dims[j] = g_ascii_strtoll (f[j], NULL, 10);
    out = qf_graph_add_value (g, f[0], QF_F32, rank, dims);
    g_array_append_val (g->outputs, out);
  }
  model = qf_model_new (g);
  qf_model_set (model, "qfuse.head", head);
  qf_model_set (model, "qfuse.labels", labels);
  return model;
}

static void
test_errors (void)
{
  static const struct
  {
    const char *head, *labels, *outputs[5], *message;
    QfErrorCode code;
  } rows[] = {
    { "ssd3", "a", { "cls_8 1 2 3" }, "ssd3", QF_ERROR_UNSUPPORTED },
    { NULL, "a", { "cls_8 1 2 3" }, "qfuse.head", QF_ERROR_FORMAT },
    { "fcos", "a", { NULL }, "no outputs", QF_ERROR_FORMAT },
    { "fcos", "a", { "cls_8 1 4 6" }, "box_8 is missing", QF_ERROR_FORMAT },
    { "fcos", "a", { "box_8 4 4 6" }, "cls_8 is missing", QF_ERROR_FORMAT },
    { "fcos", "a", { "cls_8 1 4 6", "box_16 4 2 3" }, "missing",
        QF_ERROR_FORMAT },
    { "fcos", "a", { "cls_8 1 4 6", "box_8 4 4 6", "cls_8 1 4 6" }, "cls_8",
        QF_ERROR_FORMAT },
    { "fcos", "a", { "cls_8 1 4 6", "box_8 4 4 6", "angle_8 1 4 6" }, "angle_8",
        QF_ERROR_FORMAT },
    { "fcos", "a", { "cls_8x 1 4 6", "box_8 4 4 6" }, "cls_8x",
        QF_ERROR_FORMAT },
    { "fcos", "a", { "cls_0 1 4 6", "box_0 4 4 6" }, "cls_0", QF_ERROR_FORMAT },
    { "fcos", "a", { "cls_8 1 5 6", "box_8 4 5 6" }, "stride 8",
        QF_ERROR_FORMAT },
    { "fcos", "a", { "cls_8 1 4 6", "box_8 4 4 7" }, "[1, 4, 4, 7]",
        QF_ERROR_FORMAT },
    { "fcos", "a", { "cls_8 1 4 6", "box_8 5 4 6" }, "[1, 5, 4, 6]",
        QF_ERROR_FORMAT },
    { "fcos", "a\nb", { "cls_8 1 4 6", "box_8 4 4 6" }, "2 labels",
        QF_ERROR_FORMAT },
    { "classify", "a\nb", { "y 3" }, "2 labels", QF_ERROR_FORMAT },
    { "classify", "a\nb", { "y 2", "z 2" }, "one output", QF_ERROR_FORMAT },
    { "classify", "a\nb", { "y 2 2 1" }, "one output", QF_ERROR_FORMAT },
    { "classify", "a\nb", { "y" }, "2 labels", QF_ERROR_FORMAT },
    { "classify", "a\nb", { "y 2 1 1 1" }, "shape", QF_ERROR_UNSUPPORTED },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (QfModel) model =
        make_model (rows[i].head, rows[i].labels, 32, 48, rows[i].outputs);
    g_autoptr (GError) error = NULL;

    g_assert_null (qf_decoder_new (model, &error));
    g_assert_error (error, QF_ERROR, (int) rows[i].code);
    if (!strstr (error->message, rows[i].message))
      g_error ("row %u: %s", i, error->message);
  }
  {
    static const char *const outputs[] = { "cls_8 1 4 6", "box_8 4 4 6", NULL };
    g_autoptr (QfModel) model = make_model ("fcos", "a", 32, 48, outputs);
    g_autoptr (GError) error = NULL;

    qf_model_set (model, "qfuse.head.score", "softmax");
    g_assert_null (qf_decoder_new (model, &error));
    g_assert_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED);
  }
}

/* Two levels, outputs in a mixed order: 8: 30x40, 32: 7.5 rounded up x 10. */
static const char *const fcos_outputs[] = { "box_8 4 30 40", "cls_32 3 8 10",
  "cls_8 3 30 40", "box_32 4 8 10", NULL };
static const int fcos_shapes[4][3] = { { 4, 30, 40 }, { 3, 8, 10 },
  { 3, 30, 40 }, { 4, 8, 10 } };

static void
make_outputs (QfRng *rng, QfTensor *t, QfDType dtype, QfLayout layout)
{
  for (int i = 0; i < 4; i++) {
    const int *s = fcos_shapes[i];
    int n = s[0] * s[1] * s[2];

    t[i] = (QfTensor){ .name = "any",
      .dtype = dtype,
      .layout = layout,
      .n = 1,
      .c = s[0],
      .h = s[1],
      .w = s[2],
      .scale = 0.0625f,
      .zero = 170,
      .data = g_malloc ((gsize) n * 4) };
    for (int j = 0; j < n; j++) {
      if (dtype == QF_U8)
        ((guint8 *) t[i].data)[j] = (guint8) qf_rng_next (rng);
      else
        ((float *) t[i].data)[j] =
            (float) (qf_rng_uniform (rng) * 14 - (s[0] == 3 ? 10 : 6));
    }
  }
}

static gboolean
near (const QfBox *a, const QfBox *b)
{
  return a->label == b->label && fabsf (a->score - b->score) <= 1e-6f &&
      fabsf (a->x - b->x) <= 1e-2f && fabsf (a->y - b->y) <= 1e-2f &&
      fabsf (a->w - b->w) <= 1e-2f && fabsf (a->h - b->h) <= 1e-2f;
}

/* Each of @got is another one of @expected. Both are sorted by place, but where
 * two boxes of different cells have the same edge but for rounding, not always
 * alike: box i is looked for from the first on that is not taken yet. */
static void
compare_boxes (const GArray *got, const GArray *expected)
{
  g_autofree gboolean *taken = g_new0 (gboolean, expected->len + 1);
  guint first = 0;

  g_assert_cmpint (got->len, ==, expected->len);
  for (guint i = 0; i < got->len; i++) {
    const QfBox *a = &g_array_index (got, QfBox, i);
    guint j = first;

    while (j < expected->len &&
        (taken[j] || !near (a, &g_array_index (expected, QfBox, j))))
      j++;
    if (j == expected->len)
      g_error ("box %u, label %d, score %g, at %g, %g, %g x %g, is none of "
               "those expected",
          i, a->label, (double) a->score, (double) a->x, (double) a->y,
          (double) a->w, (double) a->h);
    taken[j] = TRUE;
    while (taken[first])
      first++;
  }
}

static int
by_place (gconstpointer p, gconstpointer q)
{
  const QfBox *a = p, *b = q;

  if (a->label != b->label)
    return a->label - b->label;
  if (a->id != b->id)
    return a->id - b->id;
  return a->y != b->y ? (a->y > b->y) - (a->y < b->y)
                      : (a->x > b->x) - (a->x < b->x);
}

/* The plain formulas, each cell, each label; the result in the same order as
 * the decoder's after sorting both. */
static GArray *
naive_fcos (const QfTensor *t, float threshold)
{
  static const struct
  {
    int stride, cls, box;
  } levels[] = { { 8, 2, 0 }, { 32, 1, 3 } };
  GArray *out = g_array_new (FALSE, TRUE, sizeof (QfBox));

  for (int l = 0; l < 2; l++) {
    const QfTensor *cls = &t[levels[l].cls], *box = &t[levels[l].box];
    double s = levels[l].stride;

    for (int y = 0; y < cls->h; y++)
      for (int x = 0; x < cls->w; x++)
        for (int c = 0; c < 3; c++) {
          double score = 1 / (1 + exp (-qf_tensor_at (cls, c, y, x))), d[4];
          QfBox b = { .score = (float) score, .label = c };

          if (score < threshold)
            continue;
          for (int i = 0; i < 4; i++) {
            double v = qf_tensor_at (box, i, y, x);

            d[i] = s * exp (v < -4 ? -4 : v > 5 ? 5 : v);
          }
          b.x = (float) ((x + 0.5) * s - d[0]);
          b.y = (float) ((y + 0.5) * s - d[1]);
          b.w = (float) (d[0] + d[2]);
          b.h = (float) (d[1] + d[3]);
          g_array_append_val (out, b);
        }
  }
  return out;
}

static void
test_fcos (void)
{
  static const float thresholds[] = { 0.5f, 0.31f, 0.05f, 0, 0.999f };
  guint32 seed = g_test_rand_int_range (0, G_MAXINT32);
  QfRng rng = { seed };
  g_autoptr (QfModel) model =
      make_model ("fcos", "a\nb\nc", 240, 320, fcos_outputs);
  g_autoptr (GError) error = NULL;
  g_autoptr (QfDecoder) d = qf_decoder_new (model, &error);

  g_test_message ("seed %u", seed);
  g_assert_no_error (error);
  g_assert_false (qf_decoder_is_classifier (d));
  for (int round = 0; round < 20; round++) {
    QfTensor t[4];
    float threshold = thresholds[round % 5];
    QfResult result = { g_array_new (FALSE, TRUE, sizeof (QfBox)), 5, 5, NULL,
      0 };
    g_autoptr (GArray) expected = NULL;

    make_outputs (
        &rng, t, round & 1 ? QF_U8 : QF_F32, round & 2 ? QF_NHWC : QF_NCHW);
    expected = naive_fcos (t, threshold);
    /* Overlap 1: none is suppressed, so all candidates are seen. */
    qf_decoder_run (d, t, 4, threshold, 1, 0, &result);
    g_assert_cmpint (result.action, ==, -1);
    for (guint i = 1; i < result.boxes->len; i++)
      g_assert_cmpfloat (g_array_index (result.boxes, QfBox, i - 1).score, >=,
          g_array_index (result.boxes, QfBox, i).score);
    g_array_sort (result.boxes, by_place);
    g_array_sort (expected, by_place);
    compare_boxes (result.boxes, expected);

    /* With suppression: the naive candidates through it give the same. */
    qf_decoder_run (d, t, 4, threshold, 0.5f, 40, &result);
    g_assert_cmpint (result.boxes->len, <=, 40);
    for (guint i = 0; i < result.boxes->len; i++)
      for (guint j = 0; j < i; j++) {
        const QfBox *a = &g_array_index (result.boxes, QfBox, i);
        const QfBox *b = &g_array_index (result.boxes, QfBox, j);

        g_assert_true (a->label != b->label || qf_box_iou (a, b) <= 0.5f);
      }
    for (int i = 0; i < 4; i++)
      g_free (t[i].data);
    g_array_unref (result.boxes);
  }
}

static int
by_score (gconstpointer p, gconstpointer q)
{
  const QfBox *a = p, *b = q;

  if (a->score != b->score)
    return a->score > b->score ? -1 : 1;
  return by_place (p, q);
}

/* As the decoder rounds, every element through its exponential. */
static GArray *
exact_fcos (const QfTensor *t, float threshold)
{
  static const int levels[2][3] = { { 8, 2, 0 }, { 32, 1, 3 } };
  GArray *out = g_array_new (FALSE, TRUE, sizeof (QfBox));

  for (int l = 0; l < 2; l++) {
    const QfTensor *cls = &t[levels[l][1]], *box = &t[levels[l][2]];
    int s = levels[l][0];

    for (int i = 0; i < cls->c * cls->h * cls->w; i++) {
      int c = i / (cls->h * cls->w), y = i / cls->w % cls->h, x = i % cls->w;
      double v = qf_tensor_at (cls, c, y, x);
      float d[4];
      QfBox b = { .score = (float) (1 / (1 + exp (-v))), .label = c };

      if (!(b.score >= threshold))
        continue;
      for (int j = 0; j < 4; j++) {
        v = qf_tensor_at (box, j, y, x);
        d[j] = (float) (exp (CLAMP (v, -4.0, 5.0)) * s);
      }
      b.x = ((float) x + 0.5f) * (float) s - d[0];
      b.y = ((float) y + 0.5f) * (float) s - d[1];
      b.w = d[0] + d[2];
      b.h = d[1] + d[3];
      g_array_append_val (out, b);
    }
  }
  return out;
}

/* The same bytes as without any short cut, with thresholds that are a score,
 * the number below and above it; scales change under one decoder. */
static void
test_fcos_exact (void)
{
  guint32 seed = g_test_rand_int_range (0, G_MAXINT32);
  QfRng rng = { seed };
  g_autoptr (QfModel) model =
      make_model ("fcos", "a\nb\nc", 240, 320, fcos_outputs);
  g_autoptr (QfDecoder) d = qf_decoder_new (model, NULL);

  g_test_message ("seed %u", seed);
  for (int round = 0; round < 40; round++) {
    QfTensor t[4];
    g_autoptr (GArray) boxes = g_array_new (FALSE, TRUE, sizeof (QfBox));
    QfResult result = { boxes, 0, 0, NULL, 0 };

    make_outputs (
        &rng, t, round & 1 ? QF_U8 : QF_F32, round & 2 ? QF_NHWC : QF_NCHW);
    for (int i = 0; i < 4; i++) {
      t[i].scale = (float) (1 + qf_rng_below (&rng, 8)) / 64;
      t[i].zero = (int) qf_rng_below (&rng, 256);
    }
    for (int j = -1; j <= 1; j++) {
      g_autoptr (GArray) expected = NULL;
      double v = qf_tensor_at (&t[2], 1, (int) qf_rng_below (&rng, 30),
          (int) qf_rng_below (&rng, 40));
      float threshold = (float) (1 / (1 + exp (-v)));

      threshold = j ? nextafterf (threshold, (float) (2 * j)) : threshold;
      expected = exact_fcos (t, threshold);
      qf_decoder_run (d, t, 4, threshold, 1, 0, &result);
      g_array_sort (boxes, by_score);
      g_array_sort (expected, by_score);
      g_assert_cmpmem (boxes->data, boxes->len * sizeof (QfBox), expected->data,
          expected->len * sizeof (QfBox));
    }
    for (int i = 0; i < 4; i++)
      g_free (t[i].data);
  }
}

/* One cell by hand, and cells that hold no number. */
static void
test_fcos_cell (void)
{
  static const char *const outputs[] = { "cls_16 1 1 2", "box_16 4 1 2", NULL };
  float cls[2] = { 0, NAN }, box[8] = { 0, 0, 1, 0, -9, 0, 9, 0 };
  const QfTensor t[2] = { { .name = "c",
                              .dtype = QF_F32,
                              .n = 1,
                              .c = 1,
                              .h = 1,
                              .w = 2,
                              .data = cls },
    { .name = "b",
        .dtype = QF_F32,
        .n = 1,
        .c = 4,
        .h = 1,
        .w = 2,
        .data = box } };
  g_autoptr (QfModel) model = make_model ("fcos", NULL, 16, 32, outputs);
  g_autoptr (QfDecoder) d = qf_decoder_new (model, NULL);
  g_autoptr (GArray) boxes = g_array_new (FALSE, TRUE, sizeof (QfBox));
  QfResult result = { boxes, 0, 0, NULL, 0 };
  const QfBox *b;

  qf_decoder_run (d, t, 2, 0.5f, 0.5f, 0, &result);
  g_assert_cmpint (boxes->len, ==, 1);
  b = &g_array_index (boxes, QfBox, 0);
  g_assert_cmpfloat (b->score, ==, 0.5);
  g_assert_cmpfloat (b->x, ==, 8 - 16);
  g_assert_cmpfloat (b->y, ==, (float) (8 - 16 * exp (1)));
  g_assert_cmpfloat_with_epsilon (b->w, 16 + 16 * exp (-4), 1e-5);
  g_assert_cmpfloat_with_epsilon (b->h, 16 * exp (1) + 16 * exp (5), 1e-3);

  box[2] = NAN;
  qf_decoder_run (d, t, 2, 0.5f, 0.5f, 0, &result);
  g_assert_cmpint (boxes->len, ==, 0);

  /* Scores as they stand. */
  g_clear_pointer (&d, qf_decoder_free);
  qf_model_set (model, "qfuse.head.score", "none");
  d = qf_decoder_new (model, NULL);
  cls[1] = 0.75f;
  qf_decoder_run (d, t, 2, 0.5f, 0.5f, 0, &result);
  g_assert_cmpint (boxes->len, ==, 1);
  g_assert_cmpfloat (g_array_index (boxes, QfBox, 0).score, ==, 0.75);
}

/* Many candidates: bounded, the best stay. */
static void
test_fcos_many (void)
{
  static const char *const outputs[] = { "cls_8 90 40 40", "box_8 4 40 40",
    NULL };
  const int n = 90 * 40 * 40;
  g_autofree float *cls = g_new (float, n), *box = g_new0 (float, 4 * 40 * 40);
  const QfTensor t[2] = { { .name = "c",
                              .dtype = QF_F32,
                              .layout = QF_NHWC,
                              .n = 1,
                              .c = 90,
                              .h = 40,
                              .w = 40,
                              .data = cls },
    { .name = "b",
        .dtype = QF_F32,
        .layout = QF_NHWC,
        .n = 1,
        .c = 4,
        .h = 40,
        .w = 40,
        .data = box } };
  g_autoptr (QfModel) model = make_model ("fcos", NULL, 320, 320, outputs);
  g_autoptr (QfDecoder) d = qf_decoder_new (model, NULL);
  g_autoptr (GArray) boxes = g_array_new (FALSE, TRUE, sizeof (QfBox));
  QfResult result = { boxes, 0, 0, NULL, 0 };
  gint64 start;

  for (int i = 0; i < n; i++)
    cls[i] = (float) (i % 9973) * 1e-3f;
  start = g_get_monotonic_time ();
  qf_decoder_run (d, t, 2, 0, 0.6f, 0, &result);
  g_test_message ("%u of %d candidates stay, %" G_GINT64_FORMAT " us",
      boxes->len, n, g_get_monotonic_time () - start);
  g_assert_cmpint (boxes->len, >, 100);
  g_assert_cmpint (boxes->len, <=, 10000);
  g_assert_cmpfloat_with_epsilon (
      g_array_index (boxes, QfBox, 0).score, 1 / (1 + exp (-9.972)), 1e-6);
}

static void
test_classify (void)
{
  static const char *const flat[] = { "y 3", NULL };
  static const char *const square[] = { "y 3 1 1", NULL };
  const struct
  {
    float logits[3];
    float threshold;
    int action;
  } rows[] = { { { 0, 1, 2 }, 0.5f, 2 }, { { 0, 1, 2 }, 0.67f, -1 },
    { { 3, 1, 3 }, 0.4f, 0 }, { { 1000, -1000, 0 }, 0.99f, 0 },
    { { -1000, -1000, -1000 }, 0.3f, 0 }, { { NAN, 1, 2 }, 0, -1 },
    { { 0, INFINITY, 2 }, 0, -1 } };
  g_autoptr (GArray) boxes = g_array_new (FALSE, TRUE, sizeof (QfBox));

  for (guint i = 0; i < 2 * G_N_ELEMENTS (rows); i++) {
    const float *v = rows[i / 2].logits;
    const QfTensor t = { .name = "y",
      .dtype = QF_F32,
      .layout = QF_NHWC,
      .n = 1,
      .c = 3,
      .h = 1,
      .w = 1,
      .data = (void *) v };
    g_autoptr (QfModel) model =
        make_model ("classify", "a\nb\nc", 24, 32, i & 1 ? flat : square);
    g_autoptr (QfDecoder) d = qf_decoder_new (model, NULL);
    QfResult result = { boxes, 7, 7, NULL, 0 };

    g_assert_true (qf_decoder_is_classifier (d));
    qf_decoder_run (d, &t, 1, rows[i / 2].threshold, 0.5f, 0, &result);
    g_assert_cmpint (result.action, ==, rows[i / 2].action);
    g_assert_cmpint (boxes->len, ==, 0);
    if (result.action >= 0) {
      double e = exp (v[0] - v[result.action]) + exp (v[1] - v[result.action]) +
          exp (v[2] - v[result.action]);

      g_assert_cmpfloat_with_epsilon (result.action_score, 1 / e, 1e-6);
    } else {
      g_assert_cmpfloat (result.action_score, ==, 0);
    }
  }
  {
    guint8 codes[3] = { 10, 20, 12 };
    const QfTensor t = { .name = "y",
      .dtype = QF_U8,
      .layout = QF_NHWC,
      .n = 1,
      .c = 3,
      .h = 1,
      .w = 1,
      .scale = 0.25f,
      .zero = 3,
      .data = codes };
    g_autoptr (QfModel) model = make_model ("classify", NULL, 24, 32, flat);
    g_autoptr (QfDecoder) d = qf_decoder_new (model, NULL);
    QfResult result = { boxes, 7, 7, NULL, 0 };

    qf_decoder_run (d, &t, 1, 0.5f, 0.5f, 0, &result);
    g_assert_cmpint (result.action, ==, 1);
    g_assert_cmpfloat_with_epsilon (
        result.action_score, 1 / (1 + exp (-2.5) + exp (-2)), 1e-6);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/heads/errors", test_errors);
  g_test_add_func ("/heads/fcos", test_fcos);
  g_test_add_func ("/heads/fcos-exact", test_fcos_exact);
  g_test_add_func ("/heads/fcos-cell", test_fcos_cell);
  g_test_add_func ("/heads/fcos-many", test_fcos_many);
  g_test_add_func ("/heads/classify", test_classify);
  return g_test_run ();
}
