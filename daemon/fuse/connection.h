/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Connections: a FUSE mount each, in slots whose memory is never given back while the server lives.
 * A worker thread gets a slot's number and generation from epoll and takes a reference only if that
 * generation still lives, so a connection can be ended at any time without a lock on the read path.
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/fuse/codec.h"
#include "daemon/fuse/flood.h"

/* At once: SF_MOUNT_KINDS a container. */
#define SF_CONNECTION_MAX 32768

struct SfConnection {
    _Atomic uint64_t state; /* generation << 32 | CLOSING | references */
    uint32_t index;         /* constant */
    int fd;                 /* /dev/fuse; owned; valid while there are references */
    SfView *view;           /* owned reference; the same */
    SfViewMount kind;       /* the same */
    char *mount_point;      /* owned; main thread only */
    /* Where its readers are, and how often they are looked for (server.c): touched
     * by who serves it only. Handed from one to the next by epoll, so each is read and written as
     * if it were alone. */
    _Atomic unsigned lane, look_every, look_in;
    SfFlood flood;
    struct SfConnection *next_free; /* protected by the table's lock */
};
typedef struct SfConnection SfConnection;

typedef struct SfConnectionTable SfConnectionTable;

SfConnectionTable *sf_connection_table_new(void);
void sf_connection_table_free(SfConnectionTable *table);

/* Opens /dev/fuse, mounts it on mount_point, answers INIT. The caller holds the first reference.
 * Main thread. -ENOSPC: no slot is free. Nothing is left mounted on error. */
int sf_connection_open(SfConnectionTable *table, SfCodec *codec, SfView *view, SfViewMount kind,
                       const char *mount_point, SfConnection **ret_connection) SF_WARN_UNUSED;
/* The same for a connection that is mounted already and was served by another process: fd is taken
 * over, also on error. */
int sf_connection_adopt(SfConnectionTable *table, int fd, SfView *view, SfViewMount kind,
                        const char *mount_point, SfConnection **ret_connection) SF_WARN_UNUSED;
/* Has libfuse negotiate, by a mount on mount_point that is gone again at once (NULL: by one that is
 * never made, which not every kernel can): without it, no request of an adopted connection can be
 * decoded. Nothing happens where an INIT was answered. */
int sf_connection_prime(SfCodec *codec, const char *mount_point) SF_WARN_UNUSED;
/* Unmounts lazily and forbids new references; the caller's reference is still to be released. Main
 * thread. */
void sf_connection_close(SfConnection *connection);

/* Forbids new references as sf_connection_close() does, and leaves the mount. */
void sf_connection_leave(SfConnection *connection);

/* What epoll keeps; sf_connection_acquire() turns it into a reference, or NULL when that connection
 * is closing or gone. */
uint64_t sf_connection_key(const SfConnection *connection);
SfConnection *sf_connection_acquire(SfConnectionTable *table, uint64_t key);
/* True for the last one: the caller then takes the connection out of all sets and frees it. */
bool sf_connection_release(SfConnection *connection);
/* Closes the fd, which ends every request still queued, and frees the slot. */
void sf_connection_free(SfConnectionTable *table, SfConnection *connection);
