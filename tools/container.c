/* qfuse: containers and what goes into them, by look-up in the registry.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "container.h"

#include <string.h>

#include "base/error.h"

/* Those that keep any timestamps: AVI and Ogg count frames. vpx: VP8 and VP9
 * are at home in it (mp4mux of 1.22 crashes on VP9 without chroma-site). */
static const struct
{
  const char *extension, *muxer;
  gboolean vpx;
} containers[] = {
  { "mkv", "matroskamux", TRUE },
  { "webm", "webmmux", TRUE },
  { "mp4", "mp4mux", FALSE },
  { "m4v", "mp4mux", FALSE },
  { "mov", "qtmux", FALSE },
};

/* In order of preference. The time
 * base of the VP encoders is finer than every container's, else timestamps
 * would be rounded to frames; without lag, for a drain lost frames. The bit
 * rate is only the bound of their constant quality. OpenH264 crops odd sizes.
 */
#define VPX                                                                    \
  " timebase=1/90000 lag-in-frames=0 deadline=1 end-usage=cq "                 \
  "target-bitrate=0 bits-per-pixel=0.6 keyframe-max-dist=150 threads=4 "

static const struct
{
  const char *factory, *launch;
  gboolean vpx;
  int multiple; /* that sides must be of */
} video_encoders[] = {
  { "vp9enc", "vp9enc cpu-used=7 row-mt=true cq-level=30" VPX, TRUE, 1 },
  { "vp8enc", "vp8enc cpu-used=6 cq-level=18" VPX, TRUE, 1 },
  { "openh264enc",
      "openh264enc name=openh264 rate-control=bitrate "
      "bitrate=6000000 gop-size=150 ! h264parse",
      FALSE, 2 },
  { "avenc_mpeg4", "avenc_mpeg4 bitrate=6000000 ! mpeg4videoparse", FALSE, 1 },
  { "jpegenc", "jpegenc quality=92", FALSE, 1 },
};

static const struct
{
  const char *factory, *launch;
} audio_encoders[] = {
  { "avenc_aac", "avenc_aac bitrate=160000 ! aacparse" },
  { "voaacenc", "voaacenc bitrate=160000 ! aacparse" },
  { "opusenc", "opusenc bitrate=128000" },
  { "vorbisenc", "vorbisenc quality=0.5" },
  { "lamemp3enc", "lamemp3enc" },
  { "twolamemp2enc", "twolamemp2enc" },
};

static const char *
muxer_of (const char *path)
{
  const char *dot = strrchr (path, '.');

  for (gsize i = 0; dot && i < G_N_ELEMENTS (containers); i++)
    if (!g_ascii_strcasecmp (dot + 1, containers[i].extension))
      return containers[i].muxer;
  return NULL;
}

static gboolean
takes_vpx (GstElement *mux)
{
  const char *name = GST_OBJECT_NAME (gst_element_get_factory (mux));

  for (gsize i = 0; i < G_N_ELEMENTS (containers); i++)
    if (!strcmp (name, containers[i].muxer))
      return containers[i].vpx;
  return FALSE;
}

gboolean
container_known (const char *path)
{
  return muxer_of (path) != NULL;
}

GstElement *
container_muxer_new (const char *path, GError **error)
{
  const char *name = muxer_of (path);
  GstElement *mux = name ? gst_element_factory_make (name, "mux") : NULL;
  GString *known;

  if (mux)
    return mux;
  known = g_string_new (NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (containers); i++) {
    GstElementFactory *f = gst_element_factory_find (containers[i].muxer);

    if (f)
      g_string_append_printf (known, " .%s", containers[i].extension);
    gst_clear_object (&f);
  }
  g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
      "cannot write %s: its ending must name a container, one of%s", path,
      known->str);
  g_string_free (known, TRUE);
  return NULL;
}

/* A request template of @mux for @caps; owned by the factory. */
static const GstStaticPadTemplate *
find_template (GstElement *mux, const GstCaps *caps)
{
  GstElementFactory *factory = gst_element_get_factory (mux);
  const GList *l = gst_element_factory_get_static_pad_templates (factory);

  for (; l; l = l->next) {
    const GstStaticPadTemplate *t = l->data;
    GstCaps *takes;
    gboolean fits;

    if (t->direction != GST_PAD_SINK || t->presence != GST_PAD_REQUEST)
      continue;
    takes = gst_static_caps_get ((GstStaticCaps *) &t->static_caps);
    fits = gst_caps_can_intersect (caps, takes);
    gst_caps_unref (takes);
    if (fits)
      return t;
  }
  return NULL;
}

GstPad *
container_request_pad (GstElement *mux, const GstCaps *caps)
{
  const GstStaticPadTemplate *t = find_template (mux, caps);
  GstPadTemplate *real;

  if (!t)
    return NULL;
  real = gst_element_get_pad_template (mux, t->name_template);
  return real ? gst_element_request_pad (mux, real, NULL, NULL) : NULL;
}

/* What comes out of @bin, by its templates. */
static GstCaps *
caps_of (GstElement *bin)
{
  GstPad *pad = gst_element_get_static_pad (bin, "src");
  GstCaps *caps = gst_pad_query_caps (pad, NULL);

  gst_object_unref (pad);
  return caps;
}

/* The bin of @launch when its encoder is installed and @mux takes the result.
 */
static GstElement *
try_encoder (
    GstElement *mux, const char *factory, const char *launch, GstCaps **caps)
{
  GstElementFactory *f = gst_element_factory_find (factory);
  GstElement *bin;

  if (!f)
    return NULL;
  gst_object_unref (f);
  bin = gst_parse_bin_from_description_full (launch, TRUE, NULL,
      GST_PARSE_FLAG_FATAL_ERRORS | GST_PARSE_FLAG_PLACE_IN_BIN, NULL);
  if (!bin)
    return NULL;
  *caps = caps_of (bin);
  if (find_template (mux, *caps))
    return bin;
  gst_clear_caps (caps);
  gst_object_unref (gst_object_ref_sink (bin));
  return NULL;
}

static GstPadProbeReturn
pass_eos_by (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  GstEvent *event = GST_PAD_PROBE_INFO_EVENT (info);
  GstElement *encoder;
  GstPad *src;

  if (GST_EVENT_TYPE (event) != GST_EVENT_EOS)
    return GST_PAD_PROBE_OK;
  encoder = gst_pad_get_parent_element (pad);
  src = gst_element_get_static_pad (encoder, "src");
  gst_pad_push_event (src, gst_event_ref (event));
  gst_object_unref (src);
  gst_object_unref (encoder);
  return GST_PAD_PROBE_DROP;
}

/* OpenH264 gives each frame at once and has nothing to drain at the end, but
 * prints a line "Error: … cmInitParaError" when asked to: it does not see the
 * end. */
static void
keep_openh264_quiet (GstElement *bin)
{
  GstElement *encoder = gst_bin_get_by_name (GST_BIN (bin), "openh264");
  GstPad *pad;

  if (!encoder)
    return;
  pad = gst_element_get_static_pad (encoder, "sink");
  gst_pad_add_probe (
      pad, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, pass_eos_by, NULL, NULL);
  gst_object_unref (pad);
  gst_object_unref (encoder);
}

GstElement *
container_video_encoder (
    GstElement *mux, int width, int height, GstCaps **caps, GError **error)
{
  for (gsize i = 0; i < G_N_ELEMENTS (video_encoders); i++) {
    int multiple = video_encoders[i].multiple;
    GstElement *bin;

    if (width % multiple || height % multiple ||
        (video_encoders[i].vpx && !takes_vpx (mux)))
      continue;
    bin = try_encoder (
        mux, video_encoders[i].factory, video_encoders[i].launch, caps);
    if (bin) {
      keep_openh264_quiet (bin);
      return bin;
    }
  }
  g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
      "no video encoder for %s is installed; install gstreamer1.0-plugins-good "
      "or write .mkv",
      GST_OBJECT_NAME (gst_element_get_factory (mux)));
  return NULL;
}

GstElement *
container_audio_encoder (GstElement *mux, GstCaps **caps, GError **error)
{
  for (gsize i = 0; i < G_N_ELEMENTS (audio_encoders); i++) {
    GstElement *bin = try_encoder (
        mux, audio_encoders[i].factory, audio_encoders[i].launch, caps);

    if (bin)
      return bin;
  }
  g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
      "no audio encoder for %s is installed; install gstreamer1.0-libav or "
      "write .mkv",
      GST_OBJECT_NAME (gst_element_get_factory (mux)));
  return NULL;
}
