/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Tells when processes end. All pidfds are in one epoll set: the main loop would look at each of
 * its files again whenever it does anything.
 */

#include "lib/base/fd.h"

typedef struct SfExitWatcher SfExitWatcher;

/* ended: called from the main loop with what was given with the pidfd, again and again until that
 * is removed. -errno. */
int sf_exit_watcher_new(void (*ended)(void *data), SfExitWatcher **ret_watcher) SF_WARN_UNUSED;
void sf_exit_watcher_free(SfExitWatcher *watcher);

/* pidfd: borrowed, until it is removed. -errno: -EEXIST, -ENOMEM, -ENOSPC
 * (fs.epoll.max_user_watches). */
int sf_exit_watch_add(SfExitWatcher *watcher, int pidfd, void *data) SF_WARN_UNUSED;
/* To be done before it is closed. One that is not there is fine. */
void sf_exit_watch_remove(SfExitWatcher *watcher, int pidfd);
