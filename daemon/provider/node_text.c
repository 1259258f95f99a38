/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meminfo, vmstat, numastat and huge pages of a node. What a container has of a thing is in its own
 * /proc files; a node gets of it what it has of the memory of all nodes that the container may use,
 * so that the sum over the nodes is what /proc says. Where the kernel knows better (numastat), it
 * is asked.
 */

#include "daemon/provider/node_text.h"

#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <string.h>

#include "daemon/provider/mask.h"
#include "daemon/provider/provider.h"
#include "daemon/source/meminfo.h"
#include "daemon/source/topology.h"

typedef unsigned __int128 Wide;

/* Where a node stands among those the container may use, by the host's MemTotal. */
typedef struct Share {
    uint64_t before, weight, total;
} Share;

uint64_t sf_node_part(uint64_t whole, uint64_t before, uint64_t weight, uint64_t total,
                      uint64_t unit)
{
    if (total == 0 || weight == 0)
        return 0;
    uint64_t units = whole / unit;
    uint64_t low = (uint64_t)((Wide)units * before / total);
    uint64_t high = (uint64_t)((Wide)units * (before + weight) / total);
    uint64_t part = (high - low) * unit;
    /* What is less than a unit goes to the last. */
    return before + weight == total ? part + whole % unit : part;
}

static int share_of(SfContainer *container, unsigned node, Share *ret_share)
{
    SfCpuSet allowed;
    Share share = {0};

    int r = sf_container_allowed_nodes(container, &allowed);
    if (r < 0)
        return r;
    sf_cpuset_foreach (other, &allowed) {
        uint64_t kb;
        if (sf_host_node_total_kb(sf_container_host(container), (unsigned)other, &kb) < 0)
            continue; /* went offline: its memory is the others' now */
        share.total += kb;
        if ((unsigned)other < node)
            share.before += kb;
        else if ((unsigned)other == node)
            share.weight = kb;
    }
    *ret_share = share;
    return 0;
}

static int render_own(SfContainer *container, const char *name, SfText *text)
{
    const SfProvider *provider = sf_provider_named(name);

    return provider ? provider->ops->render(container, text) : -ENOENT;
}

static uint64_t value_of(const SfMeminfo *info, const char *key)
{
    uint64_t value;

    return sf_meminfo_get(info, key, &value) < 0 ? 0 : value;
}

/* One of the values a node's meminfo has, in kB or pieces. */
static uint64_t node_value(const SfMeminfo *own, const Share *share, const char *key, bool in_kb,
                           uint64_t page_kb)
{
    uint64_t unit = in_kb ? page_kb : 1;

    if (strcmp(key, "MemUsed") == 0)
        return sf_sub_sat(node_value(own, share, "MemTotal", true, page_kb),
                          node_value(own, share, "MemFree", true, page_kb));
    if (strcmp(key, "FilePages") == 0) /* fs/proc/meminfo.c takes the other two off for Cached */
        return node_value(own, share, "Cached", true, page_kb) +
               node_value(own, share, "SwapCached", true, page_kb) +
               node_value(own, share, "Buffers", true, page_kb);
    return sf_node_part(value_of(own, key), share->before, share->weight, share->total, unit);
}

/* "Node 0 MemTotal:        6514900 kB": the key and the number are the third and fourth word. */
static int meminfo_line(SfText *text, SfSlice line, const SfMeminfo *own, const Share *share,
                        uint64_t page_kb)
{
    SfSlice rest = line, word, key, number, unit = {0};

    if (!sf_slice_next_word(&rest, &word) || !sf_slice_eq(word, "Node") ||
        !sf_slice_next_word(&rest, &word) || !sf_slice_next_word(&rest, &key) || key.len < 2 ||
        !sf_slice_next_word(&rest, &number))
        return -EINVAL;
    (void)sf_slice_next_word(&rest, &unit); /* huge pages are counted in pieces */
    g_autofree char *name = g_strndup(key.data, key.len - 1);
    uint64_t value = node_value(own, share, name, unit.len > 0, page_kb);
    /* The number ends where the host's does. */
    size_t before = (size_t)(key.data + key.len - line.data);
    sf_text_append(text, line.data, before);
    sf_text_printf(text, "%*" PRIu64, (int)(number.data + number.len - line.data - before), value);
    sf_text_append(text, number.data + number.len,
                   (size_t)(line.data + line.len - number.data - number.len));
    sf_text_putc(text, '\n');
    return 0;
}

static int node_meminfo(SfContainer *container, unsigned node, SfSlice host, SfText *text)
{
    SF_CLEANUP_TEXT SfText rendered = SF_TEXT_INIT;
    uint64_t page_kb = sf_host_page_bytes(sf_container_host(container)) / 1024;
    SfMeminfo own;
    SfSlice line;
    Share share;

    int r = share_of(container, node, &share);
    if (r >= 0)
        r = render_own(container, "proc_meminfo", &rendered);
    if (r >= 0)
        r = sf_meminfo_parse(rendered.data, rendered.len, &own);
    while (r >= 0 && sf_slice_next_line(&host, &line))
        r = meminfo_line(text, line, &own, &share, page_kb);
    return r;
}

static uint64_t node_pages(SfContainer *container, unsigned node)
{
    uint64_t pages;

    return sf_container_node_pages(container, node, &pages) < 0 ? 0 : pages;
}

/* Allocations are not counted by cgroup. What is on a node was allocated there, by a task that
 * wanted it there. */
static bool is_hit(SfSlice key)
{
    return sf_slice_eq(key, "numa_hit") || sf_slice_eq(key, "local_node") ||
           sf_slice_eq(key, "numa_local");
}

/* The number of a key in the container's /proc/vmstat. */
static uint64_t vmstat_value(SfSlice own, SfSlice key)
{
    SfSlice line, word;
    uint64_t value;

    while (sf_slice_next_line(&own, &line)) {
        if (sf_slice_next_word(&line, &word) && word.len == key.len &&
            memcmp(word.data, key.data, key.len) == 0)
            return sf_slice_u64(sf_slice_trim(line), &value) < 0 ? 0 : value;
    }
    return 0;
}

/* numastat and vmstat: "key number". */
static int node_counters(SfContainer *container, unsigned node, bool vmstat, SfSlice host,
                         SfText *text)
{
    SF_CLEANUP_TEXT SfText own = SF_TEXT_INIT;
    uint64_t hits = node_pages(container, node);
    SfSlice line, key;
    Share share;

    int r = share_of(container, node, &share);
    if (r < 0)
        return r;
    if (vmstat && (r = render_own(container, "proc_vmstat", &own)) < 0 && r != -ENOENT)
        return r;
    while (sf_slice_next_line(&host, &line)) {
        if (!sf_slice_next_word(&line, &key))
            return -EINVAL;
        uint64_t value = 0;
        if (is_hit(key))
            value = hits;
        else if (own.len > 0 && share.total > 0) /* cut off, so that no counter ever decreases */
            value = (uint64_t)((Wide)vmstat_value(sf_slice(own.data, own.len), key) * share.weight /
                               share.total);
        sf_text_printf(text, "%.*s %" PRIu64 "\n", (int)key.len, key.data, value);
    }
    return 0;
}

/* "hugepages/hugepages-2048kB/nr_hugepages": the container's of the default size, which is the one
 * /proc/meminfo counts, and none of the others. */
static int node_huge_pages(SfContainer *container, unsigned node, const char *name, SfText *text)
{
    static const char *const files[][2] = {{"nr_hugepages", "HugePages_Total"},
                                           {"free_hugepages", "HugePages_Free"},
                                           {"surplus_hugepages", "HugePages_Surp"}};
    SF_CLEANUP_TEXT SfText rendered = SF_TEXT_INIT;
    const char *key = NULL;
    SfMeminfo own;
    Share share;

    for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
        if (strcmp(sf_path_name(name), files[i][0]) == 0)
            key = files[i][1];
    }
    if (!key)
        return -ENOENT;
    int r = share_of(container, node, &share);
    if (r >= 0)
        r = render_own(container, "proc_meminfo", &rendered);
    if (r >= 0)
        r = sf_meminfo_parse(rendered.data, rendered.len, &own);
    if (r < 0)
        return r;
    g_autofree char *directory =
        g_strdup_printf("hugepages/hugepages-%" PRIu64 "kB/", value_of(&own, "Hugepagesize"));
    uint64_t value = g_str_has_prefix(name, directory) ? value_of(&own, key) : 0;
    sf_text_printf(text, "%" PRIu64 "\n",
                   sf_node_part(value, share.before, share.weight, share.total, 1));
    return 0;
}

int sf_node_text(SfContainer *container, unsigned node, const char *name, SfSlice host,
                 SfText *text)
{
    if (strcmp(name, "meminfo") == 0)
        return node_meminfo(container, node, host, text);
    if (strcmp(name, "vmstat") == 0 || strcmp(name, "numastat") == 0)
        return node_counters(container, node, name[0] == 'v', host, text);
    if (g_str_has_prefix(name, "hugepages/"))
        return node_huge_pages(container, node, name, text);
    return -ENOENT;
}
