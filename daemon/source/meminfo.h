/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * /proc/meminfo of the host: its keys in the running kernel's order, with values and units
 * (fs/proc/meminfo.c).
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/source/host.h"
#include "lib/base/number.h"

#define SF_MEMINFO_MAX_ENTRIES 96
#define SF_MEMINFO_KEY_MAX 40

/* The keys that something is known about, named as the kernel's; in its order, by which they are
 * found. */
typedef enum SfMeminfoKey {
    SF_MEMINFO_MEM_TOTAL,
    SF_MEMINFO_MEM_FREE,
    SF_MEMINFO_MEM_AVAILABLE,
    SF_MEMINFO_CACHED,
    SF_MEMINFO_SWAP_CACHED,
    SF_MEMINFO_ACTIVE,
    SF_MEMINFO_INACTIVE,
    SF_MEMINFO_ACTIVE_ANON,
    SF_MEMINFO_INACTIVE_ANON,
    SF_MEMINFO_ACTIVE_FILE,
    SF_MEMINFO_INACTIVE_FILE,
    SF_MEMINFO_UNEVICTABLE,
    SF_MEMINFO_SWAP_TOTAL,
    SF_MEMINFO_SWAP_FREE,
    SF_MEMINFO_ZSWAP,
    SF_MEMINFO_ZSWAPPED,
    SF_MEMINFO_DIRTY,
    SF_MEMINFO_WRITEBACK,
    SF_MEMINFO_ANON_PAGES,
    SF_MEMINFO_MAPPED,
    SF_MEMINFO_SHMEM,
    SF_MEMINFO_K_RECLAIMABLE,
    SF_MEMINFO_SLAB,
    SF_MEMINFO_S_RECLAIMABLE,
    SF_MEMINFO_S_UNRECLAIM,
    SF_MEMINFO_KERNEL_STACK,
    SF_MEMINFO_PAGE_TABLES,
    SF_MEMINFO_SEC_PAGE_TABLES,
    SF_MEMINFO_COMMIT_LIMIT,
    SF_MEMINFO_COMMITTED_AS,
    SF_MEMINFO_VMALLOC_TOTAL,
    SF_MEMINFO_VMALLOC_USED,
    SF_MEMINFO_PERCPU,
    SF_MEMINFO_HARDWARE_CORRUPTED,
    SF_MEMINFO_ANON_HUGE_PAGES,
    SF_MEMINFO_SHMEM_HUGE_PAGES,
    SF_MEMINFO_FILE_HUGE_PAGES,
    SF_MEMINFO_HUGE_PAGES_TOTAL,
    SF_MEMINFO_HUGE_PAGES_FREE,
    SF_MEMINFO_HUGE_PAGES_RSVD,
    SF_MEMINFO_HUGE_PAGES_SURP,
    SF_MEMINFO_HUGEPAGESIZE,
    SF_MEMINFO_HUGETLB,
    SF_MEMINFO_OTHER,
    SF_MEMINFO_KEY_COUNT = SF_MEMINFO_OTHER
} SfMeminfoKey;

typedef struct SfMeminfoEntry {
    char key[SF_MEMINFO_KEY_MAX]; /* without ':' , NUL-terminated: "Active(anon)" */
    SfMeminfoKey id;
    uint64_t value; /* kB when in_kb, else a plain count */
    bool in_kb;
    SfSlice line, number; /* borrowed from the text; the line without its newline */
} SfMeminfoEntry;

typedef struct SfMeminfo {
    SfMeminfoEntry entries[SF_MEMINFO_MAX_ENTRIES];
    unsigned count;
    uint8_t by_key[SF_MEMINFO_KEY_COUNT]; /* the entry's number and 1; 0: not printed */
} SfMeminfo;

/* SfMeminfo made of SF_HOST_MEMINFO (sf_host_derived()). */
extern const SfDerivation sf_meminfo_derivation;

/* Pure. A line of another form is -EINVAL, more than SF_MEMINFO_MAX_ENTRIES lines -E2BIG, no line
 * at all -ENODATA. */
int sf_meminfo_parse(const char *text, size_t len, SfMeminfo *ret_info) SF_WARN_UNUSED;
/* Value of a key by whole word; -ENODATA when the kernel prints none. */
int sf_meminfo_get(const SfMeminfo *info, const char *key, uint64_t *ret_value) SF_WARN_UNUSED;
/* The same of a known key; 0 when the kernel prints none. */
uint64_t sf_meminfo_value(const SfMeminfo *info, SfMeminfoKey key);
bool sf_meminfo_has(const SfMeminfo *info, SfMeminfoKey key);
