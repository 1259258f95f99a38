/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Notes of containers that started while no daemon answered: RUNTIME_DIR/pending/ID.json. The hook
 * leaves one, the daemon gives the container its view and takes the note away.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "include/sysfsd/sysfsd.h"
#include "lib/base/fd.h"

#define SF_PENDING_NAME "pending"
#define SF_PENDING_MAX_BYTES (1u << 20)

/* Makes the directories that are missing. id is valid. Negative errno; -EPERM when one of the
 * directories is not the caller's own or others may write to it. */
int sf_pending_write(const char *runtime_dir, const struct sysfsd_attach_args *args) SF_WARN_UNUSED;
/* Absent is fine. */
void sf_pending_remove(const char *runtime_dir, const char *id);

typedef struct SfPending {
    json_t *json;              /* owned; the rest is borrowed from it */
    const char *id, *bundle;   /* bundle may be NULL */
    const char *rootfs;        /* as the host names it; may be NULL */
    const json_t *annotations; /* object of strings */
    pid_t pid;
    uint64_t start_ticks; /* since boot: when it started */
} SfPending;
/* A note by the file's name in the directory. -EBADMSG when it is none, -ESRCH when the process
 * that it names has ended, or another has its number. The caller clears. */
int sf_pending_read(int directory_fd, const char *file, SfPending *ret_pending) SF_WARN_UNUSED;
/* By its name: it is still being written. */
bool sf_pending_is_unfinished(const char *file);
void sf_pending_clear(SfPending *pending);
