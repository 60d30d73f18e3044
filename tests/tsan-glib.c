/* qfuse: tests: tells ThreadSanitizer of GLib's order between threads.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * GLib is built without a sanitizer and makes its locks of bare futexes, so
 * ThreadSanitizer sees no order between what they guard. Preloaded, this tells
 * it: what was done before an unlock is seen after the next lock, and so on.
 * tests/tsan.sh builds and uses it. */
#include <dlfcn.h>
#include <gst/gst.h>

#undef g_object_unref /* macros that only add types */
#undef g_once_init_enter
#undef g_once_init_leave

void __tsan_acquire (void *address);
void __tsan_release (void *address);

#define REAL(name)                                                             \
  static __typeof__ (&name) real;                                              \
  if (!real)                                                                   \
  real = (__typeof__ (&name)) dlsym (RTLD_NEXT, #name)

#define LOCK(type, name)                                                       \
  void name (type *lock)                                                       \
  {                                                                            \
    REAL (name);                                                               \
    real (lock);                                                               \
    __tsan_acquire (lock);                                                     \
  }

#define TRYLOCK(type, name)                                                    \
  gboolean name (type *lock)                                                   \
  {                                                                            \
    REAL (name);                                                               \
    if (!real (lock))                                                          \
      return FALSE;                                                            \
    __tsan_acquire (lock);                                                     \
    return TRUE;                                                               \
  }

#define UNLOCK(type, name)                                                     \
  void name (type *lock)                                                       \
  {                                                                            \
    REAL (name);                                                               \
    __tsan_release (lock);                                                     \
    real (lock);                                                               \
  }

LOCK (GMutex, g_mutex_lock)
TRYLOCK (GMutex, g_mutex_trylock)
UNLOCK (GMutex, g_mutex_unlock)
LOCK (GRecMutex, g_rec_mutex_lock)
TRYLOCK (GRecMutex, g_rec_mutex_trylock)
UNLOCK (GRecMutex, g_rec_mutex_unlock)
LOCK (GRWLock, g_rw_lock_writer_lock)
UNLOCK (GRWLock, g_rw_lock_writer_unlock)
LOCK (GRWLock, g_rw_lock_reader_lock)
UNLOCK (GRWLock, g_rw_lock_reader_unlock)

/* A wait unlocks, and locks again. */
void
g_cond_wait (GCond *cond, GMutex *lock)
{
  REAL (g_cond_wait);
  __tsan_release (lock);
  real (cond, lock);
  __tsan_acquire (lock);
}

gboolean
g_cond_wait_until (GCond *cond, GMutex *lock, gint64 end)
{
  gboolean in_time;

  REAL (g_cond_wait_until);
  __tsan_release (lock);
  in_time = real (cond, lock, end);
  __tsan_acquire (lock);
  return in_time;
}

/* Whoever gives a reference back last sees what the others did before. */
#define UNREF(type, name)                                                      \
  void name (type *object)                                                     \
  {                                                                            \
    REAL (name);                                                               \
    __tsan_release (object);                                                   \
    __tsan_acquire (object);                                                   \
    real (object);                                                             \
  }

UNREF (void, g_object_unref)
UNREF (GstMiniObject, gst_mini_object_unref)
UNREF (GBytes, g_bytes_unref)

void
g_atomic_rc_box_release_full (gpointer box, GDestroyNotify clear)
{
  REAL (g_atomic_rc_box_release_full);
  __tsan_release (box);
  __tsan_acquire (box);
  real (box, clear);
}

/* Who holds the only reference may write where others have read. */
gboolean
gst_mini_object_is_writable (const GstMiniObject *object)
{
  gboolean writable;

  REAL (gst_mini_object_is_writable);
  writable = real (object);
  if (writable)
    __tsan_acquire ((void *) object);
  return writable;
}

/* From one thread to another. */
void
g_async_queue_push (GAsyncQueue *queue, gpointer data)
{
  REAL (g_async_queue_push);
  __tsan_release (queue);
  real (queue, data);
}

gpointer
g_async_queue_pop (GAsyncQueue *queue)
{
  gpointer data;

  REAL (g_async_queue_pop);
  data = real (queue);
  __tsan_acquire (queue);
  return data;
}

gpointer
g_async_queue_try_pop (GAsyncQueue *queue)
{
  gpointer data;

  REAL (g_async_queue_try_pop);
  data = real (queue);
  __tsan_acquire (queue);
  return data;
}

gpointer
g_async_queue_timeout_pop (GAsyncQueue *queue, guint64 timeout)
{
  gpointer data;

  REAL (g_async_queue_timeout_pop);
  data = real (queue, timeout);
  __tsan_acquire (queue);
  return data;
}

/* The first look of g_once_init_enter is an atomic load in the caller, which
 * ThreadSanitizer sees itself. */
gboolean
g_once_init_enter (volatile void *location)
{
  gboolean first;

  REAL (g_once_init_enter);
  first = real (location);
  if (!first)
    __tsan_acquire ((void *) location);
  return first;
}

void
g_once_init_leave (volatile void *location, gsize result)
{
  REAL (g_once_init_leave);
  __tsan_release ((void *) location);
  real (location, result);
}
