/* GStreamer qfuse: tests: tiny models whose answers are known.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Input of the models, pixels. The detector has cells of 16 pixels. */
#define TEST_MODEL_WIDTH 64
#define TEST_MODEL_HEIGHT 48
#define TEST_MODEL_CELL 16

/** Writes an fcos model (label "square") to @path. It finds cells of 16x16
 * pixels that are bright (200 and above, by far) in the last of @planes, each
 * with a box that covers the cell exactly, and a score of 0.98. @fit:
 * "letterbox" or "stretch"; @rate: as qfuse.rate, or NULL; @serial: as
 * qfuse.serial. */
void test_model_write_detector (const gchar *path, const gchar *planes,
    const gchar *fit, const gchar *rate, const gchar *serial);

/** Writes a classifier (labels "dark", "bright") that judges the mean of the
 * first plane: below 128 is dark. */
void test_model_write_classifier (const gchar *path, const gchar *planes);

/** A name for a file in a folder of this process's own, to be freed; the folder
 * goes with test_model_cleanup(). */
gchar *test_model_path (const gchar *name);
void test_model_cleanup (void);

G_END_DECLS
