/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a container has of memory as its files show it: the parts made to fit into the whole, once
 * for all files that show some of it, so that they cannot disagree.
 */

#include "daemon/container/container.h"
#include "daemon/source/meminfo.h"

typedef struct SfShownMemory {
    SfContainerMemory memory; /* bytes; what the cgroup says */
    uint64_t total_kb, free_kb;
    uint64_t kb[SF_MEMORY_KEY_COUNT]; /* memory.stat, made to fit into what is used */
} SfShownMemory;

/* host: the host's /proc/meminfo. stat_text: as sf_container_memory_beside(). Without a memory
 * controller the container has what the host has, and no part that is known to be its own. Negative
 * errno, never -ENODATA. */
int sf_shown_memory(SfContainer *container, const SfMeminfo *host, SfText *stat_text,
                    SfShownMemory *ret_shown) SF_WARN_UNUSED;
