/* GStreamer qfuse: samples that a stream brought, until they are trained on.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqftrainset.h"

#include <string.h>

#include "base/rng.h"
#include "train/trainer-private.h"

/* A class as metas name it. */
typedef struct
{
  GQuark name; /* 0: none */
  gint id;     /* as first seen; −1: none */
  gint order;  /* of appearance */
  guint used;  /* by what is not to be ignored */
} Class;

typedef struct
{
  const guint8 *planes; /* in the store; NULL: a frame */
  gint frame;           /* its number */
  QfBox *boxes;         /* label: number of the class in the set's table */
  gint n_boxes;
  gint action; /* likewise; −1: none */
  guint order; /* of arrival */
  gboolean validation;
} Sample;

struct _GstQfTrainSet
{
  gsize bytes;
  QfStore *store;
  QfFrames *frames; /* NULL: samples are planes */
  gint frame;       /* number of the last one */
  guint max;
  QfRng rng;
  GPtrArray *samples; /* Sample */
  GArray *classes[2]; /* Class, of boxes and of actions */
  guint8 *planes;     /* handed out by next() */
  gint slot;          /* where its sample goes; −1: nowhere */
  guint arrived;
  guint n_boxes, n_actions; /* of all that arrived */
};

static void
sample_free (gpointer data)
{
  Sample *s = data;

  g_free (s->boxes);
  g_free (s);
}

GstQfTrainSet *
gst_qf_train_set_new (
    gsize bytes, guint max, guint64 memory_limit, guint64 seed)
{
  GstQfTrainSet *s = g_new0 (GstQfTrainSet, 1);

  s->bytes = bytes;
  s->store = qf_store_new (bytes, memory_limit);
  s->max = max;
  s->rng.state = seed;
  s->samples = g_ptr_array_new_with_free_func (sample_free);
  for (gint i = 0; i < 2; i++)
    s->classes[i] = g_array_new (FALSE, FALSE, sizeof (Class));
  return s;
}

void
gst_qf_train_set_free (GstQfTrainSet *s)
{
  if (!s)
    return;
  g_ptr_array_unref (s->samples);
  for (gint i = 0; i < 2; i++)
    g_array_unref (s->classes[i]);
  qf_frames_free (s->frames);
  qf_store_unref (s->store);
  g_free (s->planes);
  g_free (s);
}

void
gst_qf_train_set_keep_frames (
    GstQfTrainSet *s, const GstQfWant *want, gdouble speed, gboolean backwards)
{
  s->frames = qf_frames_new (
      &want->planes, want->rate_n, want->rate_d, speed, backwards, s->store);
}

guint8 *
gst_qf_train_set_picture (GstQfTrainSet *s)
{
  if (!s->planes)
    s->planes = g_malloc (s->bytes);
  return s->planes;
}

gboolean
gst_qf_train_set_push (
    GstQfTrainSet *s, GstClockTime time, gboolean cut, GError **error)
{
  s->frame = qf_frames_push (s->frames, s->planes,
      GST_CLOCK_TIME_IS_VALID (time) ? (gint64) time : -1, cut, error);
  return s->frame >= 0;
}

/* Vitter's algorithm R (Random sampling with a reservoir, ACM TOMS 1985). */
guint8 *
gst_qf_train_set_next (GstQfTrainSet *s)
{
  s->slot = (gint) s->samples->len;
  s->arrived++;
  if (s->max > 0 && s->arrived > s->max) {
    guint32 at = qf_rng_below (&s->rng, s->arrived);

    s->slot = at < s->max ? (gint) at : -1;
  }
  if (s->slot < 0)
    return NULL;
  return gst_qf_train_set_picture (s);
}

static gint
find_class (GArray *classes, GQuark name, gint id, gboolean use)
{
  Class new = { name, id, (gint) classes->len, 0 };

  for (guint i = 0; i < classes->len; i++) {
    Class *c = &g_array_index (classes, Class, i);

    if (c->name == name && (name || c->id == id)) {
      c->used += use;
      return (gint) i;
    }
  }
  new.used = use;
  g_array_append_val (classes, new);
  return new.order;
}

/* The box in the input's pixels; FALSE where nothing of it lies in the picture.
 */
static gboolean
take_box (GstQfTrainSet *s, const QfuseDetection *d,
    const QfuseTruthMeta *truth, const QfGeometry *geometry, QfBox *box)
{
  gfloat x1 = MIN (d->x + d->w, (gfloat) truth->width);
  gfloat y1 = MIN (d->y + d->h, (gfloat) truth->height);

  *box = (QfBox){ .x = MAX (d->x, 0),
    .y = MAX (d->y, 0),
    .score = 1,

    .id = d->id,
    .ignore = d->score == 0 };
  box->w = x1 - box->x;
  box->h = y1 - box->y;
  if (!(box->w > 0 && box->h > 0))
    return FALSE;
  box->label = find_class (s->classes[0], d->label, d->label_id, !box->ignore);
  qf_geometry_to_input (geometry, box);
  return TRUE;
}

gboolean
gst_qf_train_set_add (GstQfTrainSet *s, const QfuseTruthMeta *truth,
    const QfGeometry *geometry, gboolean validation, GError **error)
{
  Sample *sample = g_new0 (Sample, 1);

  sample->boxes = g_new (QfBox, truth->boxes->len);
  for (guint i = 0; i < truth->boxes->len; i++) {
    const QfuseDetection *d = &g_array_index (truth->boxes, QfuseDetection, i);
    QfBox *box = &sample->boxes[sample->n_boxes];

    if (!take_box (s, d, truth, geometry, box))
      continue;
    sample->n_boxes++;
    s->n_boxes += !box->ignore;
  }
  sample->action = -1;
  if (truth->action || truth->action_id >= 0) {
    sample->action =
        find_class (s->classes[1], truth->action, truth->action_id, TRUE);
    s->n_actions++;
  }
  sample->order = s->arrived;
  sample->validation = validation;

  if (s->slot < 0) {
    sample_free (sample);
    return TRUE;
  }
  if ((guint) s->slot < s->samples->len) {
    Sample *old = s->samples->pdata[s->slot];

    if (s->frames)
      qf_frames_release (s->frames, old->frame);
    else
      qf_store_release (s->store, old->planes);
    sample_free (old);
    s->samples->pdata[s->slot] = sample;
  } else
    g_ptr_array_add (s->samples, sample);
  sample->frame = s->frames ? s->frame : -1;
  if (s->frames)
    qf_frames_keep (s->frames);
  else
    sample->planes = qf_store_add (s->store, s->planes, error);
  return s->frames || sample->planes;
}

guint
gst_qf_train_set_size (const GstQfTrainSet *s, guint *n_validation)
{
  guint n = 0;

  for (guint i = 0; i < s->samples->len; i++)
    n += ((Sample *) s->samples->pdata[i])->validation;
  if (n_validation)
    *n_validation = n;
  return s->samples->len;
}

guint
gst_qf_train_set_n_boxes (const GstQfTrainSet *s)
{
  return s->n_boxes;
}

guint
gst_qf_train_set_n_actions (const GstQfTrainSet *s)
{
  return s->n_actions;
}

static gint
by_number (gconstpointer a, gconstpointer b)
{
  const Class *p = a, *q = b;
  guint i = (guint) p->id, j = (guint) q->id; /* −1 comes last */

  return i != j ? (i < j ? -1 : 1) : p->order - q->order;
}

static gchar *
class_name (const Class *c, guint n_classes)
{
  if (c->name) /* one line each where they are stored */
    return g_strdelimit (g_strdup (g_quark_to_string (c->name)), "\n", ' ');
  if (n_classes == 1 || c->id < 0)
    return g_strdup ("object");
  return g_strdup_printf ("object %d", c->id + 1);
}

/* Classes that something uses. */
static GArray *
used_classes (const GstQfTrainSet *s, gboolean actions)
{
  GArray *used = g_array_copy (s->classes[actions ? 1 : 0]);

  for (guint i = used->len; i-- > 0;)
    if (g_array_index (used, Class, i).used == 0)
      g_array_remove_index (used, i);
  return used;
}

gchar *
gst_qf_train_set_labels (const GstQfTrainSet *s, gboolean actions)
{
  g_autoptr (GArray) used = used_classes (s, actions);
  GString *text = g_string_new (NULL);

  g_array_sort (used, by_number);
  for (guint i = 0; i < used->len; i++) {
    g_autofree gchar *name =
        class_name (&g_array_index (used, Class, i), used->len);

    if (i > 0)
      g_string_append_c (text, '\n');
    g_string_append (text, name);
  }
  return g_string_free (text, FALSE);
}

static gint
number_class (const Class *c, guint n_classes, gchar **names)
{
  g_autofree gchar *name = class_name (c, n_classes);
  gint n_names = (gint) g_strv_length (names);

  for (gint k = 0; k < n_names; k++)
    if (g_str_equal (names[k], name))
      return k;
  return !c->name && c->id < n_names ? MAX (c->id, 0) : -1;
}

/* Number of each class of the table among @names; −1: of what is ignored only.
 */
static gint *
number_classes (
    const GstQfTrainSet *s, gboolean actions, gchar **names, GError **error)
{
  g_autoptr (GArray) used = used_classes (s, actions);
  const GArray *classes = s->classes[actions ? 1 : 0];
  gint *numbers = g_new (gint, classes->len + 1);

  for (guint i = 0; i < classes->len; i++) {
    const Class *c = &g_array_index (classes, Class, i);

    numbers[i] = number_class (c, used->len, names);
    if (numbers[i] < 0 && c->used > 0) {
      g_autofree gchar *name = class_name (c, used->len);
      g_autofree gchar *all = g_strjoinv (", ", names);

      g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
          "The frames are tagged with \"%s\", which is not among the labels to "
          "be learnt (%s).",
          name, all);
      g_free (numbers);
      return NULL;
    }
  }
  return numbers;
}

static gint
by_arrival (gconstpointer a, gconstpointer b)
{
  const Sample *p = *(Sample *const *) a, *q = *(Sample *const *) b;

  return p->order < q->order ? -1 : 1;
}

gboolean
gst_qf_train_set_move (GstQfTrainSet *s, QfTrainer *trainer,
    const gchar *labels, gboolean actions, gdouble share, GError **error)
{
  g_auto (GStrv) names = g_strsplit (labels, "\n", -1);
  g_autofree gint *numbers = number_classes (s, actions, names, error);
  guint n_validation, n = 0;

  if (!numbers)
    return FALSE;
  gst_qf_train_set_size (s, &n_validation);
  g_ptr_array_sort (s->samples, by_arrival);
  if (s->frames)
    qf_trainer_set_frames (trainer, g_steal_pointer (&s->frames));
  else
    qf_trainer_set_store (trainer, s->store);
  for (guint i = 0; i < s->samples->len; i++) {
    Sample *sample = s->samples->pdata[i];
    gboolean validation = sample->validation;

    if (actions && sample->action < 0)
      continue;
    for (gint k = 0; k < sample->n_boxes; k++)
      sample->boxes[k].label = actions ? 0 : numbers[sample->boxes[k].label];
    if (n_validation == 0)
      validation = (guint) ((n + 1) * share) > (guint) (n * share);
    n++;
    qf_trainer_add_stored (trainer, sample->planes, sample->frame,
        sample->boxes, actions ? 0 : sample->n_boxes,
        actions ? numbers[sample->action] : -1, validation);
  }
  g_ptr_array_set_size (s->samples, 0);
  return TRUE;
}
