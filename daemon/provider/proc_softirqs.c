/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/softirqs: the host's soft interrupts with the columns of the container's CPUs. The kernel
 * counts them for no cgroup: all counts are 0.
 */

#include "daemon/provider/cpu_columns.h"
#include "daemon/provider/provider.h"

static int render(SfContainer *container, SfText *text)
{
    return sf_format_cpu_columns(container, SF_HOST_SOFTIRQS, text);
}

const SfProviderOps sf_provider_proc_softirqs_ops = {
    .source = "host's names, cpuset and cpu cgroups",
    .render = render,
};
