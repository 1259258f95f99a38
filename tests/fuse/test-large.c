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

#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/fuse/server.h"
#include "tests/golden/captured_root.h"

#define INIT_PID 4242 /* as tests/golden/craft-scenarios has it */

static const char *scenarios;

typedef struct Fixture {
    char *root, *top;
    SfHost *host;
    SfCgroups *cgroups;
    SfServer *server;
    SfContainer *container;
    SfView *view;
    SfConnection *connection;
} Fixture;

static int setup(void **state)
{
    Fixture *f = g_new0(Fixture, 1);
    g_autofree char *captured = g_build_filename(scenarios, "huge", "root", NULL);
    SF_CLEANUP_FD int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    char message[128];
    SfPolicy policy;

    f->root = captured_root_new(captured, NULL);
    assert_non_null(f->root);
    SfHostOptions options = {.root = f->root, .page_bytes = 4096, .ticks_per_sec = 100};
    assert_int_equal(sf_host_open(&options, &f->host), 0);
    assert_int_equal(sf_cgroups_open(f->host, &f->cgroups), 0);
    sf_policy_init(&policy);
    assert_int_equal(sf_policy_apply(&policy, "io.sysfsd.cpu", "host", message, sizeof(message)),
                     0);
    SfContainerSpec spec = {.id = "large", .init_pid = INIT_PID, .pidfd = pidfd, .policy = &policy};
    assert_int_equal(sf_container_new(f->host, f->cgroups, &spec, &f->container), 0);
    assert_int_equal(sf_view_new(f->container, &f->view), 0);
    f->top = g_strdup("/tmp/sysfsd-large-XXXXXX");
    assert_non_null(mkdtemp(f->top));
    assert_int_equal(sf_server_new(NULL, &f->server), 0);
    assert_int_equal(sf_server_mount(f->server, f->view, f->top, &f->connection), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    Fixture *f = *state;

    sf_server_unmount(f->server, f->connection);
    sf_server_free(f->server);
    sf_view_end(f->view);
    sf_view_unref(f->view);
    sf_container_unref(f->container);
    sf_cgroups_free(f->cgroups);
    sf_host_free(f->host);
    assert_int_equal(rmdir(f->top), 0);
    captured_root_free(f->root);
    g_free(f->top);
    g_free(f);
    return 0;
}

static GString *read_file(const Fixture *f, const char *name, size_t chunk)
{
    g_autofree char *path = g_build_filename(f->top, name, NULL);
    g_autofree char *buffer = g_malloc(chunk);
    GString *text = g_string_new(NULL);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
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
    Fixture *f = *state;
    static const size_t chunks[] = {1 << 20, 65536, 4096, 1021, 61, 1};
    GString *whole = read_file(f, "proc/cpuinfo", chunks[0]);
    unsigned blocks = 0;

    assert_true(whole->len > 65536);
    for (const char *at = whole->str; (at = strstr(at, "processor\t: ")); at++)
        blocks++;
    assert_int_equal(blocks, 250);
    for (unsigned i = 1; i < G_N_ELEMENTS(chunks); i++) {
        GString *text = read_file(f, "proc/cpuinfo", chunks[i]);
        assert_true(g_string_equal(text, whole));
        g_string_free(text, TRUE);
    }
    g_string_free(whole, TRUE);
}

/* A text that changes with the clock: what one open reads is of one moment. */
static void test_changing(void **state)
{
    Fixture *f = *state;

    for (unsigned i = 0; i < 5; i++) {
        GString *text = read_file(f, "proc/stat", 997);
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

    if (argc != 2)
        return 2;
    if (geteuid() != 0 || access("/dev/fuse", R_OK | W_OK) < 0) {
        fprintf(stderr, "needs root and /dev/fuse\n");
        return 77;
    }
    scenarios = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
