/* qfuse: names of classes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qfuse.h"

G_BEGIN_DECLS

/** The 80 classes of COCO, a name a line, in the order that detectors use. */
extern const char labels_coco[];

/** A file with a name a line, or "a,b,c"; one name a line. NULL: a name is
 * empty, not UTF-8 or there twice, or the file cannot be read. */
char *labels_read (const char *text, GError **error);

/** From what Ultralytics' exporter writes, "{0: 'person', 1: 'car'}"; NULL
 * where @text is something else. */
char *labels_from_names (const char *text);

G_END_DECLS
