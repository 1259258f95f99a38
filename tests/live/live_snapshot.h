/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * All files of a live view, taken as near to one instant as reads one after the other can be.
 */

#include "tests/golden/consistency.h"

/* Rows of providers.def, and those that are taken twice. */
#define LIVE_TEXTS_MAX 128

typedef struct LiveSnapshot {
    const char *names[LIVE_TEXTS_MAX];
    SfText texts[LIVE_TEXTS_MAX]; /* owned; reused by the next live_snapshot_take() */
    SfSlice slices[LIVE_TEXTS_MAX];
    Snapshot snapshot;   /* what is compared; borrows from the others */
    uint64_t whole_nsec; /* it took so long */
} LiveSnapshot;

/* Reads each file of the table of providers that is below root_fd; one that cannot be read adds a
 * line to *report. Returns whether all could. Not `whole`: of the directories only what is compared
 * with other files, without the hundreds of files of each CPU. */
bool live_snapshot_take(LiveSnapshot *live, int root_fd, bool whole, SfText *report);
void live_snapshot_clear(LiveSnapshot *live);
/* Writes each text to a file of its name. */
void live_snapshot_save(const LiveSnapshot *live, const char *directory, const char *prefix);
