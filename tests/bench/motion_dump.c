/* Study: the moving blobs of raw luma pictures on standard input, JSON Lines.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/motion.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gboolean
set_option (QfMotionOptions *o, const char *name, double v)
{
  const struct
  {
    const char *name;
    int *where;
  } ints[] = { { "distance", &o->distance }, { "threshold", &o->threshold },
    { "noise-adaptive", &o->noise_adaptive }, { "lighting", &o->lighting },
    { "camera", &o->camera }, { "min-area", &o->min_area },
    { "join", &o->join }, { "split", &o->split }, { "margin", &o->margin } };
  const struct
  {
    const char *name;
    double *where;
  } doubles[] = { { "learning-rate", &o->learning_rate },
    { "noise-factor", &o->noise_factor }, { "max-share", &o->max_share },
    { "min-share", &o->min_share }, { "shadow", &o->shadow } };

  for (guint i = 0; i < G_N_ELEMENTS (ints); i++)
    if (strcmp (name, ints[i].name) == 0)
      return *ints[i].where = (int) v, TRUE;
  for (guint i = 0; i < G_N_ELEMENTS (doubles); i++)
    if (strcmp (name, doubles[i].name) == 0)
      return *doubles[i].where = v, TRUE;
  if (strcmp (name, "distance-time") == 0)
    return o->distance_time = (gint64) (v * 1e9), TRUE;
  if (strcmp (name, "reference") == 0)
    return o->reference = (QfMotionReference) v, TRUE;
  return FALSE;
}

static void
print_result (int frame, const QfMotionResult *r)
{
  printf ("{\"frame\":%d,\"share\":%.6f,\"threshold\":%d,\"noise\":%.3f,"
          "\"lighting\":%s,\"gain\":%.3f,\"offset\":%.2f,\"moving\":%s,"
          "\"blobs\":[",
      frame, r->share, r->threshold, r->noise, r->lighting ? "true" : "false",
      r->gain, r->offset, r->moving ? "true" : "false");
  for (int i = 0; i < r->n_blobs; i++)
    printf ("%s[%d,%d,%d,%d,%d]", i ? "," : "", r->blobs[i].x, r->blobs[i].y,
        r->blobs[i].w, r->blobs[i].h, r->blobs[i].area);
  puts ("]}");
}

int
main (int argc, char **argv)
{
  QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
  g_autoptr (GError) error = NULL;
  g_autoptr (QfMotion) m = NULL;
  g_autofree guint8 *luma = NULL;
  int w = argc > 3 ? atoi (argv[1]) : 0, h = argc > 3 ? atoi (argv[2]) : 0;
  double fps = argc > 3 ? atof (argv[3]) : 0;

  for (int i = 4; i < argc; i++) {
    g_auto (GStrv) part = g_strsplit (argv[i], "=", 2);

    if (g_strv_length (part) < 2 || !set_option (&o, part[0], atof (part[1]))) {
      fprintf (stderr, "%s is not an option\n", argv[i]);
      return 2;
    }
  }
  if (w < 1 || h < 1 || w > 32767 || h > 32767 || !(fps > 0)) {
    fputs ("usage: bench-motion-dump WIDTH HEIGHT RATE [OPTION=VALUE …] < Y\n",
        stderr);
    return 2;
  }
  m = qf_motion_new (&o, &error);
  if (!m) {
    fprintf (stderr, "%s\n", error->message);
    return 2;
  }
  qf_motion_set_size (m, w, h);
  luma = g_malloc ((gsize) w * h);
  for (int f = 1; fread (luma, (size_t) w, (size_t) h, stdin) == (size_t) h;
       f++) {
    QfMotionResult r;

    qf_motion_push (m, luma, w, (gint64) ((f - 1) * 1e9 / fps), &r);
    print_result (f, &r);
  }
  return 0;
}
