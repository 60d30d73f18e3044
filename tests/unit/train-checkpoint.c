/* qfuse tests: a training that is stopped, killed or cut off anywhere goes on
 * to the same bytes; damaged, foreign and unwritable checkpoints are told of.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/file.h"
#include "train/trainer-private.h"
#include "trainnet.h"

#include <glib/gstdio.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE 32
#define KILLS 20

static char *self; /* this program */

static void
options (QfTrainOptions *o, const char *checkpoint)
{
  qf_train_options_init (o);
  g_assert_true (qf_planes_parse (&o->planes, "Y,D1x2t8", NULL));
  o->width = o->height = SIZE;
  o->labels = "square";
  o->epochs = 8;
  o->batch_size = 4;
  o->threads = 2;
  o->checkpoint = checkpoint;
  o->checkpoint_seconds = 0;
  o->resume = checkpoint != NULL;
}

/* A bright square on noise; the difference plane has its edges. */
static QfTrainer *
trainer (const QfTrainOptions *o)
{
  GError *error = NULL;
  QfTrainer *t = qf_trainer_new (o, NULL, &error);
  QfRng rng = { 5 };
  guint8 planes[2 * SIZE * SIZE];

  g_assert_no_error (error);
  for (int i = 0; i < 24; i++) {
    int side = 8 + (int) qf_rng_below (&rng, 8);
    int x = (int) qf_rng_below (&rng, (guint32) (SIZE - side));
    int y = (int) qf_rng_below (&rng, (guint32) (SIZE - side));
    QfBox box = { (float) x, (float) y, (float) side, (float) side, 1, 0, 0,
      FALSE };

    for (int p = 0; p < SIZE * SIZE; p++) {
      planes[p] = (guint8) (60 + qf_rng_below (&rng, 60));
      planes[SIZE * SIZE + p] = 128;
    }
    for (int r = y; r < y + side; r++) {
      memset (planes + r * SIZE + x, 220, (gsize) side);
      planes[SIZE * SIZE + r * SIZE + x] = 228;
    }
    qf_trainer_add (t, planes, &box, 1, -1, i >= 16);
  }
  return t;
}

/* What the training leaves: the model, and the best one. */
static GBytes *
bytes_of (QfTrainer *t)
{
  GError *error = NULL;
  g_autoptr (QfModel) m = qf_trainer_export (t, &error);
  GBytes *bytes;

  g_assert_no_error (error);
  bytes = qf_model_to_bytes (m, &error);
  g_assert_no_error (error);
  return bytes;
}

static GBytes *
unbroken (void)
{
  QfTrainOptions o;
  g_autoptr (QfTrainer) t = NULL;
  GError *error = NULL;

  options (&o, NULL);
  t = trainer (&o);
  qf_trainer_run (t, NULL, NULL, &error);
  g_assert_no_error (error);
  return bytes_of (t);
}

static char *
scratch_folder (void)
{
  GError *error = NULL;
  char *folder = g_dir_make_tmp ("qf-checkpoint-XXXXXX", &error);

  g_assert_no_error (error);
  return folder;
}

/* Removes a folder with files in it; returns how many there were. */
static int
remove_folder (const char *folder)
{
  GDir *dir = g_dir_open (folder, 0, NULL);
  const char *name;
  int n = 0;

  while ((name = g_dir_read_name (dir))) {
    g_autofree char *path = g_build_filename (folder, name, NULL);

    g_assert_cmpint (g_unlink (path), ==, 0);
    n++;
  }
  g_dir_close (dir);
  g_assert_cmpint (g_rmdir (folder), ==, 0);
  return n;
}

typedef struct
{
  int left; /* reports until it stops */
  gboolean resumed;
} Stop;

static gboolean
stop_at (QfTrainer *t, const QfTrainReport *r, gpointer user_data)
{
  Stop *stop = user_data;

  stop->resumed = r->resumed;
  return --stop->left > 0;
}

/* Stopped after every 1 to 7 reports, also at the ends of epochs. */
static void
test_stops (void)
{
  g_autoptr (GBytes) whole = unbroken ();
  g_autoptr (GBytes) pieces = NULL;
  g_autofree char *folder = scratch_folder ();
  g_autofree char *path = g_build_filename (folder, "c.qfc", NULL);
  QfRng rng = { test_seed () };
  QfTrainOptions o;
  gboolean over = FALSE;
  int runs = 0;

  options (&o, path);
  while (!over && runs < 100) {
    g_autoptr (QfTrainer) t = trainer (&o);
    g_autoptr (GError) error = NULL;
    Stop stop = { 2 + (int) qf_rng_below (&rng, 6), FALSE };

    over = qf_trainer_run (t, stop_at, &stop, &error);
    if (!over)
      g_assert_error (error, QF_ERROR, QF_ERROR_CANCELLED);
    g_assert_true (stop.resumed == (runs > 0));
    if (over) {
      pieces = bytes_of (t);
      g_assert_nonnull (qf_trainer_best (t));
    }
    runs++;
  }
  g_test_message ("%d runs", runs);
  g_assert_true (over);
  g_assert_cmpint (runs, >, 5);
  g_assert_true (g_bytes_equal (whole, pieces));
  g_assert_cmpint (remove_folder (folder), ==, 1);
}

/* What a killed child does: trains, writes the model, says so. */
static int
child (const char *folder)
{
  g_autofree char *path = g_build_filename (folder, "c.qfc", NULL);
  g_autofree char *model = g_build_filename (folder, "m.onnx", NULL);
  QfTrainOptions o;
  g_autoptr (QfTrainer) t = NULL;
  g_autoptr (GBytes) bytes = NULL;
  gsize size;

  options (&o, path);
  t = trainer (&o);
  if (!qf_trainer_run (t, NULL, NULL, NULL))
    return 1;
  bytes = bytes_of (t);
  return !qf_file_replace (
      model, g_bytes_get_data (bytes, &size), g_bytes_get_size (bytes), NULL);
}

/* Runs a child, killing it after @microseconds (0: not). Whether it ended well.
 */
static gboolean
run_child (const char *folder, gulong microseconds)
{
  char *argv[] = { self, (char *) "--child", (char *) folder, NULL };
  GPid pid;
  int status;
  GError *error = NULL;

  g_spawn_async (
      NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &pid, &error);
  g_assert_no_error (error);
  if (microseconds > 0) {
    g_usleep (microseconds);
    kill (pid, SIGKILL);
  }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  return WIFEXITED (status) && WEXITSTATUS (status) == 0;
}

static void
test_kills (void)
{
  g_autoptr (GBytes) whole = unbroken ();
  g_autofree char *folder = scratch_folder ();
  g_autofree char *model = g_build_filename (folder, "m.onnx", NULL);
  g_autofree char *text = NULL;
  QfRng rng = { test_seed () };
  gint64 begin = g_get_monotonic_time (), took;
  int killed = 0, ended = 0;
  gsize size;

  /* Moments spread over a whole run; what ended before it was hit begins anew.
   */
  g_assert_true (run_child (folder, 0));
  took = g_get_monotonic_time () - begin;
  remove_folder (folder);
  g_assert_cmpint (g_mkdir (folder, 0700), ==, 0);
  while (killed < KILLS) {
    if (run_child (folder,
            1000 + qf_rng_below (&rng, (guint32) MAX (took / 4, 2000)))) {
      ended++;
      remove_folder (folder);
      g_assert_cmpint (g_mkdir (folder, 0700), ==, 0);
    } else {
      killed++;
    }
    g_assert_cmpint (ended, <, 1000);
  }
  g_assert_true (run_child (folder, 0));
  g_test_message ("a run takes %d ms; %d kills, %d ended before",
      (int) (took / 1000), killed, ended);
  g_assert_true (g_file_get_contents (model, &text, &size, NULL));
  g_assert_cmpmem (
      text, size, g_bytes_get_data (whole, NULL), g_bytes_get_size (whole));
  remove_folder (folder);
}

static void
expect (const QfTrainOptions *o, QfErrorCode code, const char *word)
{
  g_autoptr (QfTrainer) t = trainer (o);
  g_autoptr (GError) error = NULL;

  g_assert_false (qf_trainer_run (t, NULL, NULL, &error));
  g_assert_error (error, QF_ERROR, (int) code);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, word));
}

/* Every cut and a flipped bit anywhere are found; nothing of it is taken. */
static void
test_damaged (void)
{
  g_autofree char *folder = scratch_folder ();
  g_autofree char *path = g_build_filename (folder, "c.qfc", NULL);
  g_autofree char *text = NULL;
  QfRng rng = { test_seed () };
  QfTrainOptions o;
  gsize size;

  options (&o, path);
  o.epochs = 1;
  {
    g_autoptr (QfTrainer) t = trainer (&o);

    g_assert_true (qf_trainer_run (t, NULL, NULL, NULL));
  }
  g_assert_true (g_file_get_contents (path, &text, &size, NULL));
  for (int i = 0; i < 12; i++) {
    gsize at = i == 0 ? 0 : qf_rng_below (&rng, (guint32) size);

    if (i % 2) {
      text[at] ^= 1;
      g_assert_true (g_file_set_contents (path, text, (gssize) size, NULL));
      text[at] ^= 1;
    } else {
      g_assert_true (g_file_set_contents (path, text, (gssize) at, NULL));
    }
    expect (&o, QF_ERROR_FORMAT, "damaged");
  }
  g_assert_true (g_file_set_contents (path, text, (gssize) size, NULL));
  o.seed++;
  expect (&o, QF_ERROR_ARGUMENT, "other options");
  o.seed--;
  o.brightness = 0;
  expect (&o, QF_ERROR_ARGUMENT, "other options");
  remove_folder (folder);
}

static void
change (QfTrainOptions *o, int i)
{
  static const struct
  {
    gsize offset;
    double value;
  } doubles[] = {
    { G_STRUCT_OFFSET (QfTrainOptions, learning_rate), 0.03 },
    { G_STRUCT_OFFSET (QfTrainOptions, momentum), 0.8 },
    { G_STRUCT_OFFSET (QfTrainOptions, weight_decay), 1e-3 },
    { G_STRUCT_OFFSET (QfTrainOptions, average), 0.9 },
    { G_STRUCT_OFFSET (QfTrainOptions, clip_norm), 3 },
    { G_STRUCT_OFFSET (QfTrainOptions, zoom_min), 0.75 },
    { G_STRUCT_OFFSET (QfTrainOptions, zoom_max), 1.5 },
    { G_STRUCT_OFFSET (QfTrainOptions, shift), 0.2 },
    { G_STRUCT_OFFSET (QfTrainOptions, brightness), 0.1 },
    { G_STRUCT_OFFSET (QfTrainOptions, noise), 2 },
    { G_STRUCT_OFFSET (QfTrainOptions, mosaic), 0.5 },
    { G_STRUCT_OFFSET (QfTrainOptions, paste), 0.5 },
    { G_STRUCT_OFFSET (QfTrainOptions, speed), 2 },
  };
  static const struct
  {
    gsize offset;
    const char *value;
  } texts[] = {
    { G_STRUCT_OFFSET (QfTrainOptions, assign), "tal" },
    { G_STRUCT_OFFSET (QfTrainOptions, assign), "simota" },
    { G_STRUCT_OFFSET (QfTrainOptions, ranges), "minmax" },
    { G_STRUCT_OFFSET (QfTrainOptions, ranges), "learned" },
    { G_STRUCT_OFFSET (QfTrainOptions, ranges), "percentile" },
    { G_STRUCT_OFFSET (QfTrainOptions, optimizer), "adamw" },
    { G_STRUCT_OFFSET (QfTrainOptions, weight_bits), "4" },
    { G_STRUCT_OFFSET (QfTrainOptions, activation_bits), "4" },
    { G_STRUCT_OFFSET (QfTrainOptions, labels), "box" },
    { G_STRUCT_OFFSET (QfTrainOptions, network), "small" },
  };
  static const struct
  {
    gsize offset;
    int value;
  } ints[] = {
    { G_STRUCT_OFFSET (QfTrainOptions, epochs), 2 },
    { G_STRUCT_OFFSET (QfTrainOptions, batch_size), 8 },
    { G_STRUCT_OFFSET (QfTrainOptions, fit), QF_FIT_STRETCH },
    { G_STRUCT_OFFSET (QfTrainOptions, rate_n), 25 },
    { G_STRUCT_OFFSET (QfTrainOptions, flip), FALSE },
    { G_STRUCT_OFFSET (QfTrainOptions, flip_labels), TRUE },
    { G_STRUCT_OFFSET (QfTrainOptions, backwards), TRUE },
    { G_STRUCT_OFFSET (QfTrainOptions, quantize), FALSE },
  };
  const int n_doubles = G_N_ELEMENTS (doubles), n_texts = G_N_ELEMENTS (texts);
  const int n_ints = G_N_ELEMENTS (ints);

  if (i < n_doubles)
    G_STRUCT_MEMBER (double, o, doubles[i].offset) = doubles[i].value;
  else if ((i -= n_doubles) < n_texts)
    G_STRUCT_MEMBER (const char *, o, texts[i].offset) = texts[i].value;
  else if ((i -= n_texts) < n_ints)
    G_STRUCT_MEMBER (int, o, ints[i].offset) = ints[i].value;
  else if ((i -= n_ints) == 0)
    o->seed++;
  else if (i == 1)
    qf_planes_parse (&o->planes, "Y,D1x2t9", NULL);
  else if (i == 2)
    o->assign = NULL; /* the end */
}

/* Every option that changes what is learned: refused when it goes on, and the
 * file stays. What changes no result does not matter. */
static void
test_other_options (void)
{
  g_autofree char *folder = scratch_folder ();
  g_autofree char *path = g_build_filename (folder, "c.qfc", NULL);
  g_autofree char *before = NULL, *after = NULL;
  QfTrainOptions o, changed;
  gsize size, size_after;
  int n = 0;

  options (&o, path);
  o.epochs = 1;
  {
    g_autoptr (QfTrainer) t = trainer (&o);

    g_assert_true (qf_trainer_run (t, NULL, NULL, NULL));
  }
  g_assert_true (g_file_get_contents (path, &before, &size, NULL));
  for (;; n++) {
    changed = o;
    change (&changed, n);
    if (!changed.assign)
      break;
    g_test_message ("change %d", n);
    expect (&changed, QF_ERROR_ARGUMENT, "other options");
  }
  g_assert_cmpint (n, ==, 33);
  g_assert_true (g_file_get_contents (path, &after, &size_after, NULL));
  g_assert_cmpmem (before, size, after, size_after);
  changed = o;
  changed.threads = 1;
  changed.memory_limit = 1 << 20;
  changed.minutes = 60;
  changed.checkpoint_seconds = 100;
  {
    g_autoptr (QfTrainer) t = trainer (&changed);

    g_assert_true (qf_trainer_run (t, NULL, NULL, NULL));
  }
  remove_folder (folder);
}

/* A disk that is full, a folder that is gone: an error, and what was written
 * before stays as it was. */
static void
test_not_writable (void)
{
  g_autofree char *folder = scratch_folder ();
  g_autofree char *path = g_build_filename (folder, "c.qfc", NULL);
  g_autofree char *before = NULL, *after = NULL;
  struct rlimit old, low;
  QfTrainOptions o;
  Stop stop = { 3, FALSE };
  gsize size, size_after;

  options (&o, path);
  {
    g_autoptr (QfTrainer) t = trainer (&o);

    g_assert_false (qf_trainer_run (t, stop_at, &stop, NULL));
  }
  g_assert_true (g_file_get_contents (path, &before, &size, NULL));
  /* Files cannot grow past half of it: what write() says is EFBIG for ENOSPC.
   */
  signal (SIGXFSZ, SIG_IGN);
  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &old), ==, 0);
  low = old;
  low.rlim_cur = size / 2;
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &low), ==, 0);
  expect (&o, QF_ERROR_FILE, "cannot be written");
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &old), ==, 0);
  g_assert_true (g_file_get_contents (path, &after, &size_after, NULL));
  g_assert_cmpmem (before, size, after, size_after);
  g_assert_cmpint (remove_folder (folder), ==, 1);
  expect (&o, QF_ERROR_FILE, "cannot be written");
}

/* A rate that blows up: an error that names it; the checkpoint is of a step
 * before, whole, and goes on with what made it (to the same error). */
static void
test_divergence (void)
{
  g_autofree char *folder = scratch_folder ();
  g_autofree char *path = g_build_filename (folder, "c.qfc", NULL);
  g_autofree char *before = NULL, *after = NULL;
  QfTrainOptions o;
  gsize size, size_after;

  options (&o, path);
  o.learning_rate = 1e30;
  expect (&o, QF_ERROR_FAILED, "learning rate");
  g_assert_true (g_file_get_contents (path, &before, &size, NULL));
  expect (&o, QF_ERROR_FAILED, "learning rate");
  g_assert_true (g_file_get_contents (path, &after, &size_after, NULL));
  g_assert_cmpmem (before, size, after, size_after);
  remove_folder (folder);
}

/* Lets every cell say "square" from batch @from to batch @to. */
typedef struct
{
  int from, to, seen;
  const char *path;
  char *file; /* the checkpoint three batches later */
  gsize size;
  gboolean best_later; /* a model worth writing was told of after that */
  float kept[16];
} Spoil;

static void
spoil_bias (const char *name, gpointer data, gsize bytes, gpointer user_data)
{
  Spoil *s = user_data;

  if (!g_str_has_prefix (name, "cls_") || !g_str_has_suffix (name, ".beta"))
    return;
  g_assert_cmpuint (bytes, <=, sizeof s->kept);
  if (s->seen == s->from)
    memcpy (s->kept, data, bytes);
  for (gsize i = 0; i < bytes / sizeof (float); i++)
    ((float *) data)[i] = s->seen < s->to ? 40 : s->kept[i];
}

static gboolean
spoil (QfTrainer *t, const QfTrainReport *r, gpointer user_data)
{
  Spoil *s = user_data;

  if (r->batch < 0) {
    s->best_later |= r->best && s->seen > s->from + 2;
    return TRUE;
  }
  s->seen++;
  if (s->seen >= s->from && s->seen <= s->to)
    qf_net_each_state (t->net, NULL, spoil_bias, s);
  if (s->path && s->seen == s->from + 3)
    g_assert_true (g_file_get_contents (s->path, &s->file, &s->size, NULL));
  return TRUE;
}

/* A loss that grows but stays finite: an error within an epoch or eight
 * batches; neither the checkpoint nor the model is of that time. One bad batch
 * is none. */
static void
test_finite_divergence (void)
{
  g_autofree char *folder = scratch_folder ();
  g_autofree char *path = g_build_filename (folder, "c.qfc", NULL);
  g_autofree char *after = NULL;
  g_autoptr (GError) error = NULL;
  Spoil s = { .from = 10, .to = 1000, .path = path };
  QfTrainOptions o;
  gsize size;

  options (&o, path);
  {
    g_autoptr (QfTrainer) t = trainer (&o);

    g_ptr_array_set_size (t->validation, 0); /* the newest is the best */
    g_assert_false (qf_trainer_run (t, spoil, &s, &error));
  }
  g_assert_error (error, QF_ERROR, QF_ERROR_FAILED);
  g_test_message ("after %d batches: %s", s.seen, error->message);
  g_assert_nonnull (strstr (error->message, "stays far above"));
  g_assert_cmpint (s.seen, <, s.from + 10);
  g_assert_false (s.best_later);
  g_assert_true (g_file_get_contents (path, &after, &size, NULL));
  g_assert_cmpmem (s.file, s.size, after, size);
  g_free (s.file);
  remove_folder (folder);

  s = (Spoil){ .from = 10, .to = 11 };
  options (&o, NULL);
  {
    g_autoptr (QfTrainer) t = trainer (&o);

    g_clear_error (&error);
    g_assert_true (qf_trainer_run (t, spoil, &s, &error));
    g_assert_no_error (error);
    g_assert_cmpint (s.seen, ==, 32);
  }
}

/* One sample alone is learned from, with every kind of augmentation. */
static void
test_one_sample (void)
{
  QfTrainOptions o;
  g_autoptr (QfTrainer) t = NULL;
  g_autoptr (GError) error = NULL;
  guint8 planes[2 * SIZE * SIZE] = { 0 };
  QfBox box = { 8, 8, 10, 10, 1, 0, 0, FALSE };
  QfBox wrong[] = { { 40, 8, 5, 5, 1, 0, 0, FALSE },
    { 8, 8, 0, 5, 1, 0, 0, FALSE }, { 8, 8, 5, 5, 1, 7, 0, FALSE },
    { NAN, 8, 5, 5, 1, 0, 0, FALSE }, { -20, 8, 5, 5, 1, 0, 0, FALSE } };

  options (&o, NULL);
  o.mosaic = o.paste = 0.5;
  o.noise = 4;
  t = qf_trainer_new (&o, NULL, &error);
  g_assert_no_error (error);
  qf_trainer_add (t, planes, wrong, G_N_ELEMENTS (wrong), -1, FALSE);
  g_assert_cmpint (qf_trainer_n_left_out (t), ==, G_N_ELEMENTS (wrong));
  g_assert_false (qf_trainer_run (t, NULL, NULL, &error));
  g_assert_error (error, QF_ERROR, QF_ERROR_ARGUMENT);
  g_clear_error (&error);
  qf_trainer_free (g_steal_pointer (&t));
  t = qf_trainer_new (&o, NULL, &error);
  qf_trainer_add (t, planes, &box, 1, -1, FALSE);
  g_assert_true (qf_trainer_run (t, NULL, NULL, &error));
  g_assert_no_error (error);
}

int
main (int argc, char **argv)
{
  if (argc == 3 && g_str_equal (argv[1], "--child"))
    return child (argv[2]);
  self = argv[0];
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/train/checkpoint/stops", test_stops);
  g_test_add_func ("/train/checkpoint/kills", test_kills);
  g_test_add_func ("/train/checkpoint/damaged", test_damaged);
  g_test_add_func ("/train/checkpoint/other-options", test_other_options);
  g_test_add_func ("/train/checkpoint/not-writable", test_not_writable);
  g_test_add_func ("/train/checkpoint/divergence", test_divergence);
  g_test_add_func (
      "/train/checkpoint/finite-divergence", test_finite_divergence);
  g_test_add_func ("/train/checkpoint/one-sample", test_one_sample);
  return g_test_run ();
}
