/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /sys/devices/system/cpu/offline: the possible CPUs that the container does not see. Must stay the
 * complement of `online` in the host's `possible`: lscpu adds the two up.
 */

#include "daemon/provider/provider.h"
#include "daemon/provider/shared.h"

static int render(SfContainer *container, SfText *text)
{
    SfCpuSet visible, offline;
    int r = sf_container_visible_cpus(container, &visible);
    if (r < 0)
        return r;
    r = sf_host_possible_cpus(sf_container_host(container), &offline);
    if (r < 0)
        return r;
    sf_cpuset_subtract(&offline, &visible);
    sf_format_cpulist(text, &offline);
    return 0;
}

const SfProviderOps sf_provider_sys_cpu_offline_ops = {
    .source = "cpuset and cpu cgroups, host's possible CPUs",
    .constant = true,
    .render = render,
};
