/* libqfuse: errors of the library.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/** QF_ERROR: the domain of every GError that libqfuse sets. Messages are one
 * sentence, name the file, node or line that is wrong, and say what to do. */
#define QF_ERROR (qf_error_quark ())

typedef enum
{
  QF_ERROR_FAILED,      /**< none of the others */
  QF_ERROR_FILE,        /**< a file cannot be opened, read or written */
  QF_ERROR_FORMAT,      /**< a file's content is damaged or not allowed */
  QF_ERROR_UNSUPPORTED, /**< well formed, but nothing here can do it */
  QF_ERROR_ARGUMENT,    /**< a caller's or user's argument is wrong */
  QF_ERROR_CANCELLED    /**< stopped on request */
} QfErrorCode;

GQuark qf_error_quark (void);

G_END_DECLS
