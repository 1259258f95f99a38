/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The tasks (threads) of a cgroup and everything below it, counted by state. Costs one read of
 * /proc/TID/stat a task: callers keep the result for a while.
 */

#include "daemon/source/cgroup.h"

/* Past this many tasks counting stops and the states of the rest are taken in proportion. */
#define SF_TASKS_MAX 100000

typedef struct SfTaskCount {
    uint64_t total;           /* threads */
    uint64_t running;         /* state R */
    uint64_t uninterruptible; /* state D (idle kernel threads, I, are not counted by the kernel
                                 either) */
    pid_t highest_pid;        /* highest pid found (host numbering); 0 when none */
    pid_t highest_inner_pid;  /* the highest pid in the innermost pid namespace (NSpid), 0 when not
                                 asked */
} SfTaskCount;

/* Walks the directory tree below the node (cgroup.threads or tasks in each). inner_pids: also read
 * NSpid of the highest_pid task. Tasks and cgroups that go away meanwhile are passed over. */
int sf_cgroup_count_tasks(SfCgroup *cgroup, const SfHost *host, bool inner_pids,
                          SfTaskCount *ret_count) SF_WARN_UNUSED;
/* highest_inner_pid of such a task; 0 when it is gone. */
pid_t sf_task_inner_pid(const SfHost *host, pid_t tid);
/* Pids (not threads) in the cgroup tree: for pid:N look-up and tests. The caller frees. */
int sf_cgroup_pids(SfCgroup *cgroup, pid_t **ret_pids, unsigned *ret_count) SF_WARN_UNUSED;
