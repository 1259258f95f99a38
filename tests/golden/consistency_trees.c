/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold between /sys/devices/system/{cpu,node} and the files of /proc. Works on the texts
 * that view_dump.h makes of a directory.
 */

#include "tests/golden/consistency_trees.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/cpuset.h"
#include "tests/golden/consistency_text.h"

/* Takes "cpu12/..." or "node3/...": the number after prefix, up to the slash; -1 otherwise. */
static int directory_number(SfSlice line, const char *prefix)
{
    SfSlice name;
    uint64_t number;
    if (!sf_slice_starts(line, prefix) || !memchr(line.data, '/', line.len) ||
        !sf_slice_next_field(&line, '/', &name))
        return -1;
    size_t skip = strlen(prefix);
    if (sf_slice_u64(sf_slice(name.data + skip, name.len - skip), &number) < 0 ||
        number >= SF_CPUSET_MAX)
        return -1;
    return (int)number;
}

static void directories(SfSlice dump, const char *prefix, SfCpuSet *ret_set)
{
    SfSlice line;
    sf_cpuset_clear(ret_set);
    while (sf_slice_next_line(&dump, &line)) {
        int number = directory_number(line, prefix);
        if (number >= 0)
            sf_cpuset_add(ret_set, (unsigned)number);
    }
}

/* The set in the list-format file `name` of a dump; false when there is none. */
static bool list_of(SfSlice dump, const char *name, SfCpuSet *ret_set)
{
    SfSlice line;
    while (sf_slice_next_line(&dump, &line)) {
        if (sf_slice_eq(line, name) && sf_slice_next_line(&dump, &line)) {
            line = sf_slice_trim(line);
            return sf_cpuset_parse_list(line.data, line.len, ret_set) == 0;
        }
    }
    return false;
}

static bool is_subset(const SfCpuSet *part, const SfCpuSet *whole)
{
    SfCpuSet rest = *part;
    sf_cpuset_subtract(&rest, whole);
    return sf_cpuset_empty(&rest);
}

/* Every file that lists CPUs lists visible ones, and the text of its mask says the same. */
static bool check_lists(SfSlice dump, const SfCpuSet *visible, SfText *report)
{
    SfSlice line, name = {0};
    bool held = true;
    while (sf_slice_next_line(&dump, &line)) {
        if (!sf_slice_starts(line, "\t")) {
            name = line;
            continue;
        }
        SfCpuSet set;
        SfSlice text = sf_slice_trim(line);
        bool list = name.len > 5 &&
                    (memcmp(name.data + name.len - 5, "_list", 5) == 0 ||
                     (name.len > 8 && memcmp(name.data + name.len - 8, "/cpulist", 8) == 0));
        bool map = name.len > 4 && (memcmp(name.data + name.len - 4, "_map", 4) == 0 ||
                                    memcmp(name.data + name.len - 4, "umap", 4) == 0);
        if (!list && !map)
            continue;
        int r = list ? sf_cpuset_parse_list(text.data, text.len, &set)
                     : sf_cpuset_parse_mask(text.data, text.len, &set);
        if (r < 0 || !is_subset(&set, visible)) {
            sf_text_printf(report, "%.*s: not the visible CPUs: %.*s\n", (int)name.len, name.data,
                           (int)text.len, text.data);
            held = false;
        }
    }
    return held;
}

/* "Node 0 Key:  123 kB" summed over the nodes; *ret_nodes: how many have the line. */
static uint64_t node_sum(SfSlice dump, const char *key, unsigned *ret_nodes)
{
    SfSlice line, word;
    uint64_t sum = 0, value;
    *ret_nodes = 0;
    while (sf_slice_next_line(&dump, &line)) {
        line = sf_slice_trim(line);
        if (!sf_slice_next_word(&line, &word) || !sf_slice_eq(word, "Node") ||
            !sf_slice_next_word(&line, &word) || !sf_slice_next_word(&line, &word) ||
            word.len != strlen(key) + 1 || memcmp(word.data, key, word.len - 1) != 0 ||
            !sf_slice_next_word(&line, &word) || sf_slice_u64(word, &value) < 0)
            continue;
        sum += value;
        (*ret_nodes)++;
    }
    return sum;
}

bool consistency_check_cpu_tree(SfSlice dump, const SfCpuSet *visible, SfText *report)
{
    SfCpuSet found;
    directories(dump, "cpu", &found);
    /* Old captures have no directories of CPUs. */
    bool held = consistency_expect(sf_cpuset_empty(&found) || sf_cpuset_equal(&found, visible),
                                   report, "cpuN directories, visible CPUs",
                                   sf_cpuset_count(&found), sf_cpuset_count(visible));
    return check_lists(dump, visible, report) && held;
}

bool consistency_check_node_tree(SfSlice dump, const SfCpuSet *visible, uint64_t total_kb,
                                 uint64_t free_kb, SfText *report)
{
    SfCpuSet nodes, online, cpus, all;
    unsigned count;
    directories(dump, "node", &nodes);
    bool held = true;
    if (list_of(dump, "online", &online))
        held &= consistency_expect(sf_cpuset_equal(&nodes, &online), report,
                                   "nodeN directories, online", sf_cpuset_count(&nodes),
                                   sf_cpuset_count(&online));
    sf_cpuset_clear(&all);
    sf_cpuset_foreach (node, &nodes) {
        char name[32];
        (void)snprintf(name, sizeof(name), "node%d/cpulist", node);
        if (!list_of(dump, name, &cpus))
            continue;
        sf_cpuset_foreach (cpu, &cpus) {
            held &= consistency_expect(!sf_cpuset_has(&all, (unsigned)cpu), report,
                                       "CPU in two nodes", (uint64_t)cpu, (uint64_t)node);
            sf_cpuset_add(&all, (unsigned)cpu);
        }
    }
    held &= consistency_expect(sf_cpuset_equal(&all, visible), report,
                               "CPUs over the nodes, visible CPUs", sf_cpuset_count(&all),
                               sf_cpuset_count(visible));
    uint64_t sum = node_sum(dump, "MemTotal", &count);
    held &= consistency_expect(count == 0 || sum == total_kb, report,
                               "MemTotal over the nodes, MemTotal", sum, total_kb);
    uint64_t free_sum = node_sum(dump, "MemFree", &count);
    uint64_t used_sum = node_sum(dump, "MemUsed", &count);
    held &=
        consistency_expect(count == 0 || free_sum + used_sum == sum, report,
                           "MemFree + MemUsed over the nodes, MemTotal", free_sum + used_sum, sum);
    held &= consistency_expect(count == 0 || free_kb == UINT64_MAX || free_sum == free_kb, report,
                               "MemFree over the nodes, MemFree", free_sum, free_kb);
    return check_lists(dump, visible, report) && held;
}
