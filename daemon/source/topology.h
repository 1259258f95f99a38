/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the host's sysfs says of its NUMA nodes and of the CPUs that share a clock.
 */

#include "daemon/source/host.h"

/* The sets of nodes there are files for (drivers/base/node.c). */
typedef enum SfNodeSet {
    SF_NODES_ONLINE,
    SF_NODES_WITH_MEMORY,
} SfNodeSet;

/* -ENOENT where the kernel has no NUMA; -EINVAL, or negative errno. */
int sf_host_nodes(SfHost *host, SfNodeSet which, SfCpuSet *ret_nodes) SF_WARN_UNUSED;
/* The CPUs of a node, those that are offline not among them. Errors as above. */
int sf_host_node_cpus(SfHost *host, unsigned node, SfCpuSet *ret_cpus) SF_WARN_UNUSED;
/* MemTotal of a node. Errors as above. */
int sf_host_node_total_kb(SfHost *host, unsigned node, uint64_t *ret_kb) SF_WARN_UNUSED;

/* Pure: a node's meminfo ("Node 0 MemTotal: 123 kB"). -EINVAL when it has no such line. */
int sf_node_meminfo_total(const char *text, size_t len, uint64_t *ret_kb) SF_WARN_UNUSED;
/* Pure: numbers with blanks between or after them ("0 1 2 3 "), as cpufreq prints sets.
 * -EINVAL, -ERANGE. */
int sf_cpu_words_parse(const char *text, size_t len, SfCpuSet *ret_cpus) SF_WARN_UNUSED;
/* The CPUs, online or not, that a cpufreq policy is for. Errors as above. */
int sf_host_cpufreq_cpus(SfHost *host, unsigned policy, SfCpuSet *ret_cpus) SF_WARN_UNUSED;
