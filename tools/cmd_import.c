/* qfuse import: a detector that others trained becomes a model of ours.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tool.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "labels.h"
#include "qfuse.h"

static char *output, *head, *planes, *mean, *scale, *deviation, *fit, *labels,
    *size;
static char **settings;
static double threshold = -1, iou = -1;
static gboolean json;
static gboolean codes;                       /* what the file takes */
static const char *head_from;                /* who told the head */
static gboolean assumed_planes, assumed_fit; /* told by nobody */

static const GOptionEntry entries[] = { { "output", 'o', 0,
                                            G_OPTION_ARG_FILENAME, &output,
                                            "Where it is written", "OUT" },
  { "head", 0, 0, G_OPTION_ARG_STRING, &head,
      "How its outputs are read (default: recognised by names and shapes)",
      "HEAD" },
  { "set", 0, 0, G_OPTION_ARG_STRING_ARRAY, &settings,
      "What the head needs to know, as boxes=decoded or strides=8,16,32; more "
      "than once",
      "KEY=VALUE" },
  { "planes", 'p', 0, G_OPTION_ARG_STRING, &planes,
      "Order of its input channels: R,G,B or B,G,R, or Y", "P" },
  { "mean", 0, 0, G_OPTION_ARG_STRING, &mean,
      "What is subtracted from codes 0 to 255, of all channels or each", "M" },
  { "scale", 0, 0, G_OPTION_ARG_STRING, &scale,
      "What the rest is multiplied by, as 0.017 or 1/255", "S" },
  { "std", 0, 0, G_OPTION_ARG_STRING, &deviation,
      "Or what it is divided by, as 57.4,57.1,58.4", "S" },
  { "fit", 0, 0, G_OPTION_ARG_STRING, &fit,
      "How pictures fit in: letterbox or stretch", "FIT" },
  { "labels", 'l', 0, G_OPTION_ARG_STRING, &labels,
      "Names of its classes: a file with one a line, or commas between",
      "NAMES" },
  { "threshold", 0, 0, G_OPTION_ARG_DOUBLE, &threshold,
      "Least score of what is shown, 0 to 1", "T" },
  { "iou", 0, 0, G_OPTION_ARG_DOUBLE, &iou,
      "Boxes of one class that overlap more are one, 0 to 1", "I" },
  { "size", 0, 0, G_OPTION_ARG_STRING, &size,
      "Of its input in pixels, where the file leaves it open", "WxH" },
  { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print one JSON object", NULL },
  { NULL } };

static const ToolOptions options = {
  .command = "import",
  .arguments = "IN -o OUT",
  .summary =
      "Takes a float or quantized ONNX detector, recognises its head, and "
      "writes a model\nthat qfusedetect and the other commands run: its input "
      "becomes uint8 planes, its\nmetadata says how pictures become these and "
      "outputs become boxes. What the file\ndoes not tell is assumed as the "
      "head's authors have it, and printed.",
  .examples = "  qfuse import yunet.onnx -o faces.onnx\n"
              "  qfuse import best.onnx -o best-qfuse.onnx --size 640x384 "
              "--labels names.txt\n"
              "  qfuse import net.onnx -o net-qfuse.onnx --planes R,G,B --mean "
              "123.675,116.28,103.53 --std 58.395,57.12,57.375",
  .entries = entries,
};

/* What a head's authors feed it, and the thresholds they start from. */
typedef struct
{
  const char *head, *planes, *mean, *deviation, *fit;
  double threshold, iou;
  gboolean coco; /* trained on COCO where it has 80 classes */
} Habit;

static const Habit habits[] = {
  { "yunet", "B,G,R", "0", "1", "letterbox", 0.6, 0.45, FALSE },
  { "fastestdet", "B,G,R", "0", "255", "stretch", 0.6, 0.45, TRUE },
  { "yolox", "B,G,R", "0", "1", "letterbox", 0.4, 0.45, TRUE },
  { "yolov5", "R,G,B", "0", "255", "letterbox", 0.4, 0.45, TRUE },
  { "yolov8", "R,G,B", "0", "255", "letterbox", 0.4, 0.6, TRUE },
  { "nanodet", "B,G,R", "103.53,116.28,123.675", "57.375,57.12,58.395",
      "letterbox", 0.4, 0.6, TRUE },
  { "boxes", "R,G,B", "0", "255", "letterbox", 0.5, 1, FALSE },
  { NULL, "R,G,B", "0", "1", "letterbox", 0.5, 0.45, FALSE },
};

static const Habit *
habit_of (const char *name)
{
  const Habit *h = habits;

  while (h->head && strcmp (h->head, name) != 0)
    h++;
  return h;
}

/* ---- options ------------------------------------------------------------ */

/* A number or a fraction. */
static gboolean
read_number (const char *text, double *x)
{
  char *end;

  *x = g_ascii_strtod (text, &end);
  if (end != text && *end == '/') {
    const char *below = end + 1;
    double d = g_ascii_strtod (below, &end);

    if (end == below)
      return FALSE;
    *x /= d;
  }
  return end != text && *end == '\0' && isfinite (*x);
}

/* One number for all channels or as many as there are. */
static gboolean
read_numbers (const char *option, const char *text, int channels, double *x,
    GError **error)
{
  g_auto (GStrv) parts = g_strsplit (text, ",", -1);
  int n = (int) g_strv_length (parts);
  gboolean good = n == 1 || n == channels;

  for (int i = 0; good && i < channels; i++)
    good = read_number (g_strstrip (parts[n == 1 ? 0 : i]), &x[i]);
  if (!good)
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "%s %s: write one number or %d, with commas between", option, text,
        channels);
  return good;
}

static gboolean
read_size (QfImport *how, GError **error)
{
  int used = 0;

  if (!size ||
      (sscanf (size, "%dx%d%n", &how->width, &how->height, &used) == 2 &&
          !size[used] && how->width > 0 && how->height > 0))
    return TRUE;
  g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
      "--size %s: write it like 640x384", size);
  return FALSE;
}

/* Mean and scale of every channel, from the options, else as usual. */
static gboolean
read_normalization (
    QfImport *how, int channels, const Habit *habit, GError **error)
{
  double m[QF_IMPORT_CHANNELS], s[QF_IMPORT_CHANNELS];
  gboolean divides = !scale;
  const char *by = divides ? deviation ? deviation : habit->deviation : scale;
  const char *minus = mean ? mean : habit->mean;

  if (channels != 3 && !mean) /* three numbers are of colours */
    minus = strchr (minus, ',') ? "0" : minus;
  if (channels != 3 && !scale && !deviation)
    by = strchr (by, ',') ? "1" : by;
  how->n = channels;
  if (!read_numbers ("--mean", minus, channels, m, error) ||
      !read_numbers (divides ? "--std" : "--scale", by, channels, s, error))
    return FALSE;
  for (int i = 0; i < channels; i++) {
    how->mean[i] = (float) m[i];
    how->scale[i] = (float) (divides ? 1 / s[i] : s[i]);
    if (isfinite (how->mean[i]) && isfinite (how->scale[i]) && s[i] != 0)
      continue;
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT, "%s: 0 or out of range",
        divides ? "--std" : "--scale");
    return FALSE;
  }
  return TRUE;
}

/* ---- the model ---------------------------------------------------------- */

/* Labels given, of the file, or COCO's where that makes the head fit. */
static gboolean
choose_labels (QfModel *model, const Habit *habit, GError **error)
{
  g_autofree char *lines = labels ? labels_read (labels, error) : NULL;
  g_autoptr (QfDecoder) decoder = NULL;

  if (labels && !lines)
    return FALSE;
  if (!lines)
    lines = labels_from_names (qf_model_get (model, "names"));
  if (lines)
    qf_model_set (model, "qfuse.labels", lines);
  if (lines || qf_model_n_labels (model) > 0 || !habit->coco)
    return TRUE;
  qf_model_set (model, "qfuse.labels", labels_coco);
  decoder = qf_decoder_new (model, NULL);
  if (!decoder)
    qf_model_set (model, "qfuse.labels", NULL);
  return TRUE;
}

/* @x where it was given, else what the file says, else @usual. */
static void
set_number (QfModel *model, const char *key, double x, double usual)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];

  if (x < 0)
    x = qf_model_get_double (model, key, usual);
  qf_model_set (model, key, g_ascii_formatd (text, sizeof text, "%g", x));
}

/* --set KEY=VALUE becomes qfuse.head.KEY. */
static gboolean
set_parameters (QfModel *model, GError **error)
{
  for (int i = 0; settings && settings[i]; i++) {
    const char *sign = strchr (settings[i], '=');
    g_autofree char *key = sign ? g_strdup_printf ("qfuse.head.%.*s",
                                      (int) (sign - settings[i]), settings[i])
                                : NULL;

    if (!sign || sign == settings[i] || !sign[1]) {
      g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
          "--set %s: write it like boxes=decoded", settings[i]);
      return FALSE;
    }
    qf_model_set (model, key, sign + 1);
  }
  return TRUE;
}

/* Recognises the head of @model, whose input is ours already. */
static const char *
choose_head (QfModel *model, const char *path, GError **error)
{
  const char *name;

  if (!set_parameters (model, error))
    return NULL;
  if (labels) { /* their number helps to tell */
    g_autofree char *lines = labels_read (labels, error);

    if (!lines)
      return NULL;
    qf_model_set (model, "qfuse.labels", lines);
  }
  if (head) {
    qf_model_set (model, "qfuse.head", head);
    head_from = "as told";
    return head;
  }
  head_from = "as the file says";
  if ((name = qf_model_get (model, "qfuse.head")))
    return name;
  head_from = "by its outputs' names and shapes";
  name = qf_head_recognise (model, error);
  if (!name)
    g_prefix_error (error, "%s: ", path);
  return name;
}

/* Metadata of the finished model. */
static gboolean
describe (QfModel *model, const QfModel *plain, const Habit *habit,
    const char *order, GError **error)
{
  GList *keys = qf_model_keys (plain);

  for (GList *k = keys; k; k = k->next) /* what recognition has set */
    qf_model_set (model, k->data, qf_model_get (plain, k->data));
  g_list_free (keys);
  qf_model_set (model, "qfuse.version", "1");
  qf_model_set (model, "qfuse.planes", order);
  assumed_fit = !fit && !qf_model_get (model, "qfuse.fit");
  if (fit || assumed_fit)
    qf_model_set (model, "qfuse.fit", fit ? fit : habit->fit);
  set_number (model, "qfuse.threshold", threshold, habit->threshold);
  set_number (model, "qfuse.iou", iou, habit->iou);
  return choose_labels (model, habit, error);
}

/* The planes in canonical form: those given, of the file, else as usual. */
static char *
choose_planes (
    const QfModel *plain, int channels, const Habit *habit, GError **error)
{
  const char *text = planes ? planes : qf_model_get (plain, "qfuse.planes");
  QfPlanes p;

  assumed_planes = !text;
  if (!text)
    text = channels == 1 ? "Y" : habit->planes;
  if (!qf_planes_parse (&p, text, error))
    return NULL;
  if (p.n == channels)
    return qf_planes_to_string (&p);
  g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
      "planes %s are %d, but the network has %d input channels", text, p.n,
      channels);
  return NULL;
}

static QfModel *
import (const char *path, QfImport *how, GError **error)
{
  g_autoptr (QfModel) plain = qf_model_import (path, how, &codes, error);
  g_autoptr (QfModel) model = NULL;
  g_autoptr (QfDecoder) decoder = NULL;
  g_autoptr (QfEngine) engine = NULL;
  g_autofree char *order = NULL;
  const Habit *habit;
  const char *name;
  int c, h, w;

  if (!plain || !(name = choose_head (plain, path, error)))
    return NULL;
  habit = habit_of (name);
  qf_model_input_shape (plain, &c, &h, &w);
  if (!(order = choose_planes (plain, c, habit, error)) ||
      ((!codes || mean || scale || deviation) &&
          !read_normalization (how, c, habit, error)) ||
      !(model = qf_model_import (path, how, NULL, error)) ||
      !describe (model, plain, habit, order, error))
    return NULL;
  decoder = qf_decoder_new (model, error);
  if (decoder) /* every operator of it runs */
    engine = qf_engine_new (model, 1, error);
  if (!engine) {
    g_prefix_error (error, "%s: ", path);
    return NULL;
  }
  return g_steal_pointer (&model);
}

/* ---- the report --------------------------------------------------------- */

static char *
numbers (const float *x, int n, double top)
{
  GString *text = g_string_new (NULL);

  for (int i = 0; i < n; i++)
    g_string_append_printf (text, "%s%.6g", i ? "," : "",
        top != 0 ? top / (double) x[i] : (double) x[i]);
  return g_string_free (text, FALSE);
}

static void
print_object (const QfModel *model, const char *minus, const char *by)
{
  g_autoptr (JsonBuilder) b = json_builder_new ();
  int c, h, w;

  qf_model_input_shape (model, &c, &h, &w);
  json_builder_begin_object (b);
  tool_json_string (b, "model", output);
  tool_json_string (b, "head", qf_model_get (model, "qfuse.head"));
  tool_json_string (b, "planes", qf_model_get (model, "qfuse.planes"));
  tool_json_string (b, "mean", minus);
  tool_json_string (b, "std", by);
  tool_json_string (b, "fit", qf_model_get (model, "qfuse.fit"));
  tool_json_int (b, "width", w);
  tool_json_int (b, "height", h);
  tool_json_int (b, "labels", qf_model_n_labels (model));
  tool_json_int (b, "macs", qf_model_macs (model));
  json_builder_end_object (b);
  tool_print_json (b);
}

static void
print_text (const QfModel *model, const char *minus, const char *by)
{
  int given = (mean != NULL) + (scale || deviation);
  int n = qf_model_n_labels (model), c, h, w;
  gboolean coco =
      !g_strcmp0 (qf_model_get (model, "qfuse.labels"), labels_coco);

  qf_model_input_shape (model, &c, &h, &w);
  g_print ("%s: head %s, %s\n", output, qf_model_get (model, "qfuse.head"),
      head_from);
  g_print ("  input   %s%s at %dx%d, %s%s\n",
      qf_model_get (model, "qfuse.planes"), assumed_planes ? " (assumed)" : "",
      w, h, qf_model_get (model, "qfuse.fit"), assumed_fit ? " (assumed)" : "");
  if (codes)
    g_print ("  values  codes 0 to 255, as the file takes them\n");
  else
    g_print ("  values  (code - %s) / %s (%s)\n", minus, by,
        given == 2       ? "as told"
            : given == 1 ? "partly assumed"
                         : "assumed");
  g_print ("  labels  %d%s\n", n,
      n == 0     ? ", so boxes have no names; --labels gives them"
          : coco ? ", COCO's names assumed"
                 : "");
  g_print ("  %.1f MMAC a picture; threshold %s, overlap %s\n",
      (double) qf_model_macs (model) * 1e-6,
      qf_model_get (model, "qfuse.threshold"),
      qf_model_get (model, "qfuse.iou"));
}

static void
report (const QfModel *model, const QfImport *how)
{
  g_autofree char *minus = numbers (how->mean, how->n, 0);
  g_autofree char *by = numbers (how->scale, how->n, 1);

  if (json)
    print_object (model, minus, by);
  else
    print_text (model, minus, by);
}

int
cmd_import (int argc, char **argv)
{
  g_autoptr (QfModel) model = NULL;
  QfImport how = { 0 };
  GError *error = NULL;
  QfFit checked;
  int status;

  if (!tool_parse (&options, &argc, &argv, &status))
    return status;
  if (argc != 2 || !output)
    return tool_usage ("import", "it takes one model file and -o OUT");
  if (scale && deviation)
    return tool_usage ("import", "--scale and --std say the same; give one");
  if (fit && !qf_fit_parse (fit, &checked))
    return tool_usage ("import", "--fit %s: letterbox or stretch", fit);
  if (!(threshold <= 1) || !(iou <= 1))
    return tool_usage ("import", "--threshold and --iou take 0 to 1");
  if (!read_size (&how, &error) || !(model = import (argv[1], &how, &error)))
    return tool_usage_or_fail ("import", error);
  if (!tool_check_output (output, &error) ||
      !qf_model_save (model, output, &error))
    return tool_fail_error (error);
  report (model, &how);
  return TOOL_DONE;
}
