/* libqfuse: small things that move, told from flicker by their ways.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A speck is a region too small to be trusted in one picture. It counts when it
 * was found in most of the last pictures, each time near where its way so far
 * led to, and got on: leaves, waves and edges that tremble come and go or stay
 * where they are. Specks near something large are parts of it or its shadow. */
#include "vision/motion-private.h"

#include <math.h>

#define MOST_HITS 8
#define LEAST_HITS 3 /* more hits than misses by this many */
#define LEAST_WAY 1  /* pixels from where it was first */
#define STRAY 4      /* pixels off its way, at most, and half its size */
#define FRINGE 4     /* boxes are larger: its rim is below the dead band */

void
qf_motion_specks_reset (QfMotionSpecks *s)
{
  s->n = 0;
}

gboolean
qf_motion_specks_near (const QfMotionBlob *b, const QfMotionBlob *large, int n)
{
  for (int i = 0; i < n; i++) {
    const QfMotionBlob *l = &large[i];
    int rx = l->w / 2 + STRAY, ry = l->h / 2 + STRAY;

    if (b->x + b->w > l->x - rx && b->x < l->x + l->w + rx &&
        b->y + b->h > l->y - ry && b->y < l->y + l->h + ry)
      return TRUE;
  }
  return FALSE;
}

/* The track that leads to @b, −1: none. */
static int
track_of (const QfMotionSpecks *s, const QfMotionBlob *b, float x, float y)
{
  float best = G_MAXFLOAT;
  int found = -1;

  for (int i = 0; i < s->n; i++) {
    const QfMotionTrack *t = &s->tracks[i];
    float dx = fabsf (x - t->x - t->vx), dy = fabsf (y - t->y - t->vy);
    float reach = STRAY + 0.5f * MAX (b->w, b->h);
    float d = MAX (dx, dy);

    if (t->hits <= 2) /* its speed is not known yet */
      reach *= 2;
    if (!t->hit && d <= reach && d < best) {
      best = d;
      found = i;
    }
  }
  return found;
}

static void
hit (QfMotionTrack *t, float x, float y)
{
  float mx = x - t->x, my = y - t->y;
  float k = t->hits < 3 ? 0.5f : 0.25f;

  t->vx += k * (mx - t->vx);
  t->vy += k * (my - t->vy);
  t->x = x;
  t->y = y;
  t->hits = MIN (t->hits + 1, MOST_HITS);
  t->hit = TRUE;
}

static gboolean
counts (const QfMotionTrack *t)
{
  float dx = t->x - t->x0, dy = t->y - t->y0;

  return t->hits >= LEAST_HITS && dx * dx + dy * dy >= LEAST_WAY * LEAST_WAY;
}

/* Tracks that were not hit lose; those with nothing left go. */
static void
age (QfMotionSpecks *s)
{
  int n = 0;

  for (int i = 0; i < s->n; i++) {
    QfMotionTrack *t = &s->tracks[i];

    if (!t->hit) {
      t->x += t->vx;
      t->y += t->vy;
      t->hits--;
    }
    t->hit = FALSE;
    if (t->hits > 0)
      s->tracks[n++] = *t;
  }
  s->n = n;
}

static QfMotionBlob
grown (const QfMotionBlob *b, const QfMotionGrid *g)
{
  int x0 = MAX (b->x - FRINGE, 0), x1 = MIN (b->x + b->w + FRINGE, g->width);
  int y0 = MAX (b->y - FRINGE, 0), y1 = MIN (b->y + b->h + FRINGE, g->height);

  return (QfMotionBlob){ x0, y0, x1 - x0, y1 - y0, b->area };
}

int
qf_motion_specks_follow (QfMotionSpecks *s, const QfMotionBlob *found,
    int n_found, const QfMotionGrid *grid, QfMotionBlob *out, int max)
{
  int n = 0;

  age (s);
  for (int i = 0; i < n_found; i++) {
    const QfMotionBlob *b = &found[i];
    float x = b->x + b->w / 2.0f, y = b->y + b->h / 2.0f;
    int k = track_of (s, b, x, y);

    if (k >= 0) {
      hit (&s->tracks[k], x, y);
    } else if (s->n < QF_MOTION_MAX_BLOBS) {
      k = s->n++;
      s->tracks[k] = (QfMotionTrack){
        .x = x, .y = y, .x0 = x, .y0 = y, .hits = 1, .hit = TRUE
      };
    }
    if (k >= 0 && counts (&s->tracks[k]) && n < max)
      out[n++] = grown (b, grid);
  }
  return n;
}
