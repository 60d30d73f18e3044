/* libqfuse: the pictures of clips, kept so that differences can be made anew.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A sample that is kept as planes has its differences for ever. Kept as luma
 * with the pictures around it, it can be played backwards and at other speeds,
 * and a change of light, noise or size comes before dead band and opening, as
 * it does in a camera. Pictures are shared by all samples that need them. */
#pragma once

#include "train/store.h"
#include "vision/planes.h"

typedef struct _QfFrames QfFrames;

/** What is kept of a picture: Y where luma or differences are asked for, then
 * those of R, G and B that are. */
void qf_planes_base (const QfPlanes *planes, QfPlanes *base);

/** For samples with @planes, at any speed from 1/@speed to @speed, forwards
 * and, with @backwards, backwards. @rate_n/@rate_d as for qf_differencer_new().
 * @store: for blocks of the base planes, [base][height][width]. */
QfFrames *qf_frames_new (const QfPlanes *planes, int rate_n, int rate_d,
    double speed, gboolean backwards, QfStore *store);
void qf_frames_free (QfFrames *f);

/** Takes the next picture; @cut: the past is forgotten, as it is where time
 * goes back or leaps (see qf_differencer_push()). Returns its number, −1 with
 * an error of the store. */
int qf_frames_push (
    QfFrames *f, const guint8 *base, gint64 time, gboolean cut, GError **error);

/** The newest picture becomes a sample: it and all that any speed and direction
 * may ask for are kept. Others are dropped when they can no longer be asked for
 * (with a rate and times, none is). */
void qf_frames_keep (QfFrames *f);

/** Picture @frame is a sample no longer: what is kept for it alone is dropped.
 */
void qf_frames_release (QfFrames *f, int frame);

/** Number of the picture that is @k steps before picture @frame when playing at
 * @speed, −1: there is none. */
int qf_frames_pick (
    const QfFrames *f, int frame, int k, double speed, gboolean backwards);

/** Its base planes; NULL: dropped. */
const guint8 *qf_frames_get (const QfFrames *f, int frame);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (QfFrames, qf_frames_free)
