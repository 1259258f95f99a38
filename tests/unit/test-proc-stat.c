/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The parser of /proc/stat: columns, the order of lines, and that a malformed line is not taken for
 * data.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/source/proc_stat.h"

static int parse(const char *text, SfProcStat *ret_stat)
{
    return sf_proc_stat_parse(text, strlen(text), ret_stat);
}

static void test_parse(void **state)
{
    static const char TEXT[] = "cpu  10 0 20 300 4 0 5 6 0 0\n"
                               "cpu0 5 0 10 150 2 0 2 3 0 0\n"
                               "cpu1 5 0 10 150 2 0 3 3 0 0\n"
                               "intr 9000 0 1 2 3\n"
                               "ctxt 123456789012\n"
                               "btime 1700000000\n"
                               "processes 4242\n"
                               "procs_running 3\n"
                               "procs_blocked 1\n"
                               "softirq 77 0 1 2 3 4 5 6 7 8 9\n";
    static const uint8_t LINES[] = {SF_PROC_STAT_INTR,          SF_PROC_STAT_CTXT,
                                    SF_PROC_STAT_BTIME,         SF_PROC_STAT_PROCESSES,
                                    SF_PROC_STAT_PROCS_RUNNING, SF_PROC_STAT_PROCS_BLOCKED,
                                    SF_PROC_STAT_SOFTIRQ};
    SfProcStat stat;

    assert_int_equal(parse(TEXT, &stat), 0);
    assert_int_equal(stat.cpu_columns, 10);
    assert_int_equal(stat.intr_columns, 5);
    assert_int_equal(stat.softirq_columns, 11);
    assert_true(stat.ctxt == UINT64_C(123456789012));
    assert_int_equal(stat.btime_sec, 1700000000);
    assert_int_equal(stat.processes, 4242);
    assert_int_equal(stat.procs_running, 3);
    assert_int_equal(stat.procs_blocked, 1);
    assert_int_equal(stat.line_count, sizeof(LINES));
    assert_memory_equal(stat.lines, LINES, sizeof(LINES));
}

static void test_other_kernels(void **state)
{
    SfProcStat stat;

    /* An unknown line (2.4's "page", a future one) changes nothing; missing ones are told by
     * line_count. */
    assert_int_equal(parse("cpu  1 2 3 4\nfuture x y z\nbtime 5\n\ncpufreq a\n", &stat), 0);
    assert_int_equal(stat.cpu_columns, 4);
    assert_int_equal(stat.line_count, 1);
    assert_int_equal(stat.lines[0], SF_PROC_STAT_BTIME);
    assert_int_equal(stat.softirq_columns, 0);
}

static void test_malformed(void **state)
{
    static const char *const BAD[] = {
        "",
        "cpu0 1 2 3\n",
        "btime 5\n",
        "cpu\n",
        "cpu  1 x 3\n",
        "cpu  1 -2 3\n",
        "cpu  1 2\nbtime\n",
        "cpu  1 2\nbtime 5 6\n",
        "cpu  1 2\nctxt 18446744073709551616\n",
        "cpu  1 2\nintr\n",
        "cpu  1 2\nintr 1 2 q\n",
        "cpu  1 2\nsoftirq 1 2 q\n",
        "cpu  1 2\nprocesses -1\n",
        "cpu  1 2\nprocs_running \n",
        "cpu  1 2\nprocs_blocked 1.5\n",
    };
    SfProcStat stat = {.cpu_columns = 99};

    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        assert_int_equal(parse(BAD[i], &stat), -EINVAL);
    assert_int_equal(stat.cpu_columns, 99);
}

static void test_many_lines(void **state)
{
    char text[1024] = "cpu 1\n";
    SfProcStat stat;

    for (unsigned i = 0; i < 16; i++)
        strcat(text, "ctxt 1\n");
    assert_int_equal(parse(text, &stat), 0);
    assert_int_equal(stat.line_count, 16);
    strcat(text, "ctxt 1\n");
    assert_int_equal(parse(text, &stat), -EINVAL);
}

static void test_here(void **state)
{
    static char text[1 << 20];
    FILE *file = fopen("/proc/stat", "re");
    SfProcStat stat;

    assert_non_null(file);
    size_t len = fread(text, 1, sizeof(text), file);
    (void)fclose(file);
    assert_int_equal(sf_proc_stat_parse(text, len, &stat), 0);
    assert_true(stat.cpu_columns >= 10);
    assert_true(stat.btime_sec > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),     cmocka_unit_test(test_other_kernels),
        cmocka_unit_test(test_malformed), cmocka_unit_test(test_many_lines),
        cmocka_unit_test(test_here),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
