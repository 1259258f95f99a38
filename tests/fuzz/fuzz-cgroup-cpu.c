/* SPDX-License-Identifier: Apache-2.0 */

/*
 * cpu.max, cpu.stat, cpuacct.stat and cpuacct.usage_all of any bytes.
 */

#include <stdint.h>
#include <stdlib.h>

#include "daemon/source/cgroup_cpu.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    SfCpuQuota quota;
    SfCpuUsage usage;
    SF_CLEANUP_TEXT SfText usages = SF_TEXT_INIT;
    uint64_t nsec;

    if (sf_cpu_max_parse(text, size, &quota) == 0 && quota.period_usec == 0)
        abort();
    if (sf_cpu_stat_parse_usage(text, size, &usage) == 0 && usage.nice_nsec > usage.user_nsec)
        abort();
    (void)!sf_cpuacct_stat_parse(text, size, 100, &usage);
    (void)!sf_cpu_stat_parse_throttled(text, size, &nsec);
    if (sf_cpuacct_all_parse(text, size, &usages) == 0 && sf_cpu_usages_count(&usages) == 0)
        abort();
    return 0;
}
