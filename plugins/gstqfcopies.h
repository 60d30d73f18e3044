/* GStreamer qfuse: frames that others hold, copied into memory used again.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/** Blocks of memory for copies of frames. A decoder still predicts from the
 * frames that it has given away, so an element that draws needs a copy of each;
 * freshly allocated, its pages cost more than the copying. Thread-safe. */
typedef struct _GstQfCopies GstQfCopies;

GstQfCopies *gst_qf_copies_new (void);

/** Blocks that are still in use are freed with their buffers. */
void gst_qf_copies_unref (GstQfCopies *c);

/** Makes all memory of @buffer (which must be writable) writable: what others
 * hold, too, is replaced by a copy of the same layout. FALSE: it cannot be
 * mapped; the buffer is still whole. */
gboolean gst_qf_copies_own (GstQfCopies *c, GstBuffer *buffer);

G_END_DECLS
