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

#include <inttypes.h>
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

static uint64_t host_kb(const Figures *figures, const char *key)
{
    uint64_t value;
    return sf_meminfo_get(figures->host, key, &value) < 0 ? 0 : value;
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
    uint64_t base = sf_sub_sat(host_kb(f, "MemTotal"), host_kb(f, "Hugetlb"));
    uint64_t allowed = sf_sub_sat(host_kb(f, "CommitLimit"), host_kb(f, "SwapTotal"));
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
    return host_kb(f, "VmallocTotal");
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

/* Lines with a rule of their own. */
static const struct {
    const char *key;
    uint64_t (*value)(const Figures *figures);
} rules[] = {
    {"MemTotal", mem_total},
    {"MemFree", mem_free},
    {"MemAvailable", mem_available},
    {"SwapTotal", swap_total},
    {"SwapFree", swap_free},
    {"CommitLimit", commit_limit},
    {"Committed_AS", committed},
    {"VmallocTotal", vmalloc_total},
    {"Hugetlb", hugetlb},
    {"Hugepagesize", huge_page_size},
    {"HugePages_Total", huge_total},
    {"HugePages_Free", huge_free},
};

/* Lines that are a key of memory.stat, or the sum of two. */
static const struct {
    const char *key;
    SfMemoryKey first, second; /* SF_MEMORY_KEY_COUNT: none */
} stat_lines[] = {
    {"Cached", SF_MEMORY_FILE, SF_MEMORY_KEY_COUNT},
    {"SwapCached", SF_MEMORY_SWAPCACHED, SF_MEMORY_KEY_COUNT},
    {"Active", SF_MEMORY_ACTIVE_ANON, SF_MEMORY_ACTIVE_FILE},
    {"Inactive", SF_MEMORY_INACTIVE_ANON, SF_MEMORY_INACTIVE_FILE},
    {"Active(anon)", SF_MEMORY_ACTIVE_ANON, SF_MEMORY_KEY_COUNT},
    {"Inactive(anon)", SF_MEMORY_INACTIVE_ANON, SF_MEMORY_KEY_COUNT},
    {"Active(file)", SF_MEMORY_ACTIVE_FILE, SF_MEMORY_KEY_COUNT},
    {"Inactive(file)", SF_MEMORY_INACTIVE_FILE, SF_MEMORY_KEY_COUNT},
    {"Unevictable", SF_MEMORY_UNEVICTABLE, SF_MEMORY_KEY_COUNT},
    {"Dirty", SF_MEMORY_FILE_DIRTY, SF_MEMORY_KEY_COUNT},
    {"Writeback", SF_MEMORY_FILE_WRITEBACK, SF_MEMORY_KEY_COUNT},
    {"AnonPages", SF_MEMORY_ANON, SF_MEMORY_KEY_COUNT},
    {"Mapped", SF_MEMORY_FILE_MAPPED, SF_MEMORY_KEY_COUNT},
    {"Shmem", SF_MEMORY_SHMEM, SF_MEMORY_KEY_COUNT},
    {"KReclaimable", SF_MEMORY_SLAB_RECLAIMABLE, SF_MEMORY_KEY_COUNT},
    {"Slab", SF_MEMORY_SLAB_RECLAIMABLE, SF_MEMORY_SLAB_UNRECLAIMABLE},
    {"SReclaimable", SF_MEMORY_SLAB_RECLAIMABLE, SF_MEMORY_KEY_COUNT},
    {"SUnreclaim", SF_MEMORY_SLAB_UNRECLAIMABLE, SF_MEMORY_KEY_COUNT},
    {"KernelStack", SF_MEMORY_KERNEL_STACK, SF_MEMORY_KEY_COUNT},
    {"PageTables", SF_MEMORY_PAGETABLES, SF_MEMORY_KEY_COUNT},
    {"SecPageTables", SF_MEMORY_SEC_PAGETABLES, SF_MEMORY_KEY_COUNT},
    {"Percpu", SF_MEMORY_PERCPU, SF_MEMORY_KEY_COUNT},
    {"VmallocUsed", SF_MEMORY_VMALLOC, SF_MEMORY_KEY_COUNT},
    {"AnonHugePages", SF_MEMORY_ANON_THP, SF_MEMORY_KEY_COUNT},
    {"ShmemHugePages", SF_MEMORY_SHMEM_THP, SF_MEMORY_KEY_COUNT},
    {"FileHugePages", SF_MEMORY_FILE_THP, SF_MEMORY_KEY_COUNT},
    {"Zswap", SF_MEMORY_ZSWAP, SF_MEMORY_KEY_COUNT},
    {"Zswapped", SF_MEMORY_ZSWAPPED, SF_MEMORY_KEY_COUNT},
};

static uint64_t value_of(const Figures *f, SfSlice key)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (sf_slice_eq(key, rules[i].key))
            return rules[i].value(f);
    }
    for (size_t i = 0; i < sizeof(stat_lines) / sizeof(stat_lines[0]); i++) {
        if (!sf_slice_eq(key, stat_lines[i].key))
            continue;
        uint64_t kb = f->shown.kb[stat_lines[i].first];
        if (stat_lines[i].second != SF_MEMORY_KEY_COUNT)
            kb += f->shown.kb[stat_lines[i].second];
        return kb;
    }
    return 0;
}

/* Prints `value` the way the kernel printed the host's. Its lines are a fixed prefix and a number
 * of at least `width` places (fs/proc/meminfo.c: 8; mm/hugetlb.c and HardwareCorrupted: 5).
 * Prefixes differ: 6.1 has "SecPageTables:\t", powerpc "DirectMap64k:    ", so they are taken from
 * the host's line. */
static int put_line(SfText *text, SfSlice line, const Figures *f)
{
    const char *colon = memchr(line.data, ':', line.len);
    if (!colon)
        return -EINVAL;
    SfSlice key = sf_slice(line.data, (size_t)(colon - line.data));
    SfSlice rest = sf_slice(colon + 1, line.len - key.len - 1), number;
    if (!sf_slice_next_word(&rest, &number))
        return -EINVAL;

    size_t width =
        sf_slice_starts(key, "HugePages_") || sf_slice_eq(key, "HardwareCorrupted") ? 5 : 8;
    size_t prefix = (size_t)(number.data - line.data);
    if (number.len < width)
        prefix = sf_sub_sat(prefix + number.len, width);
    if (prefix < key.len + 1)
        prefix = key.len + 1;
    sf_text_append(text, line.data, prefix);
    sf_text_printf(text, "%*" PRIu64, (int)width, value_of(f, key));
    sf_text_slice(text, rest); /* " kB" or nothing */
    sf_text_putc(text, '\n');
    return 0;
}

/* Pages of the host's pool that the container's hugetlb cgroup and its ancestors allow it. */
static void read_hugetlb(SfContainer *container, Figures *f)
{
    f->huge_page_kb = host_kb(f, "Hugepagesize");
    uint64_t pool = host_kb(f, "HugePages_Total"), pool_free = host_kb(f, "HugePages_Free");
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

static int render_lines(SfContainer *container, const SfSharedText *host_text, SfText *text)
{
    SfMeminfo host;
    int r = sf_meminfo_parse(host_text->data, host_text->len, &host);
    if (r < 0)
        return r;
    Figures figures = {
        .host = &host,
        .page_kb = sf_host_page_bytes(sf_container_host(container)) / KB,
    };
    r = sf_shown_memory(container, &host, &figures.shown);
    if (r < 0)
        return r;
    read_hugetlb(container, &figures);

    SfSlice rest = sf_slice(host_text->data, host_text->len), line;
    while (r == 0 && sf_slice_next_line(&rest, &line))
        r = put_line(text, line, &figures);
    return r;
}

static int render(SfContainer *container, SfText *text)
{
    SfSharedText *host_text = NULL;
    int r = sf_host_text(sf_container_host(container), SF_HOST_MEMINFO, &host_text);
    if (r < 0)
        return r;
    r = render_lines(container, host_text, text);
    (void)sf_shared_text_unref(host_text); /* always NULL */
    return r;
}

const SfProviderOps sf_provider_proc_meminfo_ops = {
    .source = "memory cgroup",
    .render = render,
};
