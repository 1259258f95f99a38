/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /sys/devices/system/node: the host's tree with the nodes that hold a visible CPU or memory the
 * container may use, and per node its share of the container's own numbers
 * (Documentation/ABI/stable/sysfs-devices-node, drivers/base/node.c). node_text.c writes those.
 */

#include <glib.h>
#include <string.h>

#include "daemon/provider/mask.h"
#include "daemon/provider/node_text.h"
#include "daemon/provider/provider.h"
#include "daemon/source/topology.h"

static bool has_cpu(SfContainer *container, unsigned node, const SfCpuSet *visible)
{
    SfCpuSet cpus;

    if (sf_host_node_cpus(sf_container_host(container), node, &cpus) < 0)
        return false;
    sf_cpuset_and(&cpus, visible);
    return !sf_cpuset_empty(&cpus);
}

/* Takes the nodes without a visible CPU out of a set. */
static void keep_with_cpu(SfContainer *container, const SfCpuSet *visible, SfCpuSet *nodes)
{
    sf_cpuset_foreach (node, nodes) {
        if (!has_cpu(container, (unsigned)node, visible))
            sf_cpuset_remove(nodes, (unsigned)node);
    }
}

static int shown_nodes(SfContainer *container, const SfCpuSet *visible, SfCpuSet *nodes)
{
    SfCpuSet allowed;
    int r = sf_container_allowed_nodes(container, &allowed);

    if (r < 0)
        return r;
    sf_cpuset_foreach (node, nodes) {
        if (!sf_cpuset_has(&allowed, (unsigned)node) &&
            !has_cpu(container, (unsigned)node, visible))
            sf_cpuset_remove(nodes, (unsigned)node);
    }
    return 0;
}

static SfEntryShown shows(SfContainer *container, const char *path)
{
    SfCpuSet visible, nodes;
    int node = sf_path_number(path, "node");

    if (node < 0)
        return SF_ENTRY_CONSTANT;
    sf_cpuset_clear(&nodes);
    sf_cpuset_add(&nodes, (unsigned)node);
    if (sf_container_visible_cpus(container, &visible) < 0 ||
        shown_nodes(container, &visible, &nodes) < 0 || sf_cpuset_empty(&nodes))
        return SF_ENTRY_HIDDEN;
    const char *slash = strchr(path, '/');
    if (!slash)
        return SF_ENTRY_SHOWN;
    int cpu = sf_path_number(slash + 1, "cpu");
    if (cpu >= 0)
        return sf_cpuset_has(&visible, (unsigned)cpu) ? SF_ENTRY_SHOWN : SF_ENTRY_HIDDEN;
    /* Links to the blocks of the machine's memory. */
    return sf_path_number(slash + 1, "memory") >= 0 ? SF_ENTRY_HIDDEN : SF_ENTRY_CONSTANT;
}

/* A list of nodes at the tree's top. */
static int mask_nodes(SfContainer *container, const char *name, SfSlice host, SfText *text)
{
    SfCpuSet visible, nodes;

    int r = sf_cpuset_parse_list(host.data, host.len, &nodes);
    if (r >= 0)
        r = sf_container_visible_cpus(container, &visible);
    if (r < 0)
        return r;
    if (strcmp(name, "has_cpu") == 0) {
        keep_with_cpu(container, &visible, &nodes);
    } else if (strcmp(name, "online") == 0) {
        r = shown_nodes(container, &visible, &nodes);
    } else {
        SfCpuSet allowed;
        r = sf_container_allowed_nodes(container, &allowed);
        if (r >= 0)
            sf_cpuset_and(&nodes, &allowed);
    }
    return r < 0 ? r : sf_mask_list(text, host, &nodes);
}

/* One number for each online node, in order (drivers/base/node.c, node_read_distance). */
static int mask_distance(SfContainer *container, SfSlice host, SfText *text)
{
    SfSlice rest = sf_slice_trim(host), word;
    SfCpuSet visible, online, shown;
    size_t begin = text->len;

    int r = sf_host_nodes(sf_container_host(container), SF_NODES_ONLINE, &online);
    if (r >= 0)
        r = sf_container_visible_cpus(container, &visible);
    if (r < 0)
        return r;
    shown = online;
    r = shown_nodes(container, &visible, &shown);
    if (r < 0)
        return r;
    sf_cpuset_foreach (node, &online) {
        if (!sf_slice_next_word(&rest, &word))
            return -EINVAL;
        if (!sf_cpuset_has(&shown, (unsigned)node))
            continue;
        if (text->len > begin)
            sf_text_putc(text, ' ');
        sf_text_slice(text, word);
    }
    sf_text_putc(text, '\n');
    return 0;
}

static int mask_cpus(SfContainer *container, const char *name, SfSlice host, SfText *text)
{
    SfCpuSet visible;

    int r = sf_container_visible_cpus(container, &visible);
    if (r < 0)
        return r;
    return strcmp(name, "cpumap") == 0 ? sf_mask_map(text, host, &visible)
                                       : sf_mask_list(text, host, &visible);
}

static int mask(SfContainer *container, const char *path, SfSlice host, SfText *text)
{
    const char *slash = strchr(path, '/');
    int node = sf_path_number(path, "node");

    if (!slash && (strcmp(path, "online") == 0 || g_str_has_prefix(path, "has_")))
        return mask_nodes(container, path, host, text);
    if (node >= 0 && slash) {
        const char *name = slash + 1;
        if (strcmp(name, "cpulist") == 0 || strcmp(name, "cpumap") == 0)
            return mask_cpus(container, name, host, text);
        if (strcmp(name, "distance") == 0)
            return mask_distance(container, host, text);
        int r = sf_node_text(container, (unsigned)node, name, host, text);
        if (r != -ENOENT)
            return r;
    }
    sf_text_slice(text, host);
    return 0;
}

const SfProviderOps sf_provider_sys_node_ops = {
    .source = "host, masked; memory cgroup",
    .shows = shows,
    .mask = mask,
};
