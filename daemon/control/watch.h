/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Tells when a cgroup is removed, and when its limits of CPUs are written. One inotify fd for all;
 * a watch on each parent directory, shared by the cgroups in it: a removed cgroup gives no event of
 * its own (kernfs keeps its inode's link count), its parent's IN_DELETE names it, on v1 and v2.
 * Writes are seen through whosever mount they are made: all mounts of a hierarchy, those of cgroup
 * namespaces too, have one superblock and its inodes (fs/kernfs/mount.c).
 */

#include "daemon/container/container.h"

typedef struct SfCgroupWatcher SfCgroupWatcher;

/* Called from the main loop with what was given to the functions below. */
typedef struct SfCgroupEvents {
    void (*gone)(void *data); /* that watch is over then */
    /* CPUs of the cgroup, or of one above it, may be others; or not. NULL: nobody watches limits.
     */
    void (*changed)(void *data);
} SfCgroupEvents;

/* -errno. */
int sf_cgroup_watcher_new(const SfCgroupEvents *events,
                          SfCgroupWatcher **ret_watcher) SF_WARN_UNUSED;
void sf_cgroup_watcher_free(SfCgroupWatcher *watcher);

/* -ENODEV: the cgroup is gone already. -ENOTSUP for a hierarchy's top, which never goes. */
int sf_cgroup_watch_add(SfCgroupWatcher *watcher, const SfCgroup *cgroup, void *data,
                        unsigned *ret_watch) SF_WARN_UNUSED;
/* Watches the limits of one cgroup, not of those above it. Errors as above, and others. */
int sf_cgroup_watch_limits(SfCgroupWatcher *watcher, const SfCgroup *cgroup, void *data,
                           unsigned *ret_watch) SF_WARN_UNUSED;
/* 0 and unknown numbers are fine. */
void sf_cgroup_watch_remove(SfCgroupWatcher *watcher, unsigned watch);
