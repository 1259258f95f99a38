/* SPDX-License-Identifier: Apache-2.0 */

/*
 * lib/base/number.h: what is a number and what is not, and that slices never read past their end
 * (memory is exact-sized, so that the sanitizers see it).
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "lib/base/number.h"

static int u64(const char *text, uint64_t *ret_value)
{
    SF_CLEANUP_FREE char *exact = malloc(strlen(text) ? strlen(text) : 1);

    assert_non_null(exact);
    memcpy(exact, text, strlen(text));
    return sf_slice_u64(sf_slice(exact, strlen(text)), ret_value);
}

static void test_u64(void **state)
{
    uint64_t value = 7;

    assert_int_equal(u64("0", &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(u64("18446744073709551615", &value), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(u64("007", &value), 0);
    assert_int_equal(value, 7);
    assert_int_equal(u64("18446744073709551616", &value), -ERANGE);
    assert_int_equal(u64("99999999999999999999999999", &value), -ERANGE);

    static const char *const BAD[] = {"",
                                      " 1",
                                      "1 ",
                                      "+1",
                                      "-1",
                                      "0x1",
                                      "1\n",
                                      "1.0",
                                      "1e3",
                                      "one",
                                      "1 2",
                                      "\xb2",
                                      "99999999999999999999x"};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        assert_int_equal(u64(BAD[i], &value), -EINVAL);
    assert_int_equal(value, 7); /* written on success only */
    assert_int_equal(sf_slice_u64(sf_slice("1\0", 2), &value), -EINVAL);
    assert_int_equal(sf_slice_u64(sf_slice(NULL, 0), &value), -EINVAL);
}

static void test_i64(void **state)
{
    int64_t value = 0;

    assert_int_equal(sf_slice_i64(sf_slice_str("-1"), &value), 0);
    assert_int_equal(value, -1);
    assert_int_equal(sf_slice_i64(sf_slice_str("-9223372036854775808"), &value), 0);
    assert_true(value == INT64_MIN);
    assert_int_equal(sf_slice_i64(sf_slice_str("9223372036854775807"), &value), 0);
    assert_true(value == INT64_MAX);
    assert_int_equal(sf_slice_i64(sf_slice_str("9223372036854775808"), &value), -ERANGE);
    assert_int_equal(sf_slice_i64(sf_slice_str("-9223372036854775809"), &value), -ERANGE);
    assert_int_equal(sf_slice_i64(sf_slice_str("-"), &value), -EINVAL);
    assert_int_equal(sf_slice_i64(sf_slice_str("--1"), &value), -EINVAL);
    assert_int_equal(sf_slice_i64(sf_slice_str("- 1"), &value), -EINVAL);
    assert_int_equal(sf_slice_i64(sf_slice(NULL, 0), &value), -EINVAL);
    assert_true(value == INT64_MAX);
}

static void test_limit(void **state)
{
    uint64_t value = 0;

    assert_int_equal(sf_slice_limit(sf_slice_str("max\n"), &value), 0);
    assert_true(value == SF_UNLIMITED);
    assert_int_equal(sf_slice_limit(sf_slice_str(" 4096\n"), &value), 0);
    assert_int_equal(value, 4096);
    assert_int_equal(sf_slice_limit(sf_slice_str("maximum"), &value), -EINVAL);
    assert_int_equal(sf_slice_limit(sf_slice_str("-1"), &value), -EINVAL);
    assert_int_equal(sf_slice_limit(sf_slice_str("\n"), &value), -EINVAL);
    assert_int_equal(value, 4096);
}

static void test_lines(void **state)
{
    SfSlice rest = sf_slice_str("a\n\nbc"), line;

    assert_true(sf_slice_next_line(&rest, &line));
    assert_true(sf_slice_eq(line, "a"));
    assert_true(sf_slice_next_line(&rest, &line));
    assert_true(sf_slice_eq(line, ""));
    assert_true(sf_slice_next_line(&rest, &line));
    assert_true(sf_slice_eq(line, "bc"));
    assert_false(sf_slice_next_line(&rest, &line));
    assert_false(sf_slice_next_line(&rest, &line));

    rest = sf_slice_str("x\n");
    assert_true(sf_slice_next_line(&rest, &line));
    assert_false(sf_slice_next_line(&rest, &line)); /* no empty line after the last '\n' */
    rest = sf_slice(NULL, 0);
    assert_false(sf_slice_next_line(&rest, &line));
}

static void test_words(void **state)
{
    SfSlice rest = sf_slice_str(" \tone  two\tthree "), word;

    assert_true(sf_slice_next_word(&rest, &word));
    assert_true(sf_slice_eq(word, "one"));
    assert_true(sf_slice_next_word(&rest, &word));
    assert_true(sf_slice_eq(word, "two"));
    assert_true(sf_slice_next_word(&rest, &word));
    assert_true(sf_slice_eq(word, "three"));
    assert_false(sf_slice_next_word(&rest, &word));
    assert_true(sf_slice_eq(word, "three"));
}

static void test_stat_field(void **state)
{
    static const char text[] = "7 (a) b) 3) S 1 2 33\n";
    SfSlice word = sf_slice(NULL, 0);

    assert_int_equal(sf_slice_stat_field(sf_slice(text, strlen(text) - 1), 3, &word), 0);
    assert_true(sf_slice_eq(word, "S")); /* after the last bracket */
    assert_int_equal(sf_slice_stat_field(sf_slice(text, strlen(text) - 1), 6, &word), 0);
    assert_true(sf_slice_eq(word, "33"));
    assert_int_equal(sf_slice_stat_field(sf_slice(text, strlen(text) - 1), 7, &word), -EINVAL);
    assert_int_equal(sf_slice_stat_field(sf_slice(text, 5), 9, &word), -EINVAL);
    assert_int_equal(sf_slice_stat_field(sf_slice("7 a S", 5), 3, &word), -EINVAL);
    assert_int_equal(sf_slice_stat_field(sf_slice(NULL, 0), 3, &word), -EINVAL);
}

static void test_fields(void **state)
{
    SfSlice rest = sf_slice_str("0::/a:b"), field;

    assert_true(sf_slice_next_field(&rest, ':', &field));
    assert_true(sf_slice_eq(field, "0"));
    assert_true(sf_slice_next_field(&rest, ':', &field));
    assert_true(sf_slice_eq(field, ""));
    assert_true(sf_slice_eq(rest, "/a:b"));
    rest = sf_slice_str("whole");
    assert_true(sf_slice_next_field(&rest, ':', &field));
    assert_true(sf_slice_eq(field, "whole"));
    assert_false(sf_slice_next_field(&rest, ':', &field));
}

static void test_compare_and_trim(void **state)
{
    assert_true(sf_slice_eq(sf_slice_trim(sf_slice_str("\t a b \n\n")), "a b"));
    assert_true(sf_slice_eq(sf_slice_trim(sf_slice_str(" \n")), ""));
    assert_int_equal(sf_slice_trim(sf_slice(NULL, 0)).len, 0);
    assert_true(sf_slice_eq(sf_slice(NULL, 0), ""));
    assert_false(sf_slice_eq(sf_slice("ab", 2), "a"));
    assert_false(sf_slice_eq(sf_slice("a", 1), "ab"));
    assert_false(sf_slice_eq(sf_slice("a\0b", 3), "a"));
    assert_true(sf_slice_starts(sf_slice_str("total_cache"), "total_"));
    assert_false(sf_slice_starts(sf_slice_str("tot"), "total_"));
    assert_true(sf_slice_starts(sf_slice(NULL, 0), ""));
}

static void test_saturating(void **state)
{
    assert_true(sf_sub_sat(1, 2) == 0);
    assert_true(sf_sub_sat(2, 1) == 1);
    assert_true(sf_add_sat(UINT64_MAX, 1) == UINT64_MAX);
    assert_true(sf_add_sat(UINT64_MAX - 1, 1) == UINT64_MAX);
    assert_true(sf_mul_sat(UINT64_MAX / 2 + 1, 2) == UINT64_MAX);
    assert_true(sf_mul_sat(UINT64_MAX, 0) == 0);
    assert_true(sf_mul_sat(0, UINT64_MAX) == 0);
    assert_true(sf_mul_sat(UINT64_C(1) << 32, (UINT64_C(1) << 32) - 1) == UINT64_MAX - UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_u64),        cmocka_unit_test(test_i64),
        cmocka_unit_test(test_limit),      cmocka_unit_test(test_lines),
        cmocka_unit_test(test_words),      cmocka_unit_test(test_stat_field),
        cmocka_unit_test(test_fields),     cmocka_unit_test(test_compare_and_trim),
        cmocka_unit_test(test_saturating),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
