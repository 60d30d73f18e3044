/* qfuse: what the subcommands share: messages, options, our plugin.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "progress.h"
#include "qfuse.h"
#include "tool-config.h"

static void
print_line (const char *format, va_list args)
{
  g_autofree char *text = g_strdup_vprintf (format, args);

  // one error is one line, whatever a library put into it
  g_strdelimit (text, "\r\n", ' ');
  progress_clear ();
  g_printerr ("qfuse: %s\n", g_strchomp (text));
}

int
tool_fail (const char *format, ...)
{
  va_list args;

  va_start (args, format);
  print_line (format, args);
  va_end (args);
  return TOOL_FAILED;
}

int
tool_fail_error (GError *error)
{
  tool_fail ("%s", error ? error->message : "failed");
  g_clear_error (&error);
  return TOOL_FAILED;
}

int
tool_usage (const char *command, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  print_line (format, args);
  va_end (args);
  g_printerr ("Try `qfuse %s%s--help`.\n", command, *command ? " " : "");
  return TOOL_USAGE;
}

int
tool_usage_or_fail (const char *command, GError *error)
{
  if (!g_error_matches (error, QF_ERROR, QF_ERROR_ARGUMENT))
    return tool_fail_error (error);
  tool_usage (command, "%s", error->message);
  g_error_free (error);
  return TOOL_USAGE;
}

gboolean
tool_parse (const ToolOptions *o, int *argc, char ***argv, int *status)
{
  g_autoptr (GOptionContext) context = g_option_context_new (o->arguments);
  g_autofree char *name = g_strdup_printf ("qfuse %s", o->command);
  g_autofree char *examples = g_strdup_printf ("Examples:\n%s", o->examples);
  g_autoptr (GError) error = NULL;

  g_set_prgname (name);
  g_option_context_set_summary (context, o->summary);
  g_option_context_set_description (context, examples);
  g_option_context_add_main_entries (context, o->entries, NULL);
  if (o->more)
    g_option_context_add_main_entries (context, o->more, NULL);
  if (!g_option_context_parse (context, argc, argv, &error)) {
    *status = tool_usage (o->command, "%s", error->message);
    return FALSE;
  }
  return TRUE;
}

/* Whether this program is the one in the build folder. */
static gboolean
in_build_folder (void)
{
  g_autofree char *self = g_file_read_link ("/proc/self/exe", NULL);
  g_autofree char *folder = self ? g_path_get_dirname (self) : NULL;

  return g_strcmp0 (folder, QFUSE_BUILD_TOOLS) == 0;
}

static gboolean
load_plugin (const char *folder, GError **error)
{
  g_autofree char *path = g_build_filename (folder, "libgstqfuse.so", NULL);
  g_autoptr (GError) reason = NULL;
  GstPlugin *plugin = gst_plugin_load_file (path, &reason);

  if (!plugin) {
    g_set_error (error, QF_ERROR, QF_ERROR_FAILED,
        "the elements of qfuse cannot be loaded: %s",
        reason ? reason->message : path);
    return FALSE;
  }
  gst_object_unref (plugin);
  return TRUE;
}

gboolean
tool_init_gst (GError **error)
{
  GstElementFactory *factory;

  if (!gst_init_check (NULL, NULL, error))
    return FALSE;
  if (in_build_folder ())
    return load_plugin (QFUSE_BUILD_PLUGINS, error);
  factory = gst_element_factory_find ("qfusedetect");
  if (factory) {
    gst_object_unref (factory);
    return TRUE;
  }
  return load_plugin (QFUSE_PLUGIN_DIR, error);
}

/* A frame number from @text on; *@end is behind it. 0: none there. */
static int
read_frame (const char *text, const char **end)
{
  guint64 n = 0;

  for (; g_ascii_isdigit (*text); text++) {
    n = n * 10 + (guint64) (*text - '0');
    n = MIN (n, G_MAXINT);
  }
  *end = text;
  return (int) n;
}

gboolean
tool_parse_frames (const char *text, int *first, int *last, GError **error)
{
  const char *p = text;

  *first = 1;
  *last = G_MAXINT;
  if (!text)
    return TRUE;
  if (*p != '-') {
    *first = read_frame (p, &p);
    *last = *p ? G_MAXINT : *first;
  }
  if (*p == '-' && p[1])
    *last = read_frame (p + 1, &p);
  else if (*p == '-')
    p++;
  if (*p || p == text || *first < 1 || *last < *first) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "\"%s\" is no range of frames; write it like 1-500, 501- or 7 (frames "
        "count from 1)",
        text);
    return FALSE;
  }
  return TRUE;
}

/* Bytes that an AVI file says it has; 0: it does not say. GStreamer plays one
 * that was cut off as if it were shorter. */
static guint64
riff_size (int fd)
{
  guint8 head[12];
  guint32 size;

  if (pread (fd, head, sizeof head, 0) != sizeof head ||
      memcmp (head, "RIFF", 4) || memcmp (head + 8, "AVI ", 4))
    return 0;
  size = (guint32) head[4] | (guint32) head[5] << 8 | (guint32) head[6] << 16 |
      (guint32) head[7] << 24;
  return size == G_MAXUINT32 ? 0 : (guint64) size + 8;
}

gboolean
tool_check_input (const char *path, GError **error)
{
  struct stat st;
  guint64 whole;
  int fd = g_open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);

  if (fd < 0 || fstat (fd, &st) != 0) {
    g_set_error (error, QF_ERROR, QF_ERROR_FILE, "cannot read %s: %s", path,
        g_strerror (errno));
    if (fd >= 0)
      close (fd);
    return FALSE;
  }
  whole = S_ISREG (st.st_mode) ? riff_size (fd) : 0;
  close (fd);
  if (S_ISDIR (st.st_mode)) {
    g_set_error (error, QF_ERROR, QF_ERROR_FILE, "%s is a folder", path);
    return FALSE;
  }
  if (S_ISREG (st.st_mode) && st.st_size == 0) {
    g_set_error (error, QF_ERROR, QF_ERROR_FILE, "%s is empty", path);
    return FALSE;
  }
  if (whole > (guint64) st.st_size) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "%s is damaged: it holds %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
        " bytes",
        path, (guint64) st.st_size, whole);
    return FALSE;
  }
  return TRUE;
}

gboolean
tool_check_output (const char *path, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (path);

  if (g_file_test (path, G_FILE_TEST_IS_DIR)) {
    g_set_error (error, QF_ERROR, QF_ERROR_FILE,
        "cannot write %s: it is a folder", path);
    return FALSE;
  }
  if (!g_file_test (folder, G_FILE_TEST_IS_DIR)) {
    g_set_error (error, QF_ERROR, QF_ERROR_FILE,
        "cannot write %s: there is no folder %s", path, folder);
    return FALSE;
  }
  if (g_access (folder, W_OK | X_OK) != 0) {
    g_set_error (error, QF_ERROR, QF_ERROR_FILE, "cannot write %s: %s", path,
        g_strerror (errno));
    return FALSE;
  }
  return TRUE;
}

char *
tool_model_path (const char *name)
{
  return g_build_filename (
      in_build_folder () ? QFUSE_SOURCE_MODELS : QFUSE_MODELS, name, NULL);
}

void
tool_print_json (JsonBuilder *builder)
{
  g_autoptr (JsonGenerator) generator = json_generator_new ();
  JsonNode *root = json_builder_get_root (builder);
  g_autofree char *text = NULL;

  json_generator_set_root (generator, root);
  text = json_generator_to_data (generator, NULL);
  g_print ("%s\n", text);
  json_node_unref (root);
}

void
tool_json_number (JsonBuilder *builder, const char *name, double value)
{
  json_builder_set_member_name (builder, name);
  if (isfinite (value))
    json_builder_add_double_value (builder, value);
  else
    json_builder_add_null_value (builder);
}

void
tool_json_int (JsonBuilder *builder, const char *name, gint64 value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_int_value (builder, value);
}

void
tool_json_string (JsonBuilder *builder, const char *name, const char *value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_string_value (builder, value);
}
