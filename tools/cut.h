/* qfuse: cuts the still stretches out of all streams of a video.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/** Learns at a gate for frames which stretches of a video stay, and moves what
 * stays together, in all streams alike. */
typedef struct _Cut Cut;

Cut *cut_new (void);
void cut_free (Cut *cut);

/** Watches the frames on their way through @gate (framediff): which come, and
 * which come out. What is behind it numbers frames as if all came. */
void cut_watch (Cut *cut, GstElement *gate);

/** Frames that came to the gate. */
guint64 cut_frames (Cut *cut);

/** Frames that pass @pad, behind the gate, get their new times. */
void cut_move_video (Cut *cut, GstPad *pad);

/** Packets of another stream that pass @pad wait until their time is known to
 * stay or not, and go or get their new times. The video must be able to go on
 * meanwhile: a queue behind its encoder. */
void cut_other (Cut *cut, GstPad *pad);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Cut, cut_free)

G_END_DECLS
