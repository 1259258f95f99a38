/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the host's topology from sysfs, which changes with hotplug: nothing is remembered.
 */

#include "daemon/source/topology.h"

#include <errno.h>
#include <stdio.h>

#include "lib/base/scratch.h"

#define NODE_DIRECTORY "/sys/devices/system/node"
#define CPUFREQ_DIRECTORY "/sys/devices/system/cpu/cpufreq"
#define PATH_SIZE 96

static int read_list(SfHost *host, const char *path, SfCpuSet *ret_set)
{
    SF_SCRATCH SfText *text = sf_scratch_take();

    int r = sf_host_file_text(host, path, text);
    return r < 0 ? r : sf_cpuset_parse_list(text->data, text->len, ret_set);
}

int sf_host_nodes(SfHost *host, SfNodeSet which, SfCpuSet *ret_nodes)
{
    return read_list(
        host, which == SF_NODES_ONLINE ? NODE_DIRECTORY "/online" : NODE_DIRECTORY "/has_memory",
        ret_nodes);
}

int sf_host_node_cpus(SfHost *host, unsigned node, SfCpuSet *ret_cpus)
{
    char path[PATH_SIZE];

    (void)snprintf(path, sizeof(path), NODE_DIRECTORY "/node%u/cpulist", node);
    return read_list(host, path, ret_cpus);
}

int sf_node_meminfo_total(const char *text, size_t len, uint64_t *ret_kb)
{
    SfSlice rest = sf_slice(text, len), line, word;

    while (sf_slice_next_line(&rest, &line)) {
        /* "Node", its number, the key */
        if (sf_slice_next_word(&line, &word) && sf_slice_next_word(&line, &word) &&
            sf_slice_next_word(&line, &word) && sf_slice_eq(word, "MemTotal:") &&
            sf_slice_next_word(&line, &word))
            return sf_slice_u64(word, ret_kb);
    }
    return -EINVAL;
}

int sf_host_node_total_kb(SfHost *host, unsigned node, uint64_t *ret_kb)
{
    SF_SCRATCH SfText *text = sf_scratch_take();
    char path[PATH_SIZE];

    (void)snprintf(path, sizeof(path), NODE_DIRECTORY "/node%u/meminfo", node);
    int r = sf_host_file_text(host, path, text);
    return r < 0 ? r : sf_node_meminfo_total(text->data, text->len, ret_kb);
}

int sf_cpu_words_parse(const char *text, size_t len, SfCpuSet *ret_cpus)
{
    SfSlice rest = sf_slice_trim(sf_slice(text, len)), word;
    SfCpuSet cpus = {0};

    while (sf_slice_next_word(&rest, &word)) {
        uint64_t cpu;
        int r = sf_slice_u64(word, &cpu);
        if (r < 0)
            return r;
        if (cpu >= SF_CPUSET_MAX)
            return -ERANGE;
        sf_cpuset_add(&cpus, (unsigned)cpu);
    }
    *ret_cpus = cpus;
    return 0;
}

int sf_host_cpufreq_cpus(SfHost *host, unsigned policy, SfCpuSet *ret_cpus)
{
    SF_SCRATCH SfText *text = sf_scratch_take();
    char path[PATH_SIZE];

    (void)snprintf(path, sizeof(path), CPUFREQ_DIRECTORY "/policy%u/related_cpus", policy);
    int r = sf_host_file_text(host, path, text);
    return r < 0 ? r : sf_cpu_words_parse(text->data, text->len, ret_cpus);
}
