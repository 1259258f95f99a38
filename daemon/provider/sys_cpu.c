/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /sys/devices/system/cpu: the host's tree with the directories of the visible CPUs alone, and what
 * lists CPUs cut down to these (Documentation/ABI/testing/sysfs-devices-system-cpu). online,
 * present and offline are files of their own. Must not number CPUs anew.
 */

#include <glib.h>
#include <string.h>

#include "daemon/provider/mask.h"
#include "daemon/provider/provider.h"
#include "daemon/source/topology.h"

/* cpufreq/policyN stands for the CPUs that share a clock. */
static SfEntryShown policy_shown(SfContainer *container, const char *path, const SfCpuSet *visible)
{
    SfCpuSet cpus;

    int policy = sf_path_number(path, "cpufreq/policy");
    if (policy < 0)
        return SF_ENTRY_CONSTANT;
    if (sf_host_cpufreq_cpus(sf_container_host(container), (unsigned)policy, &cpus) < 0)
        return SF_ENTRY_HIDDEN;
    sf_cpuset_and(&cpus, visible);
    if (sf_cpuset_empty(&cpus))
        return SF_ENTRY_HIDDEN;
    return strchr(path + strlen("cpufreq/"), '/') ? SF_ENTRY_CONSTANT : SF_ENTRY_SHOWN;
}

static SfEntryShown shows(SfContainer *container, const char *path)
{
    SfCpuSet visible;
    int cpu = sf_path_number(path, "cpu");

    /* Engines hide it from containers, with mounts that the view comes to lie over: it counts how
     * hot the machine's other users make it. */
    if (strcmp(sf_path_name(path), "thermal_throttle") == 0 || strstr(path, "/thermal_throttle/"))
        return SF_ENTRY_HIDDEN;
    if (cpu < 0 && !g_str_has_prefix(path, "cpufreq/policy"))
        return SF_ENTRY_CONSTANT;
    if (sf_container_visible_cpus(container, &visible) < 0)
        return SF_ENTRY_HIDDEN;
    if (cpu < 0)
        return policy_shown(container, path, &visible);
    if (!sf_cpuset_has(&visible, (unsigned)cpu))
        return SF_ENTRY_HIDDEN;
    return strchr(path, '/') ? SF_ENTRY_CONSTANT : SF_ENTRY_SHOWN;
}

typedef int (*MaskFunction)(SfText *text, SfSlice host, const SfCpuSet *visible);

/* How a file lists CPUs; NULL: it does not. */
static MaskFunction mask_of(const char *path)
{
    const char *name = sf_path_name(path);
    static const char *const lists[] = {"enabled", "isolated", "nohz_full"};

    if (name == path) {
        for (size_t i = 0; i < G_N_ELEMENTS(lists); i++) {
            if (strcmp(name, lists[i]) == 0)
                return sf_mask_list;
        }
        return NULL;
    }
    if (g_str_has_suffix(name, "_cpus_list") || g_str_has_suffix(name, "_siblings_list") ||
        strcmp(name, "shared_cpu_list") == 0)
        return sf_mask_list;
    if (strstr(path, "cpufreq/") && g_str_has_suffix(name, "_cpus"))
        return sf_mask_words;
    if (g_str_has_suffix(name, "_cpus") || g_str_has_suffix(name, "_siblings") ||
        strcmp(name, "shared_cpu_map") == 0)
        return sf_mask_map;
    return NULL;
}

static int mask(SfContainer *container, const char *path, SfSlice host, SfText *text)
{
    MaskFunction function = mask_of(path);
    SfCpuSet visible;

    /* Without such CPUs some kernels print "(null)" (drivers/base/cpu.c). */
    if (!function || sf_slice_eq(sf_slice_trim(host), "(null)")) {
        sf_text_slice(text, host);
        return 0;
    }
    int r = sf_container_visible_cpus(container, &visible);
    return r < 0 ? r : function(text, host, &visible);
}

/* What a CPU and its caches are; who shares them is not. */
static bool fixed(const char *path)
{
    if (strcmp(path, "possible") == 0 || strcmp(path, "kernel_max") == 0)
        return true;
    return (strstr(path, "/topology/") || strstr(path, "/cache/")) && !mask_of(path);
}

const SfProviderOps sf_provider_sys_cpu_ops = {
    .source = "host, masked to the visible CPUs",
    .constant = true,
    .shows = shows,
    .mask = mask,
    .fixed = fixed,
};
