/* libqfuse: what moves in a stream: mask, share, blobs, start and stop.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "vision/planes.h"
#include "vision/polygons.h"

G_BEGIN_DECLS

/** Finds what moves in a stream of luma pictures. How each step works stands at
 * the top of its file, motion-*.c. Not thread-safe: one thread at a time. */
typedef struct _QfMotion QfMotion;

/** What a picture is compared with. */
typedef enum
{
  QF_MOTION_PREVIOUS,  /**< the picture `distance` back */
  QF_MOTION_MEAN,      /**< the mean of the `distance` pictures before */
  QF_MOTION_BACKGROUND /**< a running average of all pictures before; what
                            stands still long enough becomes background */
} QfMotionReference;

/** Times are in nanoseconds. Where pictures come without times, each one counts
 * 40 ms. */
typedef struct
{
  QfMotionReference reference;
  int distance;         /**< 1 … QF_MAX_DISTANCE pictures; previous, mean */
  gint64 distance_time; /**< > 0: previous is the picture whose time is nearest
                             to this long ago, at least one back (at most
                             QF_MOTION_MAX_DISTANCE_TIME); `distance` is for
                             pictures without a time */
  double learning_rate; /**< of the background, a picture: 0 (the first picture
                             stays) … 0.5. What stands still for 0.5 /
                             learning_rate pictures becomes background */
  int threshold;        /**< dead band, 0 … 255: |d| up to this is no motion.
                             With noise_adaptive the least dead band */
  gboolean noise_adaptive; /**< the dead band follows the sensor's noise */
  double noise_factor;     /**< dead band in standard deviations of the noise of
                                d, 1 … 16 */
  double shadow; /**< what is darker by up to this share, 0 … 0.9, is a shadow,
                      no motion; below 0: 0.25, but not for small things far
                      from all large ones */
  gboolean lighting; /**< gain and offset of the whole picture are no motion */
  gboolean camera;   /**< the background follows a camera that turns by at most
                          6 pixels a picture; one that trembles makes it more
                          tolerant and quicker to learn */
  double max_share;  /**< a change of more of the picture than this, 0 … 1, is
                          light or a cut, no motion (1: never), for at most
                          QF_MOTION_MAX_LIGHTING on end */
  int min_area;      /**< smallest blob in moving pixels; 0: a thousandth of
                          the picture, and smaller things that were followed
                          over some pictures and got on */
  int join;          /**< regions at most this many pixels apart are one blob */
  gboolean split;    /**< regions that hang together by a neck are two blobs */
  int margin;        /**< boxes are larger by this many pixels on each side */
  double min_share;  /**< moving pixels of the picture, 0 … 1, from which on a
                          picture counts as motion; there must be a blob too */
  gint64 start_time; /**< motion must last this long to start an event */
  gint64 stop_time;  /**< no motion for this long stops it */
  gboolean want_then; /**< results hold the reference */
} QfMotionOptions;

#define QF_MOTION_MAX_DISTANCE_TIME (G_GINT64_CONSTANT (3600000000000))
#define QF_MOTION_MAX_LIGHTING (G_GINT64_CONSTANT (2000000000))
#define QF_MOTION_MAX_BLOBS 256

/** Background, noise-adaptive dead band of at least 10, shadows and light left
 * out, events from the first picture with motion to one second after the last.
 */
#define QF_MOTION_OPTIONS_INIT                                                 \
  {                                                                            \
    .reference = QF_MOTION_BACKGROUND, .distance = 1, .learning_rate = 0.005,  \
    .threshold = 10, .noise_adaptive = TRUE, .noise_factor = 3, .shadow = -1,  \
    .lighting = TRUE, .camera = TRUE, .max_share = 0.6, .split = TRUE,         \
    .stop_time = G_GINT64_CONSTANT (1000000000)                                \
  }

/** Something that moves: its bounding box in pixels and its moving pixels. */
typedef struct
{
  int x, y, w, h;
  int area;
} QfMotionBlob;

/** What was found in one picture. Pointers hold until the next call. */
typedef struct
{
  gboolean known;     /**< there was a picture to compare with */
  gsize changed;      /**< moving pixels */
  double share;       /**< of all pixels that are not ignored, 0 … 1 */
  const guint8 *mask; /**< [height][width]: 255 moving, 0 still */
  const guint8 *then; /**< [height][width]: the reference in the light of now;
                           NULL where not asked for or not known */
  int n_blobs;        /**< ≤ QF_MOTION_MAX_BLOBS */
  const QfMotionBlob *blobs; /**< largest area first */

  int threshold; /**< median of the dead bands in use */
  double noise;  /**< standard deviation of the sensor's noise, grey levels */
  gboolean lighting;   /**< the whole picture changed; told as still */
  double gain, offset; /**< now = gain·then + offset; 1, 0 where not in use */

  gboolean moving;           /**< an event is going on */
  gboolean started, stopped; /**< with this picture */
  gint64 since; /**< time of the event's first picture (or of the last event's,
                     with `stopped`), −1: not known */
} QfMotionResult;

/** NULL and an error where an option is out of range. */
QfMotion *qf_motion_new (const QfMotionOptions *options, GError **error);
void qf_motion_free (QfMotion *m);

/** Changes options while running. The past stays where reference and distance
 * do. On an error nothing changes. */
gboolean qf_motion_set_options (
    QfMotion *m, const QfMotionOptions *options, GError **error);
void qf_motion_get_options (const QfMotion *m, QfMotionOptions *options);

/** Where nothing counts; NULL: nowhere. Takes no reference: @ignore may be
 * freed. */
void qf_motion_set_ignore (QfMotion *m, const QfPolygons *ignore);

/** For pictures of @width × @height, 1 … 32767. A new size forgets the past.
 * Those wider than 1280 pixels (and not low) are analysed at a half, a third …
 * of their size, unless the reference is asked for (which forgets the past
 * then): boxes, areas and mask are in whole pixels all the same, noise and
 * threshold are those of the smaller picture. All memory but that of held
 * pictures is taken here. */
void qf_motion_set_size (QfMotion *m, int width, int height);

/** Forgets the past; an event that is going on ends silently. What is known of
 * the sensor's noise stays. */
void qf_motion_reset (QfMotion *m);

/** The smallest blob in pixels that holds for this size. */
int qf_motion_min_area (const QfMotion *m);

/** Takes the next picture: @luma: [height] rows of @width bytes, @stride bytes
 * apart. @time: nanoseconds, −1 where not known. The past is forgotten where
 * time goes back or leaps (as for qf_differencer_push(); a background's
 * distance is 1/learning_rate pictures). qf_motion_set_size() must have been
 * called. */
void qf_motion_push (QfMotion *m, const guint8 *luma, gssize stride,
    gint64 time, QfMotionResult *result);

/** Whether an event is going on. */
gboolean qf_motion_is_moving (const QfMotion *m);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (QfMotion, qf_motion_free)

G_END_DECLS
