/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/meminfo: the running kernel's lines, in its order and widths, with the container's values.
 * A line this file has no source for says 0; it must never pass the host's value on, but for the
 * two constants of the machine (VmallocTotal, Hugepagesize). Where there is no memory controller
 * nothing limits the container: MemTotal and MemFree are then the host's by the same rule (the
 * minimum over no cgroup and the host), and what was used by whom is not known: 0.
 */

#include "daemon/provider/provider.h"
#include "daemon/provider/shown_memory.h"
#include "daemon/source/meminfo.h"

#include <string.h>

#define KB 1024u

/* What the values are made from. */
typedef struct Figures {
    const SfMeminfo *host;
    uint64_t page_kb;
    SfShownMemory shown;
    uint64_t huge_total_pages;
    uint64_t huge_free_pages;
    uint64_t huge_page_kb;
} Figures;

static uint64_t host_kb(const Figures *figures, SfMeminfoKey key)
{
    return sf_meminfo_value(figures->host, key);
}

static uint64_t mem_total(const Figures *f)
{
    return f->shown.total_kb;
}

static uint64_t mem_free(const Figures *f)
{
    return f->shown.free_kb;
}

static uint64_t mem_available(const Figures *f)
{
    return sf_min_u64(f->shown.memory.available_bytes / KB, mem_total(f));
}

static uint64_t swap_total(const Figures *f)
{
    return f->shown.memory.swap_limit.value / KB;
}

static uint64_t swap_free(const Figures *f)
{
    /* From the rounded values, so that SwapTotal - SwapFree is Used of /proc/swaps. */
    return sf_sub_sat(swap_total(f), f->shown.memory.swap_used_bytes / KB);
}

/* mm/util.c vm_commit_limit(): a percentage of memory without hugetlb pages, or
 * vm.overcommit_kbytes, in whole pages; plus swap. The host's own line tells which, without reading
 * the sysctls: if a whole percentage gives it, that is the ratio; else the absolute value is taken
 * in proportion. */
static uint64_t commit_limit(const Figures *f)
{
    uint64_t base = sf_sub_sat(host_kb(f, SF_MEMINFO_MEM_TOTAL), host_kb(f, SF_MEMINFO_HUGETLB));
    uint64_t allowed =
        sf_sub_sat(host_kb(f, SF_MEMINFO_COMMIT_LIMIT), host_kb(f, SF_MEMINFO_SWAP_TOTAL));
    if (base == 0)
        return swap_total(f);
    unsigned __int128 scaled;
    uint64_t percent = (uint64_t)(((unsigned __int128)allowed * 100 + base / 2) / base);
    uint64_t by_percent = (uint64_t)((unsigned __int128)base * percent / 100);
    if (by_percent >= allowed && by_percent - allowed < f->page_kb)
        scaled = (unsigned __int128)mem_total(f) * percent / 100;
    else
        scaled = (unsigned __int128)mem_total(f) * allowed / base;
    uint64_t kb = (uint64_t)scaled;
    return sf_add_sat(kb - kb % f->page_kb, swap_total(f));
}

static uint64_t committed(const Figures *f)
{
    return f->shown.kb[SF_MEMORY_ANON] + f->shown.kb[SF_MEMORY_SHMEM] + swap_total(f) -
           swap_free(f);
}

static uint64_t vmalloc_total(const Figures *f)
{
    return host_kb(f, SF_MEMINFO_VMALLOC_TOTAL);
}

static uint64_t huge_page_size(const Figures *f)
{
    return f->huge_page_kb;
}

static uint64_t huge_total(const Figures *f)
{
    return f->huge_total_pages;
}

static uint64_t huge_free(const Figures *f)
{
    return f->huge_free_pages;
}

static uint64_t hugetlb(const Figures *f)
{
    return sf_mul_sat(f->huge_total_pages, f->huge_page_kb);
}

/* A line's value: by a rule of its own, or a key of memory.stat, or the sum of two. Lines without a
 * row say 0. */
typedef struct Line {
    uint64_t (*value)(const Figures *figures);
    bool in_stat;
    SfMemoryKey first, second; /* second == first: only one */
} Line;
#define STAT(key)                                                                                  \
    {                                                                                              \
        .in_stat = true, .first = key, .second = key                                               \
    }
#define SUM(one, other)                                                                            \
    {                                                                                              \
        .in_stat = true, .first = one, .second = other                                             \
    }

static const Line LINES[SF_MEMINFO_KEY_COUNT + 1] = {
    [SF_MEMINFO_MEM_TOTAL] = {.value = mem_total},
    [SF_MEMINFO_MEM_FREE] = {.value = mem_free},
    [SF_MEMINFO_MEM_AVAILABLE] = {.value = mem_available},
    [SF_MEMINFO_SWAP_TOTAL] = {.value = swap_total},
    [SF_MEMINFO_SWAP_FREE] = {.value = swap_free},
    [SF_MEMINFO_COMMIT_LIMIT] = {.value = commit_limit},
    [SF_MEMINFO_COMMITTED_AS] = {.value = committed},
    [SF_MEMINFO_VMALLOC_TOTAL] = {.value = vmalloc_total},
    [SF_MEMINFO_HUGETLB] = {.value = hugetlb},
    [SF_MEMINFO_HUGEPAGESIZE] = {.value = huge_page_size},
    [SF_MEMINFO_HUGE_PAGES_TOTAL] = {.value = huge_total},
    [SF_MEMINFO_HUGE_PAGES_FREE] = {.value = huge_free},
    [SF_MEMINFO_CACHED] = STAT(SF_MEMORY_FILE),
    [SF_MEMINFO_SWAP_CACHED] = STAT(SF_MEMORY_SWAPCACHED),
    [SF_MEMINFO_ACTIVE] = SUM(SF_MEMORY_ACTIVE_ANON, SF_MEMORY_ACTIVE_FILE),
    [SF_MEMINFO_INACTIVE] = SUM(SF_MEMORY_INACTIVE_ANON, SF_MEMORY_INACTIVE_FILE),
    [SF_MEMINFO_ACTIVE_ANON] = STAT(SF_MEMORY_ACTIVE_ANON),
    [SF_MEMINFO_INACTIVE_ANON] = STAT(SF_MEMORY_INACTIVE_ANON),
    [SF_MEMINFO_ACTIVE_FILE] = STAT(SF_MEMORY_ACTIVE_FILE),
    [SF_MEMINFO_INACTIVE_FILE] = STAT(SF_MEMORY_INACTIVE_FILE),
    [SF_MEMINFO_UNEVICTABLE] = STAT(SF_MEMORY_UNEVICTABLE),
    [SF_MEMINFO_DIRTY] = STAT(SF_MEMORY_FILE_DIRTY),
    [SF_MEMINFO_WRITEBACK] = STAT(SF_MEMORY_FILE_WRITEBACK),
    [SF_MEMINFO_ANON_PAGES] = STAT(SF_MEMORY_ANON),
    [SF_MEMINFO_MAPPED] = STAT(SF_MEMORY_FILE_MAPPED),
    [SF_MEMINFO_SHMEM] = STAT(SF_MEMORY_SHMEM),
    [SF_MEMINFO_K_RECLAIMABLE] = STAT(SF_MEMORY_SLAB_RECLAIMABLE),
    [SF_MEMINFO_SLAB] = SUM(SF_MEMORY_SLAB_RECLAIMABLE, SF_MEMORY_SLAB_UNRECLAIMABLE),
    [SF_MEMINFO_S_RECLAIMABLE] = STAT(SF_MEMORY_SLAB_RECLAIMABLE),
    [SF_MEMINFO_S_UNRECLAIM] = STAT(SF_MEMORY_SLAB_UNRECLAIMABLE),
    [SF_MEMINFO_KERNEL_STACK] = STAT(SF_MEMORY_KERNEL_STACK),
    [SF_MEMINFO_PAGE_TABLES] = STAT(SF_MEMORY_PAGETABLES),
    [SF_MEMINFO_SEC_PAGE_TABLES] = STAT(SF_MEMORY_SEC_PAGETABLES),
    [SF_MEMINFO_PERCPU] = STAT(SF_MEMORY_PERCPU),
    [SF_MEMINFO_VMALLOC_USED] = STAT(SF_MEMORY_VMALLOC),
    [SF_MEMINFO_ANON_HUGE_PAGES] = STAT(SF_MEMORY_ANON_THP),
    [SF_MEMINFO_SHMEM_HUGE_PAGES] = STAT(SF_MEMORY_SHMEM_THP),
    [SF_MEMINFO_FILE_HUGE_PAGES] = STAT(SF_MEMORY_FILE_THP),
    [SF_MEMINFO_ZSWAP] = STAT(SF_MEMORY_ZSWAP),
    [SF_MEMINFO_ZSWAPPED] = STAT(SF_MEMORY_ZSWAPPED),
};

static uint64_t value_of(const Figures *f, SfMeminfoKey key)
{
    const Line *line = &LINES[key];

    if (line->value)
        return line->value(f);
    if (!line->in_stat)
        return 0;
    return f->shown.kb[line->first] + (line->second != line->first ? f->shown.kb[line->second] : 0);
}

static bool is_narrow(const SfMeminfoEntry *entry)
{
    return entry->id == SF_MEMINFO_HARDWARE_CORRUPTED ||
           strncmp(entry->key, "HugePages_", strlen("HugePages_")) == 0;
}

/* Prints the value the way the kernel printed the host's. Its lines are a fixed prefix and a number
 * of at least `width` places (fs/proc/meminfo.c: 8; mm/hugetlb.c and HardwareCorrupted: 5).
 * Prefixes differ: 6.1 has "SecPageTables:\t", powerpc "DirectMap64k:    ", so they are taken from
 * the host's line. */
static void put_line(SfText *text, const SfMeminfoEntry *entry, const Figures *f)
{
    SfSlice line = entry->line, number = entry->number;
    size_t width = is_narrow(entry) ? 5 : 8;
    size_t prefix = (size_t)(number.data - line.data), key_end = strlen(entry->key) + 1;

    if (number.len < width)
        prefix = sf_sub_sat(prefix + number.len, width);
    if (prefix < key_end)
        prefix = key_end;
    sf_text_append(text, line.data, prefix);
    sf_text_u64_wide(text, value_of(f, entry->id), (unsigned)width);
    const char *rest = number.data + number.len; /* " kB" or nothing */
    sf_text_append(text, rest, (size_t)(line.data + line.len - rest));
    sf_text_putc(text, '\n');
}

/* Pages of the host's pool that the container's hugetlb cgroup and its ancestors allow it. */
static void read_hugetlb(SfContainer *container, Figures *f)
{
    f->huge_page_kb = host_kb(f, SF_MEMINFO_HUGEPAGESIZE);
    uint64_t pool = host_kb(f, SF_MEMINFO_HUGE_PAGES_TOTAL),
             pool_free = host_kb(f, SF_MEMINFO_HUGE_PAGES_FREE);
    if (pool == 0 || f->huge_page_kb == 0)
        return; /* nothing to share out, and no files to read */
    uint64_t page_bytes = f->huge_page_kb * KB, limit, usage, free_pages;
    SfCgroup *cgroup = sf_container_cgroup(container, SF_CONTROLLER_HUGETLB);
    if (!cgroup || sf_cgroup_hugetlb(cgroup, f->huge_page_kb, &limit, &usage) < 0)
        return; /* no controller: 0 */
    uint64_t total = sf_min_u64(pool, limit / page_bytes);
    free_pages = sf_min_u64(pool_free, sf_sub_sat(limit, usage) / page_bytes);
    uint64_t own_usage = usage / page_bytes;
    while ((cgroup = sf_cgroup_parent(cgroup))) {
        if (sf_cgroup_hugetlb(cgroup, f->huge_page_kb, &limit, &usage) < 0)
            continue; /* the top has no limit */
        total = sf_min_u64(total, limit / page_bytes);
        free_pages = sf_min_u64(free_pages, sf_sub_sat(limit, usage) / page_bytes);
    }
    f->huge_total_pages = total;
    f->huge_free_pages = sf_min_u64(free_pages, sf_sub_sat(total, own_usage));
}

static int render_lines(SfContainer *container, const SfMeminfo *host, SfText *text)
{
    Figures figures = {
        .host = host,
        .page_kb = sf_host_page_bytes(sf_container_host(container)) / KB,
    };
    int r = sf_shown_memory(container, host, NULL, &figures.shown);
    if (r < 0)
        return r;
    read_hugetlb(container, &figures);
    for (unsigned i = 0; i < host->count; i++)
        put_line(text, &host->entries[i], &figures);
    return 0;
}

static int render(SfContainer *container, SfText *text)
{
    SfSharedText *host = NULL;
    int r = sf_host_derived(sf_container_host(container), SF_HOST_MEMINFO, &sf_meminfo_derivation,
                            &host);
    if (r < 0)
        return r;
    r = render_lines(container, host->derived, text);
    (void)sf_shared_text_unref(host); /* always NULL */
    return r;
}

const SfProviderOps sf_provider_proc_meminfo_ops = {
    .source = "memory cgroup",
    .render = render,
};
