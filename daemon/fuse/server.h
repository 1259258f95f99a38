/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The data plane: every view's FUSE connection in one epoll set, served by a small fixed pool of
 * threads, with one libfuse session as the codec for all of them (docs/ARCHITECTURE.md says why).
 * Nothing outside this directory knows libfuse.
 */

#include <stdint.h>

#include "daemon/view/view.h"

typedef struct SfServer SfServer;
typedef struct SfConnection SfConnection;

/* workers: 0 chooses by the number of CPUs. Starts the threads. */
int sf_server_new(unsigned workers, SfServer **ret_server) SF_WARN_UNUSED;
/* Ends the threads; every connection must have been unmounted before. */
void sf_server_free(SfServer *server);

/* Mounts the view on a directory and serves it from now on. Takes a reference to the view. Main
 * thread only. Negative errno; nothing is left mounted on error. */
int sf_server_mount(SfServer *server, SfView *view, const char *mount_point,
                    SfConnection **ret_connection) SF_WARN_UNUSED;
/* Lazily unmounts and ends the connection; requests being answered are finished first by their
 * worker. The pointer is dead afterwards. */
void sf_server_unmount(SfServer *server, SfConnection *connection);

/* Takes away what a daemon that died left mounted there. The number of mounts removed, 0 included,
 * or negative errno. */
int sf_server_unmount_stale(const char *mount_point) SF_WARN_UNUSED;

uint64_t sf_server_requests(const SfServer *server); /* answered since start */
unsigned sf_server_workers(const SfServer *server);
unsigned sf_server_connections(const SfServer *server);
