/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.numa_stat in both versions.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "daemon/source/cgroup_numa.h"

static int parse(const char *text, unsigned version, unsigned node, uint64_t *ret_bytes)
{
    return sf_numa_stat_parse(text, strlen(text), version, 4096, node, ret_bytes);
}

static void test_v2(void **state)
{
    static const char text[] = "anon N0=1000 N1=20\nfile N0=300 N1=4\nshmem N0=300 N1=4\n"
                               "kernel_stack N0=5 N1=6\nslab_unreclaimable N0=1 N1=0\n"
                               "inactive_anon N0=1000 N1=20\nanon_thp N0=900 N1=0\n";
    uint64_t bytes;

    assert_int_equal(parse(text, 2, 0, &bytes), 0);
    assert_int_equal(bytes, 1306);
    assert_int_equal(parse(text, 2, 1, &bytes), 0);
    assert_int_equal(bytes, 30);
    assert_int_equal(parse(text, 2, 10, &bytes), 0);
    assert_int_equal(bytes, 0);
}

static void test_v1(void **state)
{
    static const char text[] = "total=7 N0=3 N1=4\nfile=5 N0=2 N1=3\n"
                               "hierarchical_total=17 N0=13 N1=4\nhierarchical_file=1 N0=1 N1=0\n";
    uint64_t bytes;

    assert_int_equal(parse(text, 1, 0, &bytes), 0);
    assert_int_equal(bytes, 13 * 4096);
    assert_int_equal(parse(text, 1, 1, &bytes), 0);
    assert_int_equal(bytes, 4 * 4096);
}

static void test_malformed(void **state)
{
    static const char *const texts[] = {
        "anon N0=\n",  "anon N=1\n",    "anon 0=1\n", "anon N0=-1\n",
        "anon Nx=1\n", "anon N0=1 2\n", "\n"};
    uint64_t bytes = 77;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(parse(texts[i], 2, 0, &bytes) < 0, 1);
    assert_int_equal(bytes, 77);
    assert_int_equal(parse("", 2, 0, &bytes), 0);
    assert_int_equal(bytes, 0);
    /* Saturates, for what no machine has. */
    assert_int_equal(parse("hierarchical_total=9 N0=18446744073709551615\n", 1, 0, &bytes), 0);
    assert_true(bytes == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v2),
        cmocka_unit_test(test_v1),
        cmocka_unit_test(test_malformed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
