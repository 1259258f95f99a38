/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The parser of /proc/meminfo. It keeps every line in order and knows the meaning of none: which
 * keys a container sees and with what value is the provider's.
 */

#include "daemon/source/meminfo.h"

#include <string.h>

static const char *const KEYS[SF_MEMINFO_KEY_COUNT] = {
    [SF_MEMINFO_MEM_TOTAL] = "MemTotal",
    [SF_MEMINFO_MEM_FREE] = "MemFree",
    [SF_MEMINFO_MEM_AVAILABLE] = "MemAvailable",
    [SF_MEMINFO_CACHED] = "Cached",
    [SF_MEMINFO_SWAP_CACHED] = "SwapCached",
    [SF_MEMINFO_ACTIVE] = "Active",
    [SF_MEMINFO_INACTIVE] = "Inactive",
    [SF_MEMINFO_ACTIVE_ANON] = "Active(anon)",
    [SF_MEMINFO_INACTIVE_ANON] = "Inactive(anon)",
    [SF_MEMINFO_ACTIVE_FILE] = "Active(file)",
    [SF_MEMINFO_INACTIVE_FILE] = "Inactive(file)",
    [SF_MEMINFO_UNEVICTABLE] = "Unevictable",
    [SF_MEMINFO_SWAP_TOTAL] = "SwapTotal",
    [SF_MEMINFO_SWAP_FREE] = "SwapFree",
    [SF_MEMINFO_ZSWAP] = "Zswap",
    [SF_MEMINFO_ZSWAPPED] = "Zswapped",
    [SF_MEMINFO_DIRTY] = "Dirty",
    [SF_MEMINFO_WRITEBACK] = "Writeback",
    [SF_MEMINFO_ANON_PAGES] = "AnonPages",
    [SF_MEMINFO_MAPPED] = "Mapped",
    [SF_MEMINFO_SHMEM] = "Shmem",
    [SF_MEMINFO_K_RECLAIMABLE] = "KReclaimable",
    [SF_MEMINFO_SLAB] = "Slab",
    [SF_MEMINFO_S_RECLAIMABLE] = "SReclaimable",
    [SF_MEMINFO_S_UNRECLAIM] = "SUnreclaim",
    [SF_MEMINFO_KERNEL_STACK] = "KernelStack",
    [SF_MEMINFO_PAGE_TABLES] = "PageTables",
    [SF_MEMINFO_SEC_PAGE_TABLES] = "SecPageTables",
    [SF_MEMINFO_COMMIT_LIMIT] = "CommitLimit",
    [SF_MEMINFO_COMMITTED_AS] = "Committed_AS",
    [SF_MEMINFO_VMALLOC_TOTAL] = "VmallocTotal",
    [SF_MEMINFO_VMALLOC_USED] = "VmallocUsed",
    [SF_MEMINFO_PERCPU] = "Percpu",
    [SF_MEMINFO_HARDWARE_CORRUPTED] = "HardwareCorrupted",
    [SF_MEMINFO_ANON_HUGE_PAGES] = "AnonHugePages",
    [SF_MEMINFO_SHMEM_HUGE_PAGES] = "ShmemHugePages",
    [SF_MEMINFO_FILE_HUGE_PAGES] = "FileHugePages",
    [SF_MEMINFO_HUGE_PAGES_TOTAL] = "HugePages_Total",
    [SF_MEMINFO_HUGE_PAGES_FREE] = "HugePages_Free",
    [SF_MEMINFO_HUGE_PAGES_RSVD] = "HugePages_Rsvd",
    [SF_MEMINFO_HUGE_PAGES_SURP] = "HugePages_Surp",
    [SF_MEMINFO_HUGEPAGESIZE] = "Hugepagesize",
    [SF_MEMINFO_HUGETLB] = "Hugetlb",
};

/* The search starts at `hint`: the kernel's order is ours but for what it has more. */
static SfMeminfoKey key_by_name(SfSlice name, unsigned hint)
{
    for (unsigned i = 0; i < SF_MEMINFO_KEY_COUNT; i++) {
        unsigned key = hint + i < SF_MEMINFO_KEY_COUNT ? hint + i : hint + i - SF_MEMINFO_KEY_COUNT;
        if (sf_slice_eq(name, KEYS[key]))
            return (SfMeminfoKey)key;
    }
    return SF_MEMINFO_OTHER;
}

static int parse_entry(SfSlice line, unsigned *hint, SfMeminfoEntry *ret_entry)
{
    SfSlice rest = line, key, word;
    SfMeminfoEntry entry = {0};

    if (line.len == 0 || !memchr(line.data, ':', line.len) ||
        !sf_slice_next_field(&rest, ':', &key))
        return -EINVAL;
    if (key.len == 0 || key.len >= sizeof(entry.key) || memchr(key.data, '\0', key.len))
        return -EINVAL;
    memcpy(entry.key, key.data, key.len);
    entry.id = key_by_name(key, *hint);
    if (entry.id != SF_MEMINFO_OTHER)
        *hint = entry.id + 1u;

    if (!sf_slice_next_word(&rest, &word) || sf_slice_u64(word, &entry.value) < 0)
        return -EINVAL;
    entry.line = line;
    entry.number = word;
    if (sf_slice_next_word(&rest, &word)) {
        if (!sf_slice_eq(word, "kB") || sf_slice_next_word(&rest, &word))
            return -EINVAL;
        entry.in_kb = true;
    }
    *ret_entry = entry;
    return 0;
}

int sf_meminfo_parse(const char *text, size_t len, SfMeminfo *ret_info)
{
    SfSlice rest = sf_slice(text, len);
    SfSlice line;
    SfMeminfo info;
    unsigned hint = 0;

    info.count = 0;
    memset(info.by_key, 0, sizeof(info.by_key));
    while (sf_slice_next_line(&rest, &line)) {
        if (info.count == SF_MEMINFO_MAX_ENTRIES)
            return -E2BIG;
        int r = parse_entry(line, &hint, &info.entries[info.count]);
        if (r < 0)
            return r;
        info.count++;
        SfMeminfoKey id = info.entries[info.count - 1].id;
        if (id != SF_MEMINFO_OTHER && info.by_key[id] == 0) /* the first, as sf_meminfo_get() */
            info.by_key[id] = (uint8_t)info.count;
    }
    if (info.count == 0)
        return -ENODATA;
    memcpy(ret_info->entries, info.entries, info.count * sizeof(info.entries[0]));
    memcpy(ret_info->by_key, info.by_key, sizeof(info.by_key));
    ret_info->count = info.count;
    return 0;
}

int sf_meminfo_get(const SfMeminfo *info, const char *key, uint64_t *ret_value)
{
    for (unsigned i = 0; i < info->count; i++) {
        if (strcmp(info->entries[i].key, key) == 0) {
            *ret_value = info->entries[i].value;
            return 0;
        }
    }
    return -ENODATA;
}

bool sf_meminfo_has(const SfMeminfo *info, SfMeminfoKey key)
{
    return info->by_key[key] > 0;
}

uint64_t sf_meminfo_value(const SfMeminfo *info, SfMeminfoKey key)
{
    return info->by_key[key] > 0 ? info->entries[info->by_key[key] - 1].value : 0;
}

static int derive(const char *text, size_t len, void *made)
{
    return sf_meminfo_parse(text, len, made);
}

const SfDerivation sf_meminfo_derivation = {.size = sizeof(SfMeminfo), .make = derive};
