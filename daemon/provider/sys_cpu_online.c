/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /sys/devices/system/cpu/online: every visible CPU is online (the set is made from the online
 * ones). Must not number them anew: what is shown here can be given to sched_setaffinity(2).
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

const SfProviderOps sf_provider_sys_cpu_online_ops = {
    .source = "cpuset and cpu cgroups",
    .constant = true,
    .render = render,
};
