/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * cpu, cpuacct and cpuset of one cgroup, v1 and v2 in one vocabulary.
 */

#include "daemon/source/cgroup.h"
#include "lib/base/text.h"

/* Bandwidth: quota_usec is SF_UNLIMITED when none is set. period_usec is never 0. */
typedef struct SfCpuQuota {
    uint64_t quota_usec;
    uint64_t period_usec;
} SfCpuQuota;

/* Pure: cpu.max ("max 100000", "150000 100000"). -EINVAL, a period of 0 included. */
int sf_cpu_max_parse(const char *text, size_t len, SfCpuQuota *ret_quota) SF_WARN_UNUSED;
/* v1: cpu.cfs_quota_us (-1: none) with cpu.cfs_period_us. -ENODATA where the controller is not
 * enabled, or at the root. */
int sf_cgroup_cpu_quota(SfCgroup *cgroup, SfCpuQuota *ret_quota) SF_WARN_UNUSED;
/* The same without reading the period of v1 where no quota is set: the kernel's default stands
 * there. */
int sf_cgroup_cpu_quota_set(SfCgroup *cgroup, SfCpuQuota *ret_quota) SF_WARN_UNUSED;

/* CPU time the cgroup and all below it have used since it was made. */
typedef struct SfCpuUsage {
    uint64_t user_nsec;
    uint64_t system_nsec;
    uint64_t nice_nsec; /* part of user_nsec on v2 (nice_usec, kernel >= 6.13); 0 when the kernel
                           does not tell */
} SfCpuUsage;

/* Pure: v2 cpu.stat. user_usec and system_usec must be there: -EINVAL. */
int sf_cpu_stat_parse_usage(const char *text, size_t len, SfCpuUsage *ret_usage) SF_WARN_UNUSED;
/* Pure: v1 cpuacct.stat: "user N" and "system N" in ticks. */
int sf_cpuacct_stat_parse(const char *text, size_t len, uint64_t ticks_per_sec,
                          SfCpuUsage *ret_usage) SF_WARN_UNUSED;
/* The cgroup's total: v2 cpu.stat (no controller needed), v1 the sum of cpuacct.usage_percpu in the
 * proportion of usage_all, else cpuacct.stat. -ENODATA. */
int sf_cgroup_cpu_usage(SfCgroup *cgroup, uint64_t ticks_per_sec,
                        SfCpuUsage *ret_usage) SF_WARN_UNUSED;

/* Time throttled by the quota, nanoseconds: v2 throttled_usec, v1 throttled_time. -ENODATA. Pure
 * parse and read. */
int sf_cpu_stat_parse_throttled(const char *text, size_t len, uint64_t *ret_nsec) SF_WARN_UNUSED;
int sf_cgroup_cpu_throttled(SfCgroup *cgroup, uint64_t *ret_nsec) SF_WARN_UNUSED;
/* v2 only: both of one read of cpu.stat; throttled 0 where it does not say. */
int sf_cgroup_cpu_stat(SfCgroup *cgroup, SfCpuUsage *ret_usage,
                       uint64_t *ret_throttled_nsec) SF_WARN_UNUSED;

/* v1 only: cpuacct.usage_all, "cpu user system" and a line a CPU, nanoseconds. Entries are in CPU
 * order as printed. These two are counted at timer ticks (kernel/sched/cpuacct.c,
 * cpuacct_cpuusage_read), and can be a tenth off in sum; what tasks have run is in
 * cpuacct.usage_percpu. */
typedef struct SfCpuUsageOne {
    unsigned cpu;
    uint64_t user_nsec, system_nsec;
    uint64_t exact_nsec; /* both together; 0: not known */
} SfCpuUsageOne;
/* Pure: cpuacct.usage_percpu, a number a CPU in the order of *usages, whose exact_nsec are set.
 * -EINVAL, also when there are more or fewer; nothing is changed then. */
int sf_cpuacct_percpu_parse(const char *text, size_t len, SfCpuUsageOne *usages,
                            unsigned count) SF_WARN_UNUSED;
/* Makes two parts out of a sum, in the proportion that they have; without any, it is all user's. */
void sf_cpu_usage_settle(uint64_t sum, uint64_t *user, uint64_t *system);
/* Several of them lie one after another in the memory of an SfText, so that it is used again. */
static inline const SfCpuUsageOne *sf_cpu_usages(const SfText *usages)
{
    return (const SfCpuUsageOne *)(const void *)usages->data;
}
unsigned sf_cpu_usages_count(const SfText *usages);
/* Adds them up; gives the sum of exact_nsec. */
uint64_t sf_cpu_usages_sum(const SfText *usages, SfCpuUsage *ret_usage);
/* Pure. -EINVAL, -ENOMEM. */
int sf_cpuacct_all_parse(const char *text, size_t len, SfText *usages) SF_WARN_UNUSED;
int sf_cgroup_cpu_usage_percpu(SfCgroup *cgroup, SfText *usages) SF_WARN_UNUSED;

/* cpuset.{cpus,mems}.effective. On v2 a cgroup without the controller has no such file and takes
 * its nearest ancestor's: that walk is done here. -ENODATA when none has one. */
int sf_cgroup_effective_cpus(SfCgroup *cgroup, SfCpuSet *ret_set) SF_WARN_UNUSED;
int sf_cgroup_effective_mems(SfCgroup *cgroup, SfCpuSet *ret_set) SF_WARN_UNUSED;
