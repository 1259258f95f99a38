/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One container as the daemon knows it: an immutable, refcounted description (identity, cgroups,
 * policy), and the questions a view asks about it. What must be remembered between two answers
 * (counters that may not decrease, load averages) is in small parts of their own behind it
 * (cpu_account.h, load.h), each with its own lock.
 *
 * Every question is answered from the container's own data; -ENODATA says that the kernel has none,
 * and the provider's fallback decides. Nothing here ever answers with the host's value in its
 * place, but where VIEWS says "capped by the host's".
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/container/cpu_account.h"
#include "daemon/container/policy.h"
#include "daemon/source/cgroup.h"
#include "daemon/source/cgroup_cpu.h"
#include "daemon/source/cgroup_memory.h"
#include "daemon/source/cgroup_numa.h"
#include "daemon/source/host.h"
#include "daemon/source/meminfo.h"
#include "daemon/source/process.h"
#include "daemon/source/tasks.h"
#include "lib/base/keep.h"

typedef struct SfContainer SfContainer;

typedef struct SfContainerSpec {
    const char *id;         /* valid by sf_id_valid(): else -EINVAL */
    pid_t init_pid;         /* in the daemon's pid namespace */
    int pidfd;              /* of init_pid; duplicated. -1: opened here */
    const char *bundle;     /* may be NULL; for people */
    const SfPolicy *policy; /* copied */
    /* Restoring from a record: the cgroup path init had when registered, by controller name; NULL:
     * taken from init now. */
    const char *const *cgroup_paths; /* SF_CONTROLLER_COUNT entries, each may be NULL */
    uint64_t start_ticks; /* init's, or -ESRCH: its number is another process's by now. 0: any */
    uint64_t number;      /* what a former process knew it by, see sf_container_number(); 0: new */
    SfKeep *keep;         /* borrowed; NULL: sf_keep_default() */
} SfContainerSpec;

/* Reads what is needed of init once. -ESRCH when init is gone (or the pid is another's by now),
 * -EINVAL, -ENOMEM. host and cgroups are borrowed and outlive the container. */
int sf_container_new(SfHost *host, SfCgroups *cgroups, const SfContainerSpec *spec,
                     SfContainer **ret_container) SF_WARN_UNUSED;
SfContainer *sf_container_ref(SfContainer *container);
SfContainer *sf_container_unref(SfContainer *container);

/* Identity: borrowed, constant. */
const char *sf_container_id(const SfContainer *container);
const char *sf_container_bundle(const SfContainer *container); /* NULL when not known */
pid_t sf_container_init_pid(const SfContainer *container);
int sf_container_pidfd(const SfContainer *container);
uint64_t sf_container_start_ticks(const SfContainer *container);
uint64_t
sf_container_registered_nsec(const SfContainer *container); /* boot time of sf_container_new() */
/* Short, as names made of it stand side by side in one environment variable of 128 KiB. */
#define SF_CONTAINER_NUMBER_MAX ((UINT64_C(1) << 40) - 1)
/* Tells it from all others of this boot, also after it ended: the owner of what is kept of it. */
uint64_t sf_container_number(const SfContainer *container);
SfKeep *sf_container_keep(const SfContainer *container);
uid_t sf_container_root_uid(const SfContainer *container); /* host IDs of root inside */
gid_t sf_container_root_gid(const SfContainer *container);
const SfNamespaces *sf_container_namespaces(const SfContainer *container);
/* Init has a time namespace other than the daemon's: the kernel already answers uptime right. */
bool sf_container_has_time_namespace(const SfContainer *container);
const SfPolicy *sf_container_policy(const SfContainer *container);
SfHost *sf_container_host(const SfContainer *container);
/* The cgroup node of a controller; NULL when the host has no such hierarchy. Borrowed. */
SfCgroup *sf_container_cgroup(const SfContainer *container, SfController controller);
/* The node whose subtree holds the container's tasks: the unified one, or the first v1 hierarchy in
 * which the container has a cgroup of its own (not the hierarchy's top). On a hybrid host the
 * unified one only where a v1 hierarchy has the same path or none has any: engines that know v1
 * alone leave all containers in their own unified cgroup. NULL: none. Borrowed. */
SfCgroup *sf_container_task_cgroup(const SfContainer *container);

/* What its counters have shown so far, so that they do not jump back when another process goes on:
 * kept by itself at each change, and taken up with what a former process kept (id: of that entry in
 * the keep). */
#define SF_KEEP_KIND_STATE 1u
void sf_container_adopt_state(SfContainer *container, uint64_t id);
/* Forgets what is kept; once, when the container has ended. */
void sf_container_drop_state(SfContainer *container);

/* A limit over the whole hierarchy and who sets it. */
typedef struct SfLimit {
    uint64_t value;     /* SF_UNLIMITED: nobody limits */
    const SfCgroup *by; /* the cgroup whose file says so (borrowed from the container); NULL: the
                           host's own size */
} SfLimit;

/* Nanoseconds since init started, by the boot clock; 0 at the least. */
uint64_t sf_container_age_nsec(const SfContainer *container);

typedef struct SfContainerMemory {
    uint64_t host_total_bytes;
    SfLimit limit; /* min(limits over the hierarchy, host total): value is never SF_UNLIMITED */
    bool limited;  /* a cgroup's limit below the host's total holds */
    uint64_t usage_bytes; /* of the container's own cgroup */
    uint64_t free_bytes; /* min over own and every limited ancestor of limit - usage, at most limit;
                            not limited: host's MemFree */
    uint64_t available_bytes; /* min(free + active_file + inactive_file + slab_reclaimable, host
                                 MemAvailable, limit) */
    SfMemoryStat stat;  /* memory.stat of the container's own cgroup; all 0 where there is none */
    SfLimit swap_limit; /* swap alone, at most the host's SwapTotal; 0 where the host has none or it
                           may not swap */
    uint64_t swap_used_bytes; /* at most swap_limit */
} SfContainerMemory;
/* -ENODATA when there is no memory controller for this container, or it is in the hierarchy's top,
 * which accounts the host. Where swap is not accounted, the host's swap is the limit and 0 is used.
 */
int sf_container_memory(SfContainer *container, SfContainerMemory *ret_memory) SF_WARN_UNUSED;
/* The same beside a host's meminfo that the caller has, and that its text is made of too.
 * stat_text: gets the text that memory.stat was, empty where there is none; NULL: nobody wants it.
 */
int sf_container_memory_beside(SfContainer *container, const SfMeminfo *host, SfText *stat_text,
                               SfContainerMemory *ret_memory) SF_WARN_UNUSED;

/* Of the above the swap alone, and only what has to be read for it: nothing on a host without any.
 * -ENODATA as above, but for such a host. */
typedef struct SfContainerSwap {
    SfLimit limit;
    uint64_t used_bytes;
} SfContainerSwap;
int sf_container_swap(SfContainer *container, SfContainerSwap *ret_swap) SF_WARN_UNUSED;

/* CPU quota in force: the smallest quota/period over the hierarchy. */
typedef struct SfContainerQuota {
    SfCpuQuota quota;   /* quota_usec SF_UNLIMITED: none */
    const SfCgroup *by; /* NULL: none */
} SfContainerQuota;
int sf_container_quota(SfContainer *container, SfContainerQuota *ret_quota) SF_WARN_UNUSED;

/* CPUs the container sees, host numbers, by its policy (VIEWS, "Visible CPUs"): never empty.
 * Without cpuset data: the online ones. */
int sf_container_visible_cpus(SfContainer *container, SfCpuSet *ret_cpus) SF_WARN_UNUSED;

/* NUMA nodes the container may have memory of (cpuset.mems.effective), host numbers; without cpuset
 * data, or with the "host" CPU policy: those that have memory. */
int sf_container_allowed_nodes(SfContainer *container, SfCpuSet *ret_nodes) SF_WARN_UNUSED;
/* Pages the container has on a node, the most at any time it was asked for: never smaller than
 * before, as what counts allocations must be. -ENODATA. */
int sf_container_node_pages(SfContainer *container, unsigned node,
                            uint64_t *ret_pages) SF_WARN_UNUSED;

/* Per-CPU times for /proc/stat; monotonic per CPU and in total. memory: as
 * sf_cpu_account_update(). -ENODATA without any CPU
 * accounting. */
int sf_container_cpu_times(SfContainer *container, SfText *memory,
                           SfCpuTimes *ret_times) SF_WARN_UNUSED;
/* Total CPU time used, as the cgroup says. */
int sf_container_cpu_usage(SfContainer *container, SfCpuUsage *ret_usage) SF_WARN_UNUSED;

/* Task states, at most SF_TASK_COUNT_MAX_AGE_NSEC old, or where that is more
 * SF_TASK_COUNT_COST_SHARE times what it took to count them: a container of thousands of tasks and
 * cgroups must not have us count all the time. -ENODATA without a cgroup to count in. */
#define SF_TASK_COUNT_MAX_AGE_NSEC (100u * 1000 * 1000)
#define SF_TASK_COUNT_COST_SHARE 10u
int sf_container_tasks(SfContainer *container, SfTaskCount *ret_count) SF_WARN_UNUSED;
/* The same where nobody asks for highest_inner_pid, which is one file more to read. */
int sf_container_task_states(SfContainer *container, SfTaskCount *ret_count) SF_WARN_UNUSED;

/* Load averages as 11-bit fixed point (FSHIFT, include/linux/sched/loadavg.h); marks the container
 * as being read, see load.h. -ENODATA. */
int sf_container_load(SfContainer *container, uint64_t ret_load[3]) SF_WARN_UNUSED;
