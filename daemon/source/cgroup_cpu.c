/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The cpu, cpuacct and cpuset files of one cgroup. Units become nanoseconds and microseconds here;
 * what a quota or a set means for a container is daemon/container's.
 */

#include "daemon/source/cgroup_cpu.h"

#include <string.h>

#include "lib/base/scratch.h"

#define NSEC_PER_SEC UINT64_C(1000000000)
#define NSEC_PER_USEC UINT64_C(1000)
#define DEFAULT_PERIOD_USEC 100000 /* kernel/sched/core.c, default_cfs_period() */

/* cpu.stat has about ten short lines; cpu.max and the v1 numbers far less. */
#define STAT_SIZE 4096

int sf_cpu_max_parse(const char *text, size_t len, SfCpuQuota *ret_quota)
{
    SfSlice rest = sf_slice_trim(sf_slice(text, len));
    SfSlice quota_word, period_word, more;
    SfCpuQuota quota;

    if (!sf_slice_next_word(&rest, &quota_word) || !sf_slice_next_word(&rest, &period_word) ||
        sf_slice_next_word(&rest, &more))
        return -EINVAL;
    if (sf_slice_limit(quota_word, &quota.quota_usec) < 0 ||
        sf_slice_u64(period_word, &quota.period_usec) < 0 || quota.period_usec == 0)
        return -EINVAL;
    *ret_quota = quota;
    return 0;
}

/* cpu.cfs_quota_us: microseconds, -1 for none; cpu.cfs_period_us. */
static int v1_quota(SfCgroup *cgroup, bool want_period, SfCpuQuota *ret_quota)
{
    char text[64];
    size_t len;
    int64_t quota_usec;
    uint64_t period_usec;

    int r = sf_cgroup_read(cgroup, SF_CGROUP_CPU_MAX, text, sizeof(text), &len);
    if (r < 0)
        return r;
    if (sf_slice_i64(sf_slice_trim(sf_slice(text, len)), &quota_usec) < 0)
        return -EINVAL;
    if (quota_usec < 0 && !want_period) {
        *ret_quota = (SfCpuQuota){SF_UNLIMITED, DEFAULT_PERIOD_USEC};
        return 0;
    }
    r = sf_cgroup_read(cgroup, SF_CGROUP_CPU_PERIOD, text, sizeof(text), &len);
    if (r < 0)
        return r;
    if (sf_slice_u64(sf_slice_trim(sf_slice(text, len)), &period_usec) < 0 || period_usec == 0)
        return -EINVAL;
    ret_quota->quota_usec = quota_usec < 0 ? SF_UNLIMITED : (uint64_t)quota_usec;
    ret_quota->period_usec = period_usec;
    return 0;
}

static int read_quota(SfCgroup *cgroup, bool want_period, SfCpuQuota *ret_quota)
{
    char text[64];
    size_t len;

    /* v1 has the files at the root too; the kernel takes no quota there (kernel/sched/core.c
     * tg_set_cfs_bandwidth). */
    if (sf_cgroup_version_of(cgroup) == 1)
        return strcmp(sf_cgroup_path(cgroup), "/") == 0 ? -ENODATA
                                                        : v1_quota(cgroup, want_period, ret_quota);
    int r = sf_cgroup_read(cgroup, SF_CGROUP_CPU_MAX, text, sizeof(text), &len);
    if (r < 0)
        return r;
    return sf_cpu_max_parse(text, len, ret_quota);
}

int sf_cgroup_cpu_quota(SfCgroup *cgroup, SfCpuQuota *ret_quota)
{
    return read_quota(cgroup, true, ret_quota);
}

int sf_cgroup_cpu_quota_set(SfCgroup *cgroup, SfCpuQuota *ret_quota)
{
    return read_quota(cgroup, false, ret_quota);
}

/* The number of the line "key N". 1 when there, 0 when not, -EINVAL when that line is malformed. */
static int find_number(SfSlice rest, const char *key, uint64_t *ret_value)
{
    SfSlice line, word, more;

    while (sf_slice_next_line(&rest, &line)) {
        if (!sf_slice_next_word(&line, &word) || !sf_slice_eq(word, key))
            continue;
        if (!sf_slice_next_word(&line, &word) || sf_slice_u64(word, ret_value) < 0 ||
            sf_slice_next_word(&line, &more))
            return -EINVAL;
        return 1;
    }
    return 0;
}

int sf_cpu_stat_parse_usage(const char *text, size_t len, SfCpuUsage *ret_usage)
{
    SfSlice all = sf_slice(text, len);
    uint64_t user, system, nice = 0;

    if (find_number(all, "user_usec", &user) <= 0 ||
        find_number(all, "system_usec", &system) <= 0 || find_number(all, "nice_usec", &nice) < 0)
        return -EINVAL;
    ret_usage->user_nsec = sf_mul_sat(user, NSEC_PER_USEC);
    ret_usage->system_nsec = sf_mul_sat(system, NSEC_PER_USEC);
    /* user is scaled to the exact run time (cputime_adjust), nice is counted in ticks: it may come
     * out larger. */
    ret_usage->nice_nsec = sf_min_u64(sf_mul_sat(nice, NSEC_PER_USEC), ret_usage->user_nsec);
    return 0;
}

static uint64_t ticks_to_nsec(uint64_t ticks, uint64_t ticks_per_sec)
{
    return sf_add_sat(sf_mul_sat(ticks / ticks_per_sec, NSEC_PER_SEC),
                      ticks % ticks_per_sec * NSEC_PER_SEC / ticks_per_sec);
}

int sf_cpuacct_stat_parse(const char *text, size_t len, uint64_t ticks_per_sec,
                          SfCpuUsage *ret_usage)
{
    SfSlice all = sf_slice(text, len);
    uint64_t user, system;

    /* More ticks a second than nanoseconds would overflow above; no kernel has more than 1024. */
    if (ticks_per_sec == 0 || ticks_per_sec > NSEC_PER_SEC ||
        find_number(all, "user", &user) <= 0 || find_number(all, "system", &system) <= 0)
        return -EINVAL;
    *ret_usage =
        (SfCpuUsage){ticks_to_nsec(user, ticks_per_sec), ticks_to_nsec(system, ticks_per_sec), 0};
    return 0;
}

static int v1_usage(SfCgroup *cgroup, uint64_t ticks_per_sec, SfCpuUsage *ret_usage)
{
    SF_SCRATCH SfText *usages = sf_scratch_take();
    char text[STAT_SIZE];
    size_t len;

    int r = sf_cgroup_cpu_usage_percpu(cgroup, usages);
    if (r == 0) {
        SfCpuUsage usage;
        uint64_t exact = sf_cpu_usages_sum(usages, &usage);
        if (exact > 0)
            sf_cpu_usage_settle(exact, &usage.user_nsec, &usage.system_nsec);
        *ret_usage = usage;
        return 0;
    }
    if (r != -ENODATA)
        return r;
    /* usage_all is of 4.8; before it there is the coarser file. */
    r = sf_cgroup_read(cgroup, SF_CGROUP_CPUACCT_STAT, text, sizeof(text), &len);
    return r < 0 ? r : sf_cpuacct_stat_parse(text, len, ticks_per_sec, ret_usage);
}

int sf_cgroup_cpu_usage(SfCgroup *cgroup, uint64_t ticks_per_sec, SfCpuUsage *ret_usage)
{
    char text[STAT_SIZE];
    size_t len;

    if (sf_cgroup_version_of(cgroup) == 1)
        return v1_usage(cgroup, ticks_per_sec, ret_usage);
    int r = sf_cgroup_read(cgroup, SF_CGROUP_CPU_STAT, text, sizeof(text), &len);
    return r < 0 ? r : sf_cpu_stat_parse_usage(text, len, ret_usage);
}

int sf_cpu_stat_parse_throttled(const char *text, size_t len, uint64_t *ret_nsec)
{
    SfSlice all = sf_slice(text, len);
    uint64_t value;

    int r = find_number(all, "throttled_usec", &value);
    if (r > 0) {
        *ret_nsec = sf_mul_sat(value, NSEC_PER_USEC);
        return 0;
    }
    if (r == 0)
        r = find_number(all, "throttled_time", &value); /* v1, nanoseconds */
    if (r > 0) {
        *ret_nsec = value;
        return 0;
    }
    return r < 0 ? r : -ENODATA;
}

int sf_cgroup_cpu_throttled(SfCgroup *cgroup, uint64_t *ret_nsec)
{
    char text[STAT_SIZE];
    size_t len;

    int r = sf_cgroup_read(cgroup, SF_CGROUP_CPU_STAT, text, sizeof(text), &len);
    return r < 0 ? r : sf_cpu_stat_parse_throttled(text, len, ret_nsec);
}

int sf_cgroup_cpu_stat(SfCgroup *cgroup, SfCpuUsage *ret_usage, uint64_t *ret_throttled_nsec)
{
    char text[STAT_SIZE];
    size_t len;

    int r = sf_cgroup_read(cgroup, SF_CGROUP_CPU_STAT, text, sizeof(text), &len);
    if (r == 0)
        r = sf_cpu_stat_parse_usage(text, len, ret_usage);
    if (r < 0)
        return r;
    r = sf_cpu_stat_parse_throttled(text, len, ret_throttled_nsec);
    if (r == -ENODATA) /* no controller here: nothing is throttled */
        *ret_throttled_nsec = 0;
    return r == -ENODATA ? 0 : r;
}

static int parse_usage_line(SfSlice line, SfCpuUsageOne *ret_usage)
{
    SfSlice words[3], more;
    uint64_t values[3];

    for (unsigned i = 0; i < 3; i++) {
        if (!sf_slice_next_word(&line, &words[i]) || sf_slice_u64(words[i], &values[i]) < 0)
            return -EINVAL;
    }
    if (sf_slice_next_word(&line, &more) || values[0] >= SF_CPUSET_MAX)
        return -EINVAL;
    *ret_usage = (SfCpuUsageOne){(unsigned)values[0], values[1], values[2], 0};
    return 0;
}

unsigned sf_cpu_usages_count(const SfText *usages)
{
    return (unsigned)(usages->len / sizeof(SfCpuUsageOne));
}

uint64_t sf_cpu_usages_sum(const SfText *usages, SfCpuUsage *ret_usage)
{
    const SfCpuUsageOne *one = sf_cpu_usages(usages);
    uint64_t exact = 0;

    *ret_usage = (SfCpuUsage){0};
    for (unsigned i = 0; i < sf_cpu_usages_count(usages); i++) {
        ret_usage->user_nsec = sf_add_sat(ret_usage->user_nsec, one[i].user_nsec);
        ret_usage->system_nsec = sf_add_sat(ret_usage->system_nsec, one[i].system_nsec);
        exact = sf_add_sat(exact, one[i].exact_nsec);
    }
    return exact;
}

int sf_cpuacct_all_parse(const char *text, size_t len, SfText *usages)
{
    SfSlice rest = sf_slice(text, len);
    SfSlice line;

    sf_text_reset(usages);
    if (!sf_slice_next_line(&rest, &line) || !sf_slice_eq(line, "cpu user system"))
        return -EINVAL;
    while (sf_slice_next_line(&rest, &line)) {
        SfCpuUsageOne usage;
        if (parse_usage_line(line, &usage) < 0 || sf_cpu_usages_count(usages) == SF_CPUSET_MAX)
            return -EINVAL;
        sf_text_append(usages, (const char *)&usage, sizeof(usage));
    }
    return usages->error ? usages->error : usages->len == 0 ? -EINVAL : 0;
}

int sf_cpuacct_percpu_parse(const char *text, size_t len, SfCpuUsageOne *usages, unsigned count)
{
    SfSlice all = sf_slice_trim(sf_slice(text, len)), rest = all, word;
    uint64_t value;
    unsigned n = 0;

    /* Looked through before anything is changed. */
    for (; sf_slice_next_word(&rest, &word); n++) {
        if (n == count || sf_slice_u64(word, &value) < 0)
            return -EINVAL;
    }
    if (n != count)
        return -EINVAL;
    for (n = 0; sf_slice_next_word(&all, &word); n++) {
        if (sf_slice_u64(word, &usages[n].exact_nsec) < 0)
            return -EINVAL; /* it was a number above */
    }
    return 0;
}

void sf_cpu_usage_settle(uint64_t sum, uint64_t *user, uint64_t *system)
{
    uint64_t both = sf_add_sat(*user, *system);

    *user = both > 0 ? (uint64_t)((unsigned __int128)sum * *user / both) : sum;
    *system = sum - *user;
}

int sf_cgroup_cpu_usage_percpu(SfCgroup *cgroup, SfText *usages)
{
    SF_SCRATCH SfText *text = sf_scratch_take();

    int r = sf_cgroup_read_text(cgroup, SF_CGROUP_CPUACCT_ALL, text);
    if (r == 0)
        r = sf_cpuacct_all_parse(text->data, text->len, usages);
    if (r < 0)
        return r;
    r = sf_cgroup_read_text(cgroup, SF_CGROUP_CPUACCT_PERCPU, text);
    if (r == 0)
        r = sf_cpuacct_percpu_parse(text->data, text->len, (SfCpuUsageOne *)(void *)usages->data,
                                    sf_cpu_usages_count(usages));
    return r == -ENODATA ? 0 : r;
}

static int effective(SfCgroup *cgroup, SfCgroupFile file, SfCpuSet *ret_set)
{
    SF_SCRATCH SfText *text = sf_scratch_take();
    int r = -ENODATA;

    /* v2 makes the files only where the parent's cgroup.subtree_control has cpuset; below that
     * nothing narrows the set. */
    for (; cgroup && r == -ENODATA; cgroup = sf_cgroup_parent(cgroup))
        r = sf_cgroup_read_text(cgroup, file, text);
    return r < 0 ? r : sf_cpuset_parse_list(text->data, text->len, ret_set);
}

int sf_cgroup_effective_cpus(SfCgroup *cgroup, SfCpuSet *ret_set)
{
    return effective(cgroup, SF_CGROUP_CPUSET_CPUS, ret_set);
}

int sf_cgroup_effective_mems(SfCgroup *cgroup, SfCpuSet *ret_set)
{
    return effective(cgroup, SF_CGROUP_CPUSET_MEMS, ret_set);
}
