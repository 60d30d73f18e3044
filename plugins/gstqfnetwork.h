/* GStreamer qfuse: a loaded model, ready to run on planes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstqfmeta-private.h"
#include "gstqfplanes.h"

G_BEGIN_DECLS

/** Model, engine and decoder; reference-counted, so that a new one can take its
 * place while a frame is in work. One thread at a time may run it. */
typedef struct _GstQfNetwork GstQfNetwork;

/** Loads @path. @threads 0: as many as affinity mask and control groups allow. @sparse is for
 * networks that see nothing but dead-banded differences; others compute
 * everything. */
GstQfNetwork *gst_qf_network_new (
    const gchar *path, gint threads, QfSparseMode sparse, GError **error);
GstQfNetwork *gst_qf_network_ref (GstQfNetwork *n);
void gst_qf_network_unref (GstQfNetwork *n);

const GstQfWant *gst_qf_network_want (const GstQfNetwork *n);

/** Where the planes of the next run are to be written, gst_qf_want_size()
 * bytes. */
guint8 *gst_qf_network_input (GstQfNetwork *n);

/** Runs on the input and puts what it finds into @found (overwritten), in
 * pixels of the picture that @geometry tells of. @threshold, @iou < 0: the
 * model's own. @max 0: no limit. FALSE where the input is that of the last run,
 * byte for byte: then its outputs are read again, and the network rests. */
gboolean gst_qf_network_run (GstQfNetwork *n, const QfGeometry *geometry,
    gfloat threshold, gfloat iou, gint max, GstQfFound *found);

/** Multiply-accumulates of the last run, and what a whole one takes. */
void gst_qf_network_macs (const GstQfNetwork *n, guint64 *macs, guint64 *all);

/** With QF_SPARSE_VERIFY the time of all runs as a share of that of whole ones,
 * else −1. */
gdouble gst_qf_network_time_share (const GstQfNetwork *n);

/** With QF_SPARSE_VERIFY the first node whose output was wrong in the last run,
 * or NULL. */
const gchar *gst_qf_network_differs (const GstQfNetwork *n);

/** Why the last run could not be finished, see qf_engine_trouble(), or NULL. */
const gchar *gst_qf_network_trouble (const GstQfNetwork *n);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GstQfNetwork, gst_qf_network_unref)

G_END_DECLS
