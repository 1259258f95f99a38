/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The data plane: every view's FUSE connection in one epoll set, served by a small fixed pool of
 * threads, with one libfuse session as the codec for all of them (docs/ARCHITECTURE.md says why).
 * Nothing outside this directory knows libfuse.
 */

#include <stdint.h>

#include "daemon/fuse/codec.h"
#include "daemon/view/view.h"

typedef struct SfServer SfServer;
typedef struct SfConnection SfConnection;

typedef struct SfServerOptions {
    unsigned workers;   /* 0 chooses by the number of CPUs */
    SfKeep *keep;       /* of all views that are served; NULL: sf_keep_default() */
    SfCodecHooks hooks; /* zero: nobody holds fds of files that are waited on */
    bool paused;        /* sf_server_go() starts the threads */
} SfServerOptions;

/* options: NULL for a plain one. Starts the threads. */
int sf_server_new(const SfServerOptions *options, SfServer **ret_server) SF_WARN_UNUSED;
/* A paused one: serves first what a former process was asked and could not answer, on connections
 * that were resumed, then starts. */
int sf_server_go(SfServer *server) SF_WARN_UNUSED;
/* Ends the threads; every connection must have been unmounted before. */
void sf_server_free(SfServer *server);

/* Mounts the view on a directory and serves it from now on. Takes a reference to the view. Main
 * thread only. Negative errno; nothing is left mounted on error. */
int sf_server_mount(SfServer *server, SfView *view, SfViewMount kind, const char *mount_point,
                    SfConnection **ret_connection) SF_WARN_UNUSED;
/* Goes on with a connection that another process served, while paused. fd is taken over, also on
 * error. What is kept of the view's open files must have been taken up. */
int sf_server_resume(SfServer *server, SfView *view, SfViewMount kind, const char *mount_point,
                     int fd, SfConnection **ret_connection) SF_WARN_UNUSED;
/* Must come before the first resume: mounts on that directory for a moment, or on none (NULL) where
 * the kernel can. */
int sf_server_prime(SfServer *server, const char *mount_point) SF_WARN_UNUSED;
/* The connection's /dev/fuse, borrowed: whoever holds a duplicate keeps the view mounted and its
 * requests waiting when this process dies. */
int sf_server_connection_fd(const SfConnection *connection);
/* Lets go of a connection without unmounting it: somebody else holds its fd. The pointer is dead
 * afterwards. */
void sf_server_leave(SfServer *server, SfConnection *connection);
/* Lazily unmounts and ends the connection; requests being answered are finished first by their
 * worker. The pointer is dead afterwards. */
void sf_server_unmount(SfServer *server, SfConnection *connection);

/* What a connection for constants has told of files may be another by now: it is asked for again.
 * Waits for nobody. */
void sf_server_recall(SfServer *server, SfConnection *connection);

/* Takes away what a daemon that died left mounted there. The number of mounts removed, 0 included,
 * or negative errno. */
int sf_server_unmount_stale(const char *mount_point) SF_WARN_UNUSED;

/* Every thread has been at one request for 10 s or more. */
bool sf_server_is_stuck(const SfServer *server);

uint64_t sf_server_requests(const SfServer *server); /* answered since start */
unsigned sf_server_workers(const SfServer *server);
unsigned sf_server_connections(const SfServer *server);
