/* libqfuse: the pictures of clips, kept so that differences can be made anew.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/frames.h"

#include <math.h>

#define SECOND G_GINT64_CONSTANT (1000000000)

typedef struct
{
  const guint8 *data; /* NULL: dropped */
  gint64 time;        /* −1: not known */
  int segment;        /* pictures of other segments are no past */
  gboolean sample;
  int needed; /* by so many samples, itself among them */
} Frame;

struct _QfFrames
{
  int history; /* steps */
  double step; /* nanoseconds; 0: a step is a picture */
  double speed;
  gboolean backwards, all; /* all: none is dropped */
  QfStore *store;
  GArray *frames;     /* Frame */
  int reach;          /* pictures, of the longest distance at any speed */
  gboolean *asked;    /* [reach + 1] distances that some plane may ask for */
  int segment, begin; /* of the newest picture; the segment's first */
  gint64 interval;    /* as in the differencer */
};

void
qf_planes_base (const QfPlanes *planes, QfPlanes *base)
{
  gboolean luma = qf_planes_history (planes) > 0;

  base->n = 0;
  for (int i = 0; i < planes->n; i++)
    luma |= planes->plane[i].kind == 'Y';
  if (luma)
    base->plane[base->n++] = (QfPlane){ 'Y', 0, 1, 0 };
  for (const char *c = "RGB"; *c; c++)
    for (int i = 0; i < planes->n; i++)
      if (planes->plane[i].kind == *c) {
        base->plane[base->n++] = (QfPlane){ *c, 0, 1, 0 };
        break;
      }
}

/* Pictures that step @k is away where pictures are steps. */
static int
distance (int k, double speed)
{
  return (int) MAX (1.0, rint (k * speed));
}

static void
ask_distances (QfFrames *f, const QfPlane *p)
{
  for (int k = p->kind == 'A' ? 1 : p->k; k <= p->k; k++)
    for (int d = distance (k, 1 / f->speed); d <= distance (k, f->speed); d++)
      f->asked[d] = TRUE;
}

QfFrames *
qf_frames_new (const QfPlanes *planes, int rate_n, int rate_d, double speed,
    gboolean backwards, QfStore *store)
{
  QfFrames *f = g_new0 (QfFrames, 1);

  f->history = qf_planes_history (planes);
  f->step = rate_n > 0 && rate_d > 0 ? 1e9 * rate_d / rate_n : 0;
  f->speed = MAX (speed, 1.0);
  f->backwards = backwards;
  f->all = f->step > 0;
  f->store = qf_store_ref (store);
  f->frames = g_array_new (FALSE, FALSE, sizeof (Frame));
  f->reach = f->history > 0 ? distance (f->history, f->speed) : 0;
  f->asked = g_new0 (gboolean, f->reach + 1);
  for (int i = 0; i < planes->n; i++)
    if (planes->plane[i].k > 0)
      ask_distances (f, &planes->plane[i]);
  f->interval = -1;
  return f;
}

void
qf_frames_free (QfFrames *f)
{
  if (!f)
    return;
  g_array_unref (f->frames);
  qf_store_unref (f->store);
  g_free (f->asked);
  g_free (f);
}

static inline Frame *
frame_at (const QfFrames *f, int i)
{
  return &g_array_index (f->frames, Frame, i);
}

/* Whether the past ends between the newest picture and one of @time. */
static gboolean
forgets (QfFrames *f, gint64 time)
{
  gint64 last = frame_at (f, (int) f->frames->len - 1)->time, gap = time - last;
  double longest = f->step * f->history;

  if (time < 0 || last < 0)
    return f->step > 0 && (time < 0) != (last < 0);
  if (f->step <= 0 && f->interval > 0)
    longest = (double) f->history * (double) MIN (f->interval, 3600 * SECOND);
  f->interval = MAX (gap, 0);
  return gap < 0 || (double) gap > MAX ((double) SECOND, 4 * longest);
}

/* Drops picture @i where no sample to come can reach it and none asks for it.
 */
static void
drop_old (QfFrames *f, int i)
{
  Frame *frame;

  if (f->all || i < 0 || i >= (int) f->frames->len - f->reach - 1)
    return;
  frame = frame_at (f, i);
  if (frame->needed == 0 && frame->data) {
    qf_store_release (f->store, frame->data);
    frame->data = NULL;
  }
}

int
qf_frames_push (
    QfFrames *f, const guint8 *base, gint64 time, gboolean cut, GError **error)
{
  int n = (int) f->frames->len;
  Frame frame = { .time = MAX (time, -1) };

  if (n > 0 && (cut || forgets (f, frame.time))) {
    f->segment++;
    f->begin = n;
  }
  if (cut)
    f->interval = -1;
  frame.segment = f->segment;
  frame.data = qf_store_add (f->store, base, error);
  if (!frame.data)
    return -1;
  for (int d = 1; f->backwards && d <= f->reach && n - d >= f->begin; d++)
    frame.needed += f->asked[d] && frame_at (f, n - d)->sample;
  g_array_append_val (f->frames, frame);
  drop_old (f, n - f->reach - 1);
  return n;
}

void
qf_frames_keep (QfFrames *f)
{
  int n = (int) f->frames->len - 1;

  frame_at (f, n)->sample = TRUE;
  frame_at (f, n)->needed++;
  for (int d = 1; d <= f->reach && n - d >= f->begin; d++)
    if (f->asked[d])
      frame_at (f, n - d)->needed++;
}

static gboolean
same_segment (const QfFrames *f, int i, int j)
{
  return j >= 0 && j < (int) f->frames->len &&
      frame_at (f, i)->segment == frame_at (f, j)->segment;
}

void
qf_frames_release (QfFrames *f, int frame)
{
  int first = f->backwards ? -f->reach : 0;

  frame_at (f, frame)->sample = FALSE;
  for (int d = first; d <= f->reach; d++) {
    if (!same_segment (f, frame, frame - d) || (d != 0 && !f->asked[ABS (d)]))
      continue;
    frame_at (f, frame - d)->needed--;
    drop_old (f, frame - d);
  }
}

/* The picture nearest to @steps away; of two as near, the one nearer in time.
 */
static int
pick_by_time (const QfFrames *f, int frame, double steps, int way)
{
  double target = rint (steps * f->step), best = INFINITY, far = 0;
  int found = -1;

  for (int i = frame + way; same_segment (f, frame, i); i += way) {
    far = fabs ((double) (frame_at (f, i)->time - frame_at (f, frame)->time));
    if (fabs (far - target) < best) {
      best = fabs (far - target);
      found = i;
    }
    if (far >= target)
      return found;
  }
  return found >= 0 && target <= far + rint (f->step / 2) ? found : -1;
}

int
qf_frames_pick (
    const QfFrames *f, int frame, int k, double speed, gboolean backwards)
{
  int way = backwards ? 1 : -1, to;

  if (f->step > 0 && frame_at (f, frame)->time >= 0)
    return pick_by_time (f, frame, k * speed, way);
  to = frame + way * distance (k, speed);
  return same_segment (f, frame, to) ? to : -1;
}

const guint8 *
qf_frames_get (const QfFrames *f, int frame)
{
  return frame >= 0 && frame < (int) f->frames->len ? frame_at (f, frame)->data
                                                    : NULL;
}
