/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The parser of /proc/meminfo: order, units, whole-word keys, and its bounds.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "daemon/source/meminfo.h"
#include "lib/base/text.h"

static int parse(const char *text, SfMeminfo *ret_info)
{
    return sf_meminfo_parse(text, strlen(text), ret_info);
}

static void test_parse(void **state)
{
    static const char TEXT[] = "MemTotal:        4038232 kB\n"
                               "MemFree:               0 kB\n"
                               "Active(anon):       9572 kB\n"
                               "HugePages_Total:       3\n"
                               "Hugepagesize:       2048 kB\n"
                               "DirectMap4k:18446744073709551615 kB"; /* no newline, no blank */
    SfMeminfo info;
    uint64_t value = 1;

    assert_int_equal(parse(TEXT, &info), 0);
    assert_int_equal(info.count, 6);
    assert_string_equal(info.entries[0].key, "MemTotal");
    assert_int_equal(info.entries[0].value, 4038232);
    assert_true(info.entries[0].in_kb);
    assert_string_equal(info.entries[2].key, "Active(anon)");
    assert_false(info.entries[3].in_kb);
    assert_int_equal(info.entries[3].value, 3);

    assert_int_equal(sf_meminfo_get(&info, "MemFree", &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(sf_meminfo_get(&info, "DirectMap4k", &value), 0);
    assert_true(value == UINT64_MAX);
    /* Whole words: neither a prefix nor another case is the key. */
    assert_int_equal(sf_meminfo_get(&info, "Active", &value), -ENODATA);
    assert_int_equal(sf_meminfo_get(&info, "MemTotal:", &value), -ENODATA);
    assert_int_equal(sf_meminfo_get(&info, "memtotal", &value), -ENODATA);
    assert_true(value == UINT64_MAX);
}

static void test_malformed(void **state)
{
    static const char *const BAD[] = {
        "MemTotal 1 kB\n",
        "MemTotal:\n",
        "MemTotal: kB\n",
        "MemTotal: -1 kB\n",
        "MemTotal: 1 KB\n",
        "MemTotal: 1 kB x",
        ": 1 kB\n",
        "\n",
        "MemTotal: 1 kB\n\n",
        "MemTotal: 1kB\n",
        "MemTotal: 0x10 kB\n",
        "A: 18446744073709551616 kB\n",
        "A234567890123456789012345678901234567890: 1 kB\n",
    };
    SfMeminfo info = {.count = 77};

    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        assert_int_equal(parse(BAD[i], &info), -EINVAL);
    assert_int_equal(sf_meminfo_parse("A\0B: 1 kB", 9, &info), -EINVAL);
    assert_int_equal(parse("", &info), -ENODATA);
    assert_int_equal(info.count, 77);
    assert_int_equal(parse("A23456789012345678901234567890123456789: 1 kB\n", &info), 0);
    assert_int_equal(strlen(info.entries[0].key), SF_MEMINFO_KEY_MAX - 1);
}

static void test_entry_limit(void **state)
{
    SF_CLEANUP_TEXT SfText text = SF_TEXT_INIT;
    SfMeminfo info;

    for (unsigned i = 0; i < SF_MEMINFO_MAX_ENTRIES; i++)
        sf_text_printf(&text, "Key%u: %u kB\n", i, i);
    assert_int_equal(sf_meminfo_parse(text.data, text.len, &info), 0);
    assert_int_equal(info.count, SF_MEMINFO_MAX_ENTRIES);
    sf_text_puts(&text, "OneMore: 1 kB\n");
    assert_int_equal(sf_meminfo_parse(text.data, text.len, &info), -E2BIG);
}

static void test_here(void **state)
{
    char text[16384];
    FILE *file = fopen("/proc/meminfo", "re");
    SfMeminfo info;
    uint64_t value;

    assert_non_null(file);
    size_t len = fread(text, 1, sizeof(text), file);
    (void)fclose(file);
    assert_int_equal(sf_meminfo_parse(text, len, &info), 0);
    assert_int_equal(sf_meminfo_get(&info, "MemTotal", &value), 0);
    assert_true(value > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_entry_limit),
        cmocka_unit_test(test_here),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
