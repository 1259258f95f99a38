/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /sys/devices/system/cpu/present: the CPUs the container sees; CPUs outside its set are possible,
 * but not there (as before a hotplug), so that per-CPU data sized by `possible` still fits. Must
 * not number them anew: what is shown here can be given to sched_setaffinity(2).
 */

#include "daemon/provider/provider.h"
#include "daemon/provider/shared.h"

static int render(SfContainer *container, SfText *text)
{
    SfCpuSet visible;
    int r = sf_container_visible_cpus(container, &visible);
    if (r < 0)
        return r;
    sf_format_cpulist(text, &visible);
    return 0;
}

const SfProviderOps sf_provider_sys_cpu_present_ops = {
    .source = "cpuset and cpu cgroups",
    .constant = true,
    .render = render,
};
