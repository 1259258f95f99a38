/* SPDX-License-Identifier: Apache-2.0 */

/*
 * memory.numa_stat of one cgroup. It adds up; nothing is remembered between two reads here.
 */

#include "daemon/source/cgroup_numa.h"

#include <string.h>

#include "lib/base/fd.h"

/* anon and file have the rest of what v2 prints in them (shmem, file_mapped, anon_thp, the LRU
 * lists); swapcached is of both. */
static const char *const V2_TYPES[] = {"anon",
                                       "file",
                                       "kernel_stack",
                                       "pagetables",
                                       "sec_pagetables",
                                       "slab_reclaimable",
                                       "slab_unreclaimable"};

static bool is_counted(SfSlice type, unsigned version)
{
    if (version == 1)
        return sf_slice_eq(type, "hierarchical_total");
    for (size_t i = 0; i < sizeof(V2_TYPES) / sizeof(V2_TYPES[0]); i++) {
        if (sf_slice_eq(type, V2_TYPES[i]))
            return true;
    }
    return false;
}

/* "N3=1234" */
static int parse_field(SfSlice field, uint64_t *ret_node, uint64_t *ret_value)
{
    SfSlice name;

    if (!sf_slice_next_field(&field, '=', &name) || name.len < 2 || name.data[0] != 'N')
        return -EINVAL;
    int r = sf_slice_u64(sf_slice(name.data + 1, name.len - 1), ret_node);
    return r < 0 ? r : sf_slice_u64(field, ret_value);
}

/* The fields after a line's type. */
static int add_line(SfSlice rest, uint64_t unit, unsigned node, uint64_t *bytes)
{
    SfSlice field;

    while (sf_slice_next_word(&rest, &field)) {
        uint64_t number, value;
        if (parse_field(field, &number, &value) < 0)
            return -EINVAL;
        if (number == node)
            *bytes = sf_add_sat(*bytes, sf_mul_sat(value, unit));
    }
    return 0;
}

int sf_numa_stat_parse(const char *text, size_t len, unsigned version, uint64_t page_bytes,
                       unsigned node, uint64_t *ret_bytes)
{
    SfSlice rest = sf_slice(text, len), line, type, total;
    uint64_t bytes = 0;

    while (sf_slice_next_line(&rest, &line)) {
        if (!sf_slice_next_word(&line, &type))
            return -EINVAL;
        total = type; /* v1: "hierarchical_total=10 N0=4 N1=6" */
        if (version == 1 && !sf_slice_next_field(&total, '=', &type))
            return -EINVAL;
        if (!is_counted(type, version))
            continue;
        int r = add_line(line, version == 1 ? page_bytes : 1, node, &bytes);
        if (r < 0)
            return r;
    }
    *ret_bytes = bytes;
    return 0;
}

int sf_cgroup_node_bytes(SfCgroup *cgroup, uint64_t page_bytes, unsigned node, uint64_t *ret_bytes)
{
    SF_CLEANUP_FREE char *text = NULL;
    size_t len;

    int r = sf_cgroup_read_alloc(cgroup, SF_CGROUP_MEMORY_NUMA_STAT, &text, &len);
    return r < 0 ? r
                 : sf_numa_stat_parse(text, len, sf_cgroup_version_of(cgroup), page_bytes, node,
                                      ret_bytes);
}
