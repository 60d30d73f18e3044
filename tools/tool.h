/* qfuse: what the subcommands share: messages, options, our plugin.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>
#include <json-glib/json-glib.h>

G_BEGIN_DECLS

enum
{
  TOOL_DONE = 0,
  TOOL_FAILED = 1,
  TOOL_USAGE = 2
};

/** The subcommands; each gets its own name as argv[0]. */
int cmd_annotate (int argc, char **argv);
int cmd_bench (int argc, char **argv);
int cmd_eval (int argc, char **argv);
int cmd_import (int argc, char **argv);
int cmd_info (int argc, char **argv);
int cmd_new (int argc, char **argv);
int cmd_quantize (int argc, char **argv);
int cmd_run (int argc, char **argv);
int cmd_train (int argc, char **argv);

/** Prints one line "qfuse: …" to stderr. Returns TOOL_FAILED. */
int tool_fail (const char *format, ...) G_GNUC_PRINTF (1, 2);

/** The same for a GError, which it frees. */
int tool_fail_error (GError *error);

/** Prints one line and where help is. Returns TOOL_USAGE. */
int tool_usage (const char *command, const char *format, ...)
    G_GNUC_PRINTF (2, 3);

/** tool_usage() for QF_ERROR_ARGUMENT, else tool_fail_error(); frees @error. */
int tool_usage_or_fail (const char *command, GError *error);

typedef struct
{
  const char *command;   /**< "annotate" */
  const char *arguments; /**< "IN… -o OUT" */
  const char *summary;   /**< what it does */
  const char *examples;  /**< one a line */
  const GOptionEntry *entries;
  const GOptionEntry *more; /**< further ones, or NULL */
} ToolOptions;

/** Reads options out of @argv, leaving argv[0] and the arguments. FALSE:
 * *@status is the exit code (help was printed, or the usage was wrong). */
gboolean tool_parse (
    const ToolOptions *options, int *argc, char ***argv, int *status);

/** Starts GStreamer with our elements in reach: those of the build folder when
 * the command runs from there, else the installed ones. */
gboolean tool_init_gst (GError **error);

/** "A-B", "A-", "-B" or "A", frames from 1; @first and @last are 1 and G_MAXINT
 * for NULL or an open end. */
gboolean tool_parse_frames (
    const char *text, int *first, int *last, GError **error);

/** Checks that @path is a file that can be read and is not empty. */
gboolean tool_check_input (const char *path, GError **error);

/** Checks that a file can be made beside @path. */
gboolean tool_check_output (const char *path, GError **error);

/** Path of models/@name of the source tree when run from the build folder, else
 * of the installed one. */
char *tool_model_path (const char *name);

/** Prints the object that @builder holds. */
void tool_print_json (JsonBuilder *builder);

/** Adds a member: a number (null where it is not finite), a whole number, text.
 */
void tool_json_number (JsonBuilder *builder, const char *name, double value);
void tool_json_int (JsonBuilder *builder, const char *name, gint64 value);
void tool_json_string (
    JsonBuilder *builder, const char *name, const char *value);

G_END_DECLS
