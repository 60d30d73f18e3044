/* GStreamer qfuse: samples that a stream brought, until they are trained on.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstqfmeta.h"
#include "gstqfplanes.h"
#include "qfuse.h"

G_BEGIN_DECLS

/** Samples with the names of their classes, which are numbered only when all
 * are known. Not thread-safe. */
typedef struct _GstQfTrainSet GstQfTrainSet;

/** @bytes: of one sample's planes. @memory_limit: bytes of planes in memory,
 * what is beyond lies in a temporary file; 0: no limit. @max: of @max + k
 * samples any @max are kept with equal chance, the same ones for the same
 * @seed; 0: all. */
GstQfTrainSet *gst_qf_train_set_new (
    gsize bytes, guint max, guint64 memory_limit, guint64 seed);
void gst_qf_train_set_free (GstQfTrainSet *s);

/** Samples are to be pictures among all that come, played at 1/@speed to @speed
 * and, with @backwards, backwards; @bytes are those of a picture's base planes
 * (see qf_planes_base()) for @want. Before the first. */
void gst_qf_train_set_keep_frames (
    GstQfTrainSet *s, const GstQfWant *want, gdouble speed, gboolean backwards);

/** Then, for each picture that comes: room for its base planes, which the
 * caller fills; gst_qf_train_set_push() must follow, and may be followed by
 * gst_qf_train_set_next() and add() where it is a sample. @time, @cut: see
 * qf_frames_push(). */
guint8 *gst_qf_train_set_picture (GstQfTrainSet *s);
gboolean gst_qf_train_set_push (
    GstQfTrainSet *s, GstClockTime time, gboolean cut, GError **error);

/** Room for the next sample's planes, which the caller fills; NULL where this
 * sample is not kept. gst_qf_train_set_add() must follow. */
guint8 *gst_qf_train_set_next (GstQfTrainSet *s);

/** Adds it with what is true of it. @geometry: how the picture lies in the
 * planes.
 * @validation: held back. FALSE: there is no room for it. */
gboolean gst_qf_train_set_add (GstQfTrainSet *s, const QfuseTruthMeta *truth,
    const QfGeometry *geometry, gboolean validation, GError **error);

/** Samples held; those held back among them. */
guint gst_qf_train_set_size (const GstQfTrainSet *s, guint *n_validation);

/** Boxes that are not to be ignored; samples with an action. */
guint gst_qf_train_set_n_boxes (const GstQfTrainSet *s);
guint gst_qf_train_set_n_actions (const GstQfTrainSet *s);

/** Names of the classes that were seen, one a line: of actions, or of boxes. In
 * the order of their numbers, then as they came. Classes without a name are
 * called "object", or "object N" with their number from 1 where there are
 * others. */
gchar *gst_qf_train_set_labels (const GstQfTrainSet *s, gboolean actions);

/** Moves all samples to @trainer, whose labels are @labels, and leaves @s
 * empty.
 * @share: of samples to be held back where none are, evenly spread, 0 … 0.9.
 * FALSE: @labels lacks a name that was seen; nothing was moved. */
gboolean gst_qf_train_set_move (GstQfTrainSet *s, QfTrainer *trainer,
    const gchar *labels, gboolean actions, gdouble share, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GstQfTrainSet, gst_qf_train_set_free)

G_END_DECLS
