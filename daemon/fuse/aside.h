/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Requests that one worker has read and answers when no other is left on the connection. Each is
 * also in a journal of the keep that no worker reads into, so that it is known when the process
 * dies before the answer.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/keep.h"

#define SF_ASIDE_MAX 16u
#define SF_ASIDE_BYTES 64u /* FUSE_GETATTR is shorter */

typedef struct SfAside {
    unsigned count;
    struct {
        unsigned journal;
        size_t len;
        char request[SF_ASIDE_BYTES];
    } waits[SF_ASIDE_MAX]; /* in the order of their coming */
} SfAside;

/* Touches the journals from that one on: later they are there. */
void sf_aside_prepare(SfKeep *keep, unsigned first);
/* owner: whose request it is, as in a worker's journal. first: the first journal that is no
 * worker's. False: it is too long, or there is no room; then nothing has changed. */
bool sf_aside_put(SfAside *aside, SfKeep *keep, unsigned first, uint64_t owner, const void *request,
                  size_t len) SF_WARN_UNUSED;
/* All of them are answered. */
void sf_aside_clear(SfAside *aside, SfKeep *keep);
