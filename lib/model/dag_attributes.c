/* libqfuse: attributes of nodes of any operators.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/dag-private.h"

#include <string.h>

gboolean
qf_dag_read_attr (const Onnx__AttributeProto *p, QfAttr *a, GError **error)
{
  a->name = g_strdup (p->name ? p->name : "");
  a->i = p->i;
  a->f = p->f;
  a->type = p->has_type && p->type == QF_ONNX_ATTR_FLOAT ? QF_ATTR_FLOAT
      : p->has_type && p->type == QF_ONNX_ATTR_STRING    ? QF_ATTR_TEXT
      : p->has_type && p->type == QF_ONNX_ATTR_INTS      ? QF_ATTR_INTS
      : p->has_type && p->type == QF_ONNX_ATTR_FLOATS    ? QF_ATTR_FLOATS
      : p->t                                             ? QF_ATTR_TENSOR
                                                         : QF_ATTR_INT;
  if (p->n_ints > QF_MAX_DIM || p->n_floats > QF_MAX_DIM || p->s.len > 4096)
    return FAIL (QF_ERROR_FORMAT, "its attribute '%s' is too long", a->name);
  a->text = g_strndup (p->s.len ? (const char *) p->s.data : "", p->s.len);
  a->n = (int) (a->type == QF_ATTR_FLOATS ? p->n_floats : p->n_ints);
  a->ints = g_memdup2 (p->ints, p->n_ints * sizeof *a->ints);
  a->floats = g_memdup2 (p->floats, p->n_floats * sizeof *a->floats);
  if (p->t && a->type == QF_ATTR_TENSOR) {
    QfOnnxConstant k;

    if (!qf_onnx_tensor_read (p->t, &k, error))
      return FALSE;
    a->tensor.dtype = k.dtype;
    a->tensor.rank = k.rank;
    memcpy (a->tensor.dims, k.dims, sizeof a->tensor.dims);
    a->tensor.data = k.data;
  }
  return TRUE;
}
