/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that are read without being opened (SF_MOUNT_CONSTANTS), through a real mount: what they
 * cost, and that a change is seen whole, by who begins to read after it. Needs root and /dev/fuse
 * (exit 77 without).
 *
 * usage: test-constants SCENARIOS
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "tests/fuse/captured-mount.h"

#define TEXT_MAX 262144
#define ONLINE "sys/devices/system/cpu/online"
#define CPUINFO "proc/cpuinfo"
#define BELOW "sys/devices/system/cpu/cpu12/topology/core_cpus_list"
#define FIXED "sys/devices/system/cpu/cpu12/cache/index0/size"
#define QUOTA_4 "400000 100000\n" /* CPUs 12-15 of those that the cpuset has */
#define QUOTA_MAX "max 100000\n"
#define ALL "12-19,60-66,248-249\n"

static const char *scenarios;

static int setup(void **state)
{
    CapturedMount *m = g_new0(CapturedMount, 1);

    captured_mount(m, scenarios, "huge", "quota", SF_MOUNT_CONSTANTS);
    *state = m;
    return 0;
}

static int setup_host(void **state)
{
    CapturedMount *m = g_new0(CapturedMount, 1);

    captured_mount(m, scenarios, "huge", "host", SF_MOUNT_CONSTANTS);
    *state = m;
    return 0;
}

static int teardown(void **state)
{
    captured_unmount(*state);
    g_free(*state);
    return 0;
}

/* In place: the daemon's side has the file open. */
static void set_quota(const CapturedMount *m, const char *text)
{
    g_autofree char *path = g_strdup_printf("%s/sys/fs/cgroup/batch/job/cpu.max", m->root);
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
}

static void let_pass(void)
{
    g_usleep((SF_CONSTANT_MSEC + 10) * 1000);
}

/* The rest of an open file in pieces, NUL-terminated. */
static size_t read_rest(int fd, char *text, size_t piece)
{
    size_t len = 0;
    ssize_t n;

    while ((n = read(fd, text + len, MIN(piece, TEXT_MAX - 1 - len))) > 0)
        len += (size_t)n;
    assert_int_equal(n, 0);
    text[len] = '\0';
    assert_int_equal(strlen(text), len);
    return len;
}

static size_t read_file(const CapturedMount *m, const char *name, char *text, size_t piece)
{
    int fd = captured_open(m, name, O_RDONLY);

    assert_true(fd >= 0);
    size_t len = read_rest(fd, text, piece);
    (void)close(fd);
    return len;
}

static void assert_reads(const CapturedMount *m, const char *name, const char *expected)
{
    static char text[TEXT_MAX];

    (void)read_file(m, name, text, sizeof(text));
    assert_string_equal(text, expected);
}

static unsigned blocks(const char *cpuinfo)
{
    unsigned count = 0;

    assert_true(g_str_has_prefix(cpuinfo, "processor\t: "));
    assert_true(g_str_has_suffix(cpuinfo, "\n\n"));
    for (const char *at = cpuinfo; (at = strstr(at, "processor\t: ")); at++)
        count++;
    return count;
}

/* Once read, a file costs nobody but the kernel anything for a while. */
static void test_no_requests(void **state)
{
    const CapturedMount *m = *state;
    static const char *const names[] = {ONLINE, CPUINFO, BELOW};
    static char text[TEXT_MAX], again[TEXT_MAX];

    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        uint64_t fewest = UINT64_MAX;
        (void)read_file(m, names[i], text, sizeof(text));
        for (unsigned round = 0; round < 50; round++) { /* attributes may get old in one */
            uint64_t before = sf_server_requests(m->server);
            (void)read_file(m, names[i], again, 4096);
            assert_string_equal(again, text);
            fewest = MIN(fewest, sf_server_requests(m->server) - before);
        }
        assert_int_equal(fewest, 0);
    }
    assert_reads(m, ONLINE, ALL);
    assert_reads(m, BELOW, "12-13\n");
    /* What can never change is not asked for again either. */
    assert_reads(m, FIXED, "48K\n");
    let_pass();
    uint64_t before = sf_server_requests(m->server);
    int fd = captured_open(m, FIXED, O_RDONLY);
    assert_int_equal(read(fd, text, 16), 4);
    assert_true(sf_server_requests(m->server) - before <= 1); /* the name of the CPU's directory */
    (void)close(fd);
}

/* A limit that changes is seen at the next open, whole, whether texts get longer or shorter. */
static void test_changes(void **state)
{
    const CapturedMount *m = *state;
    static char text[TEXT_MAX];

    for (unsigned i = 0; i < 6; i++) {
        bool few = i % 2 == 0;
        set_quota(m, few ? QUOTA_4 : QUOTA_MAX);
        let_pass();
        assert_reads(m, ONLINE, few ? "12-15\n" : ALL);
        (void)read_file(m, CPUINFO, text, i < 3 ? sizeof(text) : 100);
        assert_int_equal(blocks(text), few ? 4 : 17);
        int fd = captured_open(m, "sys/devices/system/cpu/cpu60/topology/core_id", O_RDONLY);
        assert_true(fd >= 0 || few);
        (void)close(fd);
        struct stat st;
        g_autofree char *path = g_build_filename(m->top, CPUINFO, NULL);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size, strlen(text));
    }
}

/* Who is in the middle when a limit changes finds the rest of what was begun, also byte by byte;
 * who comes back to the beginning finds what is there now. */
static void test_slow_reader(void **state)
{
    const CapturedMount *m = *state;
    static char text[TEXT_MAX], whole[TEXT_MAX];

    g_autofree char *link = captured_show_thread(m);

    size_t len = read_file(m, CPUINFO, whole, sizeof(whole));
    int fd = captured_open(m, CPUINFO, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, text, 5000), 5000);
    set_quota(m, QUOTA_4);
    for (size_t at = 5000; at < len; at++) {
        if (at % 3000 == 0)
            let_pass();
        assert_int_equal(read(fd, text + at, 1), 1);
    }
    assert_int_equal(read(fd, text + len, 1), 0);
    text[len] = '\0';
    assert_string_equal(text, whole);

    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    let_pass();
    assert_true(read_rest(fd, text, 1000) < len);
    assert_int_equal(blocks(text), 4);
    (void)close(fd);
    assert_int_equal(unlink(link), 0);
}

/* More than a READ carries, in any pieces; through a pipe as well. */
static void test_large(void **state)
{
    const CapturedMount *m = *state;
    static const size_t pieces[] = {4096, 61, 1};
    static char whole[TEXT_MAX], text[TEXT_MAX];

    size_t len = read_file(m, CPUINFO, whole, sizeof(whole));
    assert_true(len > 65536);
    assert_int_equal(blocks(whole), 250);
    for (unsigned i = 0; i < G_N_ELEMENTS(pieces); i++) {
        let_pass();
        assert_int_equal(read_file(m, CPUINFO, text, pieces[i]), len);
        assert_string_equal(text, whole);
    }
    int fd = captured_open(m, ONLINE, O_RDONLY), ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(sendfile(ends[1], fd, NULL, TEXT_MAX), strlen("0-249\n"));
    (void)close(ends[1]);
    (void)read_rest(ends[0], text, sizeof(text));
    assert_string_equal(text, "0-249\n");
    (void)close(ends[0]);
    (void)close(fd);
}

/* What cannot be made for a moment stays what it was, size and all. */
static void test_no_answer(void **state)
{
    const CapturedMount *m = *state;
    g_autofree char *path = g_build_filename(m->top, ONLINE, NULL);
    struct stat before, after;

    set_quota(m, QUOTA_4);
    assert_reads(m, ONLINE, "12-15\n");
    assert_int_equal(stat(path, &before), 0);
    set_quota(m, "");
    let_pass();
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_size, before.st_size);
    assert_memory_equal(&after.st_mtim, &before.st_mtim, sizeof(after.st_mtim));
    assert_reads(m, ONLINE, "12-15\n");
    set_quota(m, QUOTA_MAX);
    let_pass();
    assert_reads(m, ONLINE, ALL);
}

static void test_refusals(void **state)
{
    const CapturedMount *m = *state;
    g_autofree char *secret =
        g_build_filename(m->root, "sys/devices/system/cpu/cpu12/secret", NULL);
    char text[16];

    /* The host's root alone may read it: root inside is somebody else. */
    assert_true(g_file_set_contents(secret, "x\n", 2, NULL));
    assert_int_equal(chmod(secret, 0400), 0);
    int fd = captured_open(m, "sys/devices/system/cpu/cpu12/secret", O_RDONLY);
    if (fd >= 0) {
        assert_int_equal(read(fd, text, sizeof(text)), -1);
        (void)close(fd);
    }
    assert_int_equal(errno, EACCES);
    assert_int_equal(captured_open(m, "sys/devices/system/cpu/cpu1", O_RDONLY), -1);
    assert_int_equal(errno, ENOENT);
    fd = captured_open(m, ONLINE, O_WRONLY);
    if (fd >= 0) {
        assert_int_equal(write(fd, "0\n", 2), -1);
        (void)close(fd);
    }
    assert_int_equal(unlink(secret), 0);
    assert_reads(m, ONLINE, ALL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(test_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_reader, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large, setup_host, teardown),
        cmocka_unit_test_setup_teardown(test_no_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
    };
    int r = captured_main(argc, argv, &scenarios);

    return r ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
