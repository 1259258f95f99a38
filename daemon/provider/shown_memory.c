/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the parts of a container's memory fit into what it uses. Which file shows which part is not
 * known here.
 */

#include "daemon/provider/shown_memory.h"

#include <errno.h>

#define KB 1024u

/* Each of the keys gets at most what those before it left of `kb`. */
static void fit(SfShownMemory *shown, const SfMemoryKey *keys, size_t count, uint64_t kb)
{
    for (size_t i = 0; i < count; i++) {
        shown->kb[keys[i]] = sf_min_u64(shown->kb[keys[i]], kb);
        kb -= shown->kb[keys[i]];
    }
}

/* memory.stat is flushed up to 2 s later than usage (v2), is read a moment later, and a limit may
 * have been lowered below use. Parts that are more than the whole make free(1) underflow: what is
 * used is given out once to what pages are, and once to the lists they are on. */
static void fit_stat(SfShownMemory *shown)
{
    static const SfMemoryKey kinds[] = {SF_MEMORY_ANON,
                                        SF_MEMORY_FILE,
                                        SF_MEMORY_SLAB_RECLAIMABLE,
                                        SF_MEMORY_SLAB_UNRECLAIMABLE,
                                        SF_MEMORY_KERNEL_STACK,
                                        SF_MEMORY_PAGETABLES,
                                        SF_MEMORY_SEC_PAGETABLES,
                                        SF_MEMORY_PERCPU,
                                        SF_MEMORY_VMALLOC,
                                        SF_MEMORY_ZSWAP};
    static const SfMemoryKey lists[] = {SF_MEMORY_ACTIVE_ANON, SF_MEMORY_INACTIVE_ANON,
                                        SF_MEMORY_ACTIVE_FILE, SF_MEMORY_INACTIVE_FILE,
                                        SF_MEMORY_UNEVICTABLE};
    static const struct {
        SfMemoryKey part, whole;
    } parts[] = {
        {SF_MEMORY_SHMEM, SF_MEMORY_FILE},      {SF_MEMORY_FILE_MAPPED, SF_MEMORY_FILE},
        {SF_MEMORY_FILE_DIRTY, SF_MEMORY_FILE}, {SF_MEMORY_FILE_WRITEBACK, SF_MEMORY_FILE},
        {SF_MEMORY_FILE_THP, SF_MEMORY_FILE},   {SF_MEMORY_SHMEM_THP, SF_MEMORY_SHMEM},
        {SF_MEMORY_ANON_THP, SF_MEMORY_ANON},
    };
    uint64_t used = sf_sub_sat(shown->total_kb, shown->free_kb);
    for (unsigned key = 0; key < SF_MEMORY_KEY_COUNT; key++)
        shown->kb[key] = shown->memory.stat.bytes[key] / KB;
    fit(shown, kinds, sizeof(kinds) / sizeof(kinds[0]), used);
    fit(shown, lists, sizeof(lists) / sizeof(lists[0]), used);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        shown->kb[parts[i].part] = sf_min_u64(shown->kb[parts[i].part], shown->kb[parts[i].whole]);
    shown->kb[SF_MEMORY_SWAPCACHED] = sf_min_u64(shown->kb[SF_MEMORY_SWAPCACHED], used);
}

static uint64_t host_bytes(const SfMeminfo *host, SfMeminfoKey key)
{
    return sf_mul_sat(sf_meminfo_value(host, key), KB);
}

int sf_shown_memory(SfContainer *container, const SfMeminfo *host, SfText *stat_text,
                    SfShownMemory *ret_shown)
{
    SfShownMemory shown = {0};

    int r = sf_container_memory_beside(container, host, stat_text, &shown.memory);
    if (r < 0 && r != -ENODATA)
        return r;
    if (r == -ENODATA) {
        shown.memory = (SfContainerMemory){0};
        shown.memory.limit.value = host_bytes(host, SF_MEMINFO_MEM_TOTAL);
        shown.memory.free_bytes = host_bytes(host, SF_MEMINFO_MEM_FREE);
        /* No cache that is known to be the container's to be given back. */
        shown.memory.available_bytes =
            sf_min_u64(shown.memory.free_bytes, host_bytes(host, SF_MEMINFO_MEM_AVAILABLE));
    }
    shown.total_kb = shown.memory.limit.value / KB;
    shown.free_kb = sf_min_u64(shown.memory.free_bytes / KB, shown.total_kb);
    fit_stat(&shown);
    *ret_shown = shown;
    return 0;
}
