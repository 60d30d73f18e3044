/* libqfuse: what the engines on one model share: its graph, fused, and packed
 * weights.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Neither changes once it is made. The model knows the QfShared of its engines,
 * which lives as long as one of them. */
#include "engine/engine-private.h"
#include "model/model-private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum
{
  ALIGN = 64,
  LARGE = 64 * 1024 /* bytes that get pages of their own */
};

struct _QfShared
{
  QfModel *model;
  int engines; /* guarded by the model's lock */
  QfGraph *graph;
  GMutex lock;         /* of weights and what they hold */
  GHashTable *weights; /* QfWeights *, owned, each its own key */
};

static guint
weights_hash (gconstpointer p)
{
  const QfWeights *w = p;

  return g_direct_hash (w->value);
}

/* What packing depends on. */
static gboolean
weights_equal (gconstpointer p, gconstpointer q)
{
  const QfWeights *a = p, *b = q;

  return a->value == b->value && a->k == b->k &&
      memcmp (&a->shape, &b->shape, sizeof a->shape) == 0;
}

static gsize
page_multiple (gsize bytes)
{
  gsize page = (gsize) sysconf (_SC_PAGESIZE);

  return (bytes + page - 1) / page * page;
}

static void
weights_free (gpointer p)
{
  QfWeights *w = p;

  if (w->mapped)
    munmap (w->packed, w->mapped);
  else
    free (w->packed);
  g_free (w);
}

static void
shared_free (QfShared *s)
{
  g_hash_table_unref (s->weights);
  qf_graph_free (s->graph);
  g_mutex_clear (&s->lock);
  g_free (s);
}

QfShared *
qf_shared_get (QfModel *model, GError **error)
{
  QfShared *s;

  g_mutex_lock (&model->lock);
  s = model->shared;
  if (!s) {
    s = g_new0 (QfShared, 1);
    s->model = model;
    s->graph = qf_graph_copy (model->graph);
    g_mutex_init (&s->lock);
    s->weights =
        g_hash_table_new_full (weights_hash, weights_equal, NULL, weights_free);
    if (qf_graph_fuse (s->graph, error))
      model->shared = s;
    else
      g_clear_pointer (&s, shared_free);
  }
  if (s)
    s->engines++;
  g_mutex_unlock (&model->lock);
  return s;
}

void
qf_shared_drop (QfShared *s)
{
  QfModel *model = s->model;
  gboolean last;

  g_mutex_lock (&model->lock);
  last = --s->engines == 0;
  if (last)
    model->shared = NULL;
  g_mutex_unlock (&model->lock);
  if (last)
    shared_free (s);
}

const QfGraph *
qf_shared_graph (const QfShared *s)
{
  return s->graph;
}

QfWeights *
qf_shared_weights (QfShared *s, const QfKernels *k, const QfValue *value,
    const QfConvShape *shape)
{
  QfWeights key = { .k = k, .value = value, .shape = *shape }, *w;

  g_mutex_lock (&s->lock);
  w = g_hash_table_lookup (s->weights, &key);
  if (!w) {
    w = g_memdup2 (&key, sizeof key);
    g_hash_table_add (s->weights, w);
  }
  g_mutex_unlock (&s->lock);
  return w;
}

/* Large ones have pages of their own, so that those that packing did not need
 * can be given back. */
static void
pack_large (QfWeights *w, gsize most)
{
  gsize all = page_multiple (most), used;
  void *p = mmap (
      NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  if (p == MAP_FAILED)
    return;
  w->k->conv_s8_pack (&w->shape, w->value->data, p);
  w->size = w->k->conv_s8_packed_used (&w->shape, p);
  used = page_multiple (w->size);
  if (used < all)
    munmap ((char *) p + used, all - used);
  w->mapped = used;
  w->packed = p;
}

static void
pack (void *data, int task, int worker)
{
  QfWeights *w = g_ptr_array_index ((GPtrArray *) data, (guint) task);
  gboolean codes = w->value->dtype == QF_I8;
  gsize size = codes ? w->k->conv_s8_packed_size (&w->shape)
                     : w->k->conv_f32_packed_size (&w->shape);

  if (codes && size >= LARGE) {
    pack_large (w, size);
    return;
  }
  w->size = size;
  w->packed =
      aligned_alloc (ALIGN, MAX ((size + ALIGN - 1) / ALIGN, 1) * ALIGN);
  if (w->packed && codes)
    w->k->conv_s8_pack (&w->shape, w->value->data, w->packed);
  else if (w->packed)
    w->k->conv_f32_pack (&w->shape, w->value->data, w->packed);
}

static int
larger_first (gconstpointer a, gconstpointer b)
{
  const QfWeights *v = *(QfWeights *const *) a, *w = *(QfWeights *const *) b;
  gint64 m = qf_value_elements (v->value), n = qf_value_elements (w->value);

  return m < n ? 1 : m > n ? -1 : 0;
}

gboolean
qf_shared_pack (QfShared *s, QfPool *pool, GError **error)
{
  g_autoptr (GPtrArray) todo = g_ptr_array_new ();
  gboolean ok = TRUE;
  GHashTableIter iter;
  gpointer w;

  g_mutex_lock (&s->lock);
  g_hash_table_iter_init (&iter, s->weights);
  while (g_hash_table_iter_next (&iter, &w, NULL))
    if (!((QfWeights *) w)->packed)
      g_ptr_array_add (todo, w);
  /* the last to end is a small one */
  g_ptr_array_sort (todo, larger_first);
  qf_pool_run (pool, pack, todo, (int) todo->len);
  for (guint i = 0; ok && i < todo->len; i++) {
    const QfWeights *p = g_ptr_array_index (todo, i);

    ok = p->packed != NULL;
    if (!ok)
      g_set_error (error, QF_ERROR, QF_ERROR_FAILED,
          "no memory for the packed weights '%s'", p->value->name);
  }
  g_mutex_unlock (&s->lock);
  return ok;
}
