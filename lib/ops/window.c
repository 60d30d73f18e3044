/* libqfuse: sliding windows of one to three dimensions.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/ops-private.h"

#define MAX_STEP (1 << 15) /* of a stride, dilation or padding */

static gboolean
read_list (QfCall *c, const char *name, int count, gint64 lowest, gint64 *v,
    GError **error)
{
  int got = qf_call_ints (c, name, v, count);

  if (got >= 0 && got != count)
    return QF_BAD ("its %s has %d numbers instead of %d", name, got, count);
  for (int i = 0; i < MAX (got, 0); i++)
    if (v[i] < lowest || v[i] > MAX_STEP)
      return QF_BAD ("its %s is out of range", name);
  return TRUE;
}

/* Paddings so that out = ceil (in / stride). */
static void
pad_same (QfSlide *s, int i, gboolean lower)
{
  gint64 extent = (s->kernel[i] - 1) * s->dilation[i] + 1;
  gint64 out = (s->in[i] + s->stride[i] - 1) / s->stride[i];
  gint64 all = MAX (0, (out - 1) * s->stride[i] + extent - s->in[i]);

  s->pad[i] = lower ? all - all / 2 : all / 2;
  s->pad_end[i] = all - s->pad[i];
}

static gboolean
set_out (QfSlide *s, int i, GError **error)
{
  gint64 extent = (s->kernel[i] - 1) * s->dilation[i] + 1;
  gint64 room = s->in[i] + s->pad[i] + s->pad_end[i] - extent;

  if (room < 0 || s->in[i] < 1)
    return QF_BAD ("its kernel is larger than its input");
  s->out[i] = room / s->stride[i] + 1;
  if (s->ceil && room % s->stride[i]) {
    s->out[i]++;
    /* no window begins in the padding at the end */
    if ((s->out[i] - 1) * s->stride[i] >= s->in[i] + s->pad[i])
      s->out[i]--;
  }
  return TRUE;
}

gboolean
qf_slide_steps (QfCall *c, const gint64 *kernel, QfSlide *s, GError **error)
{
  const QfArray *x = c->in[0];
  int n = x->rank - 2, skip = 3 - n, got;
  gint64 v[6] = { 0 };
  const char *mode = qf_call_text (c, "auto_pad", "NOTSET");

  memset (s, 0, sizeof *s);
  if (n < 1 || n > 3)
    return QF_UNSUPPORTED (
        "an input of %d dimensions is not supported", x->rank);
  s->n = n;
  s->ceil = qf_call_int (c, "ceil_mode", 0) != 0;
  for (int i = 0; i < 3; i++)
    s->in[i] = s->out[i] = s->kernel[i] = s->stride[i] = s->dilation[i] = 1;
  got = qf_call_ints (c, "kernel_shape", v, n);
  if (got < 0 && !kernel)
    return QF_BAD ("it has no kernel_shape");
  if (got >= 0 && got != n)
    return QF_BAD ("its kernel_shape has %d numbers instead of %d", got, n);
  for (int i = 0; i < n; i++) {
    s->in[skip + i] = x->dims[2 + i];
    if (kernel && got >= 0 && kernel[i] != v[i])
      return QF_BAD ("its kernel_shape is not that of its weights");
    s->kernel[skip + i] = kernel ? kernel[i] : v[i];
    if (s->kernel[skip + i] < 1 || s->kernel[skip + i] > 1 << 20)
      return QF_BAD ("its kernel_shape is out of range");
  }
  if (!read_list (c, "strides", n, 1, s->stride + skip, error) ||
      !read_list (c, "dilations", n, 1, s->dilation + skip, error))
    return FALSE;
  memset (v, 0, sizeof v);
  if (!read_list (c, "pads", 2 * n, 0, v, error))
    return FALSE;
  for (int i = 0; i < n; i++) {
    s->pad[skip + i] = v[i];
    s->pad_end[skip + i] = v[n + i];
  }
  if (strcmp (mode, "NOTSET") != 0 && strcmp (mode, "VALID") != 0 &&
      strcmp (mode, "SAME_UPPER") != 0 && strcmp (mode, "SAME_LOWER") != 0)
    return QF_BAD ("its auto_pad is not known");
  return TRUE;
}

gboolean
qf_slide_read (QfCall *c, const gint64 *kernel, QfSlide *s, GError **error)
{
  const char *mode = qf_call_text (c, "auto_pad", "NOTSET");

  if (!qf_slide_steps (c, kernel, s, error))
    return FALSE;
  for (int i = 3 - s->n; i < 3; i++) {
    if (strcmp (mode, "VALID") == 0)
      s->pad[i] = s->pad_end[i] = 0;
    else if (strcmp (mode, "NOTSET") != 0)
      pad_same (s, i, strcmp (mode, "SAME_LOWER") == 0);
    if (!set_out (s, i, error))
      return FALSE;
  }
  return TRUE;
}
