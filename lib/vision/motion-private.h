/* libqfuse: the parts of motion analysis, for lib/vision only.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "vision/motion.h"

G_BEGIN_DECLS

/* --- motion-background.c -------------------------------------------------- */

typedef struct
{
  int width, height;
  double rate;
  int absorb;        /* pictures after which what stands is background */
  guint8 *level[2];  /* [height][width] */
  guint8 *weight[2]; /* [height][width], 0 … 250; 0: free */
  gint32 learned;    /* pictures in it */
  gint32 ticks;

  /* of the picture at hand */
  guint8 confirm;     /* weight from which on a level is background */
  guint8 step;        /* |d| over this moves a level */
  guint8 tick, decay; /* what a weight grows by; shrinks by */
  gboolean hurry;     /* the camera moves: what stands is background soon, what
                         lies between the levels around does not move */
  guint8 *rows;       /* [5][width] */
} QfMotionBackground;

void qf_motion_background_init (QfMotionBackground *b, int width, int height);
void qf_motion_background_clear (QfMotionBackground *b);
void qf_motion_background_reset (QfMotionBackground *b);
void qf_motion_background_set_rate (QfMotionBackground *b, double rate);
/** Pictures whose mean a level is, about. */
int qf_motion_background_pictures (const QfMotionBackground *b);
/** Starts a picture. FALSE: nothing to compare it with. */
gboolean qf_motion_background_begin (QfMotionBackground *b);
/** Which pixels of row @y are off the background, 255 or 0, and which of these
 * are no shadow (@shadow: /256) and no edge that trembles. @parts: shadows are
 * off the background for all that. */
void qf_motion_background_moving (const QfMotionBackground *b, int y,
    const guint8 *now, const guint8 *band, int shadow, gboolean parts,
    guint8 *off, guint8 *moving);
/** By how much a level is out of the range of the background around a pixel. */
int qf_motion_background_excess (
    const QfMotionBackground *b, int x, int y, int level);
void qf_motion_background_learn (
    QfMotionBackground *b, int y, const guint8 *now, const guint8 *band);
void qf_motion_background_end (QfMotionBackground *b);
/** The level of more weight. */
void qf_motion_background_row (const QfMotionBackground *b, int y, guint8 *row);
void qf_motion_background_relight (
    QfMotionBackground *b, const guint8 light[256]);
/** Moves all by whole pixels: what was at x + @dx, y + @dy is at x, y. What
 * comes in at the edges is taken from @luma. */
void qf_motion_background_shift (
    QfMotionBackground *b, int dx, int dy, const guint8 *luma, gssize stride);

/* --- motion-past.c: what a picture is compared with ----------------------- */

typedef struct
{
  guint8 *luma; /* [height][width], NULL: not taken yet */
  gint64 time;
} QfMotionHeld;

/** Held pictures lie at least 1/QF_MOTION_HELD_A_DISTANCE of distance_time
 * apart (but for the newest), so that few are held however fast the stream is.
 */
#define QF_MOTION_HELD_A_DISTANCE 32

typedef struct
{
  int width, height;
  QfMotionReference kind;
  int shadow;            /* /256 */
  gboolean shadow_parts; /* shadows differ, though they do not move */
  int distance;
  gint64 distance_time;

  QfMotionHeld *ring;
  int slots, first, n; /* oldest at first */
  guint16 *sum;        /* mean: of all held; ≤ 250·255 */
  QfMotionBackground background;

  /* of the picture at hand */
  const guint8 *from; /* previous: the reference */
  guint8 *to;         /* slot that takes the picture; may be `from` */
  gboolean relight;
  guint8 light[256]; /* level then → level in this picture's light */
  guint8 *row;       /* [width] */
} QfMotionPast;

void qf_motion_past_init (
    QfMotionPast *p, const QfMotionOptions *o, int width, int height);
void qf_motion_past_clear (QfMotionPast *p);
void qf_motion_past_reset (QfMotionPast *p);
/** Takes over learning rate and shadow. */
void qf_motion_past_set (QfMotionPast *p, const QfMotionOptions *o);

/** Starts a picture. FALSE: nothing to compare it with. */
gboolean qf_motion_past_begin (QfMotionPast *p, gint64 time);
/** The reference at a pixel of the picture at hand, before light. */
guint8 qf_motion_past_at (const QfMotionPast *p, int x, int y);
/** λ·256: share of the reference's noise (its variance) in a difference's. */
int qf_motion_past_lambda (const QfMotionPast *p);
/** From here on rows come in the light of now: gain·then + offset. */
void qf_motion_past_relight (QfMotionPast *p, double gain, double offset);
/** Row @y of the reference, to be read before row @y is kept. */
const guint8 *qf_motion_past_row (QfMotionPast *p, int y);
/** Pixels of row @y that differ by more than their dead band: 255, else 0, and
 * those of them that move for sure. */
void qf_motion_past_moving (QfMotionPast *p, int y, const guint8 *now,
    const guint8 *band, guint8 *off, guint8 *moving);
/** Holds row @y of the picture at hand. Every row must be. */
void qf_motion_past_keep (
    QfMotionPast *p, int y, const guint8 *now, const guint8 *band);
/** Ends the picture. */
void qf_motion_past_end (QfMotionPast *p, gint64 time);

/* --- motion-noise.c ------------------------------------------------------- */

/** Cells are squares of 2^shift pixels, those at the right and lower edge may
 * be cut off. */
typedef struct
{
  int width, height;
  int size, shift; /* 2, 4, 8 or 16 pixels */
  int cols, rows;
} QfMotionGrid;

/** Cells by the picture's width, but of 2^@least_shift pixels at least. */
void qf_motion_grid_init (
    QfMotionGrid *g, int width, int height, int least_shift);

/** @sums[c] += the @cols sums of 2^@shift bytes of @row each. */
void qf_motion_grid_add (const guint8 *row, int cols, int shift, guint16 *sums);

typedef struct
{
  QfMotionGrid grid;
  guint8 *last;   /* sampled rows of the picture before */
  guint8 *row;    /* [cols · size] */
  guint16 *sums;  /* [cols] */
  gboolean known; /* `last` is the picture before */
  guint16 *level; /* [rows][cols]: mean |now − before| of a still cell, ·256 */
  gboolean measured;
  guint16 median; /* of the levels */
  guint8 *band;   /* [rows][cols]: dead band */
  int median_band;
} QfMotionNoise;

void qf_motion_noise_init (QfMotionNoise *n, int width, int height);
void qf_motion_noise_clear (QfMotionNoise *n);
/** The picture before is not known any more; the levels stay. */
void qf_motion_noise_reset (QfMotionNoise *n);
/** Takes the next picture. @learn: levels follow it; FALSE where its light
 * changed. */
void qf_motion_noise_push (
    QfMotionNoise *n, const guint8 *luma, gssize stride, gboolean learn);
/** Standard deviation of the noise of one picture. */
double qf_motion_noise_sigma (const QfMotionNoise *n);
/** Sets the dead bands: @factor standard deviations of the difference to a
 * reference of that kind, at least @least. */
void qf_motion_noise_bands (QfMotionNoise *n, double factor, int least);

/* --- motion-light.c ------------------------------------------------------- */

/** Estimates gain and offset between the reference and @luma. @noise: its
 * standard deviation. FALSE where there is no change that is worth it. */
gboolean qf_motion_light (const QfMotionPast *past, const guint8 *luma,
    gssize stride, const guint8 *counts, double noise, double *gain,
    double *offset);

/* --- motion-reduce.c ------------------------------------------------------ */

typedef struct
{
  int k; /* 1: as it is */
  int width, height, to_width, to_height;
  guint16 *sums; /* [width] */
  guint8 *luma;  /* [to_height][to_width] */
  guint8 *mask;  /* [height][width] */
  gboolean any;  /* moves in it */
} QfMotionReduce;

/** 1, or how many times smaller a picture is analysed if it may be. */
int qf_motion_reduction (int width, int height, gboolean reduce);
void qf_motion_reduce_init (
    QfMotionReduce *r, int width, int height, gboolean reduce);
void qf_motion_reduce_clear (QfMotionReduce *r);
/** The picture made smaller. */
const guint8 *qf_motion_reduce (
    QfMotionReduce *r, const guint8 *luma, gssize stride);
/** The mask made larger again. @any: there is something in it. */
const guint8 *qf_motion_reduce_mask (
    QfMotionReduce *r, const guint8 *mask, gboolean any);
/** A blob in pixels of the whole picture. */
void qf_motion_reduce_blob (const QfMotionReduce *r, QfMotionBlob *b);

/* --- motion-camera.c ------------------------------------------------------ */

#define QF_MOTION_CAMERA_REACH 7

typedef struct
{
  int dx, dy;    /* the pixel now at x, y stood at x + dx, y + dy */
  double misfit; /* how badly texture fits without a shift: 0: well, about 0.5:
                    by half a pixel, 1: not at all */
  gboolean lost; /* the reference is of something else */
} QfMotionTurn;

/** Finds the shift of the scene against the reference. FALSE: none. */
gboolean qf_motion_camera (const QfMotionPast *past, const guint8 *luma,
    gssize stride, const guint8 *counts, double noise, QfMotionTurn *t);

/* --- motion-blobs.c ------------------------------------------------------- */

typedef struct
{
  gint32 parent; /* of the label; itself: a root */
  gint32 x0, y0, x1, y1, area;
} QfMotionLabel;

typedef struct
{
  QfMotionGrid grid;
  guint16 *count; /* [rows][cols] moving pixels */
  guint8 *reach;  /* [rows][cols] cells of regions */
  guint8 *spread; /* [rows][cols] */
  gint32 *queue;
  gint32 *label; /* [rows + 2][cols + 2], 0: none */
  QfMotionLabel *labels;
  QfMotionBlob *all; /* [max] */
  int max;
  QfMotionBlob blobs[QF_MOTION_MAX_BLOBS];
} QfMotionBlobs;

void qf_motion_blobs_init (QfMotionBlobs *b, const QfMotionGrid *grid);
void qf_motion_blobs_clear (QfMotionBlobs *b);
/** Finds blobs in @mask with the counts that stand in b->count: regions of
 * cells with enough moving pixels, and the moving pixels in cells around.
 * Returns their number. */
int qf_motion_blobs_find (QfMotionBlobs *b, const guint8 *mask,
    const QfMotionOptions *o, int min_area);

/* --- motion-specks.c ------------------------------------------------------ */

typedef struct
{
  float x, y, vx, vy; /* middle; pixels a picture */
  float x0, y0;       /* where it was first */
  int hits;           /* less misses */
  gboolean hit;       /* in the picture at hand */
} QfMotionTrack;

typedef struct
{
  QfMotionTrack tracks[QF_MOTION_MAX_BLOBS];
  int n;
} QfMotionSpecks;

void qf_motion_specks_reset (QfMotionSpecks *s);
/** Whether @b lies within half the size of something large. */
gboolean qf_motion_specks_near (
    const QfMotionBlob *b, const QfMotionBlob *large, int n);
/** Follows the specks of a picture. Writes those that count to @out, @max at
 * most; returns their number. */
int qf_motion_specks_follow (QfMotionSpecks *s, const QfMotionBlob *found,
    int n_found, const QfMotionGrid *grid, QfMotionBlob *out, int max);

/* --- motion.c, motion-find.c ---------------------------------------------- */

#define QF_MOTION_LEAST_SPECK 4 /* pixels: what the opening leaves at least */

struct _QfMotion
{
  QfMotionOptions o, small_o; /* as given; lengths of the reduced picture */
  QfPolygons *ignore;
  QfMotionReduce reduce;
  int width, height; /* as analysed; 0: no size yet */
  QfMotionGrid grid;
  QfMotionPast past;
  QfMotionNoise noise;
  QfMotionBlobs blobs, small;
  QfMotionSpecks specks;

  guint8 *counts; /* [height][width] 255: counts, 0: ignored; NULL: all count */
  gsize counted;  /* pixels that count */
  guint8 *mask, *off;           /* off: all that differs */
  guint8 *then;                 /* [height][width], NULL: not wanted */
  guint8 *moving[2], *block[2]; /* rows, as in difference.c */
  guint8 *off_moving[2], *off_block[2];
  guint8 *band;       /* row of dead bands */
  guint8 *column;     /* moving pixels of a row of cells, by column */
  guint8 *off_column; /* the same of `off` */
  guint8 *memory;

  gint64 last_time, interval; /* −1: not known */
  gboolean any, timed;
  gint64 clock; /* of the picture at hand; counted where there are no times */

  int lost;      /* pictures on end that the background does not fit */
  double busy;   /* share of the last pictures with something large, 0 … 1 */
  double usual;  /* its area, about */
  int judged;    /* pictures these stem from */
  gint64 turned; /* the camera did, −1: never */
  gint64 light_since; /* a change of the whole picture goes on, −1: none */
  gboolean event;
  gint64 first, last; /* pictures with motion; first −1: none at hand */
};

/** Takes a picture into the past without comparing it. */
void qf_motion_keep_only (QfMotion *m, const guint8 *luma, gssize stride);
/** Compares a picture with the past and takes it into it: mask, blobs, light.
 */
void qf_motion_find (
    QfMotion *m, const guint8 *luma, gssize stride, QfMotionResult *r);

G_END_DECLS
