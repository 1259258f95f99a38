/* SPDX-License-Identifier: Apache-2.0 */

#include "daemon/control/exits.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/epoll.h>

struct SfExitWatcher {
    int epoll_fd;
    unsigned source;
    void (*ended)(void *data);
};

/* One at a time: it may remove others. */
static gboolean on_exit_seen(int fd, GIOCondition condition, void *data)
{
    const SfExitWatcher *watcher = data;
    struct epoll_event event;

    if (epoll_wait(fd, &event, 1, 0) == 1)
        watcher->ended(event.data.ptr);
    return G_SOURCE_CONTINUE;
}

int sf_exit_watcher_new(void (*ended)(void *data), SfExitWatcher **ret_watcher)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);

    if (fd < 0)
        return -errno;
    SfExitWatcher *watcher = g_new0(SfExitWatcher, 1);
    watcher->epoll_fd = fd;
    watcher->ended = ended;
    watcher->source = g_unix_fd_add(fd, G_IO_IN, on_exit_seen, watcher);
    *ret_watcher = watcher;
    return 0;
}

void sf_exit_watcher_free(SfExitWatcher *watcher)
{
    if (!watcher)
        return;
    g_source_remove(watcher->source);
    (void)sf_close(watcher->epoll_fd);
    g_free(watcher);
}

int sf_exit_watch_add(SfExitWatcher *watcher, int pidfd, void *data)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = data};

    return epoll_ctl(watcher->epoll_fd, EPOLL_CTL_ADD, pidfd, &event) < 0 ? -errno : 0;
}

void sf_exit_watch_remove(SfExitWatcher *watcher, int pidfd)
{
    (void)epoll_ctl(watcher->epoll_fd, EPOLL_CTL_DEL, pidfd, NULL); /* ENOENT: it is not in it */
}
