/* Trains briefly on a clip, then compares the trainer's frozen forward pass with
 * the engine on the written file, frame by frame, and leaves what ort_compare.py
 * --frames needs to compare ONNX Runtime too.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Usage: frozen CLIP TRUTH FOLDER. Learns from frames 1 … 200 (3 epochs of
 * Y,D1x2t8,D5x2t8), compares on the next 50. FOLDER gets model.onnx and, for
 * each frame, NN.in (planes) and NN.out (the trainer's output codes, NCHW).
 * Exit code 0 where all bytes are equal. */
#include "engine/engine.h"
#include "train/trainer-private.h"
#include "vision/annotations.h"
#include "vision/differencer.h"
#include "vision/scale.h"

#include <gst/gst.h>
#include <gst/video/video.h>
#include <stdio.h>
#include <string.h>

#define LEARNED 200
#define COMPARED 50
#define WIDTH 320
#define HEIGHT 240

typedef struct
{
  QfTrainOptions o;
  QfAnnotations *truth;
  QfTrainer *t;
  QfDifferencer *d;
  QfScaler *scaler;
  GstVideoInfo info;
  QfGeometry geometry;
  GPtrArray *later; /* planes of the frames to compare on */
  int frame;
} State;

static void
begin (State *s, GstPad *pad)
{
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (pad);

  gst_video_info_from_caps (&s->info, caps);
  qf_geometry_init (&s->geometry, QF_FIT_LETTERBOX, s->info.width,
      s->info.height, 1, 1, WIDTH, HEIGHT);
  if (s->geometry.w != WIDTH || s->geometry.h != HEIGHT)
    g_error ("the clip must have the aspect 4:3");
  s->scaler
      = qf_scaler_new (s->info.width, s->info.height, WIDTH, HEIGHT);
}

static void
take_frame (GstElement *sink, GstBuffer *buffer, GstPad *pad, gpointer data)
{
  State *s = data;
  GstVideoFrame f;
  guint8 luma[WIDTH * HEIGHT];
  g_autofree guint8 *planes = g_malloc (sizeof luma * s->o.planes.n);
  QfBox boxes[100];
  const QfBox *truth;
  int n;

  if (s->frame++ == 0)
    begin (s, pad);
  if (s->frame > LEARNED + COMPARED
      || !gst_video_frame_map (&f, &s->info, buffer, GST_MAP_READ))
    return;
  qf_scaler_run (s->scaler, GST_VIDEO_FRAME_PLANE_DATA (&f, 0),
      GST_VIDEO_FRAME_PLANE_STRIDE (&f, 0), luma, WIDTH);
  gst_video_frame_unmap (&f);
  qf_differencer_push (s->d, luma, NULL, -1, planes);
  if (s->frame > LEARNED) {
    g_ptr_array_add (s->later, g_steal_pointer (&planes));
    return;
  }
  truth = qf_annotations_frame (s->truth, s->frame, &n);
  n = MIN (n, 100);
  for (int i = 0; i < n; i++) {
    boxes[i] = truth[i];
    qf_geometry_to_input (&s->geometry, &boxes[i]);
  }
  qf_trainer_add (s->t, planes, boxes, n, -1, FALSE);
}

static void
play (const char *clip, State *s)
{
  g_autoptr (GError) error = NULL;
  GstElement *pipeline = gst_parse_launch ("filesrc name=src ! decodebin ! "
      "video/x-raw,format=I420 ! fakesink name=sink signal-handoffs=true "
      "sync=false", &error);
  g_autoptr (GstElement) src = NULL, sink = NULL;
  g_autoptr (GstBus) bus = NULL;
  g_autoptr (GstMessage) m = NULL;

  if (!pipeline)
    g_error ("%s", error->message);
  src = gst_bin_get_by_name (GST_BIN (pipeline), "src");
  sink = gst_bin_get_by_name (GST_BIN (pipeline), "sink");
  g_object_set (src, "location", clip, NULL);
  g_signal_connect (sink, "handoff", G_CALLBACK (take_frame), s);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  bus = gst_element_get_bus (pipeline);
  m = gst_bus_timed_pop_filtered (bus, GST_CLOCK_TIME_NONE,
      GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  if (GST_MESSAGE_TYPE (m) == GST_MESSAGE_ERROR)
    g_error ("cannot play %s", clip);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (pipeline);
}

/* NCHW codes of all outputs of the trainer's net. */
static GByteArray *
net_outputs (const QfNet *net)
{
  GByteArray *out = g_byte_array_new ();

  for (guint o = 0; o < net->outputs->len; o++) {
    const QfBlob *b = qf_net_blob (net, g_array_index (net->outputs, int, o));

    for (int c = 0; c < b->c; c++)
      for (int p = 0; p < b->h * b->w; p++)
        g_byte_array_append (out, b->codes + p * b->c + c, 1);
  }
  return out;
}

static GByteArray *
engine_outputs (const QfEngine *e)
{
  GByteArray *out = g_byte_array_new ();

  for (int o = 0; o < qf_engine_n_outputs (e); o++) {
    const QfTensor *t = qf_engine_output (e, o);

    for (int c = 0; c < t->c; c++)
      for (int p = 0; p < t->h * t->w; p++)
        g_byte_array_append (out, (guint8 *) t->data
                + qf_tensor_index (t, c, p / t->w, p % t->w), 1);
  }
  return out;
}

static void
write_file (const char *folder, int frame, const char *ending,
    gconstpointer data, gsize size)
{
  g_autofree char *path
      = g_strdup_printf ("%s/%02d.%s", folder, frame, ending);
  g_autoptr (GError) error = NULL;

  if (!g_file_set_contents (path, data, (gssize) size, &error))
    g_error ("%s", error->message);
}

/* Returns differing bytes. */
static gsize
compare_frame (State *s, QfEngine *engine, const char *folder, int frame)
{
  gsize size = sizeof (guint8) * WIDTH * HEIGHT * s->o.planes.n, wrong = 0;
  const guint8 *planes = g_ptr_array_index (s->later, frame);
  g_autoptr (GPtrArray) one
      = g_ptr_array_new_with_free_func ((GDestroyNotify) qf_sample_free);
  QfBatch batch = { s->t, one, 0, 1 };
  g_autoptr (GByteArray) net = NULL, ran = NULL;

  g_ptr_array_add (one, qf_sample_new (planes, -1, NULL, 0, -1));
  qf_batch_load (&batch, 0, 0);
  qf_net_forward (s->t->net, 1, FALSE);
  memcpy (qf_engine_input (engine, 0)->data, planes, size);
  qf_engine_run (engine);
  net = net_outputs (s->t->net);
  ran = engine_outputs (engine);
  g_assert (net->len == ran->len);
  for (guint i = 0; i < net->len; i++)
    wrong += net->data[i] != ran->data[i];
  write_file (folder, frame, "in", planes, size);
  write_file (folder, frame, "out", net->data, net->len);
  return wrong;
}

int
main (int argc, char **argv)
{
  State s = { .later = g_ptr_array_new_with_free_func (g_free) };
  g_autoptr (GError) error = NULL;
  g_autoptr (QfModel) model = NULL, read = NULL;
  g_autoptr (QfEngine) engine = NULL;
  g_autofree char *path = NULL;
  gsize wrong = 0;

  gst_init (&argc, &argv);
  if (argc != 4)
    g_error ("usage: frozen CLIP TRUTH FOLDER");
  qf_train_options_init (&s.o);
  qf_planes_parse (&s.o.planes, "Y,D1x2t8,D5x2t8", NULL);
  s.o.labels = "person";
  s.o.epochs = 3;
  s.truth = qf_annotations_load (argv[2], "auto", &error);
  if (!s.truth)
    g_error ("%s", error->message);
  s.t = qf_trainer_new (&s.o, NULL, &error);
  s.d = qf_differencer_new (&s.o.planes, WIDTH, HEIGHT, 0, 1);
  play (argv[1], &s);
  if (!qf_trainer_run (s.t, NULL, NULL, &error))
    g_error ("%s", error->message);
  model = qf_trainer_export (s.t, &error);
  path = g_build_filename (argv[3], "model.onnx", NULL);
  if (!model || !qf_model_save (model, path, &error))
    g_error ("%s", error->message);
  read = qf_model_load (path, &error);
  engine = read ? qf_engine_new (read, 0, &error) : NULL;
  if (!engine)
    g_error ("%s", error->message);
  for (guint i = 0; i < s.later->len; i++)
    wrong += compare_frame (&s, engine, argv[3], (int) i);
  printf ("%u frames, %" G_GSIZE_FORMAT " bytes differ between the trainer's "
      "frozen forward pass and the engine\n", s.later->len, wrong);
  return wrong != 0 || s.later->len != COMPARED;
}
