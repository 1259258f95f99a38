/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The memory controller of one cgroup, v1 and v2 in one vocabulary. Limits over the hierarchy are
 * daemon/container's.
 */

#include "daemon/source/cgroup.h"

/* memory.stat keys that a view uses (v1: their total_ forms). The table with both names is in
 * cgroup_memory.c. */
typedef enum SfMemoryKey {
    SF_MEMORY_FILE, /* file | total_cache */
    SF_MEMORY_ANON, /* anon | total_rss */
    SF_MEMORY_SHMEM,
    SF_MEMORY_FILE_MAPPED, /* file_mapped | total_mapped_file */
    SF_MEMORY_FILE_DIRTY,
    SF_MEMORY_FILE_WRITEBACK,
    SF_MEMORY_SWAPCACHED,
    SF_MEMORY_INACTIVE_ANON,
    SF_MEMORY_ACTIVE_ANON,
    SF_MEMORY_INACTIVE_FILE,
    SF_MEMORY_ACTIVE_FILE,
    SF_MEMORY_UNEVICTABLE,
    SF_MEMORY_SLAB_RECLAIMABLE,
    SF_MEMORY_SLAB_UNRECLAIMABLE,
    SF_MEMORY_SLAB,
    SF_MEMORY_KERNEL_STACK,
    SF_MEMORY_PAGETABLES,
    SF_MEMORY_SEC_PAGETABLES,
    SF_MEMORY_PERCPU,
    SF_MEMORY_SOCK,
    SF_MEMORY_VMALLOC,
    SF_MEMORY_ANON_THP, /* anon_thp | total_rss_huge */
    SF_MEMORY_FILE_THP,
    SF_MEMORY_SHMEM_THP,
    SF_MEMORY_ZSWAP,
    SF_MEMORY_ZSWAPPED,
    SF_MEMORY_KERNEL,
    SF_MEMORY_KEY_COUNT
} SfMemoryKey;

typedef struct SfMemoryStat {
    uint64_t bytes[SF_MEMORY_KEY_COUNT]; /* 0 where not present */
    uint64_t present;                    /* bit (1 << key): the kernel prints it */
} SfMemoryStat;

/* Pure. version 1 takes the total_ keys, 2 the plain ones; matched by whole word; unknown keys are
 * passed over. */
int sf_memory_stat_parse(const char *text, size_t len, unsigned version,
                         SfMemoryStat *ret_stat) SF_WARN_UNUSED;
int sf_cgroup_memory_stat(SfCgroup *cgroup, SfMemoryStat *ret_stat) SF_WARN_UNUSED;

/* Bytes; SF_UNLIMITED for "max" and for v1's largest value (PAGE_COUNTER_MAX, whatever the page
 * size). -ENODATA. */
int sf_cgroup_memory_limit(SfCgroup *cgroup, uint64_t *ret_bytes) SF_WARN_UNUSED;
int sf_cgroup_memory_usage(SfCgroup *cgroup, uint64_t *ret_bytes) SF_WARN_UNUSED;

/* Swap alone, in bytes. v2 memory.swap.*. v1 knows memory+swap: limit = memsw limit - memory limit
 * (SF_UNLIMITED when memsw is), usage = memsw usage - usage. -ENODATA where swap is not accounted
 * (swapaccount=0, no swap controller). */
int sf_cgroup_swap_limit(SfCgroup *cgroup, uint64_t *ret_bytes) SF_WARN_UNUSED;
int sf_cgroup_swap_usage(SfCgroup *cgroup, uint64_t *ret_bytes) SF_WARN_UNUSED;
/* The same beside sf_cgroup_memory_usage() of a moment before. */
int sf_cgroup_swap_usage_beside(SfCgroup *cgroup, uint64_t memory_bytes,
                                uint64_t *ret_bytes) SF_WARN_UNUSED;
/* v1 memory+swap limit itself, for limit() over the hierarchy; -ENODATA on v2. */
int sf_cgroup_memsw_limit(SfCgroup *cgroup, uint64_t *ret_bytes) SF_WARN_UNUSED;

/* hugetlb: file is "hugetlb.2MB.max" or ".current" (v1 .limit_in_bytes, .usage_in_bytes), chosen by
 * page size in kB. Bytes. -ENODATA. */
int sf_cgroup_hugetlb(SfCgroup *cgroup, uint64_t page_kb, uint64_t *ret_limit_bytes,
                      uint64_t *ret_usage_bytes) SF_WARN_UNUSED;
