/* libqfuse: int8 dense convolution, VNNI.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Included behind avx512vnni.h or avxvnni.h. A window is kernel_h runs of bytes
 * (kernel_h · kernel_w where dilation_w > 1), each in one row of the input,
 * where it stays if nothing is missing to its left and right and runs are
 * multiples of four bytes; else rows are copied with their borders of x_zero.
 * Runs are rounded up to four bytes with weights of 0. Codes are taken as they
 * are: sums start from bias − x_zero · Σw. Exact: docs/numerics.md (17). */
#include "kernels/x86/tile_vnni.h"

enum
{
  BLOCK = 2 * QF_LANES, /* output channels */
  X_BYTES = 24 * 1024,  /* of the input at a time: half of the nearest cache */
  BEYOND = 64           /* read behind a row, and for alignment */
};

typedef struct
{
  int n_runs;
  size_t run, groups; /* bytes of a run; fours */
  size_t pixel;       /* bytes from window to window */
  size_t row;         /* bytes of a row's columns, borders included */
  int copy;
  int span;    /* input rows of a window */
  int rows;    /* output rows taken together */
  int slots;   /* copied rows */
  int windows; /* of a row taken together */
} Layout;

static Layout
layout (const QfConvShape *s)
{
  Layout l;
  size_t ic = (size_t) s->in_c;
  int joined = s->dilation_w == 1, rows;
  int columns =
      (s->out_w - 1) * s->stride_w + (s->kernel_w - 1) * s->dilation_w + 1;
  size_t windows;

  l.n_runs = joined ? s->kernel_h : s->kernel_h * s->kernel_w;
  l.run = joined ? s->kernel_w * ic : ic;
  l.groups = (l.run + 3) / 4;
  l.pixel = s->stride_w * ic;
  l.row = (size_t) columns * ic;
  l.copy = s->pad_left > 0 || columns > s->in_w || l.run % 4 != 0;
  l.span = (s->kernel_h - 1) * s->dilation_h + 1;
  rows = ((int) (X_BYTES / l.row) - l.span) / s->stride_h + 1;
  l.rows = rows < 1 ? 1 : rows < s->out_h ? rows : s->out_h;
  l.slots = l.copy ? (l.rows - 1) * s->stride_h + l.span : 0;
  windows = X_BYTES / (l.pixel * s->kernel_h) / QF_TILE_X * QF_TILE_X;
  l.windows = l.rows > 1 || windows > (size_t) s->out_w ? s->out_w
      : windows < QF_TILE_X                             ? QF_TILE_X
                                                        : (int) windows;
  return l;
}

int
QF_DENSE (can) (const QfConvShape *s)
{
  return s->groups == 1 && s->out_c > 2;
}

static size_t
channels_of (const QfConvShape *s)
{
  return ((size_t) s->out_c + QF_LANES - 1) / QF_LANES * QF_LANES;
}

static int
vectors_of (int out_c, int o)
{
  return out_c - o > QF_LANES ? 2 : 1;
}

/* [block][run][group][1 or 2 vectors][lane][4] int8, then sums of weights. */
size_t
QF_DENSE (packed_size) (const QfConvShape *s)
{
  Layout l = layout (s);

  return channels_of (s) * (l.n_runs * l.groups + 1) * 4;
}

void
QF_DENSE (pack) (const QfConvShape *s, const int8_t *w, void *packed)
{
  Layout l = layout (s);
  size_t fours = l.n_runs * l.groups;
  int32_t *sums = (int32_t *) ((int8_t *) packed + channels_of (s) * fours * 4);

  memset (packed, 0, QF_DENSE (packed_size) (s));
  for (int o = 0; o < s->out_c; o++) {
    int first = o / BLOCK * BLOCK;
    size_t width = (size_t) vectors_of (s->out_c, first) * QF_LANES;
    int8_t *to = (int8_t *) packed + (size_t) first * fours * 4;

    for (int c = 0; c < s->in_c; c++)
      for (int ky = 0; ky < s->kernel_h; ky++)
        for (int kx = 0; kx < s->kernel_w; kx++, w++) {
          int joined = s->dilation_w == 1;
          size_t run = (size_t) (joined ? ky : ky * s->kernel_w + kx);
          size_t k = joined ? (size_t) kx * s->in_c + c : (size_t) c;

          to[((run * l.groups + k / 4) * width + (o - first)) * 4 + k % 4] = *w;
          sums[o] += *w;
        }
  }
}

/* Pointers to runs, a row of x_zero, copied rows. */
size_t
QF_DENSE (scratch_size) (const QfConvShape *s)
{
  Layout l = layout (s);

  return (size_t) l.n_runs * sizeof (uint8_t *) + (l.slots + 1) * l.row +
      BEYOND;
}

/* Rows as one: 1x1 windows on what is there. */
static QfConvShape
flatten (const QfConvShape *s, int rows)
{
  QfConvShape f = *s;

  f.in_w = f.out_w = rows * s->out_w;
  f.in_h = f.out_h = 1;
  return f;
}

static int
is_flat (const QfConvShape *s, const Layout *l)
{
  return s->kernel_h == 1 && s->kernel_w == 1 && s->stride_h == 1 &&
      s->stride_w == 1 && s->pad_top == 0 && s->out_w == s->in_w && !l->copy;
}

void
QF_DENSE (grain) (const QfConvShape *s, int *rows, int *channels)
{
  Layout l = layout (s);

  *rows = is_flat (s, &l) ? 1 : l.rows < s->out_h ? l.rows : 1;
  *channels = BLOCK;
}

/* What one call works on. */
typedef struct
{
  const QfConvShape *s;
  const Layout *l;
  const uint8_t *x;
  int x_zero;
  const int8_t *w;
  const int32_t *w_sums;
  const QfConvOut *out;
  const QfCodes *codes; /* NULL: sums */
  int row0;
  const uint8_t **runs;
  uint8_t *border; /* a row of x_zero */
  uint8_t *copies; /* input row i, if copied, in slot i mod l->slots */
  int next;        /* input rows before it are copied */
} Job;

static const uint8_t *
row_of (const Job *j, int iy)
{
  if (iy < 0 || iy >= j->s->in_h)
    return j->border;
  if (j->l->copy)
    return j->copies + (size_t) (iy % j->l->slots) * j->l->row;
  return j->x + (size_t) iy * j->s->in_w * j->s->in_c;
}

/* Input rows up to @end, that output row @oy and the ones below it want. */
static void
copy_rows (Job *j, int oy, int end)
{
  const QfConvShape *s = j->s;
  int first = oy * s->stride_h - s->pad_top;
  size_t in_row = (size_t) s->in_w * s->in_c, row = j->l->row;
  size_t left = (size_t) s->pad_left * s->in_c, n;

  left = left < row ? left : row;
  n = in_row < row - left ? in_row : row - left;
  first = first > j->next ? first : j->next;
  end = end < s->in_h ? end : s->in_h;
  for (int iy = first; iy < end; iy++) {
    uint8_t *to = j->copies + (size_t) (iy % j->l->slots) * row;

    memset (to, j->x_zero, left);
    memcpy (to + left, j->x + (size_t) iy * in_row, n);
    memset (to + left + n, j->x_zero, row - left - n);
  }
  j->next = end > j->next ? end : j->next;
}

/* The runs of window (@oy, @p). */
static void
find_runs (const Job *j, int oy, int p)
{
  const QfConvShape *s = j->s;
  const uint8_t **run = j->runs;
  int each = s->dilation_w == 1 ? 1 : s->kernel_w;

  for (int ky = 0; ky < s->kernel_h; ky++) {
    const uint8_t *row =
        row_of (j, oy * s->stride_h - s->pad_top + ky * s->dilation_h) +
        (size_t) p * j->l->pixel;

    for (int kx = 0; kx < each; kx++)
      *run++ = row + (size_t) kx * s->dilation_w * s->in_c;
  }
}

/* Windows @p … @p + @n − 1 of rows @oy … @end − 1, channels from @o on. */
static void
block (const Job *j, int oy, int end, int p, int n, int o)
{
  const QfConvShape *s = j->s;
  const QfRequant *r = j->out->r;
  int left = s->out_c - o, vectors = vectors_of (s->out_c, o);
  float mult[BLOCK] = { 0 };
  int32_t start[BLOCK] = { 0 };
  QfTile t = { NULL, j->l->n_runs, j->l->groups, j->l->pixel,
    j->w + (size_t) o * j->l->n_runs * j->l->groups * 4, start, mult, j->codes,
    NULL, NULL, (size_t) s->out_c, left < BLOCK ? left : BLOCK };

  for (int i = 0; i < t.channels; i++)
    start[i] =
        (int32_t) (0u - (uint32_t) j->x_zero * (uint32_t) j->w_sums[o + i]);
  if (r)
    memcpy (mult, r->mult + o, (size_t) t.channels * sizeof *mult);
  if (r && r->bias)
    for (int i = 0; i < t.channels; i++)
      start[i] = (int32_t) ((uint32_t) start[i] + (uint32_t) r->bias[o + i]);
  for (; oy < end; oy++) {
    size_t at = ((size_t) (oy - j->row0) * s->out_w + p) * s->out_c + o;

    t.acc = j->out->acc ? j->out->acc + at : NULL;
    t.y = j->out->y ? j->out->y + at : NULL;
    find_runs (j, oy, p);
    qf_tiles_run (&t, j->runs, n, vectors);
  }
}

void
QF_DENSE_RUN (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, QfConvOut out, int row0, int row1, void *scratch)
{
  Layout l = layout (s);
  QfConvShape flat;
  QfCodes codes;
  const int8_t *w = packed;
  Job j = { .x_zero = x_zero,
    .w = w,
    .out = &out,
    .runs = scratch,
    .w_sums =
        (const int32_t *) (w + channels_of (s) * l.n_runs * l.groups * 4) };

  if (is_flat (s, &l) && row1 <= s->in_h) {
    x += (size_t) row0 * s->in_w * s->in_c;
    flat = flatten (s, row1 - row0);
    row0 = 0;
    row1 = 1;
    s = &flat;
    l = layout (s);
  }
  j.s = s;
  j.l = &l;
  j.x = x;
  j.row0 = row0;
  j.border = (uint8_t *) (j.runs + l.n_runs);
  j.copies = j.border + l.row;
  if (s->pad_top > 0 ||
      (s->out_h - 1) * s->stride_h - s->pad_top + l.span > s->in_h)
    memset (j.border, x_zero, l.row);
  if (out.r) {
    codes = qf_codes_new (out.r);
    j.codes = &codes;
  }
  for (int r = row0; r < row1; r += l.rows) {
    int end = row1 - r < l.rows ? row1 : r + l.rows;

    if (l.copy)
      copy_rows (&j, r, (end - 1) * s->stride_h - s->pad_top + l.span);
    for (int p = 0; p < s->out_w; p += l.windows) {
      int n = s->out_w - p < l.windows ? s->out_w - p : l.windows;

      for (int o = out.c0; o < out.c1; o += BLOCK)
        block (&j, r, end, p, n, o);
    }
  }
}
