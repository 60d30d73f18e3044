/* libqfuse: training samples and their augmentation.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/samples.h"

#include <math.h>
#include <string.h>

QfSample *
qf_sample_new (const guint8 *planes, gsize bytes, const QfBox *boxes,
    int n_boxes, int action)
{
  QfSample *s = g_new0 (QfSample, 1);

  s->planes = g_memdup2 (planes, bytes);
  s->boxes = g_memdup2 (boxes, sizeof (QfBox) * n_boxes);
  s->n_boxes = n_boxes;
  s->action = action;
  return s;
}

void
qf_sample_free (QfSample *s)
{
  g_free (s->planes);
  g_free (s->boxes);
  g_free (s);
}

/* Multiply and rotate, 8 bytes at a time: fast, and any changed bit shows. */
static guint64
hash_bytes (gconstpointer data, gsize n, guint64 hash)
{
  const guint8 *p = data;

  while (n > 0) {
    guint64 word = 0;
    gsize step = MIN (n, 8);

    memcpy (&word, p, step);
    p += step;
    n -= step;
    hash = (hash ^ word) * UINT64_C (0x9fb21c651e98df25);
    hash ^= hash >> 32;
  }
  return hash;
}

guint64
qf_sample_hash (const QfSample *s, gsize bytes, guint64 hash)
{
  hash = hash_bytes (s->planes, bytes, hash + 1);
  for (int i = 0; i < s->n_boxes; i++) {
    const QfBox *b = &s->boxes[i];
    float edges[4] = { b->x, b->y, b->w, b->h };
    gint32 more[2] = { b->label, b->ignore };

    hash = hash_bytes (edges, sizeof edges, hash);
    hash = hash_bytes (more, sizeof more, hash);
  }
  return hash_bytes (&s->action, sizeof s->action, hash);
}

void
qf_sample_plain (const QfAugment *a, const QfSample *s, guint8 *codes)
{
  int n = a->planes.n;
  gsize size = (gsize) a->width * a->height;

  for (gsize i = 0; i < size; i++)
    for (int p = 0; p < n; p++)
      codes[i * n + p] = s->planes[p * size + i];
}

/* How a picture is changed: source = scale·target + offset. */
typedef struct
{
  double scale_x, offset_x, scale_y, offset_y;
  double gain, lift; /* of codes: gain about 128; lift for pictures alone */
} Change;

static double
between (QfRng *rng, double lo, double hi)
{
  return lo + (hi - lo) * qf_rng_uniform (rng);
}

/* Where the zoomed picture starts in a frame of @size: anywhere that it covers
 * the frame, or that the frame covers it, and @shift further. */
static double
place (QfRng *rng, double zoom, int size, double shift)
{
  double room = size * (1 - zoom);

  return between (rng, MIN (room, 0.0), MAX (room, 0.0))
      + between (rng, -shift, shift) * size;
}

static Change
draw_change (const QfAugment *a, QfRng *rng)
{
  double zoom = exp (between (rng, log (a->zoom_min), log (a->zoom_max)));
  double x = place (rng, zoom, a->width, a->shift);
  double y = place (rng, zoom, a->height, a->shift);
  gboolean flip = a->flip && qf_rng_uniform (rng) < 0.5;
  Change c = { 1 / zoom, -x / zoom, 1 / zoom, -y / zoom,
    1 + between (rng, -a->brightness, a->brightness),
    128 * between (rng, -a->brightness, a->brightness) };

  if (flip) {
    c.offset_x += c.scale_x * a->width;
    c.scale_x = -c.scale_x;
  }
  return c;
}

/* Bilinear weights of one direction: target i lies between source at[i] and
 * at[i] + 1, the second with weight w[i]/128; at[i] = −2: outside. */
static void
make_taps (int size, double scale, double offset, int *at, int *w)
{
  for (int i = 0; i < size; i++) {
    double s = scale * (i + 0.5) + offset - 0.5;
    double f = floor (s);

    if (s < -0.5 || s > size - 0.5) {
      at[i] = -2;
      w[i] = 0;
      continue;
    }
    at[i] = (int) f;
    w[i] = (int) ((s - f) * 128);
    if (at[i] < 0) {
      at[i] = 0;
      w[i] = 0;
    } else if (at[i] >= size - 1) {
      at[i] = size - 1;
      w[i] = 0;
    }
  }
}

/* 256 codes after gain and lift. */
static void
make_light (const Change *c, const QfPlane *plane, guint8 *table)
{
  int rest = qf_plane_rest (plane);
  gboolean picture = strchr ("YRGB", plane->kind) != NULL;

  for (int q = 0; q < 256; q++) {
    double v = rest + c->gain * (q - rest) + (picture ? c->lift : 0);

    table[q] = (guint8) CLAMP (rint (v), 0.0, 255.0);
  }
}

static void
warp_plane (const QfAugment *a, const guint8 *src, const guint8 *table,
    guint8 rest, const int *taps, guint8 *dst)
{
  int w = a->width, h = a->height, step = a->planes.n;
  const int *ax = taps, *wx = taps + w, *ay = taps + 2 * w, *wy = ay + h;

  for (int y = 0; y < h; y++, dst += (gsize) w * step) {
    const guint8 *r0, *r1;

    if (ay[y] < 0) {
      for (int x = 0; x < w; x++)
        dst[x * step] = rest;
      continue;
    }
    r0 = src + (gsize) ay[y] * w;
    r1 = wy[y] ? r0 + w : r0;
    for (int x = 0; x < w; x++) {
      int i = ax[x], k = wx[x], j = k ? 1 : 0, top, low;

      if (i < 0) {
        dst[x * step] = rest;
        continue;
      }
      top = r0[i] * (128 - k) + r0[i + j] * k;
      low = r1[i] * (128 - k) + r1[i + j] * k;
      dst[x * step]
          = table[(top * (128 - wy[y]) + low * wy[y] + 8192) >> 14];
    }
  }
}

/* Interval [@lo, @lo + @size) through the inverse of source = s·t + o. */
static void
move_interval (double scale, double offset, float lo, float size, double *from,
    double *to)
{
  double p = ((double) lo - offset) / scale;
  double q = ((double) (lo + size) - offset) / scale;

  *from = MIN (p, q);
  *to = MAX (p, q);
}

static void
move_boxes (const QfAugment *a, const QfSample *s, const Change *c,
    GArray *boxes)
{
  for (int i = 0; i < s->n_boxes; i++) {
    QfBox b = s->boxes[i];
    double x0, x1, y0, y1, area;

    move_interval (c->scale_x, c->offset_x, b.x, b.w, &x0, &x1);
    move_interval (c->scale_y, c->offset_y, b.y, b.h, &y0, &y1);
    area = (x1 - x0) * (y1 - y0);
    x0 = CLAMP (x0, 0.0, (double) a->width);
    x1 = CLAMP (x1, 0.0, (double) a->width);
    y0 = CLAMP (y0, 0.0, (double) a->height);
    y1 = CLAMP (y1, 0.0, (double) a->height);
    if (!(x1 - x0 > 1 && y1 - y0 > 1))
      continue;
    b.ignore |= (x1 - x0) * (y1 - y0) < area / 4;
    b.x = (float) x0;
    b.y = (float) y0;
    b.w = (float) (x1 - x0);
    b.h = (float) (y1 - y0);
    g_array_append_val (boxes, b);
  }
}

void
qf_sample_augment (const QfAugment *a, const QfSample *s, QfRng rng,
    guint8 *codes, GArray *boxes)
{
  Change c = draw_change (a, &rng);
  gsize size = (gsize) a->width * a->height;
  g_autofree int *taps = g_new (int, 2 * (a->width + a->height));
  guint8 table[256];

  make_taps (a->width, c.scale_x, c.offset_x, taps, taps + a->width);
  make_taps (a->height, c.scale_y, c.offset_y, taps + 2 * a->width,
      taps + 2 * a->width + a->height);
  for (int p = 0; p < a->planes.n; p++) {
    make_light (&c, &a->planes.plane[p], table);
    warp_plane (a, s->planes + size * p, table,
        qf_plane_rest (&a->planes.plane[p]), taps, codes + p);
  }
  move_boxes (a, s, &c, boxes);
}
