/* SPDX-License-Identifier: Apache-2.0 */

/*
 * cpu, cpuacct and cpuset in both versions: units, "no quota", and the walk to the ancestor that
 * has a cpuset.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/source/cgroup_cpu.h"
#include "source-cgroup.h"

#define CTR "box/ctr"

static int cpu_max(const char *text, SfCpuQuota *ret_quota)
{
    return sf_cpu_max_parse(text, strlen(text), ret_quota);
}

static void test_cpu_max(void **state)
{
    SfCpuQuota quota;

    assert_int_equal(cpu_max("max 100000\n", &quota), 0);
    assert_true(quota.quota_usec == SF_UNLIMITED);
    assert_int_equal(quota.period_usec, 100000);
    assert_int_equal(cpu_max("150000 100000\n", &quota), 0);
    assert_int_equal(quota.quota_usec, 150000);

    static const char *const BAD[] = {
        "",          "\n",      "max\n",         "100000\n",  "max 0\n", "1 0\n", "-1 100000\n",
        "max max\n", "1 2 3\n", "maxi 100000\n", "1.5 100000"};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        assert_int_equal(cpu_max(BAD[i], &quota), -EINVAL);
    assert_int_equal(quota.quota_usec, 150000);
}

static void test_quota(void **state)
{
    Box box;
    SfCpuQuota quota;
    SfCgroup *top = NULL;

    box_open(&box, 2, SF_CONTROLLER_CPU);
    assert_int_equal(sf_cgroup_cpu_quota(box.cgroup, &quota), -ENODATA);
    box_write(&box, CTR, "cpu.max", "50000 200000\n");
    assert_int_equal(sf_cgroup_cpu_quota(box.cgroup, &quota), 0);
    assert_int_equal(quota.quota_usec, 50000);
    assert_int_equal(quota.period_usec, 200000);
    box_close(&box);

    box_open(&box, 1, SF_CONTROLLER_CPU);
    assert_int_equal(sf_cgroup_cpu_quota(box.cgroup, &quota), -ENODATA);
    box_write(&box, CTR, "cpu.cfs_quota_us", "-1\n");
    assert_int_equal(sf_cgroup_cpu_quota(box.cgroup, &quota), -ENODATA);
    box_write(&box, CTR, "cpu.cfs_period_us", "100000\n");
    assert_int_equal(sf_cgroup_cpu_quota(box.cgroup, &quota), 0);
    assert_true(quota.quota_usec == SF_UNLIMITED);
    assert_int_equal(quota.period_usec, 100000);
    box_write(&box, CTR, "cpu.cfs_quota_us", "25000\n");
    assert_int_equal(sf_cgroup_cpu_quota(box.cgroup, &quota), 0);
    assert_int_equal(quota.quota_usec, 25000);
    box_write(&box, CTR, "cpu.cfs_period_us", "0\n");
    assert_int_equal(sf_cgroup_cpu_quota(box.cgroup, &quota), -EINVAL);
    box_write(&box, CTR, "cpu.cfs_quota_us", "x\n");
    assert_int_equal(sf_cgroup_cpu_quota(box.cgroup, &quota), -EINVAL);
    /* The root has the files on v1, but no quota. */
    box_write(&box, "", "cpu.cfs_quota_us", "-1\n");
    box_write(&box, "", "cpu.cfs_period_us", "100000\n");
    assert_int_equal(sf_cgroup_at(box.cgroups, SF_CONTROLLER_CPU, "/", &top), 0);
    assert_int_equal(sf_cgroup_cpu_quota(top, &quota), -ENODATA);
    sf_cgroup_unref(top);
    box_close(&box);
}

static int usage(const char *text, SfCpuUsage *ret_usage)
{
    return sf_cpu_stat_parse_usage(text, strlen(text), ret_usage);
}

static void test_usage_parse(void **state)
{
    SfCpuUsage result;

    assert_int_equal(usage("usage_usec 30\nuser_usec 10\nsystem_usec 20\nnice_usec 4\n", &result),
                     0);
    assert_int_equal(result.user_nsec, 10000);
    assert_int_equal(result.system_nsec, 20000);
    assert_int_equal(result.nice_nsec, 4000);
    assert_int_equal(usage("user_usec 1\nsystem_usec 2", &result), 0);
    assert_int_equal(result.nice_nsec, 0);
    /* nice is a part of user, also where the kernel's roundings disagree. */
    assert_int_equal(usage("user_usec 1\nsystem_usec 2\nnice_usec 3\n", &result), 0);
    assert_int_equal(result.nice_nsec, 1000);
    assert_int_equal(usage("user_usec 18446744073709551615\nsystem_usec 2\n", &result), 0);
    assert_true(result.user_nsec == UINT64_MAX);

    static const char *const BAD[] = {"",
                                      "user_usec 1\n",
                                      "system_usec 1\n",
                                      "user_usec x\nsystem_usec 1\n",
                                      "user_usec 1 2\nsystem_usec 1\n",
                                      "user_usec\nsystem_usec 1\n",
                                      "user_usec 1\nsystem_usec 1\nnice_usec -1\n",
                                      "xuser_usec 1\nsystem_usec 1\n"};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        assert_int_equal(usage(BAD[i], &result), -EINVAL);
    assert_true(result.user_nsec == UINT64_MAX);
}

static void test_cpuacct_parse(void **state)
{
    SfCpuUsage result;
    static const char TEXT[] = "user 150\nsystem 25\n";

    assert_int_equal(sf_cpuacct_stat_parse(TEXT, strlen(TEXT), 100, &result), 0);
    assert_true(result.user_nsec == UINT64_C(1500000000));
    assert_true(result.system_nsec == UINT64_C(250000000));
    assert_int_equal(sf_cpuacct_stat_parse(TEXT, strlen(TEXT), 0, &result), -EINVAL);
    assert_int_equal(sf_cpuacct_stat_parse("user 1\n", 7, 100, &result), -EINVAL);
    /* A hundred years of 1024 CPUs must not wrap. */
    static const char LONG[] = "user 18446744073709551615\nsystem 322961408000\n";
    assert_int_equal(sf_cpuacct_stat_parse(LONG, strlen(LONG), 100, &result), 0);
    assert_true(result.user_nsec == UINT64_MAX);
    assert_true(result.system_nsec == UINT64_C(3229614080000000000));
}

static void test_throttled(void **state)
{
    uint64_t nsec = 7;

    static const char V2[] = "usage_usec 1\nnr_throttled 3\nthrottled_usec 12\n";
    assert_int_equal(sf_cpu_stat_parse_throttled(V2, strlen(V2), &nsec), 0);
    assert_int_equal(nsec, 12000);
    static const char V1[] = "nr_periods 1\nnr_throttled 3\nthrottled_time 12\n";
    assert_int_equal(sf_cpu_stat_parse_throttled(V1, strlen(V1), &nsec), 0);
    assert_int_equal(nsec, 12);
    assert_int_equal(sf_cpu_stat_parse_throttled("usage_usec 1\n", 13, &nsec), -ENODATA);
    assert_int_equal(sf_cpu_stat_parse_throttled("throttled_usec x\n", 17, &nsec), -EINVAL);
    assert_int_equal(nsec, 12);
}

static void test_percpu_parse(void **state)
{
    static const char TEXT[] = "cpu user system\n0 10 20\n1 30 40\n4 18446744073709551615 0\n";
    SF_CLEANUP_TEXT SfText memory = SF_TEXT_INIT;
    SfCpuUsage sum;

    assert_int_equal(sf_cpuacct_all_parse(TEXT, strlen(TEXT), &memory), 0);
    assert_int_equal(sf_cpu_usages_count(&memory), 3);
    const SfCpuUsageOne *usages = sf_cpu_usages(&memory);
    assert_int_equal(usages[1].cpu, 1);
    assert_int_equal(usages[1].user_nsec, 30);
    assert_int_equal(usages[1].system_nsec, 40);
    assert_int_equal(usages[2].cpu, 4);
    assert_int_equal(sf_cpu_usages_sum(&memory, &sum), 0);
    assert_true(sum.user_nsec == UINT64_MAX);
    assert_int_equal(sum.system_nsec, 60);

    static const char *const BAD[] = {"",
                                      "cpu user system\n",
                                      "cpu user\n0 1 2\n",
                                      "cpu user system\n0 1\n",
                                      "cpu user system\n0 1 2 3\n",
                                      "cpu user system\n0 1 x\n",
                                      "cpu user system\n8192 1 2\n",
                                      "cpu user system\n\n",
                                      "cpu user system\n-1 1 2\n"};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        assert_int_equal(sf_cpuacct_all_parse(BAD[i], strlen(BAD[i]), &memory), -EINVAL);
}

static void test_usage_read(void **state)
{
    Box box;
    SfCpuUsage result;
    SF_CLEANUP_TEXT SfText usages = SF_TEXT_INIT;
    uint64_t nsec = 1;

    box_open(&box, 2, SF_CONTROLLER_CPUACCT);
    assert_int_equal(sf_cgroup_cpu_usage(box.cgroup, 100, &result), -ENODATA);
    box_write(&box, CTR, "cpu.stat", "usage_usec 3\nuser_usec 1\nsystem_usec 2\n");
    assert_int_equal(sf_cgroup_cpu_usage(box.cgroup, 100, &result), 0);
    assert_int_equal(result.user_nsec, 1000);
    assert_int_equal(sf_cgroup_cpu_throttled(box.cgroup, &nsec), -ENODATA);
    assert_int_equal(sf_cgroup_cpu_stat(box.cgroup, &result, &nsec), 0);
    assert_int_equal(result.system_nsec, 2000);
    assert_int_equal(nsec, 0);
    box_write(&box, CTR, "cpu.stat", "user_usec 4\nsystem_usec 5\nthrottled_usec 6\n");
    assert_int_equal(sf_cgroup_cpu_stat(box.cgroup, &result, &nsec), 0);
    assert_int_equal(result.user_nsec, 4000);
    assert_int_equal(nsec, 6000);
    assert_int_equal(sf_cgroup_cpu_usage_percpu(box.cgroup, &usages), -ENODATA);
    box_close(&box);

    box_open(&box, 1, SF_CONTROLLER_CPUACCT);
    assert_int_equal(sf_cgroup_cpu_usage(box.cgroup, 100, &result), -ENODATA);
    box_write(&box, CTR, "cpuacct.stat", "user 1\nsystem 2\n");
    assert_int_equal(sf_cgroup_cpu_usage(box.cgroup, 100, &result), 0);
    assert_int_equal(result.user_nsec, 10000000);
    box_write(&box, CTR, "cpuacct.usage_all", "cpu user system\n0 5 6\n1 7 8\n");
    assert_int_equal(sf_cgroup_cpu_usage(box.cgroup, 100, &result), 0);
    assert_int_equal(result.user_nsec, 12);
    assert_int_equal(result.system_nsec, 14);
    box_write(&box, CTR, "cpu.stat", "nr_periods 0\nthrottled_time 99\n");
    assert_int_equal(sf_cgroup_cpu_throttled(box.cgroup, &nsec), 0);
    assert_int_equal(nsec, 99);
    box_close(&box);
}

static void assert_set(const SfCpuSet *set, const char *expected)
{
    char text[256];

    assert_true(sf_cpuset_format_list(set, text, sizeof(text)) >= 0);
    assert_string_equal(text, expected);
}

static void test_cpuset(void **state)
{
    Box box;
    SfCpuSet set;

    box_open(&box, 2, SF_CONTROLLER_CPUSET);
    assert_int_equal(sf_cgroup_effective_cpus(box.cgroup, &set), -ENODATA);
    box_write(&box, "", "cpuset.cpus.effective", "0-7\n");
    assert_int_equal(sf_cgroup_effective_cpus(box.cgroup, &set), 0);
    assert_set(&set, "0-7");
    box_write(&box, "box", "cpuset.cpus.effective", "4-7\n");
    assert_int_equal(sf_cgroup_effective_cpus(box.cgroup, &set), 0);
    assert_set(&set, "4-7");
    box_write(&box, CTR, "cpuset.cpus.effective", "5\n");
    box_write(&box, CTR, "cpuset.mems.effective", "0-1\n");
    assert_int_equal(sf_cgroup_effective_cpus(box.cgroup, &set), 0);
    assert_set(&set, "5");
    assert_int_equal(sf_cgroup_effective_mems(box.cgroup, &set), 0);
    assert_set(&set, "0-1");
    box_write(&box, CTR, "cpuset.cpus.effective", "5-\n");
    assert_int_equal(sf_cgroup_effective_cpus(box.cgroup, &set), -EINVAL);
    box_close(&box);

    box_open(&box, 1, SF_CONTROLLER_CPUSET);
    box_write(&box, CTR, "cpuset.effective_cpus", "\n");
    assert_int_equal(sf_cgroup_effective_cpus(box.cgroup, &set), 0);
    assert_true(sf_cpuset_empty(&set));
    box_write(&box, CTR, "cpuset.effective_mems", "0\n");
    assert_int_equal(sf_cgroup_effective_mems(box.cgroup, &set), 0);
    assert_set(&set, "0");
    box_close(&box);
}

/* The sum is what tasks ran, the parts are in the proportion of what ticks saw. */
static void test_exact(void **state)
{
    SfCpuUsageOne usages[2] = {{0, 100, 300, 0}, {1, 5, 0, 0}};
    static const char *const malformed[] = {"1\n", "1 2 3\n", "1 x\n", "\n", "1 -2\n"};
    uint64_t user = 1, system = 2;

    for (unsigned i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++)
        assert_int_equal(sf_cpuacct_percpu_parse(malformed[i], strlen(malformed[i]), usages, 2),
                         -EINVAL);
    assert_int_equal(usages[0].exact_nsec, 0);
    assert_int_equal(sf_cpuacct_percpu_parse("360 7 \n", 7, usages, 2), 0);
    assert_int_equal(usages[0].exact_nsec, 360);
    assert_int_equal(usages[1].exact_nsec, 7);
    sf_cpu_usage_settle(360, &usages[0].user_nsec, &usages[0].system_nsec);
    assert_int_equal(usages[0].user_nsec, 90);
    assert_int_equal(usages[0].system_nsec, 270);
    sf_cpu_usage_settle(UINT64_MAX, &user, &system);
    assert_true(user + system == UINT64_MAX);
    user = system = 0;
    sf_cpu_usage_settle(9, &user, &system);
    assert_int_equal(user, 9);
    assert_int_equal(system, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),         cmocka_unit_test(test_cpu_max),
        cmocka_unit_test(test_quota),         cmocka_unit_test(test_usage_parse),
        cmocka_unit_test(test_cpuacct_parse), cmocka_unit_test(test_throttled),
        cmocka_unit_test(test_percpu_parse),  cmocka_unit_test(test_usage_read),
        cmocka_unit_test(test_cpuset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
