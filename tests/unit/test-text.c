/* SPDX-License-Identifier: Apache-2.0 */

/*
 * lib/base/text.h: the limit holds to the byte, the error sticks, and memory is reused.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "lib/base/text.h"

static void test_append(void **state)
{
    SF_CLEANUP_TEXT SfText text = SF_TEXT_INIT;

    sf_text_append(&text, "", 0);
    assert_null(text.data);
    sf_text_puts(&text, "MemTotal:");
    sf_text_putc(&text, ' ');
    sf_text_u64(&text, 0);
    sf_text_putc(&text, ' ');
    sf_text_u64(&text, UINT64_MAX);
    sf_text_slice(&text, sf_slice(" kB\nrest", 4));
    sf_text_printf(&text, "%-5s|%3u", "ab", 7u);
    assert_int_equal(text.error, 0);
    assert_string_equal(text.data, "MemTotal: 0 18446744073709551615 kB\nab   |  7");
    assert_int_equal(text.len, strlen(text.data));
}

static void test_growth(void **state)
{
    SF_CLEANUP_TEXT SfText text = SF_TEXT_INIT;

    for (unsigned i = 0; i < 5000; i++)
        sf_text_printf(&text, "%04u\n", i);
    assert_int_equal(text.len, 25000);
    assert_memory_equal(text.data + 24995, "4999\n", 6);

    char *data = text.data;
    size_t capacity = text.capacity;
    sf_text_reset(&text);
    assert_int_equal(text.len, 0);
    assert_string_equal(text.data, "");
    sf_text_puts(&text, "again");
    assert_ptr_equal(text.data, data);
    assert_int_equal(text.capacity, capacity);
}

static void test_limit(void **state)
{
    SF_CLEANUP_TEXT SfText text = SF_TEXT_INIT;
    static char block[1 << 20];

    memset(block, 'x', sizeof(block));
    for (unsigned i = 0; i < SF_TEXT_MAX / sizeof(block); i++)
        sf_text_append(&text, block, sizeof(block));
    assert_int_equal(text.error, 0);
    assert_int_equal(text.len, SF_TEXT_MAX);
    sf_text_putc(&text, 'x');
    assert_int_equal(text.error, -EFBIG);
    assert_int_equal(text.len, SF_TEXT_MAX);

    /* By printf too, where the memory would have room. */
    sf_text_reset(&text);
    assert_int_equal(text.error, 0);
    for (unsigned i = 0; i < SF_TEXT_MAX / sizeof(block); i++)
        sf_text_append(&text, block, sizeof(block) - (i == 0));
    assert_int_equal(text.error, 0);
    sf_text_printf(&text, "%s", "ab");
    assert_int_equal(text.error, -EFBIG);
    assert_int_equal(text.len, SF_TEXT_MAX - 1);
    assert_int_equal(text.data[text.len], '\0');
    sf_text_puts(&text, "c"); /* would fit; the error sticks */
    sf_text_printf(&text, "c");
    assert_int_equal(text.len, SF_TEXT_MAX - 1);
}

static void test_printf_edges(void **state)
{
    SF_CLEANUP_TEXT SfText text = SF_TEXT_INIT;
    char expected[3001];

    sf_text_printf(&text, "%s", "");
    assert_int_equal(text.error, 0);
    assert_int_equal(text.len, 0);
    /* Lengths around the first allocation: the NUL must fit too. */
    for (unsigned len = 2040; len <= 2056; len++) {
        memset(expected, 'y', len);
        expected[len] = '\0';
        sf_text_clear(&text);
        sf_text_putc(&text, 'z');
        sf_text_printf(&text, "%s", expected);
        assert_int_equal(text.error, 0);
        assert_int_equal(text.len, len + 1);
        assert_string_equal(text.data + 1, expected);
    }
}

static void test_steal(void **state)
{
    SfText text = SF_TEXT_INIT;
    size_t len = 9;

    assert_null(sf_text_steal(&text, &len));
    assert_int_equal(len, 0);
    sf_text_puts(&text, "owned");
    char *data = sf_text_steal(&text, &len);
    assert_string_equal(data, "owned");
    assert_int_equal(len, 5);
    assert_null(text.data);
    assert_int_equal(text.capacity, 0);
    free(data);
    sf_text_puts(&text, "x");
    sf_text_reset(&text);
    assert_null(sf_text_steal(&text, NULL)); /* frees what was kept */
}

static void test_numbers(void **state)
{
    SF_CLEANUP_TEXT SfText text = SF_TEXT_INIT;

    sf_text_u64_wide(&text, 7, 5);
    sf_text_u64_wide(&text, 123456, 5);
    sf_text_u64_wide(&text, 0, 0);
    sf_text_u64_wide(&text, UINT64_MAX, 21);
    assert_string_equal(text.data, "    71234560 18446744073709551615");
    sf_text_reset(&text);
    sf_text_hundredths(&text, 0, 0);
    sf_text_putc(&text, ' ');
    sf_text_hundredths(&text, UINT64_MAX, 7);
    sf_text_putc(&text, ' ');
    sf_text_hundredths(&text, 12, 99);
    assert_string_equal(text.data, "0.00 18446744073709551615.07 12.99");
}

static void test_room(void **state)
{
    SF_CLEANUP_TEXT SfText text = SF_TEXT_INIT;

    sf_text_puts(&text, "ab");
    char *room = sf_text_room(&text, 5000);
    assert_non_null(room);
    assert_int_equal(text.len, 2);
    memset(room, 'c', 5000);
    sf_text_added(&text, 3);
    assert_string_equal(text.data, "abccc");
    assert_null(sf_text_room(&text, SF_TEXT_MAX));
    assert_int_equal(text.error, -EFBIG);
    sf_text_puts(&text, "d"); /* nothing is appended past an error */
    assert_int_equal(text.len, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_room),
        cmocka_unit_test(test_append),  cmocka_unit_test(test_growth),
        cmocka_unit_test(test_limit),   cmocka_unit_test(test_printf_edges),
        cmocka_unit_test(test_steal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
