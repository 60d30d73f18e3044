/* libqfuse: samples as a training sees them: never twice the same.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A picture is made of parts: rectangles, each of which shows one sample under
 * a map of its own; later ones lie on earlier ones. One part is a plain sample,
 * four are a mosaic (Bochkovskiy et al., YOLOv4, 2020), a small one around an
 * object is a pasted object (Ghiasi et al., Simple copy-paste, 2021). All
 * planes have the same parts, so a seam stands still and only what moved
 * differs. */
#include "train/augment.h"

#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

#define MAX_PARTS 8

/* source = scale·target + offset. */
typedef struct
{
  double scale_x, offset_x, scale_y, offset_y;
} Map;

typedef struct
{
  const QfSample *sample;
  Map map;
  int x0, y0, x1, y1; /* where it is seen */
  int *taps;          /* [2·(width + height)] */
} Part;

typedef struct
{
  const QfAugment *a;
  Part part[MAX_PARTS];
  int n;
  double gain, lift; /* of codes: gain about rest; lift for pictures alone */
  double noise;      /* standard deviation; 0: none */
  double speed;
  gboolean backwards;
  QfRng rng; /* of the noise */
} Scene;

static double
between (QfRng *rng, double lo, double hi)
{
  return lo + (hi - lo) * qf_rng_uniform (rng);
}

/* Choosing
 * ---------------------------------------------------------------------- */

/* Where the zoomed picture starts in a frame of @size: anywhere that it covers
 * the frame, or that the frame covers it, and @shift further. */
static double
place (QfRng *rng, double zoom, int size, double shift)
{
  double room = size * (1 - zoom);

  return between (rng, MIN (room, 0.0), MAX (room, 0.0)) +
      between (rng, -shift, shift) * size;
}

static Map
draw_map (const QfAugment *a, QfRng *rng)
{
  double zoom = exp (between (rng, log (a->zoom_min), log (a->zoom_max)));
  double x = place (rng, zoom, a->width, a->shift);
  double y = place (rng, zoom, a->height, a->shift);
  gboolean flip = a->flip && qf_rng_uniform (rng) < 0.5;
  Map m = { 1 / zoom, -x / zoom, 1 / zoom, -y / zoom };

  if (flip) {
    m.offset_x += m.scale_x * a->width;
    m.scale_x = -m.scale_x;
  }
  return m;
}

static void
add_part (
    Scene *s, const QfSample *sample, Map map, int x0, int y0, int x1, int y1)
{
  s->part[s->n++] = (Part){ sample, map, x0, y0, x1, y1, NULL };
}

static const QfSample *
any_sample (const GPtrArray *samples, QfRng *rng)
{
  return g_ptr_array_index (samples, qf_rng_below (rng, samples->len));
}

/* Four samples around a point in the middle half. */
static void
add_mosaic (
    Scene *s, const GPtrArray *samples, const QfSample *first, QfRng *rng)
{
  int w = s->a->width, h = s->a->height;
  int x = (int) between (rng, 0.25 * w, 0.75 * w);
  int y = (int) between (rng, 0.25 * h, 0.75 * h);

  for (int i = 0; i < 4; i++) {
    const QfSample *sample = i == 0 ? first : any_sample (samples, rng);
    Map map = draw_map (s->a, rng);

    add_part (s, sample, map, i % 2 ? x : 0, i / 2 ? y : 0, i % 2 ? w : x,
        i / 2 ? h : y);
  }
}

/* An object of another sample with a margin for what it leaves behind, at 0.7
 * to 1.4 of its size, anywhere. Nothing where the sample drawn has none. */
static void
add_object (Scene *s, const GPtrArray *samples, QfRng *rng)
{
  const QfAugment *a = s->a;
  const QfSample *from = any_sample (samples, rng);
  double zoom = exp (between (rng, log (0.7), log (1.4)));
  guint32 pick = qf_rng_below (rng, (guint32) MAX (from->n_boxes, 1));
  double at_x = qf_rng_uniform (rng), at_y = qf_rng_uniform (rng);
  const QfBox *b = from->n_boxes > 0 ? &from->boxes[pick] : NULL;
  double x0, y0, x1, y1;
  int w, h, x, y;

  if (!b || b->ignore)
    return;
  x0 = MAX (b->x - b->w / 4 - 4, 0.0f);
  y0 = MAX (b->y - b->h / 4 - 4, 0.0f);
  x1 = MIN (b->x + b->w * 1.25f + 4, (float) a->width);
  y1 = MIN (b->y + b->h * 1.25f + 4, (float) a->height);
  w = (int) ((x1 - x0) * zoom);
  h = (int) ((y1 - y0) * zoom);
  if (w < 2 || h < 2 || w > a->width / 2 || h > a->height / 2)
    return;
  x = (int) (at_x * (a->width - w));
  y = (int) (at_y * (a->height - h));
  add_part (s, from, (Map){ 1 / zoom, x0 - x / zoom, 1 / zoom, y0 - y / zoom },
      x, y, x + w, y + h);
}

static void
draw_scene (
    Scene *s, const GPtrArray *samples, const QfSample *first, QfRng *rng)
{
  const QfAugment *a = s->a;

  if (a->mosaic > 0 && qf_rng_uniform (rng) < a->mosaic)
    add_mosaic (s, samples, first, rng);
  else
    add_part (s, first, draw_map (a, rng), 0, 0, a->width, a->height);
  if (a->paste > 0 && qf_rng_uniform (rng) < a->paste)
    for (int i = 1 + (int) qf_rng_below (rng, 3); i > 0; i--)
      add_object (s, samples, rng);
  s->gain = 1 + between (rng, -a->brightness, a->brightness);
  s->lift = 128 * between (rng, -a->brightness, a->brightness);
  s->noise = a->noise > 0 ? between (rng, 0, a->noise) : 0;
  s->speed =
      a->speed > 1 ? exp (between (rng, -log (a->speed), log (a->speed))) : 1;
  s->backwards = a->backwards && qf_rng_uniform (rng) < 0.5;
  s->rng.state = qf_rng_next (rng);
}

/* Pixels
 * ------------------------------------------------------------------------ */

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
make_light (const Scene *s, const QfPlane *plane, guint8 *table)
{
  int rest = qf_plane_rest (plane);
  gboolean picture = strchr ("YRGB", plane->kind) != NULL;

  for (int q = 0; q < 256; q++) {
    double v = rest + s->gain * (q - rest) + (picture ? s->lift : 0);

    table[q] = (guint8) CLAMP (rint (v), 0.0, 255.0);
  }
}

/* A part of one plane, to every @step-th byte of @dst. */
static void
warp (const QfAugment *a, const Part *p, const guint8 *src, const guint8 *table,
    guint8 rest, guint8 *dst, int step)
{
  int w = a->width, h = a->height;
  const int *ax = p->taps, *wx = ax + w, *ay = ax + 2 * w, *wy = ay + h;

  for (int y = p->y0; y < p->y1; y++) {
    guint8 *row = dst + (gsize) y * w * step;
    const guint8 *r0, *r1;

    if (ay[y] < 0) {
      for (int x = p->x0; x < p->x1; x++)
        row[x * step] = rest;
      continue;
    }
    r0 = src + (gsize) ay[y] * w;
    r1 = wy[y] ? r0 + w : r0;
    for (int x = p->x0; x < p->x1; x++) {
      int i = ax[x], k = wx[x], j = k ? 1 : 0, top, low;

      if (i < 0) {
        row[x * step] = rest;
        continue;
      }
      top = r0[i] * (128 - k) + r0[i + j] * k;
      low = r1[i] * (128 - k) + r1[i + j] * k;
      row[x * step] = table[(top * (128 - wy[y]) + low * wy[y] + 8192) >> 14];
    }
  }
}

/* What two random bytes, added, add to a code: their sum has a triangular
 * distribution of variance (256² − 1)/6. */
typedef struct
{
  gboolean none;
  int table[511];
} Noise;

static void
make_noise (Noise *noise, double sigma)
{
  float scale = (float) (sigma / sqrt ((256.0 * 256 - 1) / 6));

  noise->none = sigma <= 0;
  for (int i = 0; i < 511; i++)
    noise->table[i] = (int) rintf ((float) (i - 255) * scale);
}

static void
add_noise (QfRng *rng, const Noise *noise, guint8 *dst, gsize n, int step)
{
  for (gsize i = 0; i < n && !noise->none; i += 4) {
    guint64 r = qf_rng_next (rng);

    for (gsize k = i; k < MIN (i + 4, n); k++, r >>= 16) {
      guint8 *to = dst + k * (gsize) step;
      int v = *to + noise->table[(r & 255) + (r >> 8 & 255)];

      *to = (guint8) CLAMP (v, 0, 255);
    }
  }
}

/* Of a difference: that of two pictures, scaled as it is. A dead band holds
 * noise back, so planes that have one get none. */
static double
plane_noise (const Scene *s, const QfPlane *plane)
{
  if (plane->k == 0)
    return s->noise;
  return plane->threshold > 0
      ? 0
      : s->noise * sqrt (2.0) * plane->gain / (plane->kind == 'M' ? 1 : 2);
}

/* Planes of samples that are planes. */
static void
draw_planes (Scene *s, guint8 *codes)
{
  const QfAugment *a = s->a;
  gsize size = (gsize) a->width * a->height;

  for (int p = 0; p < a->planes.n; p++) {
    const QfPlane *plane = &a->planes.plane[p];
    guint8 table[256];
    Noise noise;

    make_light (s, plane, table);
    make_noise (&noise, plane_noise (s, plane));
    for (int i = 0; i < s->n; i++)
      warp (a, &s->part[i], s->part[i].sample->planes + size * (gsize) p, table,
          qf_plane_rest (plane), codes + p, a->planes.n);
    add_noise (&s->rng, &noise, codes + p, size, a->planes.n);
  }
}

/* Frames
 * ------------------------------------------------------------------------ */

/* Mean of the @n pictures before; FALSE where there are not as many. */
static gboolean
mean_before (const Scene *s, int frame, int n, guint16 *sum, guint8 *mean)
{
  const QfKernels *kernels = qf_kernels ();
  gsize size = (gsize) s->a->width * s->a->height;

  memset (sum, 0, size * sizeof *sum);
  for (int k = 1; k <= n; k++) {
    const guint8 *then = qf_frames_get (s->a->frames,
        qf_frames_pick (s->a->frames, frame, k, s->speed, s->backwards));

    if (!then)
      return FALSE;
    kernels->add_times_u16 (sum, then, 1, size);
  }
  kernels->mean_u16_u8 (sum, n, mean, size);
  return TRUE;
}

/* The picture that @plane compares with, as the scene shows it. Where a part
 * has no past, it is @now, so that nothing differs. */
static void
draw_then (Scene *s, const QfPlane *plane, const guint8 *table,
    const guint8 *now, guint16 *sum, guint8 *mean, guint8 *then)
{
  const QfAugment *a = s->a;
  gboolean is_mean = plane->kind == 'A';
  Noise noise;

  make_noise (&noise, is_mean ? s->noise / sqrt (plane->k) : s->noise);
  for (int i = 0; i < s->n; i++) {
    const Part *p = &s->part[i];
    int frame = p->sample->frame;
    const guint8 *from = NULL;

    if (!is_mean)
      from = qf_frames_get (a->frames,
          qf_frames_pick (a->frames, frame, plane->k, s->speed, s->backwards));
    else if (mean_before (s, frame, plane->k, sum, mean))
      from = mean;
    if (from)
      warp (a, p, from, table, 128, then, 1);
    for (int y = p->y0; y < p->y1; y++) {
      gsize at = (gsize) y * (gsize) a->width + (gsize) p->x0;
      gsize n = (gsize) (p->x1 - p->x0);

      if (from)
        add_noise (&s->rng, &noise, then + at, n, 1);
      else
        memcpy (then + at, now + at, n);
    }
  }
}

static void
spread (const guint8 *plane, gsize size, guint8 *codes, int step)
{
  for (gsize i = 0; i < size; i++)
    codes[i * (gsize) step] = plane[i];
}

/* Planes of samples that are frames: light, noise and size first, as in a
 * camera; then differences, by the differencer's own kernels. */
static void
draw_frames (Scene *s, guint8 *codes)
{
  const QfAugment *a = s->a;
  const QfKernels *kernels = qf_kernels ();
  gsize size = (gsize) a->width * a->height;
  g_autofree guint8 *now = g_malloc (size * (gsize) a->base.n);
  g_autofree guint8 *other = g_malloc (3 * size);
  g_autofree guint16 *sum = g_new (guint16, size);
  g_autofree guint8 *scratch =
      g_malloc (kernels->difference_scratch_size (a->width));
  guint8 *then = other + size, *plane = other + 2 * size, table[256];
  Noise noise;

  make_light (s, &a->base.plane[0], table);
  make_noise (&noise, s->noise);
  for (int b = 0; b < a->base.n; b++) {
    guint8 *to = now + size * (gsize) b;

    for (int i = 0; i < s->n; i++)
      warp (a, &s->part[i],
          qf_frames_get (a->frames, s->part[i].sample->frame) +
              size * (gsize) b,
          table, 128, to, 1);
    add_noise (&s->rng, &noise, to, size, 1);
  }
  for (int p = 0; p < a->planes.n; p++) {
    const QfPlane *want = &a->planes.plane[p];
    QfDifferencePlane out = { want->kind == 'M', want->gain, plane };
    QfDifference d = { a->width, a->height, want->threshold, 1, &out };

    if (want->k == 0) {
      for (int b = 0; b < a->base.n; b++)
        if (a->base.plane[b].kind == want->kind)
          spread (now + size * (gsize) b, size, codes + p, a->planes.n);
      continue;
    }
    draw_then (s, want, table, now, sum, other, then);
    kernels->difference_u8 (&d, now, then, scratch);
    spread (plane, size, codes + p, a->planes.n);
  }
}

/* Boxes
 * ------------------------------------------------------------------------- */

/* Interval [@lo, @lo + @size) through the inverse of source = s·t + o. */
static void
move_interval (
    double scale, double offset, float lo, float size, double *from, double *to)
{
  double p = ((double) lo - offset) / scale;
  double q = ((double) (lo + size) - offset) / scale;

  *from = MIN (p, q);
  *to = MAX (p, q);
}

static void
move_boxes (const Part *p, GArray *boxes)
{
  for (int i = 0; i < p->sample->n_boxes; i++) {
    QfBox b = p->sample->boxes[i];
    double x0, x1, y0, y1, area;

    move_interval (p->map.scale_x, p->map.offset_x, b.x, b.w, &x0, &x1);
    move_interval (p->map.scale_y, p->map.offset_y, b.y, b.h, &y0, &y1);
    area = (x1 - x0) * (y1 - y0);
    x0 = CLAMP (x0, (double) p->x0, (double) p->x1);
    x1 = CLAMP (x1, (double) p->x0, (double) p->x1);
    y0 = CLAMP (y0, (double) p->y0, (double) p->y1);
    y1 = CLAMP (y1, (double) p->y0, (double) p->y1);
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

/* What a part does to the boxes under it. */
static void
cover_boxes (const Part *p, GArray *boxes)
{
  for (guint i = boxes->len; i-- > 0;) {
    QfBox *b = &g_array_index (boxes, QfBox, i);
    float w = MIN (b->x + b->w, (float) p->x1) - MAX (b->x, (float) p->x0);
    float h = MIN (b->y + b->h, (float) p->y1) - MAX (b->y, (float) p->y0);
    float covered = w > 0 && h > 0 ? w * h / (b->w * b->h) : 0.0f;

    if (covered > 2.0f / 3)
      g_array_remove_index (boxes, i);
    else
      b->ignore |= covered > 1.0f / 3;
  }
}

/* The whole
 * --------------------------------------------------------------------- */

static void
draw (Scene *s, guint8 *codes, GArray *boxes)
{
  int w = s->a->width, h = s->a->height;
  g_autofree int *taps = g_new (int, (gsize) s->n * 2 * (gsize) (w + h));

  for (int i = 0; i < s->n; i++) {
    Part *p = &s->part[i];

    p->taps = taps + (gsize) i * 2 * (gsize) (w + h);
    make_taps (w, p->map.scale_x, p->map.offset_x, p->taps, p->taps + w);
    make_taps (h, p->map.scale_y, p->map.offset_y, p->taps + 2 * w,
        p->taps + 2 * w + h);
    if (boxes) {
      cover_boxes (p, boxes);
      move_boxes (p, boxes);
    }
  }
  if (s->part[0].sample->frame >= 0)
    draw_frames (s, codes);
  else
    draw_planes (s, codes);
}

void
qf_sample_plain (const QfAugment *a, const QfSample *s, guint8 *codes)
{
  Scene scene = { .a = a, .gain = 1, .speed = 1 };

  add_part (&scene, s, (Map){ 1, 0, 1, 0 }, 0, 0, a->width, a->height);
  draw (&scene, codes, NULL);
}

void
qf_sample_augment (const QfAugment *a, const GPtrArray *samples, int number,
    QfRng rng, guint8 *codes, GArray *boxes)
{
  Scene scene = { .a = a };

  draw_scene (
      &scene, samples, g_ptr_array_index (samples, (guint) number), &rng);
  draw (&scene, codes, boxes);
}
