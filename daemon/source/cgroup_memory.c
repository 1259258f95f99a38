/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The memory controller's files of one cgroup. v1 and v2 differ in names and in how they say "no
 * limit"; that difference ends here. Nothing is put together over the hierarchy, and no file that
 * is missing is taken for zero.
 */

#include "daemon/source/cgroup_memory.h"

#include <stdio.h>
#include <string.h>

#include "daemon/source/cgroup_internal.h"
#include "lib/base/scratch.h"

/* A number of 20 digits or "max", and a newline. */
#define NUMBER_SIZE 32

/* With its length: each read of meminfo compares all keys of memory.stat, most none of ours. */
typedef struct KeyName {
    const char *text; /* NULL where the version prints none */
    size_t len;
} KeyName;
#define KEY(name)                                                                                  \
    {                                                                                              \
        name, sizeof(name) - 1                                                                     \
    }
#define NONE                                                                                       \
    {                                                                                              \
        NULL, 0                                                                                    \
    }

/* v1's plain keys count the cgroup alone, the total_ ones what is below it too. */
static const struct {
    KeyName v2, v1;
} KEYS[SF_MEMORY_KEY_COUNT] = {
    [SF_MEMORY_FILE] = {KEY("file"), KEY("total_cache")},
    [SF_MEMORY_ANON] = {KEY("anon"), KEY("total_rss")},
    [SF_MEMORY_SHMEM] = {KEY("shmem"), KEY("total_shmem")},
    [SF_MEMORY_FILE_MAPPED] = {KEY("file_mapped"), KEY("total_mapped_file")},
    [SF_MEMORY_FILE_DIRTY] = {KEY("file_dirty"), KEY("total_dirty")},
    [SF_MEMORY_FILE_WRITEBACK] = {KEY("file_writeback"), KEY("total_writeback")},
    [SF_MEMORY_SWAPCACHED] = {KEY("swapcached"), KEY("total_swapcached")},
    [SF_MEMORY_INACTIVE_ANON] = {KEY("inactive_anon"), KEY("total_inactive_anon")},
    [SF_MEMORY_ACTIVE_ANON] = {KEY("active_anon"), KEY("total_active_anon")},
    [SF_MEMORY_INACTIVE_FILE] = {KEY("inactive_file"), KEY("total_inactive_file")},
    [SF_MEMORY_ACTIVE_FILE] = {KEY("active_file"), KEY("total_active_file")},
    [SF_MEMORY_UNEVICTABLE] = {KEY("unevictable"), KEY("total_unevictable")},
    [SF_MEMORY_SLAB_RECLAIMABLE] = {KEY("slab_reclaimable"), NONE},
    [SF_MEMORY_SLAB_UNRECLAIMABLE] = {KEY("slab_unreclaimable"), NONE},
    [SF_MEMORY_SLAB] = {KEY("slab"), NONE},
    [SF_MEMORY_KERNEL_STACK] = {KEY("kernel_stack"), NONE},
    [SF_MEMORY_PAGETABLES] = {KEY("pagetables"), NONE},
    [SF_MEMORY_SEC_PAGETABLES] = {KEY("sec_pagetables"), NONE},
    [SF_MEMORY_PERCPU] = {KEY("percpu"), NONE},
    [SF_MEMORY_SOCK] = {KEY("sock"), NONE},
    [SF_MEMORY_VMALLOC] = {KEY("vmalloc"), NONE},
    [SF_MEMORY_ANON_THP] = {KEY("anon_thp"), KEY("total_rss_huge")},
    [SF_MEMORY_FILE_THP] = {KEY("file_thp"), NONE},
    [SF_MEMORY_SHMEM_THP] = {KEY("shmem_thp"), NONE},
    [SF_MEMORY_ZSWAP] = {KEY("zswap"), NONE},
    [SF_MEMORY_ZSWAPPED] = {KEY("zswapped"), NONE},
    [SF_MEMORY_KERNEL] = {KEY("kernel"), NONE},
};

/* The key of a name, or -1. The search starts at `hint`: both orders are nearly the same. */
static int key_by_name(SfSlice name, unsigned version, unsigned hint)
{
    for (unsigned i = 0; i < SF_MEMORY_KEY_COUNT; i++) {
        unsigned key = hint + i < SF_MEMORY_KEY_COUNT ? hint + i : hint + i - SF_MEMORY_KEY_COUNT;
        const KeyName *known = version == 1 ? &KEYS[key].v1 : &KEYS[key].v2;
        if (known->len == name.len && known->text && memcmp(known->text, name.data, name.len) == 0)
            return (int)key;
    }
    return -1;
}

int sf_memory_stat_parse(const char *text, size_t len, unsigned version, SfMemoryStat *ret_stat)
{
    SfSlice rest = sf_slice(text, len);
    SfSlice line;
    SfMemoryStat stat = {0};
    unsigned hint = 0;

    while (sf_slice_next_line(&rest, &line)) {
        SfSlice name, number, more;
        if (!sf_slice_next_word(&line, &name) || !sf_slice_next_word(&line, &number) ||
            sf_slice_next_word(&line, &more))
            return -EINVAL;
        int key = key_by_name(name, version, hint);
        if (key < 0)
            continue;
        if (sf_slice_u64(number, &stat.bytes[key]) < 0)
            return -EINVAL;
        stat.present |= UINT64_C(1) << key;
        hint = (unsigned)key + 1;
    }
    *ret_stat = stat;
    return 0;
}

int sf_cgroup_memory_stat(SfCgroup *cgroup, SfMemoryStat *ret_stat)
{
    SF_SCRATCH SfText *text = sf_scratch_take();

    int r = sf_cgroup_read_text(cgroup, SF_CGROUP_MEMORY_STAT, text);
    if (r < 0)
        return r;
    return sf_memory_stat_parse(text->data, text->len, sf_cgroup_version_of(cgroup), ret_stat);
}

static int read_number(SfCgroup *cgroup, SfCgroupFile file, uint64_t *ret_value)
{
    char text[NUMBER_SIZE];
    size_t len;

    int r = sf_cgroup_read(cgroup, file, text, sizeof(text), &len);
    if (r < 0)
        return r;
    return sf_slice_limit(sf_slice(text, len), ret_value);
}

int sf_cgroup_memory_limit(SfCgroup *cgroup, uint64_t *ret_bytes)
{
    return sf_cgroup_read_limit(cgroup, SF_CGROUP_MEMORY_MAX, ret_bytes);
}

int sf_cgroup_memory_usage(SfCgroup *cgroup, uint64_t *ret_bytes)
{
    return read_number(cgroup, SF_CGROUP_MEMORY_CURRENT, ret_bytes);
}

int sf_cgroup_swap_limit(SfCgroup *cgroup, uint64_t *ret_bytes)
{
    uint64_t both, memory;

    int r = sf_cgroup_read_limit(cgroup, SF_CGROUP_SWAP_MAX, &both);
    if (r < 0)
        return r;
    if (sf_cgroup_version_of(cgroup) == 1 && both != SF_UNLIMITED) {
        r = sf_cgroup_memory_limit(cgroup, &memory);
        if (r < 0)
            return r;
        /* The kernel keeps memory <= memory+swap; between the two reads it may look otherwise. */
        both = sf_sub_sat(both, memory);
    }
    *ret_bytes = both;
    return 0;
}

int sf_cgroup_swap_usage_beside(SfCgroup *cgroup, uint64_t memory_bytes, uint64_t *ret_bytes)
{
    uint64_t both;

    int r = read_number(cgroup, SF_CGROUP_SWAP_CURRENT, &both);
    if (r < 0)
        return r;
    *ret_bytes = sf_cgroup_version_of(cgroup) == 1 ? sf_sub_sat(both, memory_bytes) : both;
    return 0;
}

int sf_cgroup_swap_usage(SfCgroup *cgroup, uint64_t *ret_bytes)
{
    uint64_t memory_bytes = 0;

    int r = sf_cgroup_version_of(cgroup) == 1 ? sf_cgroup_memory_usage(cgroup, &memory_bytes) : 0;
    return r < 0 ? r : sf_cgroup_swap_usage_beside(cgroup, memory_bytes, ret_bytes);
}

int sf_cgroup_memsw_limit(SfCgroup *cgroup, uint64_t *ret_bytes)
{
    if (sf_cgroup_version_of(cgroup) != 1)
        return -ENODATA;
    return sf_cgroup_read_limit(cgroup, SF_CGROUP_SWAP_MAX, ret_bytes);
}

/* mm/hugetlb_cgroup.c mem_fmt() */
static int hugetlb_name(uint64_t page_kb, const char *suffix, char *name, size_t size)
{
    unsigned long long amount = page_kb;
    const char *unit = "KB";

    if (page_kb >= UINT64_C(1) << 20) {
        amount = page_kb >> 20;
        unit = "GB";
    } else if (page_kb >= UINT64_C(1) << 10) {
        amount = page_kb >> 10;
        unit = "MB";
    }
    int n = snprintf(name, size, "hugetlb.%llu%s.%s", amount, unit, suffix);
    return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static int read_hugetlb(SfCgroup *cgroup, SfCgroupFile file, uint64_t page_kb, const char *suffix,
                        uint64_t *ret_bytes)
{
    char name[64], text[NUMBER_SIZE];
    size_t len;

    int r = hugetlb_name(page_kb, suffix, name, sizeof(name));
    if (r < 0)
        return r;
    r = sf_cgroup_read_huge(cgroup, file, page_kb, name, text, sizeof(text), &len);
    if (r < 0)
        return r;
    return sf_slice_limit(sf_slice(text, len), ret_bytes);
}

int sf_cgroup_hugetlb(SfCgroup *cgroup, uint64_t page_kb, uint64_t *ret_limit_bytes,
                      uint64_t *ret_usage_bytes)
{
    bool v2 = sf_cgroup_version_of(cgroup) == 2;
    uint64_t limit, usage;

    if (page_kb == 0)
        return -ENODATA;
    int r =
        read_hugetlb(cgroup, SF_CGROUP_HUGETLB_MAX, page_kb, v2 ? "max" : "limit_in_bytes", &limit);
    if (r < 0)
        return r;
    r = read_hugetlb(cgroup, SF_CGROUP_HUGETLB_CURRENT, page_kb, v2 ? "current" : "usage_in_bytes",
                     &usage);
    if (r < 0)
        return r;
    /* v1: PAGE_COUNTER_MAX here is rounded down to whole huge pages (hugetlb_cgroup_init). */
    uint64_t page_bytes = sf_mul_sat(page_kb, 1024);
    if (!v2 && limit >= SF_CGROUP_V1_UNLIMITED - SF_CGROUP_V1_UNLIMITED % page_bytes)
        limit = SF_UNLIMITED;
    *ret_limit_bytes = limit;
    *ret_usage_bytes = usage;
    return 0;
}
