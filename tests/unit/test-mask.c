/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cutting the host's sets down to what is visible, in each form the kernel prints them, and sharing
 * numbers between nodes.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/provider/mask.h"
#include "daemon/provider/node_text.h"

typedef int (*Function)(SfText *text, SfSlice host, const SfCpuSet *visible);

static void check(Function function, const char *host, const char *visible, const char *expected)
{
    SF_CLEANUP_TEXT SfText text = SF_TEXT_INIT;
    SfCpuSet set;

    assert_int_equal(sf_cpuset_parse_list(visible, strlen(visible), &set), 0);
    int r = function(&text, sf_slice_str(host), &set);
    if (!expected) {
        assert_int_equal(r, -EINVAL);
        return;
    }
    assert_int_equal(r, 0);
    assert_string_equal(text.data, expected);
}

static void test_lists(void **state)
{
    check(sf_mask_list, "0-3\n", "0-3", "0-3\n");
    check(sf_mask_list, "0-3,64-67\n", "2,64-65", "2,64-65\n");
    check(sf_mask_list, "0-3\n", "4", "\n");
    check(sf_mask_list, "\n", "0-3", "\n");
    check(sf_mask_list, "x\n", "0-3", NULL);
}

static void test_maps(void **state)
{
    check(sf_mask_map, "f\n", "0,2", "5\n");
    check(sf_mask_map, "3\n", "0-7", "3\n");
    check(sf_mask_map, "00000000,0000000f\n", "1", "00000000,00000002\n");
    /* A first group of fewer digits, as the kernel pads it. */
    check(sf_mask_map, "3,ffffffff\n", "31-33", "3,80000000\n");
    check(sf_mask_map, "ffffffff,00000000,ffffffff\n", "0,40,64,95",
          "80000001,00000000,00000001\n");
    check(sf_mask_map, "fg\n", "0", NULL);
}

static void test_words(void **state)
{
    check(sf_mask_words, "0 1 2 3\n", "1-2", "1 2\n");
    check(sf_mask_words, "0 1 \n", "0-7", "0 1\n"); /* cpufreq's show_cpus() before Linux 3.14 */
    check(sf_mask_words, "0 1\n", "5", "\n");
    check(sf_mask_words, "0 99999\n", "0", "0\n");
    check(sf_mask_words, "0-3\n", "0", NULL);
}

static void test_paths(void **state)
{
    assert_int_equal(sf_path_number("cpu0", "cpu"), 0);
    assert_int_equal(sf_path_number("cpu12/topology/core_id", "cpu"), 12);
    assert_int_equal(sf_path_number("cpufreq", "cpu"), -1);
    assert_int_equal(sf_path_number("cpu", "cpu"), -1);
    assert_int_equal(sf_path_number("cpu01", "cpu"), -1);
    assert_int_equal(sf_path_number("cpu1x/y", "cpu"), -1);
    assert_int_equal(sf_path_number("cpu99999", "cpu"), -1);
    assert_int_equal(sf_path_number("node1", "cpu"), -1);
    assert_string_equal(sf_path_name("a/b"), "b");
    assert_string_equal(sf_path_name("b"), "b");
}

static void test_parts_make_the_whole(void **state)
{
    srand(1);
    for (unsigned run = 0; run < 2000; run++) {
        uint64_t weights[8], total = 0, before = 0, sum = 0;
        uint64_t whole = ((uint64_t)rand() << 20 | (uint64_t)rand()) >> rand() % 40;
        uint64_t unit = rand() % 2 ? 4 : 64;
        for (unsigned i = 0; i < 8; i++) {
            weights[i] = rand() % 4 ? (uint64_t)rand() * 4 : 0;
            total += weights[i];
        }
        for (unsigned i = 0; i < 8; i++) {
            uint64_t part = sf_node_part(whole, before, weights[i], total, unit);
            assert_true(part <= whole);
            assert_true(weights[i] > 0 || part == 0);
            before += weights[i];
            sum += part;
        }
        assert_true(total == 0 || sum == whole);
    }
    assert_int_equal(sf_node_part(1000, 0, 50, 100, 4), 500);
    assert_int_equal(sf_node_part(1000, 0, 0, 0, 4), 0);
    assert_true(sf_node_part(UINT64_MAX, 0, UINT64_MAX, UINT64_MAX, 4) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_maps),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_parts_make_the_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
