/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What of one host-wide text is shared between all threads (host.c, host_cache.c). A text that can
 * be had lies in `current`; who takes it counts itself in by compare-and-swap, so that a fresh text
 * costs no lock. Texts that nobody holds are written anew: their memory is used again and never
 * freed before the host is, so that a pointer read a moment too late still leads to a text.
 */

#include <pthread.h>

#include "daemon/source/host.h"

typedef struct SfHostTextCache {
    struct SfCachedText *_Atomic current; /* holds a reference; NULL: none yet */

    pthread_mutex_t refresh;  /* held over the one read that all wait for */
    int fd;                   /* protected by refresh; -1 until the first read */
    struct SfCachedText *all; /* protected by refresh: every text there is, by next */
} SfHostTextCache;

void sf_host_cache_init(SfHostTextCache *cache);
/* Texts that are still held outlive it. */
void sf_host_cache_clear(SfHostTextCache *cache);
SfHostTextCache *sf_host_cache(SfHost *host, SfHostText which);
