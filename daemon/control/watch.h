/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Tells when a cgroup is removed. One inotify fd for all; a watch on each parent directory, shared
 * by the cgroups in it: a removed cgroup gives no event of its own (kernfs keeps its inode's link
 * count), its parent's IN_DELETE names it, on v1 and v2.
 */

#include "daemon/container/container.h"

typedef struct SfCgroupWatcher SfCgroupWatcher;

/* gone is called from the main loop with what was given to sf_cgroup_watch_add(); that watch is
 * over then. -errno. */
int sf_cgroup_watcher_new(void (*gone)(void *data), SfCgroupWatcher **ret_watcher) SF_WARN_UNUSED;
void sf_cgroup_watcher_free(SfCgroupWatcher *watcher);

/* -ENODEV: the cgroup is gone already. -ENOTSUP for a hierarchy's top, which never goes. */
int sf_cgroup_watch_add(SfCgroupWatcher *watcher, const SfCgroup *cgroup, void *data,
                        unsigned *ret_watch) SF_WARN_UNUSED;
/* 0 and unknown numbers are fine. */
void sf_cgroup_watch_remove(SfCgroupWatcher *watcher, unsigned watch);
