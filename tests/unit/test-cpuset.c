/* SPDX-License-Identifier: Apache-2.0 */

/*
 * lib/base/cpuset.h: both text forms, there and back, and the set operations at word boundaries.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "lib/base/cpuset.h"

static int parse(const char *text, SfCpuSet *ret_set)
{
    return sf_cpuset_parse_list(text, strlen(text), ret_set);
}

static void assert_list(const SfCpuSet *set, const char *expected)
{
    char text[512];
    int len = sf_cpuset_format_list(set, text, sizeof(text));

    assert_int_equal(len, strlen(expected));
    assert_string_equal(text, expected);
}

static void test_list_round_trip(void **state)
{
    static const char *const CASES[][2] = {
        {"", ""},
        {"\n", ""},
        {"0\n", "0"},
        {"0-3", "0-3"},
        {"0-3,8\n", "0-3,8"},
        {"1,0", "0-1"},
        {"5,5,5", "5"},
        {"0-1,1-2", "0-2"},
        {"63-64", "63-64"},
        {"7-7", "7"},
        {"127,128", "127-128"},
        {"0,2,4", "0,2,4"},
        {"8191", "8191"},
        {"8000-8191", "8000-8191"},
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        SfCpuSet set;
        assert_int_equal(parse(CASES[i][0], &set), 0);
        assert_list(&set, CASES[i][1]);
    }
}

static void test_list_errors(void **state)
{
    static const char *const BAD[] = {",",     "0,",      ",0",    "0,,1",   "-", "1-",
                                      "-1",    "3-1",     "0-3-5", "0 1",    "a", " 0",
                                      "0\n\n", "0-3:1/2", "0x1",   "0-8191,"};
    SfCpuSet set;

    assert_int_equal(parse("3", &set), 0);
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        assert_int_equal(parse(BAD[i], &set), -EINVAL);
    assert_int_equal(parse("8192", &set), -ERANGE);
    assert_int_equal(parse("0-8192", &set), -ERANGE);
    assert_int_equal(parse("0-18446744073709551615", &set), -ERANGE);
    assert_int_equal(parse("18446744073709551616", &set), -ERANGE);
    assert_list(&set, "3"); /* untouched by failures */
}

static void test_format_bounds(void **state)
{
    char text[5] = "zzzz";
    SfCpuSet set;

    assert_int_equal(parse("0-3", &set), 0);
    assert_int_equal(sf_cpuset_format_list(&set, text, 4), 3);
    assert_string_equal(text, "0-3");
    assert_int_equal(sf_cpuset_format_list(&set, text, 3), -ENOBUFS);
    assert_int_equal(sf_cpuset_format_list(&set, text, 0), -ENOBUFS);
    sf_cpuset_clear(&set);
    assert_int_equal(sf_cpuset_format_list(&set, text, 1), 0);
    assert_string_equal(text, "");
}

static void test_mask(void **state)
{
    static const struct {
        const char *list;
        unsigned width;
        const char *mask;
    } CASES[] = {
        {"0-1", 2, "3"},
        {"0-3,8", 16, "010f"},
        {"", 4, "0"},
        {"0-7", 64, "00000000,000000ff"},
        {"32", 33, "1,00000000"},
        {"0-127", 128, "ffffffff,ffffffff,ffffffff,ffffffff"},
        {"0,35", 36, "8,00000001"},
        {"0-3", 2, "3"}, /* bits past the width are not shown */
        {"2", 3, "4"},
    };
    char text[4096];

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        SfCpuSet set, back;
        assert_int_equal(parse(CASES[i].list, &set), 0);
        int len = sf_cpuset_format_mask(&set, CASES[i].width, text, sizeof(text));
        assert_int_equal(len, strlen(CASES[i].mask));
        assert_string_equal(text, CASES[i].mask);
        assert_int_equal(sf_cpuset_parse_mask(text, (size_t)len, &back), 0);
        for (unsigned cpu = 0; cpu < CASES[i].width; cpu++)
            assert_int_equal(sf_cpuset_has(&back, cpu), sf_cpuset_has(&set, cpu));
    }
    SfCpuSet set;
    assert_int_equal(parse("0-7", &set), 0);
    assert_int_equal(sf_cpuset_format_mask(&set, 64, text, 17), -ENOBUFS);
    assert_int_equal(sf_cpuset_format_mask(&set, 64, text, 18), 17);
}

static void test_mask_errors(void **state)
{
    static const char *const BAD[] = {",", ",f",  "f,", "f,,f", "123456789",
                                      "g", "0x1", " f", "f f"};
    SfCpuSet set;

    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        assert_int_equal(sf_cpuset_parse_mask(BAD[i], strlen(BAD[i]), &set), -EINVAL);

    char text[9 * 260];
    size_t len = 0;
    for (unsigned i = 0; i < 257; i++, len += 9)
        memcpy(text + len, i == 0 ? "00000001," : "00000000,", 9);
    assert_int_equal(sf_cpuset_parse_mask(text, len - 1, &set), -ERANGE);
    text[7] = '0'; /* leading zeros past the end are no CPUs */
    assert_int_equal(sf_cpuset_parse_mask(text, len - 1, &set), 0);
    assert_true(sf_cpuset_empty(&set));
    assert_int_equal(sf_cpuset_parse_mask("F\n", 2, &set), 0);
    assert_list(&set, "0-3");
}

static void test_operations(void **state)
{
    SfCpuSet a, b;

    assert_int_equal(parse("0-70,100", &a), 0);
    assert_int_equal(parse("60-130", &b), 0);
    SfCpuSet both = a;
    sf_cpuset_and(&both, &b);
    assert_list(&both, "60-70,100");
    SfCpuSet less = a;
    sf_cpuset_subtract(&less, &b);
    assert_list(&less, "0-59");
    assert_int_equal(sf_cpuset_count(&a), 72);
    assert_false(sf_cpuset_equal(&a, &b));
    b = a;
    assert_true(sf_cpuset_equal(&a, &b));
    sf_cpuset_remove(&b, 100);
    assert_false(sf_cpuset_equal(&a, &b));

    sf_cpuset_add(&a, SF_CPUSET_MAX); /* out of range: ignored, not written past the end */
    sf_cpuset_remove(&a, SF_CPUSET_MAX);
    assert_false(sf_cpuset_has(&a, SF_CPUSET_MAX));
    assert_int_equal(sf_cpuset_next(&a, SF_CPUSET_MAX), -1);
    assert_int_equal(sf_cpuset_next(&a, 71), 100);
    assert_int_equal(sf_cpuset_next(&a, 101), -1);
}

static void test_keep_lowest(void **state)
{
    SfCpuSet set;

    assert_int_equal(parse("4-7,62-66", &set), 0);
    sf_cpuset_keep_lowest(&set, 100);
    assert_list(&set, "4-7,62-66");
    sf_cpuset_keep_lowest(&set, 7);
    assert_list(&set, "4-7,62-64");
    sf_cpuset_keep_lowest(&set, 2);
    assert_list(&set, "4-5");
    sf_cpuset_keep_lowest(&set, 0);
    assert_true(sf_cpuset_empty(&set));
}

static void test_foreach(void **state)
{
    SfCpuSet set;
    unsigned seen = 0, sum = 0;

    assert_int_equal(parse("0,63,64,8191", &set), 0);
    sf_cpuset_foreach (cpu, &set) {
        seen++;
        sum += (unsigned)cpu;
    }
    assert_int_equal(seen, 4);
    assert_int_equal(sum, 63 + 64 + 8191);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_round_trip), cmocka_unit_test(test_list_errors),
        cmocka_unit_test(test_format_bounds),   cmocka_unit_test(test_mask),
        cmocka_unit_test(test_mask_errors),     cmocka_unit_test(test_operations),
        cmocka_unit_test(test_keep_lowest),     cmocka_unit_test(test_foreach),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
