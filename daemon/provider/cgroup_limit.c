/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits over the hierarchy. Which files there are is the providers' matter.
 */

#include "daemon/provider/cgroup_limit.h"

#include <errno.h>

#include "daemon/provider/shared.h"

/* A number of 20 digits or "max", and a newline. */
#define LIMIT_SIZE 32

static SfCgroup *own_cgroup(SfContainer *container, const SfCgroupLimit *limit)
{
    SfCgroup *cgroup = sf_container_cgroup(container, limit->controller);

    if (!cgroup || sf_cgroup_version_of(cgroup) != limit->version || sf_cgroup_is_top(cgroup))
        return NULL;
    return cgroup;
}

bool sf_cgroup_limit_available(SfContainer *container, const SfCgroupLimit *limit)
{
    SfCgroup *cgroup = own_cgroup(container, limit);
    char text[SF_CPUSET_MAX]; /* the longest is a list of CPUs; what does not fit is there too */
    size_t len;

    if (!cgroup)
        return false;
    int r = sf_cgroup_read(cgroup, limit->file, text, sizeof(text), &len);
    return r >= 0 || r == -EFBIG;
}

int sf_format_least(SfContainer *container, const SfCgroupLimit *limit, SfText *text)
{
    SfCgroup *own = own_cgroup(container, limit);
    uint64_t least = SF_UNLIMITED, value;
    char unlimited[LIMIT_SIZE];
    size_t len;

    int r = own ? sf_cgroup_read(own, limit->file, unlimited, sizeof(unlimited), &len) : -ENODATA;
    if (r < 0)
        return r;
    for (SfCgroup *cgroup = own; cgroup; cgroup = sf_cgroup_parent(cgroup)) {
        r = sf_cgroup_read_limit(cgroup, limit->file, &value);
        if (r == -ENODATA)
            continue; /* the top, or a controller that is not enabled there */
        if (r < 0)
            return r;
        least = sf_min_u64(least, value);
    }
    if (least == SF_UNLIMITED) {
        sf_text_append(text, unlimited, len);
        return 0;
    }
    sf_text_u64(text, least);
    sf_text_putc(text, '\n');
    return 0;
}

/* *ret_quota: by is NULL without a quota, and the period then the own one. */
static int effective_quota(SfContainer *container, SfContainerQuota *ret_quota)
{
    SfContainerQuota quota;
    SfCpuQuota own;

    int r = sf_container_quota(container, &quota);
    if (r == 0 && !quota.by) {
        r = sf_cgroup_cpu_quota(sf_container_cgroup(container, SF_CONTROLLER_CPU), &own);
        if (r == 0)
            quota.quota.period_usec = own.period_usec;
    }
    if (r < 0)
        return r;
    *ret_quota = quota;
    return 0;
}

static void put_quota(SfText *text, const SfContainerQuota *quota, const char *none)
{
    if (quota->by)
        sf_text_u64(text, quota->quota.quota_usec);
    else
        sf_text_puts(text, none);
}

int sf_format_cpu_max(SfContainer *container, const SfCgroupLimit *limit, SfText *text)
{
    SfContainerQuota quota;

    (void)limit;
    int r = effective_quota(container, &quota);
    if (r < 0)
        return r;
    put_quota(text, &quota, "max");
    sf_text_putc(text, ' ');
    sf_text_u64(text, quota.quota.period_usec);
    sf_text_putc(text, '\n');
    return 0;
}

int sf_format_cfs_quota(SfContainer *container, const SfCgroupLimit *limit, SfText *text)
{
    SfContainerQuota quota;

    (void)limit;
    int r = effective_quota(container, &quota);
    if (r == 0) {
        put_quota(text, &quota, "-1");
        sf_text_putc(text, '\n');
    }
    return r;
}

int sf_format_cfs_period(SfContainer *container, const SfCgroupLimit *limit, SfText *text)
{
    SfContainerQuota quota;

    (void)limit;
    int r = effective_quota(container, &quota);
    if (r == 0) {
        sf_text_u64(text, quota.quota.period_usec);
        sf_text_putc(text, '\n');
    }
    return r;
}

int sf_format_effective_cpus(SfContainer *container, const SfCgroupLimit *limit, SfText *text)
{
    SfCpuSet set;

    int r = sf_cgroup_effective_cpus(sf_container_cgroup(container, limit->controller), &set);
    if (r == 0)
        sf_format_cpulist(text, &set);
    return r;
}

int sf_format_effective_mems(SfContainer *container, const SfCgroupLimit *limit, SfText *text)
{
    SfCpuSet set;

    int r = sf_cgroup_effective_mems(sf_container_cgroup(container, limit->controller), &set);
    if (r == 0)
        sf_format_cpulist(text, &set);
    return r;
}
