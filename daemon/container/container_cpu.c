/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU quota, visible CPUs and CPU time of a container. It reads and decides; what has to be
 * remembered between two answers is cpu_account.c's.
 */

#include "daemon/container/container_private.h"

#include "lib/base/scratch.h"

typedef unsigned __int128 Wide;

static bool quota_less(const SfCpuQuota *a, const SfCpuQuota *b)
{
    if (a->quota_usec == SF_UNLIMITED || b->quota_usec == SF_UNLIMITED)
        return a->quota_usec != SF_UNLIMITED;
    return (Wide)a->quota_usec * b->period_usec < (Wide)b->quota_usec * a->period_usec;
}

int sf_container_quota(SfContainer *container, SfContainerQuota *ret_quota)
{
    SfContainerQuota smallest = {.quota = {SF_UNLIMITED, 100000}, .by = NULL};

    for (SfCgroup *cgroup = container->cgroups[SF_CONTROLLER_CPU]; cgroup != NULL;
         cgroup = sf_cgroup_parent(cgroup)) {
        SfCpuQuota quota;
        int r = sf_cgroup_cpu_quota_set(cgroup, &quota);
        if (r == -ENODATA)
            continue;
        if (r < 0)
            return r;
        if (quota.quota_usec != SF_UNLIMITED && quota_less(&quota, &smallest.quota))
            smallest = (SfContainerQuota){.quota = quota, .by = cgroup};
    }
    *ret_quota = smallest;
    return 0;
}

/* CPUs that a quota amounts to: 1.5 is two, each busy three quarters of the time. */
static unsigned quota_cpus(const SfCpuQuota *quota)
{
    if (quota->quota_usec == SF_UNLIMITED)
        return SF_CPUSET_MAX;
    uint64_t n =
        quota->quota_usec / quota->period_usec + (quota->quota_usec % quota->period_usec > 0);
    return n == 0 ? 1 : (unsigned)sf_min_u64(n, SF_CPUSET_MAX);
}

int sf_container_visible_cpus(SfContainer *container, SfCpuSet *ret_cpus)
{
    SfCpuSet online, cpus;
    SfCgroup *cgroup = container->cgroups[SF_CONTROLLER_CPUSET];

    int r = sf_host_online_cpus(container->host, &online);
    if (r < 0)
        return r;
    cpus = online;
    if (container->policy.cpu != SF_CPU_POLICY_HOST && cgroup != NULL) {
        r = sf_cgroup_effective_cpus(cgroup, &cpus);
        if (r < 0 && r != -ENODATA)
            return r;
        if (r == 0)
            sf_cpuset_and(&cpus, &online);
        /* No data, or a CPU that just went offline was the only one: the kernel then lets tasks run
         * anywhere (cpuset_cpus_allowed_fallback()). */
        if (r < 0 || sf_cpuset_empty(&cpus))
            cpus = online;
    }
    if (container->policy.cpu == SF_CPU_POLICY_QUOTA) {
        SfContainerQuota quota;
        r = sf_container_quota(container, &quota);
        if (r < 0)
            return r;
        sf_cpuset_keep_lowest(&cpus, quota_cpus(&quota.quota));
    }
    *ret_cpus = cpus;
    return 0;
}

/* The top of a hierarchy accounts the whole host: a container without a cgroup of its own has no
 * source. */
static SfCgroup *accounting_cgroup(const SfContainer *container)
{
    SfCgroup *cgroup = container->cgroups[SF_CONTROLLER_CPUACCT];

    return cgroup != NULL && !sf_cgroup_is_top(cgroup) ? cgroup : NULL;
}

int sf_container_cpu_usage(SfContainer *container, SfCpuUsage *ret_usage)
{
    SfCgroup *cgroup = accounting_cgroup(container);

    if (cgroup == NULL)
        return -ENODATA;
    return sf_cgroup_cpu_usage(cgroup, sf_host_ticks_per_sec(container->host), ret_usage);
}

/* v1: one read gives the total and its parts, so that they agree; *usages stays empty where there
 * is no cpuacct.usage_all (before Linux 4.6), and on v2. */
static int read_usage(SfContainer *container, SfCgroup *cgroup, SfText *usages, SfCpuSample *sample)
{
    int r =
        sf_cgroup_version_of(cgroup) == 1 ? sf_cgroup_cpu_usage_percpu(cgroup, usages) : -ENODATA;
    if (r == -ENODATA)
        return sf_container_cpu_usage(container, &sample->usage);
    if (r < 0)
        return r;
    sample->exact_nsec = sf_cpu_usages_sum(usages, &sample->usage);
    sample->percpu = sf_cpu_usages(usages);
    sample->percpu_count = sf_cpu_usages_count(usages);
    return 0;
}

/* The cgroup's time and how long it was throttled. On v2 both are in one file. */
static int read_sample(SfContainer *container, SfText *usages, SfCpuSample *sample)
{
    SfCgroup *cgroup = accounting_cgroup(container), *cpu = container->cgroups[SF_CONTROLLER_CPU];

    if (cgroup == NULL)
        return -ENODATA;
    if (cgroup == cpu && sf_cgroup_version_of(cgroup) == 2)
        return sf_cgroup_cpu_stat(cgroup, &sample->usage, &sample->throttled_nsec);
    int r = read_usage(container, cgroup, usages, sample);
    if (r < 0)
        return r;
    r = cpu != NULL && !sf_cgroup_is_top(cpu)
            ? sf_cgroup_cpu_throttled(cpu, &sample->throttled_nsec)
            : -ENODATA;
    if (r == -ENODATA)
        sample->throttled_nsec = 0;
    return r == -ENODATA ? 0 : r;
}

int sf_container_cpu_times(SfContainer *container, SfText *memory, SfCpuTimes *ret_times)
{
    SF_SCRATCH SfText *usages = sf_scratch_take();
    SfCpuSample sample = {0};
    SfCpuSet visible;

    if (accounting_cgroup(container) == NULL)
        return -ENODATA;
    int r = sf_container_visible_cpus(container, &visible);
    if (r < 0)
        return r;
    r = read_sample(container, usages, &sample);
    if (r < 0)
        return r;
    /* The clock last: time read from the cgroup has then passed. */
    sample.age_nsec = sf_container_age_nsec(container);
    r = sf_cpu_account_update(container->cpu_account, &sample, &visible, memory, ret_times);
    if (r == 0)
        sf_container_remember(container);
    return r;
}
