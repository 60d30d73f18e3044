/* libqfuse: how many processors this process may use.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/cpus.h"

#include <sched.h>
#include <string.h>

/* The first @n numbers of a file; "max" counts as −1. */
static gboolean
read_numbers (const char *folder, const char *name, gint64 *to, int n)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  g_autofree char *text = NULL;
  g_auto (GStrv) words = NULL;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    return FALSE;
  words = g_strsplit_set (g_strstrip (text), " \t\n", -1);
  if ((int) g_strv_length (words) < n)
    return FALSE;
  for (int i = 0; i < n; i++)
    if (strcmp (words[i], "max") == 0)
      to[i] = -1;
    else if (!g_ascii_string_to_signed (
                 words[i], 10, G_MININT64, G_MAXINT64, &to[i], NULL))
      return FALSE;
  return TRUE;
}

/* The limit that stands in one folder, 0: none. */
static int
limit_of_folder (const char *folder, gboolean v2)
{
  gint64 v[2]; /* quota and period, µs */

  if (v2 ? !read_numbers (folder, "cpu.max", v, 2)
         : !read_numbers (folder, "cpu.cfs_quota_us", &v[0], 1) ||
              !read_numbers (folder, "cpu.cfs_period_us", &v[1], 1))
    return 0;
  if (v[0] <= 0 || v[1] <= 0)
    return 0;
  return (int) MIN ((v[0] - 1) / v[1] + 1, G_MAXINT);
}

static int
least (int a, int b)
{
  return a == 0 || b == 0 ? MAX (a, b) : MIN (a, b);
}

/* @group and its ancestors below @mount. */
static int
limit_of_group (const char *mount, const char *group, gboolean v2)
{
  g_autofree char *at = g_strdup (group);
  int limit = 0;

  for (;;) {
    g_autofree char *folder = g_build_filename (mount, at, NULL);
    char *slash = strrchr (at, '/');

    limit = least (limit, limit_of_folder (folder, v2));
    if (*at == '\0')
      return limit;
    *(slash ? slash : at) = '\0';
  }
}

static gboolean
has_cpu (const char *controllers)
{
  g_auto (GStrv) names = g_strsplit (controllers, ",", -1);

  return g_strv_contains ((const char *const *) names, "cpu");
}

int
qf_cpus_of_groups (const char *root)
{
  g_autofree char *path = g_strconcat (root, "/proc/self/cgroup", NULL);
  g_autofree char *mounts = g_strconcat (root, "/sys/fs/cgroup", NULL);
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;
  int limit = 0;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    return 0;
  lines = g_strsplit (text, "\n", -1);
  for (char **l = lines; *l; l++) {
    /* number:controllers:path, where controllers are missing in v2 */
    g_auto (GStrv) parts = g_strsplit (*l, ":", 3);
    g_autofree char *own = NULL, *cpu = NULL;

    if (g_strv_length (parts) != 3 || strstr (parts[2], ".."))
      continue;
    if (parts[1][0] == '\0') {
      limit = least (limit, limit_of_group (mounts, parts[2], TRUE));
    } else if (has_cpu (parts[1])) {
      own = g_build_filename (mounts, parts[1], NULL);
      cpu = g_build_filename (mounts, "cpu", NULL);
      limit = least (limit, limit_of_group (own, parts[2], FALSE));
      limit = least (limit, limit_of_group (cpu, parts[2], FALSE));
    }
  }
  return limit;
}

int
qf_cpus (void)
{
  cpu_set_t set;
  int n = (int) g_get_num_processors (), limit = qf_cpus_of_groups ("");

  if (sched_getaffinity (0, sizeof set, &set) == 0)
    n = CPU_COUNT (&set);
  return MAX (least (n, limit), 1);
}
