/* libqfuse: how many processors this process may use.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/** Processors of the affinity mask, but no more than control groups give time
 * for; ≥ 1. */
int qf_cpus (void);

/** Processors that the control groups of this process give time for, their
 * quota a period rounded up: the least of the group's and its ancestors'; 0: no
 * limit. @root is prepended to /proc/self/cgroup and /sys/fs/cgroup, "" for
 * this system. cgroup v2: cpu.max; v1: cpu.cfs_quota_us and cpu.cfs_period_us
 * below the folder cpu or, named as in /proc/self/cgroup, cpu,cpuacct. Groups
 * that are not to be seen from a container do not count, its own root does. */
int qf_cpus_of_groups (const char *root);

G_END_DECLS
