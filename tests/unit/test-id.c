/* SPDX-License-Identifier: Apache-2.0 */

/*
 * lib/base/id.h: an ID can never be a path.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "lib/base/id.h"

static void test_valid(void **state)
{
    static const char *const GOOD[] = {"a", "A-z_0.9", "...", ".a", "-", "e90e34656806"};

    for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++)
        assert_true(sf_id_valid(GOOD[i]));
}

static void test_invalid(void **state)
{
    static const char *const BAD[] = {"",    ".",   "..",       "../x", "a/b", "/", "a b",
                                      "a\n", "a:b", "\xc3\xa4", "a\\b", "a@b", "~", "\x7f"};

    assert_false(sf_id_valid(NULL));
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        assert_false(sf_id_valid(BAD[i]));
}

static void test_length(void **state)
{
    char id[SF_ID_MAX + 2];

    memset(id, 'x', sizeof(id));
    id[SF_ID_MAX] = '\0';
    assert_true(sf_id_valid(id));
    id[SF_ID_MAX] = 'x';
    id[SF_ID_MAX + 1] = '\0';
    assert_false(sf_id_valid(id));
}

static void test_every_byte(void **state)
{
    for (unsigned c = 1; c < 256; c++) {
        char id[3] = {'a', (char)c, '\0'};
        bool good = c < 128 && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                      "0123456789_.-",
                                      (int)c);
        assert_int_equal(sf_id_valid(id), good);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_every_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
