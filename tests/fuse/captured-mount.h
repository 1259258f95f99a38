/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A captured host (tests/golden/scenarios) whose container's view is mounted for real. Include
 * after cmocka.h.
 */

#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/fuse/server.h"
#include "tests/golden/captured_root.h"

#define INIT_PID 4242 /* as tests/golden/craft-scenarios has it */

typedef struct CapturedMount {
    char *root, *top;
    SfHost *host;
    SfCgroups *cgroups;
    SfServer *server;
    SfContainer *container;
    SfView *view;
    SfConnection *connection;
} CapturedMount;

/* The container started with the machine, whose own clock its age is counted by: the captured one
 * may be younger than this machine. */
static inline void start_early(const char *root)
{
    g_autofree char *path = g_strdup_printf("%s/proc/%d/stat", root, INIT_PID);
    g_autofree char *text = NULL;

    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_auto(GStrv) fields = g_strsplit(text, " ", -1); /* the name has no space */
    assert_true(g_strv_length(fields) > 21);
    g_free(fields[21]);
    fields[21] = g_strdup("1");
    g_free(text);
    text = g_strjoinv(" ", fields);
    assert_true(g_file_set_contents(path, text, -1, NULL));
}

/* cpu: the policy's. */
static inline void captured_mount(CapturedMount *m, const char *scenarios, const char *scenario,
                                  const char *cpu, SfViewMount kind)
{
    g_autofree char *captured = g_build_filename(scenarios, scenario, "root", NULL);
    SF_CLEANUP_FD int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    char message[128];
    SfPolicy policy;

    m->root = captured_root_new(captured, NULL);
    assert_non_null(m->root);
    start_early(m->root);
    SfHostOptions options = {.root = m->root, .page_bytes = 4096, .ticks_per_sec = 100};
    assert_int_equal(sf_host_open(&options, &m->host), 0);
    assert_int_equal(sf_cgroups_open(m->host, &m->cgroups), 0);
    sf_policy_init(&policy);
    assert_int_equal(sf_policy_apply(&policy, "io.sysfsd.cpu", cpu, message, sizeof(message)), 0);
    SfContainerSpec spec = {
        .id = "captured", .init_pid = INIT_PID, .pidfd = pidfd, .policy = &policy};
    assert_int_equal(sf_container_new(m->host, m->cgroups, &spec, &m->container), 0);
    assert_int_equal(sf_view_new(m->container, &m->view), 0);
    m->top = g_strdup("/tmp/sysfsd-captured-XXXXXX");
    assert_non_null(mkdtemp(m->top));
    assert_int_equal(sf_server_new(NULL, &m->server), 0);
    assert_int_equal(sf_server_mount(m->server, m->view, kind, m->top, &m->connection), 0);
}

static inline void captured_unmount(CapturedMount *m)
{
    for (unsigned i = 0; i < 200 && sf_view_open_handles(m->view) > 0; i++)
        g_usleep(10000);                                 /* RELEASE is not waited for */
    unsigned open_files = sf_view_open_handles(m->view); /* judged when all is cleared away */
    sf_server_unmount(m->server, m->connection);
    sf_server_free(m->server);
    sf_view_end(m->view);
    sf_view_unref(m->view);
    sf_container_unref(m->container);
    sf_cgroups_free(m->cgroups);
    sf_host_free(m->host);
    assert_int_equal(rmdir(m->top), 0);
    captured_root_free(m->root);
    g_free(m->top);
    assert_int_equal(open_files, 0);
}

static inline int captured_open(const CapturedMount *m, const char *name, int flags)
{
    g_autofree char *path = g_build_filename(m->top, name, NULL);

    return open(path, flags | O_CLOEXEC);
}

/* Lets the daemon's side look at this thread, as it looks at threads of the host: its procfs is the
 * captured one. The link, to be unlinked and freed. */
static inline char *captured_show_thread(const CapturedMount *m)
{
    char *link = g_strdup_printf("%s/proc/%d", m->root, (int)gettid());
    g_autofree char *target = g_strdup_printf("/proc/%d", (int)gettid());

    if (symlink(target, link) < 0)
        abort();
    return link;
}

/* The same arguments for every test: the directory of the scenarios. */
static inline int captured_main(int argc, char **argv, const char **ret_scenarios)
{
    if (argc != 2)
        return 2;
    if (geteuid() != 0 || access("/dev/fuse", R_OK | W_OK) < 0) {
        (void)fprintf(stderr, "needs root and /dev/fuse\n");
        return 77;
    }
    *ret_scenarios = argv[1];
    return 0;
}
