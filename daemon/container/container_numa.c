/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NUMA nodes of a container: which it may use, and how much it has had on each.
 */

#include "daemon/container/container_private.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/source/topology.h"

/* What has memory, by the host; a kernel without NUMA has node 0 alone in everything but sysfs. */
static int host_nodes(const SfContainer *container, SfCpuSet *ret_nodes)
{
    int r = sf_host_nodes(container->host, SF_NODES_WITH_MEMORY, ret_nodes);

    if (r != -ENOENT)
        return r;
    sf_cpuset_clear(ret_nodes);
    sf_cpuset_add(ret_nodes, 0);
    return 0;
}

int sf_container_allowed_nodes(SfContainer *container, SfCpuSet *ret_nodes)
{
    SfCgroup *cgroup = container->cgroups[SF_CONTROLLER_CPUSET];
    SfCpuSet nodes;
    int r = -ENODATA;

    if (container->policy.cpu != SF_CPU_POLICY_HOST && cgroup != NULL)
        r = sf_cgroup_effective_mems(cgroup, &nodes);
    if (r == -ENODATA || (r == 0 && sf_cpuset_empty(&nodes)))
        r = host_nodes(container, &nodes);
    if (r < 0)
        return r;
    *ret_nodes = nodes;
    return 0;
}

/* The larger of what was seen before and pages. */
static int raise_seen(SfContainer *container, unsigned node, uint64_t *pages)
{
    int r = 0;

    pthread_mutex_lock(&container->nodes_lock);
    if (node >= container->node_count) {
        uint64_t *grown = realloc(container->node_pages, (node + 1) * sizeof(*grown));
        if (grown != NULL) {
            for (unsigned i = container->node_count; i <= node; i++)
                grown[i] = 0;
            container->node_pages = grown;
            container->node_count = node + 1;
        } else {
            r = -ENOMEM;
        }
    }
    bool raised = r == 0 && *pages > container->node_pages[node];
    if (raised)
        container->node_pages[node] = *pages;
    if (r == 0)
        *pages = container->node_pages[node];
    pthread_mutex_unlock(&container->nodes_lock);
    if (raised)
        sf_container_remember(container);
    return r;
}

int sf_container_node_pages(SfContainer *container, unsigned node, uint64_t *ret_pages)
{
    SfCgroup *cgroup = container->cgroups[SF_CONTROLLER_MEMORY];
    uint64_t page_bytes = sf_host_page_bytes(container->host), bytes;

    if (cgroup == NULL || sf_cgroup_is_top(cgroup))
        return -ENODATA; /* the top accounts the whole host */
    if (node >= SF_CPUSET_MAX)
        return -EINVAL;
    int r = sf_cgroup_node_bytes(cgroup, page_bytes, node, &bytes);
    if (r < 0)
        return r;
    uint64_t pages = bytes / page_bytes;
    r = raise_seen(container, node, &pages);
    if (r < 0)
        return r;
    *ret_pages = pages;
    return 0;
}
