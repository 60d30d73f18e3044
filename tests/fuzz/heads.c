/* Fuzz target: head decoders on any shapes, metadata and outputs.
 *
 * Input: a byte for the head, one for the number of outputs (low bits) and the
 * layout; for each output a byte of rank and type and a byte for each
 * dimension; "key=value" lines up to an empty line; the rest, repeated, is the
 * outputs' data. SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/heads.h"

#include <string.h>

#include "fuzz.h"
#include "model/model-private.h"

#define MAX_ELEMENTS 200000

typedef struct
{
  const uint8_t *p;
  size_t n;
} Input;

static uint8_t
take (Input *in)
{
  if (in->n == 0)
    return 0;
  in->n--;
  return *in->p++;
}

/* Names as the heads look for them. */
static const char *const names[] = { "cls_8", "obj_8", "bbox_8", "kps_8",
  "cls_16", "obj_16", "bbox_16", "kps_16", "box_8", "box_16", "loc", "o" };

static QfGraph *
make_graph (Input *in, int n, QfLayout layout, QfTensor *t)
{
  QfGraph *g = qf_graph_new ();
  gint64 dims[4] = { 1, 3, 8 * (1 + take (in) % 16), 8 * (1 + take (in) % 16) };
  int input = qf_graph_add_value (g, "in", QF_U8, 4, dims);

  g_array_append_val (g->inputs, input);
  for (int i = 0; i < n; i++) {
    uint8_t kind = take (in);
    int rank = 1 + kind % 4, out;
    const char *name = names[(kind >> 3) % G_N_ELEMENTS (names)];

    t[i] = (QfTensor){ .name = name,
      .dtype = kind & 4 ? QF_U8 : QF_F32,
      .layout = layout,
      .n = 1,
      .c = 1,
      .h = 1,
      .w = 1,
      .scale = 0.1f,
      .zero = kind };
    for (int j = 1; j < rank; j++)
      dims[j] = 1 + take (in);
    if (rank > 1)
      t[i].c = (int) dims[1];
    if (rank > 2)
      t[i].h = (int) dims[2];
    if (rank > 3)
      t[i].w = (int) dims[3];
    dims[0] = 1;
    out = qf_graph_add_value (g, name, t[i].dtype, rank, dims);
    g_array_append_val (g->outputs, out);
  }
  return g;
}

static void
take_metadata (Input *in, QfModel *model)
{
  const uint8_t *end;

  while (in->n > 0 && (end = memchr (in->p, '\n', in->n))) {
    g_autofree char *line =
        g_strndup ((const char *) in->p, (gsize) (end - in->p));
    char *value = strchr (line, '=');

    in->n -= (size_t) (end - in->p) + 1;
    in->p = end + 1;
    if (!value)
      return;
    *value++ = '\0';
    if (*line && g_utf8_validate (line, -1, NULL) &&
        g_utf8_validate (value, -1, NULL))
      qf_model_set (model, line, value);
  }
}

static gboolean
fill (Input *in, QfTensor *t)
{
  gsize bytes = (gsize) t->c * t->h * t->w * qf_dtype_size (t->dtype);

  if (bytes > MAX_ELEMENTS * 4)
    return FALSE;
  t->data = g_malloc (bytes);
  for (gsize i = 0; i < bytes; i++)
    ((uint8_t *) t->data)[i] = in->n ? in->p[i % in->n] : 0;
  return TRUE;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const char *const heads[] = { "fcos", "classify", "yunet",
    "fastestdet", "yolox", "yolov5", "yolov8", "nanodet", "ssd", NULL };
  Input in = { data, size };
  const char *head = heads[take (&in) % G_N_ELEMENTS (heads)];
  uint8_t how = take (&in);
  int n = how & 15;
  QfTensor t[16] = { 0 };
  g_autoptr (QfModel) model = NULL;
  g_autoptr (QfDecoder) d = NULL;
  g_autoptr (GArray) boxes = g_array_new (FALSE, FALSE, sizeof (QfBox));
  g_autoptr (GArray) points = g_array_new (FALSE, FALSE, sizeof (QfKeyPoint));
  QfResult result = { boxes, -1, 0, points, 0 };
  gboolean filled = TRUE;

  model = qf_model_new (make_graph (&in, n, how & 16 ? QF_NHWC : QF_NCHW, t));
  take_metadata (&in, model);
  if (head)
    qf_model_set (model, "qfuse.head", head);
  else
    qf_head_recognise (model, NULL);
  d = qf_decoder_new (model, NULL);
  for (int i = 0; i < n && filled && d; i++)
    filled = fill (&in, &t[i]);
  if (d && filled) {
    qf_decoder_run (d, t, n, 0.4f, 0.5f, 20, &result);
    for (guint i = 0; i < boxes->len; i++) {
      const QfBox *b = &g_array_index (boxes, QfBox, i);

      g_assert (b->score >= 0.4f);
      g_assert (b->points >= 0 &&
          (b->points == 0 ||
              b->points - 1 + result.n_points <= (int) points->len));
    }
  }
  for (int i = 0; i < n; i++)
    g_free (t[i].data);
  return 0;
}
