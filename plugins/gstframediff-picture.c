/* GStreamer qfuse: difference pictures that need the motion analysis.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstframediff-picture.h"

#include "gstframediff-motion.h"

struct _GstFrameDiffPicture
{
  QfMotion *motion; /* NULL before the first frame */
  QfMotionResult result;
  gint width, height;
  guint8 *luma; /* [height][width] of the last frame */
};

GstFrameDiffPicture *
gst_frame_diff_picture_new (void)
{
  return g_new0 (GstFrameDiffPicture, 1);
}

void
gst_frame_diff_picture_free (GstFrameDiffPicture *p)
{
  if (!p)
    return;
  g_clear_pointer (&p->motion, qf_motion_free);
  g_free (p->luma);
  g_free (p);
}

void
gst_frame_diff_picture_forget (GstFrameDiffPicture *p)
{
  if (p->motion)
    qf_motion_reset (p->motion);
  p->result = (QfMotionResult){ 0 };
}

gboolean
gst_frame_diff_picture_wanted (const GstFrameDiffValues *v)
{
  return v->output == GST_FRAME_DIFF_OUTPUT_IMAGE &&
      v->mode != GST_FRAME_DIFF_MODE_HIGHLIGHT &&
      (v->noise_adaptive ||
          v->reference == GST_FRAME_DIFF_REFERENCE_BACKGROUND);
}

static void
set_options (GstFrameDiffPicture *p, const GstFrameDiffValues *v,
    const GstVideoInfo *info, const GstVideoRectangle *r)
{
  QfMotionOptions o;

  gst_frame_diff_motion_options (&o, v, info, r->w, r->h);
  if (v->reference == GST_FRAME_DIFF_REFERENCE_AUTO)
    o.reference = QF_MOTION_PREVIOUS;
  o.threshold = MAX (v->threshold, 0);
  o.noise_adaptive = v->noise_adaptive;
  o.shadow = 0;
  o.lighting = FALSE;
  o.camera = FALSE;
  o.want_then = TRUE;
  if (!p->motion)
    p->motion = qf_motion_new (&o, NULL);
  else
    qf_motion_set_options (p->motion, &o, NULL);
}

static void
push (GstFrameDiffPicture *p, const QfImage *image, GstClockTime time)
{
  if (!p->luma || p->width != image->width || p->height != image->height)
    p->luma = g_realloc (p->luma, (gsize) image->width * image->height);
  p->width = image->width;
  p->height = image->height;
  qf_image_luma (image, 0, image->height, p->luma, image->width);
  qf_motion_set_size (p->motion, image->width, image->height);
  qf_motion_push (p->motion, p->luma, p->width,
      GST_CLOCK_TIME_IS_VALID (time) ? (gint64) time : -1, &p->result);
}

gdouble
gst_frame_diff_picture_apply (GstFrameDiffPicture *p, GstFrameDiffImage *image,
    GstVideoFrame *frame, GstClockTime time, const GstFrameDiffValues *v,
    const QfImageDiffOptions *options)
{
  const gboolean repeat = gst_qf_buffer_repeats (frame->buffer);
  const gboolean same =
      repeat && v->reference != GST_FRAME_DIFF_REFERENCE_BACKGROUND;
  const guint8 *mask;
  GstVideoRectangle r;
  QfImage in;

  gst_qf_frame_image (frame, &in, &r);
  if (!repeat || p->width != r.w || p->height != r.h) {
    set_options (p, v, &frame->info, &r);
    push (p, &in, time);
  }
  /* without a dead band single pixels count, which the mask leaves out */
  mask = v->noise_adaptive || v->threshold > 0 ? p->result.mask : NULL;
  gst_frame_diff_image_motion (image, frame, p->luma, p->width,
      p->result.known && !same ? p->result.then : NULL, mask, options);
  if (!p->result.known)
    return -1;
  return same ? 0 : p->result.share;
}
