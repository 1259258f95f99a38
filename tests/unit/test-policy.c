/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Annotations to policy: what is taken, what is refused and with which words, and which paths a
 * list of rules shows.
 */

#include "daemon/container/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void assert_refused(const char *key, const char *value, int expected, const char *words)
{
    SfPolicy policy, before;
    char error[256] = "";

    memset(&policy, 0, sizeof(policy));
    sf_policy_init(&policy);
    policy.rule_count = 1;
    memcpy(&before, &policy, sizeof(before));
    assert_int_equal(sf_policy_apply(&policy, key, value, error, sizeof(error)), expected);
    assert_memory_equal(&policy, &before, sizeof(policy));
    assert_non_null(strstr(error, words));
    assert_null(strchr(error, '\n'));
    /* Without a place for the message the result is the same. */
    assert_int_equal(sf_policy_apply(&policy, key, value, NULL, 0), expected);
}

static void apply(SfPolicy *policy, const char *key, const char *value)
{
    char error[256] = "";

    assert_int_equal(sf_policy_apply(policy, key, value, error, sizeof(error)), 0);
    assert_string_equal(error, "");
}

static void test_defaults(void **state)
{
    SfPolicy policy;

    sf_policy_init(&policy);
    assert_true(policy.enable);
    assert_false(policy.required);
    assert_int_equal(policy.cpu, SF_CPU_POLICY_QUOTA);
    assert_int_equal(policy.rule_count, 0);
    assert_true(sf_policy_shows(&policy, "/proc/meminfo"));
}

static void test_values(void **state)
{
    SfPolicy policy;

    sf_policy_init(&policy);
    apply(&policy, "io.sysfsd.enable", "false");
    assert_false(policy.enable);
    apply(&policy, "io.sysfsd.enable", "true");
    assert_true(policy.enable);
    apply(&policy, "io.sysfsd.required", "true");
    assert_true(policy.required);
    apply(&policy, "io.sysfsd.cpu", "cpuset");
    assert_int_equal(policy.cpu, SF_CPU_POLICY_CPUSET);
    apply(&policy, "io.sysfsd.cpu", "host");
    assert_int_equal(policy.cpu, SF_CPU_POLICY_HOST);
    apply(&policy, "io.sysfsd.cpu", "quota");
    assert_int_equal(policy.cpu, SF_CPU_POLICY_QUOTA);
    assert_string_equal(sf_cpu_policy_name(SF_CPU_POLICY_QUOTA), "quota");
    assert_string_equal(sf_cpu_policy_name(SF_CPU_POLICY_CPUSET), "cpuset");
    assert_string_equal(sf_cpu_policy_name(SF_CPU_POLICY_HOST), "host");
}

static void test_foreign_keys_pass(void **state)
{
    SfPolicy policy;

    sf_policy_init(&policy);
    apply(&policy, "io.kubernetes.pod.name", "x");
    apply(&policy, "io.sysfsd", "x");
    apply(&policy, "io.sysfsdx.enable", "x");
    apply(&policy, "", "");
}

static void test_refusals(void **state)
{
    assert_refused("io.sysfsd.", "true", -ENOENT, "io.sysfsd.=true");
    assert_refused("io.sysfsd.enabled", "true", -ENOENT, "io.sysfsd.enabled=true: no such");
    assert_refused("io.sysfsd.Enable", "true", -ENOENT, "io.sysfsd.Enable");
    assert_refused("io.sysfsd.enable", "", -EINVAL, "expected true or false");
    assert_refused("io.sysfsd.enable", "yes", -EINVAL, "io.sysfsd.enable=yes");
    assert_refused("io.sysfsd.enable", "true ", -EINVAL, "expected true or false");
    assert_refused("io.sysfsd.required", "1", -EINVAL, "io.sysfsd.required=1");
    assert_refused("io.sysfsd.cpu", "quota,cpuset", -EINVAL, "expected quota, cpuset or host");
    assert_refused("io.sysfsd.cpu", "a\nb\x7f", -EINVAL, "io.sysfsd.cpu=a?b?");
}

static void test_views_refused(void **state)
{
    static const char *const bad[] = {"",
                                      ",",
                                      "+",
                                      "/proc/stat",
                                      "+proc/stat",
                                      "+/proc/stat,",
                                      "+/etc",
                                      "+/procx/y",
                                      "+/",
                                      "+/proc/",
                                      "-/proc//stat",
                                      "+/proc/../etc",
                                      "+/proc/.",
                                      "+/proc/a b",
                                      "*/proc/stat",
                                      "+/proc,,-/sys",
                                      "++/proc",
                                      "+ /proc/stat",
                                      "-/proc/stat -/sys"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_refused("io.sysfsd.views", bad[i], -EINVAL, "expected a comma list");

    char path[SF_POLICY_PATH_MAX + 8] = "-/proc/";
    memset(path + strlen(path), 'a', SF_POLICY_PATH_MAX - strlen("/proc/"));
    assert_refused("io.sysfsd.views", path, -EINVAL, "io.sysfsd.views=-/proc/aaa");
    path[strlen(path) - 1] = '\0'; /* the longest that fits */
    SfPolicy policy;
    sf_policy_init(&policy);
    apply(&policy, "io.sysfsd.views", path);
    assert_string_equal(policy.rules[0].path, path + 1);

    char many[SF_POLICY_MAX_RULES * 12] = "";
    for (unsigned i = 0; i < SF_POLICY_MAX_RULES; i++)
        strcat(many, i == 0 ? "-/proc/a" : ",-/proc/a");
    sf_policy_init(&policy);
    apply(&policy, "io.sysfsd.views", many);
    assert_int_equal(policy.rule_count, SF_POLICY_MAX_RULES);
    assert_int_equal(sf_policy_apply(&policy, "io.sysfsd.views", "+/proc", NULL, 0), -EINVAL);
    assert_refused("io.sysfsd.views", many, -EINVAL, "too many rules");
}

static void test_rules(void **state)
{
    SfPolicy policy;

    sf_policy_init(&policy);
    apply(&policy, "io.sysfsd.views", "-/proc/stat");
    assert_false(sf_policy_shows(&policy, "/proc/stat"));
    assert_true(sf_policy_shows(&policy, "/proc/statm"));
    assert_true(sf_policy_shows(&policy, "/proc"));
    /* A second annotation adds to the first, as annotations do to the configuration. */
    apply(&policy, "io.sysfsd.views", "-/sys, +/sys/devices/system/cpu/online");
    assert_int_equal(policy.rule_count, 3);
    assert_false(sf_policy_shows(&policy, "/sys/devices/system/cpu/present"));
    assert_true(sf_policy_shows(&policy, "/sys/devices/system/cpu/online"));
    assert_false(sf_policy_shows(&policy, "/proc/stat"));
    assert_true(sf_policy_shows(&policy, "/proc/meminfo"));
    /* The last that matches decides. */
    apply(&policy, "io.sysfsd.views", "+/sys,-/sys/devices/system/cpu/online");
    assert_true(sf_policy_shows(&policy, "/sys/devices/system/cpu/present"));
    assert_false(sf_policy_shows(&policy, "/sys/devices/system/cpu/online"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),          cmocka_unit_test(test_values),
        cmocka_unit_test(test_foreign_keys_pass), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_views_refused),     cmocka_unit_test(test_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
