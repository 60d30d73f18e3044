/* Limits of control groups, from folders made up for it.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/cpus.h"

#include <glib/gstdio.h>

typedef struct
{
  const char *path, *text;
} File;

typedef struct
{
  const char *name;
  File files[6];
  int want;
} Case;

static const Case cases[] = {
  { "nothing", { { NULL, NULL } }, 0 },
  { "v2-root", { { "proc/self/cgroup", "0::/\n" } }, 0 },
  { "v2-max",
      { { "proc/self/cgroup", "0::/a/b\n" },
          { "sys/fs/cgroup/a/b/cpu.max", "max 100000\n" } },
      0 },
  { "v2-two",
      { { "proc/self/cgroup", "0::/a/b\n" },
          { "sys/fs/cgroup/a/b/cpu.max", "200000 100000\n" } },
      2 },
  { "v2-rounds-up",
      { { "proc/self/cgroup", "0::/a\n" },
          { "sys/fs/cgroup/a/cpu.max", "150000 100000\n" } },
      2 },
  { "v2-below-one",
      { { "proc/self/cgroup", "0::/a\n" },
          { "sys/fs/cgroup/a/cpu.max", "1000 100000\n" } },
      1 },
  { "v2-ancestor",
      { { "proc/self/cgroup", "0::/a/b/c\n" },
          { "sys/fs/cgroup/a/b/c/cpu.max", "800000 100000\n" },
          { "sys/fs/cgroup/a/cpu.max", "300000 100000\n" } },
      3 },
  { "v2-container",
      { { "proc/self/cgroup", "0::/not/seen/here\n" },
          { "sys/fs/cgroup/cpu.max", "400000 100000\n" } },
      4 },
  { "v2-corrupt",
      { { "proc/self/cgroup", "0::/a\n" },
          { "sys/fs/cgroup/a/cpu.max", "200000\n" },
          { "sys/fs/cgroup/cpu.max", "-x 0\n" } },
      0 },
  { "v2-outside",
      { { "proc/self/cgroup", "0::/../a\n" },
          { "sys/fs/a/cpu.max", "200000 100000\n" } },
      0 },
  { "v1",
      { { "proc/self/cgroup", "4:memory:/m\n3:cpu,cpuacct:/a\n0::/\n" },
          { "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "250000\n" },
          { "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "50000\n" } },
      5 },
  { "v1-cpu-alone",
      { { "proc/self/cgroup", "2:cpuacct:/b\n1:cpu:/a\n" },
          { "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n" },
          { "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n" } },
      1 },
  { "v1-none",
      { { "proc/self/cgroup", "1:cpu:/\n" },
          { "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n" },
          { "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n" } },
      0 },
  { "v1-other-controller",
      { { "proc/self/cgroup", "1:cpuset:/\n" },
          { "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n" },
          { "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n" } },
      0 },
};

static void
remove_tree (const char *path)
{
  GDir *dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir && (name = g_dir_read_name (dir))) {
    g_autofree char *child = g_build_filename (path, name, NULL);

    remove_tree (child);
  }
  if (dir)
    g_dir_close (dir);
  g_assert_cmpint (g_remove (path), ==, 0);
}

static void
test_case (gconstpointer data)
{
  const Case *c = data;
  g_autofree char *root = g_dir_make_tmp ("qfuse-cpus-XXXXXX", NULL);

  g_assert_nonnull (root);
  for (int i = 0; i < 6 && c->files[i].path; i++) {
    g_autofree char *path = g_build_filename (root, c->files[i].path, NULL);
    g_autofree char *folder = g_path_get_dirname (path);

    g_assert_cmpint (g_mkdir_with_parents (folder, 0700), ==, 0);
    g_assert_true (g_file_set_contents (path, c->files[i].text, -1, NULL));
  }
  g_assert_cmpint (qf_cpus_of_groups (root), ==, c->want);
  remove_tree (root);
}

static void
test_here (void)
{
  int limit = qf_cpus_of_groups ("");

  g_assert_cmpint (qf_cpus (), >=, 1);
  g_assert_cmpint (qf_cpus (), <=, (int) g_get_num_processors ());
  if (limit > 0)
    g_assert_cmpint (qf_cpus (), <=, limit);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *path = g_strconcat ("/cpus/", cases[i].name, NULL);

    g_test_add_data_func (path, &cases[i], test_case);
  }
  g_test_add_func ("/cpus/here", test_here);
  return g_test_run ();
}
