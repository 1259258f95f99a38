/* SPDX-License-Identifier: Apache-2.0 */

#include "lib/base/hash.h"

#include <stdarg.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

/* Texts as they follow each other: one byte, one digit, a longer end. */
static void test_others_differ(void **state)
{
    char text[100], other[100];

    memset(text, 'a', sizeof(text));
    for (size_t len = 0; len < sizeof(text); len++) {
        assert_int_equal(sf_hash(text, len), sf_hash(text, len));
        assert_int_not_equal(sf_hash(text, len), sf_hash(text, len + 1));
        for (size_t at = 0; at < len; at++) {
            memcpy(other, text, len);
            other[at] = 'b';
            assert_int_not_equal(sf_hash(text, len), sf_hash(other, len));
            other[at] = '\0';
            assert_int_not_equal(sf_hash(text, len), sf_hash(other, len));
        }
    }
}

/* Zeros at the end fill no word up. */
static void test_length_counts(void **state)
{
    static const char zeros[32];

    for (size_t len = 0; len < sizeof(zeros); len++)
        assert_int_not_equal(sf_hash(zeros, len), sf_hash(zeros, len + 1));
    assert_int_not_equal(sf_hash("1", 1), sf_hash("1\0", 2));
}

static void test_bytes_beyond_do_not_count(void **state)
{
    assert_int_equal(sf_hash("12345", 3), sf_hash("12367", 3));
    assert_int_equal(sf_hash("", 0), sf_hash("x", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_others_differ),
        cmocka_unit_test(test_length_counts),
        cmocka_unit_test(test_bytes_beyond_do_not_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
