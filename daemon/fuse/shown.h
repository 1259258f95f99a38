/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Files whose text stands in the kernel's pages for a moment only, by when that is over. One
 * worker's: nearly all are closed before, by the same one.
 */

#include <stdbool.h>
#include <stdint.h>

#define SF_SHOWN_MAX 64u

typedef struct SfShown {
    uint64_t key;      /* the connection's (connection.h) */
    uint64_t inode;    /* the file's there */
    uint64_t due_nsec; /* of a clock that only goes on */
} SfShown;

typedef struct SfShownList {
    SfShown files[SF_SHOWN_MAX]; /* the next due first */
    unsigned count;
} SfShownList;

/* It is due no earlier than all that are there. True when there was no room: *ret_first then had to
 * go, and is to be treated as if it were due. */
bool sf_shown_add(SfShownList *list, const SfShown *file, SfShown *ret_first);
void sf_shown_remove(SfShownList *list, uint64_t key, uint64_t inode);
/* Takes out one that is due: false when none is. */
bool sf_shown_take_due(SfShownList *list, uint64_t now_nsec, SfShown *ret_file);
/* Milliseconds until the next one is; -1: none will be. */
int sf_shown_wait_msec(const SfShownList *list, uint64_t now_nsec);
