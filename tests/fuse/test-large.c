/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts larger than one READ of the kernel, through a real mount: those of a host with 250 CPUs,
 * which is a captured tree. Needs root and /dev/fuse (exit 77 without).
 *
 * usage: test-large SCENARIOS
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "tests/fuse/captured-mount.h"

static const char *scenarios;

static int setup(void **state)
{
    CapturedMount *m = g_new0(CapturedMount, 1);

    captured_mount(m, scenarios, "huge", "host", SF_MOUNT_VIEW);
    *state = m;
    return 0;
}

static int teardown(void **state)
{
    captured_unmount(*state);
    g_free(*state);
    return 0;
}

static GString *read_file(const CapturedMount *m, const char *name, size_t chunk)
{
    g_autofree char *buffer = g_malloc(chunk);
    GString *text = g_string_new(NULL);
    int fd = captured_open(m, name, O_RDONLY);
    ssize_t n;

    assert_true(fd >= 0);
    while ((n = read(fd, buffer, chunk)) > 0)
        g_string_append_len(text, buffer, n);
    assert_int_equal(n, 0);
    (void)close(fd);
    return text;
}

/* Whole, and the same in whatever pieces it is read. cpuinfo does not change from read to read. */
static void test_pieces(void **state)
{
    CapturedMount *m = *state;
    static const size_t chunks[] = {1 << 20, 65536, 4096, 1021, 61, 1};
    GString *whole = read_file(m, "proc/cpuinfo", chunks[0]);
    unsigned blocks = 0;

    assert_true(whole->len > 65536);
    for (const char *at = whole->str; (at = strstr(at, "processor\t: ")); at++)
        blocks++;
    assert_int_equal(blocks, 250);
    for (unsigned i = 1; i < G_N_ELEMENTS(chunks); i++) {
        GString *text = read_file(m, "proc/cpuinfo", chunks[i]);
        assert_true(g_string_equal(text, whole));
        g_string_free(text, TRUE);
    }
    g_string_free(whole, TRUE);
}

/* A text that changes with the clock: what one open reads is of one moment. */
static void test_changing(void **state)
{
    CapturedMount *m = *state;

    for (unsigned i = 0; i < 5; i++) {
        GString *text = read_file(m, "proc/stat", 997);
        unsigned lines = 0;
        for (const char *at = text->str; (at = strstr(at, "\ncpu")); at++)
            lines++;
        assert_int_equal(lines, 250);
        assert_true(g_str_has_prefix(text->str, "cpu  "));
        assert_true(g_str_has_suffix(text->str, "\n"));
        g_string_free(text, TRUE);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_changing, setup, teardown),
    };
    int r = captured_main(argc, argv, &scenarios);

    return r ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
