/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of providers and the formats several of them share. What each file says is
 * tests/golden's.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "daemon/container/load.h"
#include "daemon/provider/provider.h"
#include "daemon/provider/shared.h"

static void assert_text(SfText *text, const char *expected)
{
    assert_int_equal(text->error, 0);
    assert_string_equal(text->data, expected);
    assert_int_equal(text->len, strlen(expected));
    sf_text_reset(text);
}

static void test_table(void **state)
{
    assert_true(sf_provider_count() > 0);
    for (unsigned i = 0; i < sf_provider_count(); i++) {
        const SfProvider *provider = sf_provider_get(i);
        assert_ptr_equal(sf_provider_find(provider->path), provider);
        /* A file renders; a directory says what of the host's is shown, and how. */
        assert_true((provider->ops->render != NULL) != (provider->ops->shows != NULL));
        assert_true((provider->ops->shows != NULL) == (provider->ops->mask != NULL));
        assert_non_null(provider->ops->source);
        assert_true(provider->ops->source[0] != '\0');
        /* The order of providers.def is that of the names: a row is found, and not added twice. */
        if (i > 0)
            assert_true(strcmp(sf_provider_get(i - 1)->name, provider->name) < 0);
    }
    assert_null(sf_provider_find("/proc"));
    assert_null(sf_provider_find("/proc/meminfo/"));
    assert_null(sf_provider_find(""));
}

static void test_cpulist(void **state)
{
    SF_CLEANUP_TEXT SfText text = SF_TEXT_INIT;
    SfCpuSet cpus;
    sf_cpuset_clear(&cpus);
    sf_format_cpulist(&text, &cpus);
    assert_text(&text, "\n");
    sf_cpuset_add(&cpus, 4);
    sf_cpuset_add(&cpus, 5);
    sf_cpuset_add(&cpus, SF_CPUSET_MAX - 1);
    sf_format_cpulist(&text, &cpus);
    assert_text(&text, "4-5,8191\n");
}

/* The longest list there can be: no two neighbours. */
static void test_cpulist_longest(void **state)
{
    SF_CLEANUP_TEXT SfText text = SF_TEXT_INIT;
    SfCpuSet cpus, parsed;
    sf_cpuset_clear(&cpus);
    for (unsigned cpu = 1; cpu < SF_CPUSET_MAX; cpu += 2)
        sf_cpuset_add(&cpus, cpu);
    sf_format_cpulist(&text, &cpus);
    assert_int_equal(sf_cpuset_parse_list(text.data, text.len, &parsed), 0);
    assert_true(sf_cpuset_equal(&cpus, &parsed));
}

static void test_zeroed(void **state)
{
    static const struct {
        const char *line, *expected;
    } cases[] = {
        {"intr 1100627 0 17 0 ", "intr 0 0 0 0 \n"}, /* blanks stay, wherever they are */
        {"intr 1100627 0 17", "intr 0 0 0\n"},
        {"ctxt 18446744073709551615", "ctxt 0\n"},
        {"page2 12 -3", "page2 0 -0\n"}, /* a name keeps its digits */
        {"  x 1", "  x 0\n"},
        {"name", "name\n"},
        {"", "\n"},
    };
    SF_CLEANUP_TEXT SfText text = SF_TEXT_INIT;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sf_format_zeroed(&text, sf_slice_str(cases[i].line));
        assert_text(&text, cases[i].expected);
    }
}

static void test_load(void **state)
{
    static const struct {
        uint64_t load;
        const char *expected;
    } cases[] = {
        {0, "0.00"},
        {10, "0.00"}, /* 0.0049 */
        {11, "0.01"}, /* 0.0054 */
        {SF_LOAD_FIXED_1 / 2, "0.50"},
        {SF_LOAD_FIXED_1 - 11, "0.99"}, /* 0.9946 */
        {SF_LOAD_FIXED_1 - 10, "1.00"}, /* 0.9951 */
        {3 * SF_LOAD_FIXED_1, "3.00"},
        {12345 * (uint64_t)SF_LOAD_FIXED_1 + 683, "12345.33"},
    };
    SF_CLEANUP_TEXT SfText text = SF_TEXT_INIT;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sf_format_load(&text, cases[i].load);
        assert_text(&text, cases[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),  cmocka_unit_test(test_cpulist),
        cmocka_unit_test(test_zeroed), cmocka_unit_test(test_cpulist_longest),
        cmocka_unit_test(test_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
