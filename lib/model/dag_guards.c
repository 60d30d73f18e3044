/* libqfuse: when nodes of branches run.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/dag-private.h"

#include <string.h>

#define UNREAD (-3)

/* Value of a condition: 0, 1, or −1 where only a run tells; *@number is its
 * value's, −1 where nothing makes it. */
static int
known (QfDagReader *r, const char *condition, int *number)
{
  const QfDagValue *v;

  *number = qf_dag_find_value (r, condition, NULL);
  if (*number < 0)
    return -1;
  v = qf_dag_value (r->dag, *number);
  if (v->a.dtype != QF_BOOL || qf_array_elements (&v->a) != 1) {
    *number = -1;
    return -1;
  }
  return v->a.data ? *(const guint8 *) v->a.data != 0 : -1;
}

static int read_guard (QfDagReader *r, int number);

static int
find_guard (QfDagReader *r, int number)
{
  int *own = &g_array_index (r->guards, int, (guint) number);

  if (*own == UNREAD)
    *own = read_guard (r, number);
  return *own;
}

static int
read_guard (QfDagReader *r, int number)
{
  const QfOnnxGuard *g =
      &g_array_index (r->flat->guards, QfOnnxGuard, (guint) number);
  QfDagGuard own = { QF_GUARD_ALWAYS, -1, g->wants };
  int value;

  if (g->parent >= 0)
    own.parent = find_guard (r, g->parent);
  if (own.parent == QF_GUARD_NEVER)
    return QF_GUARD_NEVER;
  value = known (r, g->condition, &own.condition);
  if (value >= 0)
    return value == g->wants ? own.parent : QF_GUARD_NEVER;
  if (own.condition < 0) /* comes later in a file without order: run it */
    return own.parent;
  g_array_append_val (r->dag->guards, own);
  return (int) r->dag->guards->len - 1;
}

int
qf_dag_guard (QfDagReader *r, const Onnx__NodeProto *p)
{
  int number = qf_onnx_guard_of (r->flat, p);

  while (r->guards->len < r->flat->guards->len) {
    int unread = UNREAD;

    g_array_append_val (r->guards, unread);
  }
  return number < 0 ? QF_GUARD_ALWAYS : find_guard (r, number);
}

int
qf_dag_chosen (QfDagReader *r, const Onnx__NodeProto *p)
{
  int number, value;

  if (strcmp (p->op_type, "If") != 0 || (p->domain && p->domain[0]) ||
      p->n_input != 3)
    return 0;
  value = known (r, p->input[0], &number);
  return value < 0 ? 0 : value ? 1 : 2;
}
