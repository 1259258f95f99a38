/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory and swap of a container: limits over the hierarchy and what is left below them. It reads
 * and computes, and keeps nothing. Each file is read at an instant of its own while the container
 * runs and its limits change: every subtraction saturates and every part is held within its whole.
 */

#include "daemon/container/container_private.h"

#include "daemon/source/meminfo.h"
#include "lib/base/scratch.h"

typedef struct HostMemory {
    uint64_t total_bytes;
    uint64_t free_bytes;
    uint64_t available_bytes; /* SF_UNLIMITED before Linux 3.14, which does not tell */
    uint64_t swap_total_bytes;
} HostMemory;

static uint64_t get_bytes(const SfMeminfo *info, SfMeminfoKey key)
{
    return sf_mul_sat(sf_meminfo_value(info, key), 1024);
}

/* A kernel without CONFIG_SWAP still prints 0 kB; no line means the same. */
static int host_memory(const SfMeminfo *info, HostMemory *ret_memory)
{
    if (!sf_meminfo_has(info, SF_MEMINFO_MEM_TOTAL) || !sf_meminfo_has(info, SF_MEMINFO_MEM_FREE))
        return -ENODATA;
    *ret_memory = (HostMemory){
        .total_bytes = get_bytes(info, SF_MEMINFO_MEM_TOTAL),
        .free_bytes = get_bytes(info, SF_MEMINFO_MEM_FREE),
        .available_bytes = sf_meminfo_has(info, SF_MEMINFO_MEM_AVAILABLE)
                               ? get_bytes(info, SF_MEMINFO_MEM_AVAILABLE)
                               : SF_UNLIMITED,
        .swap_total_bytes = get_bytes(info, SF_MEMINFO_SWAP_TOTAL),
    };
    return 0;
}

/* On v2 a cgroup whose parent does not enable the controller has no files of it, and its pages are
 * charged to the nearest ancestor that has (cgroup_get_e_css()): that one is the container's own.
 * The hierarchy's top accounts the host, never a container. */
static int find_own(const SfContainer *container, SfCgroup **ret_cgroup, uint64_t *ret_usage_bytes)
{
    for (SfCgroup *cgroup = container->cgroups[SF_CONTROLLER_MEMORY];
         cgroup != NULL && !sf_cgroup_is_top(cgroup); cgroup = sf_cgroup_parent(cgroup)) {
        int r = sf_cgroup_memory_usage(cgroup, ret_usage_bytes);
        if (r == 0)
            *ret_cgroup = cgroup;
        if (r != -ENODATA)
            return r;
    }
    return -ENODATA;
}

/* Limit and free memory; memory->usage_bytes is set. A limit that the host's size already keeps is
 * none. */
static int walk_memory(SfCgroup *own, const HostMemory *host, SfContainerMemory *memory)
{
    uint64_t free_bytes = SF_UNLIMITED;

    memory->limit = (SfLimit){.value = host->total_bytes, .by = NULL};
    for (SfCgroup *cgroup = own; cgroup != NULL; cgroup = sf_cgroup_parent(cgroup)) {
        uint64_t limit_bytes, usage_bytes = memory->usage_bytes;
        int r = sf_cgroup_memory_limit(cgroup, &limit_bytes);
        if (r == -ENODATA)
            continue;
        if (r < 0)
            return r;
        if (limit_bytes >= host->total_bytes)
            continue;
        if (limit_bytes < memory->limit.value)
            memory->limit = (SfLimit){.value = limit_bytes, .by = cgroup};
        r = cgroup == own ? 0 : sf_cgroup_memory_usage(cgroup, &usage_bytes);
        if (r == -ENODATA)
            continue;
        if (r < 0)
            return r;
        free_bytes = sf_min_u64(free_bytes, sf_sub_sat(limit_bytes, usage_bytes));
    }
    memory->limited = memory->limit.by != NULL;
    memory->free_bytes =
        sf_min_u64(memory->limited ? free_bytes : host->free_bytes, memory->limit.value);
    return 0;
}

/* limit() of one file over the hierarchy; SF_UNLIMITED where no cgroup has it. */
static int walk_limit(SfCgroup *own, int (*read_limit)(SfCgroup *, uint64_t *), SfLimit *ret_limit)
{
    SfLimit limit = {.value = SF_UNLIMITED, .by = NULL};

    for (SfCgroup *cgroup = own; cgroup != NULL; cgroup = sf_cgroup_parent(cgroup)) {
        uint64_t value;
        int r = read_limit(cgroup, &value);
        if (r == -ENODATA)
            continue;
        if (r < 0)
            return r;
        if (value < limit.value)
            limit = (SfLimit){.value = value, .by = cgroup};
    }
    *ret_limit = limit;
    return 0;
}

/* v1 limits memory and swap together: what memory cannot take is left for swap. memory.swappiness 0
 * does not change it: it keeps reclaim from swapping on its own accord, not when there is nothing
 * else to reclaim, nor swap by an ancestor.
 *
 * Where swap is not accounted (swapaccount=0, no CONFIG_SWAP), no file is there and nothing in the
 * kernel keeps the container from the host's swap: it may use all of it, and so that is the limit.
 * How much it uses the kernel does not count; only what is known to be the container's is shown as
 * used, and that is nothing. */
static int read_swap(SfCgroup *own, const HostMemory *host, uint64_t usage_bytes,
                     SfContainerMemory *memory)
{
    SfLimit limit = {.value = 0, .by = NULL};
    uint64_t used_bytes = 0;

    if (host->swap_total_bytes > 0) {
        bool v1 = sf_cgroup_version_of(own) == 1;
        int r = walk_limit(own, v1 ? sf_cgroup_memsw_limit : sf_cgroup_swap_limit, &limit);
        if (r < 0)
            return r;
        if (v1) /* from "no limit" too: what remains is above any host's swap */
            limit.value = sf_sub_sat(limit.value, memory->limit.value);
        if (limit.value >= host->swap_total_bytes)
            limit = (SfLimit){.value = host->swap_total_bytes, .by = NULL};
        r = sf_cgroup_swap_usage_beside(own, usage_bytes, &used_bytes);
        if (r < 0 && r != -ENODATA)
            return r;
        if (r == -ENODATA)
            used_bytes = 0;
    }
    memory->swap_limit = limit;
    memory->swap_used_bytes = sf_min_u64(used_bytes, limit.value);
    return 0;
}

/* memory.stat of the container's own cgroup; all 0 where there is none. */
static int read_stat(SfCgroup *own, SfText *stat_text, SfMemoryStat *stat)
{
    SF_SCRATCH SfText *scratch = stat_text != NULL ? NULL : sf_scratch_take();
    SfText *text = stat_text != NULL ? stat_text : scratch;

    int r = sf_cgroup_read_text(own, SF_CGROUP_MEMORY_STAT, text);
    if (r < 0)
        return r == -ENODATA ? 0 : r;
    return sf_memory_stat_parse(text->data, text->len, sf_cgroup_version_of(own), stat);
}

int sf_container_memory_beside(SfContainer *container, const SfMeminfo *host_info,
                               SfText *stat_text, SfContainerMemory *ret_memory)
{
    SfContainerMemory memory = {0};
    HostMemory host;
    SfCgroup *own = NULL;

    int r = find_own(container, &own, &memory.usage_bytes);
    if (r < 0)
        return r;
    r = host_memory(host_info, &host);
    if (r < 0)
        return r;
    memory.host_total_bytes = host.total_bytes;
    r = walk_memory(own, &host, &memory);
    if (r < 0)
        return r;
    uint64_t used_bytes = memory.usage_bytes;
    memory.usage_bytes = sf_min_u64(memory.usage_bytes, memory.limit.value);
    r = read_stat(own, stat_text, &memory.stat);
    if (r < 0)
        return r;

    uint64_t reclaimable = sf_add_sat(memory.stat.bytes[SF_MEMORY_ACTIVE_FILE],
                                      memory.stat.bytes[SF_MEMORY_INACTIVE_FILE]);
    reclaimable = sf_add_sat(reclaimable, memory.stat.bytes[SF_MEMORY_SLAB_RECLAIMABLE]);
    memory.available_bytes = sf_min_u64(sf_add_sat(memory.free_bytes, reclaimable),
                                        sf_min_u64(host.available_bytes, memory.limit.value));
    r = read_swap(own, &host, used_bytes, &memory);
    if (r < 0)
        return r;
    *ret_memory = memory;
    return 0;
}

int sf_container_memory(SfContainer *container, SfContainerMemory *ret_memory)
{
    g_autoptr(SfSharedTextRef) text = NULL;

    int r = sf_host_derived(container->host, SF_HOST_MEMINFO, &sf_meminfo_derivation, &text);
    return r < 0 ? r : sf_container_memory_beside(container, text->derived, NULL, ret_memory);
}

int sf_container_swap(SfContainer *container, SfContainerSwap *ret_swap)
{
    g_autoptr(SfSharedTextRef) text = NULL;
    SfContainerMemory memory = {0};
    HostMemory host;
    SfCgroup *own = NULL;

    int r = sf_host_derived(container->host, SF_HOST_MEMINFO, &sf_meminfo_derivation, &text);
    if (r == 0)
        r = host_memory(text->derived, &host);
    if (r == 0 && host.swap_total_bytes > 0) {
        r = find_own(container, &own, &memory.usage_bytes);
        if (r == 0 && sf_cgroup_version_of(own) == 1) /* what memory cannot take is left for swap */
            r = walk_memory(own, &host, &memory);
        if (r == 0)
            r = read_swap(own, &host, memory.usage_bytes, &memory);
    }
    if (r < 0)
        return r;
    *ret_swap = (SfContainerSwap){memory.swap_limit, memory.swap_used_bytes};
    return 0;
}
