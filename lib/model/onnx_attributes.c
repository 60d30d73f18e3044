/* libqfuse: names, inputs and attributes of an ONNX file's nodes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/onnx-private.h"

#include <string.h>

const char *
qf_onnx_node_name (const Onnx__NodeProto *node)
{
  if (node->name && node->name[0])
    return node->name;
  return node->n_output ? node->output[0] : "";
}

const char *
qf_onnx_input_name (const Onnx__NodeProto *node, gsize i)
{
  return i < node->n_input && node->input[i][0] ? node->input[i] : NULL;
}

const Onnx__AttributeProto *
qf_onnx_find_attribute (const Onnx__NodeProto *node, const char *name)
{
  for (gsize i = 0; i < node->n_attribute; i++)
    if (g_strcmp0 (node->attribute[i]->name, name) == 0)
      return node->attribute[i];
  return NULL;
}

/* Sets @a to NULL where the node has no such attribute. */
static gboolean
get_attribute (const Onnx__NodeProto *node, const char *name, int type,
    const Onnx__AttributeProto **a, GError **error)
{
  *a = qf_onnx_find_attribute (node, name);
  if (*a && (*a)->has_type && (*a)->type != type)
    return FAIL (
        QF_ERROR_FORMAT, "its attribute '%s' has the wrong type", name);
  return TRUE;
}

gboolean
qf_onnx_get_int (
    const Onnx__NodeProto *node, const char *name, int *value, GError **error)
{
  const Onnx__AttributeProto *a;

  if (!get_attribute (node, name, QF_ONNX_ATTR_INT, &a, error))
    return FALSE;
  if (a && (a->i < G_MININT || a->i > G_MAXINT))
    return FAIL (QF_ERROR_FORMAT, "its attribute '%s' is out of range", name);
  if (a)
    *value = (int) a->i;
  return TRUE;
}

gboolean
qf_onnx_get_float (
    const Onnx__NodeProto *node, const char *name, float *value, GError **error)
{
  const Onnx__AttributeProto *a;

  if (!get_attribute (node, name, QF_ONNX_ATTR_FLOAT, &a, error))
    return FALSE;
  if (a)
    *value = a->f;
  return TRUE;
}

gboolean
qf_onnx_get_ints (const Onnx__NodeProto *node, const char *name, int n,
    int *values, GError **error)
{
  const Onnx__AttributeProto *a;

  if (!get_attribute (node, name, QF_ONNX_ATTR_INTS, &a, error))
    return FALSE;
  if (!a)
    return TRUE;
  if (a->n_ints != (gsize) n)
    return FAIL (QF_ERROR_UNSUPPORTED,
        "its attribute '%s' has %" G_GSIZE_FORMAT " numbers, only %d are "
        "supported",
        name, a->n_ints, n);
  for (int i = 0; i < n; i++) {
    if (a->ints[i] < G_MININT || a->ints[i] > G_MAXINT)
      return FAIL (QF_ERROR_FORMAT, "its attribute '%s' is out of range", name);
    values[i] = (int) a->ints[i];
  }
  return TRUE;
}

gboolean
qf_onnx_get_text (const Onnx__NodeProto *node, const char *name,
    const char *fallback, char *text, GError **error)
{
  const Onnx__AttributeProto *a;

  if (!get_attribute (node, name, QF_ONNX_ATTR_STRING, &a, error))
    return FALSE;
  if (!a) {
    g_strlcpy (text, fallback, 32);
    return TRUE;
  }
  if (a->s.len > 31)
    return FAIL (QF_ERROR_UNSUPPORTED, "its attribute '%s' is not known", name);
  memset (text, 0, 32);
  if (a->s.len)
    memcpy (text, a->s.data, a->s.len);
  for (char *c = text; *c; c++)
    if (!g_ascii_isprint (*c))
      *c = '?';
  return TRUE;
}

gboolean
qf_onnx_must_be (
    const Onnx__NodeProto *node, const char *name, int wanted, GError **error)
{
  int value = wanted;

  if (!qf_onnx_get_int (node, name, &value, error))
    return FALSE;
  return value == wanted ||
      FAIL (QF_ERROR_UNSUPPORTED, "%s = %d is not supported", name, value);
}
