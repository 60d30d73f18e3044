/* libqfuse: element types.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum
{
  QF_F32,
  QF_U8,
  QF_I8,
  QF_I32,
  QF_I64,
  QF_BOOL
} QfDType;

/** Bytes of one element. */
static inline gsize
qf_dtype_size (QfDType t)
{
  return t == QF_I64 ? 8 : t == QF_F32 || t == QF_I32 ? 4 : 1;
}

#define QF_MAX_RANK 8
#define QF_MAX_ELEMENTS (G_GINT64_CONSTANT (1) << 28) /* of one tensor */

G_END_DECLS
