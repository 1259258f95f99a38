/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * memory.numa_stat: what of a cgroup's memory is on which NUMA node.
 */

#include "daemon/source/cgroup.h"

/* Pure: bytes on one node, of the cgroup and all below it; 0 for a node that is not named. v2: the
 * memory types of mm/memcontrol.c that are not part of another one; v1: hierarchical_total, which
 * is in pages. -EINVAL. */
int sf_numa_stat_parse(const char *text, size_t len, unsigned version, uint64_t page_bytes,
                       unsigned node, uint64_t *ret_bytes) SF_WARN_UNUSED;
/* -ENODATA without the controller or without CONFIG_NUMA. */
int sf_cgroup_node_bytes(SfCgroup *cgroup, uint64_t page_bytes, unsigned node,
                         uint64_t *ret_bytes) SF_WARN_UNUSED;
