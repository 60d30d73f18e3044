/* libqfuse: difference planes from a stream of luma pictures.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "vision/planes.h"

G_BEGIN_DECLS

typedef struct _QfDifferencer QfDifferencer;

/** For pictures of @width × @height (the network's size). @rate_n/@rate_d: steps
 * per second for which distances hold; @rate_n 0: one step is one picture. */
QfDifferencer *qf_differencer_new (const QfPlanes *planes, int width,
    int height, int rate_n, int rate_d);
void qf_differencer_free (QfDifferencer *d);

/** Forgets the past. */
void qf_differencer_reset (QfDifferencer *d);

/** Takes the next picture and writes its planes.
 * @luma: [height][width], tight. @rgb: R, G, B of the same size, or NULL where no
 * plane asks for colour. @time: nanoseconds, or −1 where not known; with times the
 * past is forgotten where time goes back or leaps by more than max(1 s, 4 × the
 * longest distance), and with a rate they say which picture is k steps back
 * (docs/numerics.md, "Luma, scaling, differences"). @out:
 * [planes][height][width], or NULL: only remember. */
void qf_differencer_push (QfDifferencer *d, const guint8 *luma,
    const guint8 *const rgb[3], gint64 time, guint8 *out);

/** Bytes of all pictures and sums that are kept. */
gsize qf_differencer_memory (const QfDifferencer *d);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (QfDifferencer, qf_differencer_free)

G_END_DECLS
