/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the cgroup*.c files of this directory share and nobody else sees.
 */

#include <pthread.h>
#include <stdatomic.h>

#include "daemon/source/cgroup.h"

/* One v1 hierarchy or the v2 tree, as the mount shows it that was chosen for it. Constant after
 * sf_cgroups_open(). */
typedef struct SfHierarchy {
    unsigned version;
    SfCgroupMount mount;
    int top_fd;             /* owned: the mount point */
    bool genuine;           /* a cgroup file system, not a captured tree */
    bool shows_root;        /* its top is the top of all cgroups */
    uint64_t device, inode; /* of the top */
} SfHierarchy;

/*
 * v1 prints "no limit" as PAGE_COUNTER_MAX pages in bytes: LONG_MAX rounded down to the page size
 * (linux/page_counter.h). That is 0x7FFFFFFFFFFFF000 with 4 KiB pages and 0x7FFFFFFFFFFF0000 with
 * the largest, 64 KiB; whatever the page size, no machine has that much memory. Older kernels said
 * RES_COUNTER_MAX, which is larger.
 */
#define SF_CGROUP_V1_UNLIMITED UINT64_C(0x7FFFFFFFFFFF0000)

/* Each v1 controller may have a hierarchy of its own (the kernel has 14), some are named ones, one
 * is v2. */
#define SF_HIERARCHIES_MAX 32

struct SfCgroups {
    SfHost *host; /* borrowed */
    SfHierarchy hierarchies[SF_HIERARCHIES_MAX];
    unsigned hierarchy_count;
    SfHierarchy *by_controller[SF_CONTROLLER_COUNT]; /* NULL: nobody has it */

    _Atomic uint64_t kept_page_kb; /* the size whose hugetlb files are kept: the first asked for */
    unsigned kept_fds_max;
    atomic_uint kept_fds;

    pthread_mutex_t lock;
    void *nodes; /* GHashTable of the listed SfCgroup by hierarchy and path; protected by lock */
    unsigned node_count; /* live nodes, listed or not; protected by lock */
};

struct SfCgroup {
    SfCgroups *cgroups;           /* borrowed */
    const SfHierarchy *hierarchy; /* borrowed */
    SfCgroup *parent;             /* a reference; NULL for the top */
    char *path;                   /* as /proc/PID/cgroup prints it */
    int dir_fd;                   /* owned, but for the top's, which is its hierarchy's */
    bool is_root;                 /* of the whole hierarchy, in a cgroup file system */
    uint64_t device, inode; /* which directory dir_fd is: a path may be removed and made again */
    /* Taken from and given up under the cgroups' lock, but where it cannot become 0. */
    atomic_int refs;
    /* -1 until first read. Never closed before the node is freed: readers use the number without a
     * lock. */
    atomic_int fds[SF_CGROUP_FILE_COUNT];
};

/* Finds the hierarchies in the text of mountinfo and which controller each has. */
int sf_hierarchies_find(SfCgroups *cgroups, SfSlice mountinfo) SF_WARN_UNUSED;
void sf_hierarchies_clear(SfCgroups *cgroups);

/* Reads a file of the cgroup by its own name, opened for this one read. Errors as sf_cgroup_read().
 */
int sf_cgroup_read_name(SfCgroup *cgroup, const char *name, char *buffer, size_t size,
                        size_t *ret_len) SF_WARN_UNUSED;
/* The same of a hugetlb file, whose name has the page size in it; kept for one size, the host's
 * default, which is the one that is asked for all the time. */
int sf_cgroup_read_huge(SfCgroup *cgroup, SfCgroupFile file, uint64_t page_kb, const char *name,
                        char *buffer, size_t size, size_t *ret_len) SF_WARN_UNUSED;
/* -ENODEV when the cgroup was removed, else -ENODATA: what the absence of a file means. */
int sf_cgroup_absent(const SfCgroup *cgroup) SF_WARN_UNUSED;
void sf_cgroup_close_files(SfCgroup *cgroup);
