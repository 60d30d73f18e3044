/* GStreamer qfuse: a loaded model, ready to run on planes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqfnetwork.h"

#include <string.h>

#define DEFAULT_THRESHOLD 0.5 /* of a model that names none */
#define DEFAULT_IOU 0.5

struct _GstQfNetwork
{
  QfModel *model;
  QfEngine *engine;
  QfDecoder *decoder;
  GstQfWant want;
  guint8 *planes; /* the next input */
  guint8 *last;   /* the input that the engine's outputs are of */
  gboolean has_last;
  GQuark *labels; /* 0: has no name */
  gint n_labels;
  gfloat threshold, iou;
  guint64 serial;
  QfResult result;
};

static void
network_clear (gpointer data)
{
  GstQfNetwork *n = data;

  g_clear_pointer (&n->decoder, qf_decoder_free);
  g_clear_pointer (&n->engine, qf_engine_free);
  g_clear_pointer (&n->model, qf_model_unref);
  g_clear_pointer (&n->result.boxes, g_array_unref);
  g_clear_pointer (&n->result.points, g_array_unref);
  g_free (n->planes);
  g_free (n->last);
  g_free (n->labels);
}

GstQfNetwork *
gst_qf_network_ref (GstQfNetwork *n)
{
  return g_atomic_rc_box_acquire (n);
}

void
gst_qf_network_unref (GstQfNetwork *n)
{
  if (n)
    g_atomic_rc_box_release_full (n, network_clear);
}

static gboolean
check_input (GstQfNetwork *n, GError **error)
{
  const QfTensor *in;

  if (qf_engine_n_inputs (n->engine) != 1) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "the network has %d inputs, one is needed",
        qf_engine_n_inputs (n->engine));
    return FALSE;
  }
  in = qf_engine_input (n->engine, 0);
  if (in->n != 1 || in->c != n->want.planes.n || in->h != n->want.height ||
      in->w != n->want.width || (in->dtype != QF_U8 && in->dtype != QF_F32)) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "the network's input is %d×%d×%d×%d, but one picture of %d×%d×%d "
        "uint8 or float32 is needed",
        in->n, in->c, in->h, in->w, n->want.planes.n, n->want.height,
        n->want.width);
    return FALSE;
  }
  return TRUE;
}

static void
read_metadata (GstQfNetwork *n)
{
  const char *serial = qf_model_get (n->model, "qfuse.serial");

  n->threshold = (gfloat) CLAMP (
      qf_model_get_double (n->model, "qfuse.threshold", DEFAULT_THRESHOLD), 0,
      1);
  n->iou = (gfloat) CLAMP (
      qf_model_get_double (n->model, "qfuse.iou", DEFAULT_IOU), 0, 1);
  n->serial = serial ? g_ascii_strtoull (serial, NULL, 10) : 0;
  n->n_labels = qf_model_n_labels (n->model);
  n->labels = g_new0 (GQuark, (gsize) n->n_labels + 1);
  for (gint i = 0; i < n->n_labels; i++) {
    const char *label = qf_model_label (n->model, i);

    n->labels[i] = label && *label ? g_quark_from_string (label) : 0;
  }
}

/* A network that cannot run so computes everything. */
static gboolean
set_sparse (GstQfNetwork *n, QfSparseMode mode, GError **error)
{
  g_autoptr (GError) why = NULL;
  guint8 rest[QF_MAX_PLANES];

  if (mode == QF_SPARSE_OFF)
    return TRUE;
  if (!qf_planes_at_rest (&n->want.planes, rest)) {
    GST_INFO ("computes everything: not all planes are differences with a dead "
              "band");
    return TRUE;
  }
  if (qf_engine_set_sparse (n->engine, mode, rest, n->want.planes.n, &why))
    return TRUE;
  if (!g_error_matches (why, QF_ERROR, QF_ERROR_UNSUPPORTED)) {
    g_propagate_error (error, g_steal_pointer (&why));
    return FALSE;
  }
  GST_INFO ("computes everything: %s", why->message);
  return TRUE;
}

GstQfNetwork *
gst_qf_network_new (
    const gchar *path, gint threads, QfSparseMode sparse, GError **error)
{
  g_autoptr (GstQfNetwork) n = g_atomic_rc_box_new0 (GstQfNetwork);

  n->result.boxes = g_array_new (FALSE, FALSE, sizeof (QfBox));
  n->result.points = g_array_new (FALSE, FALSE, sizeof (QfKeyPoint));
  n->model = qf_model_load (path, error);
  if (!n->model)
    return NULL;
  if (!gst_qf_want_from_model (&n->want, n->model, error) ||
      !(n->engine = qf_engine_new (n->model, threads, error)) ||
      !check_input (n, error) || !set_sparse (n, sparse, error) ||
      !(n->decoder = qf_decoder_new (n->model, error))) {
    g_prefix_error (error, "%s: ", path);
    return NULL;
  }
  n->planes = g_malloc (gst_qf_want_size (&n->want));
  n->last = g_malloc (gst_qf_want_size (&n->want));
  read_metadata (n);
  return g_steal_pointer (&n);
}

const GstQfWant *
gst_qf_network_want (const GstQfNetwork *n)
{
  return &n->want;
}

guint8 *
gst_qf_network_input (GstQfNetwork *n)
{
  return n->planes;
}

static GQuark
label_quark (const GstQfNetwork *n, gint label)
{
  return label >= 0 && label < n->n_labels ? n->labels[label] : 0;
}

/* An action must have a name, for 0 says that there is none. */
static GQuark
action_quark (const GstQfNetwork *n, gint action)
{
  GQuark quark = label_quark (n, action);

  if (!quark) {
    gchar *text = g_strdup_printf ("action %d", action);

    quark = g_quark_from_string (text);
    g_free (text);
  }
  return quark;
}

/* The key points of @box, in pixels of the frame. */
static QfuseKeyPoint *
copy_points (const GstQfNetwork *n, const QfGeometry *geometry, gint first)
{
  QfuseKeyPoint *points = g_new (QfuseKeyPoint, n->result.n_points);

  for (gint i = 0; i < n->result.n_points; i++) {
    QfKeyPoint p = g_array_index (n->result.points, QfKeyPoint, first - 1 + i);

    qf_geometry_point_to_source (geometry, &p.x, &p.y);
    points[i] = (QfuseKeyPoint){ p.x, p.y, p.score };
  }
  return points;
}

static void
add_box (const GstQfNetwork *n, const QfGeometry *geometry, QfBox box,
    GstQfFound *found)
{
  QfuseDetection d = { .score = box.score,
    .label_id = box.label,
    .label = label_quark (n, box.label),
    .roi_id = -1 };

  if (!qf_geometry_to_source (geometry, &box))
    return;
  d.x = box.x;
  d.y = box.y;
  d.w = box.w;
  d.h = box.h;
  if (box.points > 0) {
    d.n_points = (guint) n->result.n_points;
    d.points = copy_points (n, geometry, box.points);
  }
  g_array_append_val (found->detections, d);
}

void
gst_qf_network_macs (const GstQfNetwork *n, guint64 *macs, guint64 *all)
{
  QfSparseStats stats;

  qf_engine_sparse_stats (n->engine, &stats);
  *all = (guint64) qf_model_macs (n->model);
  *macs = (guint64) (stats.last_share * (double) *all + 0.5);
}

gdouble
gst_qf_network_time_share (const GstQfNetwork *n)
{
  QfSparseStats stats;

  qf_engine_sparse_stats (n->engine, &stats);
  return stats.all_us > 0 ? (gdouble) stats.us / (gdouble) stats.all_us : -1;
}

const gchar *
gst_qf_network_differs (const GstQfNetwork *n)
{
  return qf_engine_sparse_differs (n->engine);
}

const gchar *
gst_qf_network_trouble (const GstQfNetwork *n)
{
  return qf_engine_trouble (n->engine);
}

/* Brings the engine's outputs to what the input says. FALSE: they were. The
 * engine's own input is not where planes are compared: it shares memory with
 * the outputs. */
static gboolean
run_engine (GstQfNetwork *n)
{
  const QfTensor *in = qf_engine_input (n->engine, 0);
  gsize size = gst_qf_want_size (&n->want);
  guint8 *planes = n->planes;

  if (n->has_last && memcmp (n->last, planes, size) == 0)
    return FALSE;
  if (in->dtype == QF_F32)
    for (gsize i = 0; i < size; i++)
      ((float *) in->data)[i] = planes[i];
  else
    memcpy (in->data, planes, size);
  n->planes = n->last;
  n->last = planes;
  n->has_last = TRUE;
  qf_engine_run (n->engine);
  return TRUE;
}

gboolean
gst_qf_network_run (GstQfNetwork *n, const QfGeometry *geometry,
    gfloat threshold, gfloat iou, gint max, GstQfFound *found)
{
  gboolean ran = run_engine (n);
  int n_outputs;
  const QfTensor *outputs;

  outputs = qf_engine_outputs (n->engine, &n_outputs);
  qf_decoder_run (n->decoder, outputs, n_outputs,
      threshold < 0 ? n->threshold : threshold, iou < 0 ? n->iou : iou, max,
      &n->result);

  gst_qf_found_reset (found);
  found->width = (guint) geometry->src_w;
  found->height = (guint) geometry->src_h;
  found->serial = n->serial;
  for (guint i = 0; i < n->result.boxes->len; i++)
    add_box (n, geometry, g_array_index (n->result.boxes, QfBox, i), found);
  if (n->result.action >= 0) {
    found->action = action_quark (n, n->result.action);
    found->action_id = n->result.action;
    found->action_score = n->result.action_score;
  }
  return ran;
}
