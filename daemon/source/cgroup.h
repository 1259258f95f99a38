/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Control groups of a v1, v2 or hybrid host: which hierarchy answers for which controller, and
 * nodes that hold a cgroup's directory open, with its ancestors. Nodes are shared: two containers
 * below one slice have the same parent node. The readers of single files, which know the
 * differences between v1 and v2, are in cgroup_memory.h, cgroup_cpu.h, cgroup_io.h, tasks.h.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/source/host.h"
#include "lib/base/text.h"

typedef enum SfController {
    SF_CONTROLLER_CPU,
    SF_CONTROLLER_CPUACCT, /* v2: part of every cgroup's cpu.stat */
    SF_CONTROLLER_CPUSET,
    SF_CONTROLLER_MEMORY,
    SF_CONTROLLER_IO, /* v1: blkio */
    SF_CONTROLLER_PIDS,
    SF_CONTROLLER_HUGETLB,
    SF_CONTROLLER_FREEZER,
    SF_CONTROLLER_SYSTEMD, /* v1's name=systemd */
    SF_CONTROLLER_UNIFIED, /* the v2 tree itself, with or without controllers: PSI, cgroup.threads,
                              cgroup.events */
    SF_CONTROLLER_COUNT
} SfController;

/* The kernel's own name ("memory", "io", "name=systemd"). */
const char *sf_controller_name(SfController controller);

/* One "id:controllers:path" line of /proc/PID/cgroup. */
typedef struct SfMembership {
    SfSlice controllers; /* "" for v2; "cpu,cpuacct", "name=systemd" */
    SfSlice path;        /* "/a/b"; may hold ':' ; " (deleted)" is stripped and told in `deleted` */
    bool deleted;
} SfMembership;
/* Pure: takes the next line off *rest. 1 with *ret_membership, 0 at the end, -EINVAL. */
int sf_membership_next(SfSlice *rest, SfMembership *ret_membership) SF_WARN_UNUSED;

/* One cgroup or cgroup2 line of /proc/self/mountinfo. */
typedef struct SfCgroupMount {
    unsigned version; /* 1 or 2 */
    char *root; /* owned: the cgroup path that the mount shows as its top, octal escapes decoded */
    char *mount_point;   /* owned */
    char *super_options; /* owned: "rw,cpu,cpuacct" */
} SfCgroupMount;
/* Pure: takes lines off *rest up to and including the next cgroup mount. 1, 0 at the end, -EINVAL,
 * -ENOMEM. */
int sf_cgroup_mount_next(SfSlice *rest, SfCgroupMount *ret_mount) SF_WARN_UNUSED;
void sf_cgroup_mount_clear(SfCgroupMount *mount);

/* All hierarchies of the host, found once at start; and the nodes. Thread-safe. */
typedef struct SfCgroups SfCgroups;
typedef struct SfCgroup SfCgroup;

/* Opens each hierarchy's mount from proc/self/mountinfo. A host without cgroups gives an empty set,
 * not an error. */
int sf_cgroups_open(SfHost *host, SfCgroups **ret_cgroups) SF_WARN_UNUSED;
void sf_cgroups_free(SfCgroups *cgroups); /* after the last node */
/* 0: no hierarchy has it; 1; 2. */
unsigned sf_cgroups_version(const SfCgroups *cgroups, SfController controller);
/* Whether both controllers are in one hierarchy. */
bool sf_cgroups_share(const SfCgroups *cgroups, SfController one, SfController other);
/* "v1", "v2", "hybrid" or "none": for people. */
const char *sf_cgroups_layout(const SfCgroups *cgroups);

/* What /proc/PID/cgroup says, of all hierarchies at one moment; the caller frees it. Nothing where
 * there are none. -ESRCH, -EFBIG, and others. */
int sf_cgroups_read_memberships(const SfCgroups *cgroups, pid_t pid, char **ret_text,
                                size_t *ret_len) SF_WARN_UNUSED;
/* The node in the controller's hierarchy that such a text names. A last component "init.scope"
 * (systemd's own cgroup below the container's) is stripped. -ENODATA when no hierarchy has the
 * controller, -ENOENT when the path is outside what the daemon's mounts show. */
int sf_cgroup_of(SfCgroups *cgroups, SfController controller, SfSlice memberships,
                 SfCgroup **ret_cgroup) SF_WARN_UNUSED;
/* The node at a path as /proc/PID/cgroup prints it (for restoring records). Errors as above. */
int sf_cgroup_at(SfCgroups *cgroups, SfController controller, const char *path,
                 SfCgroup **ret_cgroup) SF_WARN_UNUSED;

SfCgroup *sf_cgroup_ref(SfCgroup *cgroup);
SfCgroup *sf_cgroup_unref(SfCgroup *cgroup);
/* Borrowed; NULL for the hierarchy's top. */
SfCgroup *sf_cgroup_parent(const SfCgroup *cgroup);
const char *sf_cgroup_path(const SfCgroup *cgroup);
unsigned sf_cgroup_version_of(const SfCgroup *cgroup);
int sf_cgroup_dir_fd(const SfCgroup *cgroup);
bool sf_cgroup_is_top(const SfCgroup *cgroup);
/* In a cgroup file system, not in a captured tree. */
bool sf_cgroup_is_genuine(const SfCgroup *cgroup);
/* Whether `path` (as /proc/PID/cgroup prints it) is this cgroup or below it. */
bool sf_cgroup_contains(const SfCgroup *cgroup, SfSlice path);
/* Absolute path of the directory as the host sees it (for inotify and for people). The caller
 * frees; NULL on ENOMEM. */
char *sf_cgroup_host_path(const SfCgroup *cgroup);

/* Files whose fd a node keeps open after the first read, each with its v1 and v2 name in cgroup.c's
 * table. */
typedef enum SfCgroupFile {
    SF_CGROUP_MEMORY_MAX,       /* memory.max | memory.limit_in_bytes */
    SF_CGROUP_MEMORY_HIGH,      /* memory.high */
    SF_CGROUP_MEMORY_CURRENT,   /* memory.current | memory.usage_in_bytes */
    SF_CGROUP_MEMORY_STAT,      /* memory.stat */
    SF_CGROUP_MEMORY_NUMA_STAT, /* memory.numa_stat */
    SF_CGROUP_SWAP_MAX,         /* memory.swap.max | memory.memsw.limit_in_bytes */
    SF_CGROUP_SWAP_CURRENT,     /* memory.swap.current | memory.memsw.usage_in_bytes */
    SF_CGROUP_SWAPPINESS,       /* - | memory.swappiness */
    SF_CGROUP_KMEM_CURRENT,     /* - | memory.kmem.usage_in_bytes */
    SF_CGROUP_CPU_MAX,          /* cpu.max | cpu.cfs_quota_us */
    SF_CGROUP_CPU_PERIOD,       /* - | cpu.cfs_period_us */
    SF_CGROUP_CPU_STAT,         /* cpu.stat */
    SF_CGROUP_CPUACCT_ALL,      /* - | cpuacct.usage_all */
    SF_CGROUP_CPUACCT_PERCPU,   /* - | cpuacct.usage_percpu */
    SF_CGROUP_CPUACCT_STAT,     /* - | cpuacct.stat */
    SF_CGROUP_CPUSET_CPUS,      /* cpuset.cpus.effective | cpuset.effective_cpus */
    SF_CGROUP_CPUSET_MEMS,      /* cpuset.mems.effective | cpuset.effective_mems */
    SF_CGROUP_PIDS_MAX,         /* pids.max */
    SF_CGROUP_PIDS_CURRENT,     /* pids.current */
    SF_CGROUP_IO_BYTES,         /* io.stat | blkio.throttle.io_service_bytes_recursive */
    SF_CGROUP_IO_COUNTS,        /* - | blkio.throttle.io_serviced_recursive */
    SF_CGROUP_CPU_PRESSURE,     /* cpu.pressure, v2 alone as the next three */
    SF_CGROUP_MEMORY_PRESSURE,
    SF_CGROUP_IO_PRESSURE,
    SF_CGROUP_IRQ_PRESSURE,
    SF_CGROUP_SLABINFO,    /* memory.slabinfo | memory.kmem.slabinfo */
    SF_CGROUP_THREADS,     /* cgroup.threads | tasks */
    SF_CGROUP_HUGETLB_MAX, /* of one page size, by sf_cgroup_hugetlb() alone */
    SF_CGROUP_HUGETLB_CURRENT,
    SF_CGROUP_FILE_COUNT
} SfCgroupFile;

/* Reads one file of the cgroup through a kept fd. -ENODATA when this version or this cgroup has no
 * such file (v1 name missing, controller not enabled here), -ENODEV when the cgroup was removed,
 * -EFBIG. The number of kept fds is bounded over all nodes (a quarter of RLIMIT_NOFILE); past it,
 * files are opened for the one read. */
int sf_cgroup_read(SfCgroup *cgroup, SfCgroupFile file, char *buffer, size_t size,
                   size_t *ret_len) SF_WARN_UNUSED;
/* The same into a text's memory, which is used again: *text is emptied first. For the hot path. */
int sf_cgroup_read_text(SfCgroup *cgroup, SfCgroupFile file, SfText *text) SF_WARN_UNUSED;
/* The same into owned memory, for files that may be long (threads, memory.stat, usage_all). The
 * caller frees. */
int sf_cgroup_read_alloc(SfCgroup *cgroup, SfCgroupFile file, char **ret_text,
                         size_t *ret_len) SF_WARN_UNUSED;

/* A file that is one limit: a number or "max" (SF_UNLIMITED), v1's largest value being that too
 * (PAGE_COUNTER_MAX, whatever the page size). Errors as sf_cgroup_read(), and -EINVAL. */
int sf_cgroup_read_limit(SfCgroup *cgroup, SfCgroupFile file, uint64_t *ret_value) SF_WARN_UNUSED;
/* A new fd of the file, for reading and writing; the caller closes. Errors as sf_cgroup_read(). */
int sf_cgroup_open(SfCgroup *cgroup, SfCgroupFile file) SF_WARN_UNUSED;

/* Kept fds and live nodes over all hierarchies: for tests and status. */
void sf_cgroups_counts(const SfCgroups *cgroups, unsigned *ret_nodes, unsigned *ret_kept_fds);
