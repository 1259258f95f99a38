/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that can be written to and waited on, on the real kernel: pressure triggers through a view.
 * Needs root, /dev/fuse, a cgroup2 tree and PSI (exit 77 without). The cgroup and the directory it
 * makes are taken away again.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/fuse/server.h"

/* More busy tasks than a machine has CPUs make pressure; without CAP_SYS_RESOURCE the kernel wants
 * windows of whole 2 s. */
#define TRIGGER "some 20000 2000000"
#define WAIT_MSEC 15000

static const char *unified; /* where the cgroup2 tree is mounted */

typedef struct Fixture {
    SfHost *host;
    SfCgroups *cgroups;
    SfServer *server;
    SfContainer *container;
    SfView *view;
    SfConnection *connection;
    _Atomic int held; /* files that somebody has been asked to hold, and not to drop */
    pid_t init;
    char cgroup[128], top[64];
    char v1_cgroup[128]; /* of the same path on a hybrid host, as engines make it; "" elsewhere */
} Fixture;

static void enter(const char *cgroup)
{
    g_autofree char *procs = g_strdup_printf("%s/cgroup.procs", cgroup);
    int fd = open(procs, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, "0", 1) != 1)
        _exit(1);
    (void)close(fd);
}

static pid_t spawn(const Fixture *f, bool busy)
{
    pid_t pid = fork();

    if (pid > 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (f->v1_cgroup[0])
        enter(f->v1_cgroup);
    enter(f->cgroup);
    (void)close(STDOUT_FILENO);
    (void)close(STDERR_FILENO);
    while (busy)
        ;
    (void)pause();
    _exit(0);
}

static void wait_until_inside(const Fixture *f, pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/cgroup", pid);

    for (unsigned i = 0; i < 500; i++) {
        g_autofree char *text = NULL;
        g_autofree char *line = g_strdup_printf("0::%s\n", f->cgroup + strlen(unified));
        if (g_file_get_contents(path, &text, NULL, NULL) && strstr(text, line))
            return;
        g_usleep(10000);
    }
    fail_msg("the process does not get into %s", f->cgroup);
}

static void hold_events(void *data, SfViewEvents events)
{
    Fixture *f = data;

    (void)events;
    f->held++;
}

static void drop_events(void *data, SfViewEvents events)
{
    Fixture *f = data;

    (void)events;
    f->held--;
}

static int setup(void **state)
{
    Fixture *f = g_new0(Fixture, 1);
    SfHostOptions options = {0};
    SfPolicy policy;

    (void)snprintf(f->cgroup, sizeof(f->cgroup), "%s/sysfsd-events-%d", unified, getpid());
    assert_int_equal(mkdir(f->cgroup, 0755), 0);
    if (access("/sys/fs/cgroup/pids/cgroup.procs", W_OK) == 0) {
        (void)snprintf(f->v1_cgroup, sizeof(f->v1_cgroup), "/sys/fs/cgroup/pids%s",
                       f->cgroup + strlen(unified));
        assert_int_equal(mkdir(f->v1_cgroup, 0755), 0);
    }
    f->init = spawn(f, false);
    wait_until_inside(f, f->init);
    (void)snprintf(f->top, sizeof(f->top), "/tmp/sysfsd-events-XXXXXX");
    assert_non_null(mkdtemp(f->top));
    assert_int_equal(sf_host_open(&options, &f->host), 0);
    assert_int_equal(sf_cgroups_open(f->host, &f->cgroups), 0);
    SfServerOptions server_options = {.hooks = {hold_events, drop_events, f}};
    assert_int_equal(sf_server_new(&server_options, &f->server), 0);
    sf_policy_init(&policy);
    SfContainerSpec spec = {.id = "events", .init_pid = f->init, .pidfd = -1, .policy = &policy};
    assert_int_equal(sf_container_new(f->host, f->cgroups, &spec, &f->container), 0);
    assert_int_equal(sf_view_new(f->container, &f->view), 0);
    assert_int_equal(sf_server_mount(f->server, f->view, SF_MOUNT_VIEW, f->top, &f->connection), 0);
    *state = f;
    return 0;
}

/* The processes that were in it may still be going. */
static void remove_cgroup(const char *path)
{
    for (unsigned i = 0; rmdir(path) < 0 && errno == EBUSY && i < 200; i++)
        g_usleep(10000);
    assert_int_equal(access(path, F_OK), -1);
}

static int teardown(void **state)
{
    Fixture *f = *state;

    if (f->connection)
        sf_server_unmount(f->server, f->connection);
    sf_server_free(f->server);
    sf_view_unref(f->view);
    sf_container_unref(f->container);
    sf_cgroups_free(f->cgroups);
    sf_host_free(f->host);
    (void)kill(f->init, SIGKILL);
    (void)waitpid(f->init, NULL, 0);
    assert_int_equal(rmdir(f->top), 0);
    remove_cgroup(f->cgroup);
    if (f->v1_cgroup[0])
        remove_cgroup(f->v1_cgroup);
    g_free(f);
    return 0;
}

static int open_view(const Fixture *f, const char *name, int flags)
{
    g_autofree char *path = g_strdup_printf("%s/%s", f->top, name);

    return open(path, flags | O_CLOEXEC);
}

static unsigned open_fds(void)
{
    g_autoptr(GDir) directory = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned count = 0;

    while (g_dir_read_name(directory))
        count++;
    return count;
}

/* What poll(2) says within that time. */
static int wait_event(int fd, int msec)
{
    struct pollfd state = {.fd = fd, .events = POLLPRI};
    int n = poll(&state, 1, msec);

    assert_true(n >= 0);
    return n == 0 ? 0 : state.revents;
}

static void test_trigger(void **state)
{
    Fixture *f = *state;
    pid_t busy[64];
    unsigned count = MIN(2 * g_get_num_processors() + 2, G_N_ELEMENTS(busy));
    char text[16];
    int fd = open_view(f, "proc/pressure/cpu", O_RDWR);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, TRIGGER, sizeof(TRIGGER)), sizeof(TRIGGER));
    assert_int_equal(pread(fd, text, 10, 0), 10);
    assert_memory_equal(text, "some avg10", 10);
    assert_int_equal(wait_event(fd, 0), 0); /* nothing has happened yet */
    for (unsigned i = 0; i < count; i++)
        busy[i] = spawn(f, true);
    /* Twice: an event is told once, and the next one again. */
    assert_int_equal(wait_event(fd, WAIT_MSEC), POLLPRI);
    assert_int_equal(wait_event(fd, WAIT_MSEC), POLLPRI);
    for (unsigned i = 0; i < count; i++) {
        (void)kill(busy[i], SIGKILL);
        (void)waitpid(busy[i], NULL, 0);
    }
    (void)close(fd);
}

/* Each as the kernel's own file answers it. */
static void test_refusals(void **state)
{
    Fixture *f = *state;
    int fd = open_view(f, "proc/pressure/memory", O_RDWR | O_TRUNC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "nonsense", 9), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(write(fd, TRIGGER, sizeof(TRIGGER)), sizeof(TRIGGER));
    assert_int_equal(write(fd, TRIGGER, sizeof(TRIGGER)), -1);
    assert_int_equal(errno, EBUSY); /* one trigger an open file */
    (void)close(fd);
    assert_int_equal(open_view(f, "proc/meminfo", O_RDWR), -1);
    assert_int_equal(errno, EACCES);
    assert_int_equal(open_view(f, "proc/meminfo", O_WRONLY | O_TRUNC), -1);
}

static void test_bounded(void **state)
{
    Fixture *f = *state;
    int fds[SF_VIEW_MAX_EVENTS];

    for (unsigned i = 0; i < G_N_ELEMENTS(fds); i++) {
        fds[i] = open_view(f, "proc/pressure/io", O_RDWR);
        assert_true(fds[i] >= 0);
    }
    assert_int_equal(open_view(f, "proc/pressure/io", O_RDWR), -1);
    assert_int_equal(errno, ENFILE);
    (void)close(fds[0]);
    g_usleep(100000); /* RELEASE is not waited for */
    fds[0] = open_view(f, "proc/pressure/io", O_RDWR);
    assert_true(fds[0] >= 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(fds); i++)
        (void)close(fds[i]);
}

/* The number of open files once it stays the same for 0.2 s: RELEASE is not waited for, and a
 * worker opens files for a moment. */
static unsigned settled_fds(void)
{
    unsigned count = open_fds();

    for (unsigned calm = 0, i = 0; calm < 20 && i < 1000; i++) {
        unsigned now;

        g_usleep(10000);
        now = open_fds();
        calm = now == count ? calm + 1 : 0;
        count = now;
    }
    return count;
}

static void test_nothing_is_left(void **state)
{
    Fixture *f = *state;
    unsigned before = settled_fds();
    int fd = open_view(f, "proc/pressure/cpu", O_RDWR);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, TRIGGER, sizeof(TRIGGER)), sizeof(TRIGGER));
    assert_int_equal(wait_event(fd, 10), 0);     /* the daemon watches now */
    assert_int_equal(settled_fds(), before + 3); /* ours, the view's, the watch's */
    (void)close(fd);
    assert_int_equal(settled_fds(), before);

    /* The view goes under a waiter: it is woken with an error, not left waiting. */
    fd = open_view(f, "proc/pressure/cpu", O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, TRIGGER, sizeof(TRIGGER)), sizeof(TRIGGER));
    assert_int_equal(wait_event(fd, 10), 0);
    sf_server_unmount(f->server, g_steal_pointer(&f->connection));
    assert_true(wait_event(fd, 1000) & POLLERR);
    (void)close(fd);
    f->view = sf_view_unref(f->view);
    for (unsigned i = 0; open_fds() >= before && i < 200; i++)
        g_usleep(10000);
    assert_true(open_fds() < before); /* the connection's own has gone too */
}

static void wait_until_held(Fixture *f, int count)
{
    for (unsigned i = 0; f->held != count && i < 200; i++)
        g_usleep(10000);
    assert_int_equal(f->held, count);
}

static int open_armed(Fixture *f, const char *name)
{
    int fd = open_view(f, name, O_RDWR);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, TRIGGER, sizeof(TRIGGER)), sizeof(TRIGGER));
    return fd;
}

/* The container ends before its files are closed: nobody holds a trigger of it. */
static void test_dropped_with_the_view(void **state)
{
    Fixture *f = *state;
    int fds[] = {open_armed(f, "proc/pressure/cpu"), open_armed(f, "proc/pressure/memory"),
                 open_armed(f, "proc/pressure/io")};

    wait_until_held(f, 3);
    (void)close(fds[2]);
    wait_until_held(f, 2);
    sf_view_end(f->view);
    sf_server_unmount(f->server, g_steal_pointer(&f->connection));
    wait_until_held(f, 0);
    (void)close(fds[0]);
    (void)close(fds[1]);
    wait_until_held(f, 0);
}

/* Another process goes on with the view: what is held stays. */
static void test_held_for_another(void **state)
{
    Fixture *f = *state;
    int fd = open_armed(f, "proc/pressure/cpu");

    wait_until_held(f, 1);
    sf_server_leave(f->server, g_steal_pointer(&f->connection));
    assert_int_equal(umount2(f->top, MNT_DETACH), 0);
    assert_true(wait_event(fd, 1000) & POLLERR); /* the connection has gone */
    assert_int_equal(f->held, 1);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_trigger, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_is_left, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dropped_with_the_view, setup, teardown),
        cmocka_unit_test_setup_teardown(test_held_for_another, setup, teardown),
    };

    if (geteuid() != 0 || access("/dev/fuse", R_OK | W_OK) < 0) {
        fprintf(stderr, "needs root and /dev/fuse\n");
        return 77;
    }
    unified = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0 ? "/sys/fs/cgroup"
                                                                     : "/sys/fs/cgroup/unified";
    g_autofree char *pressure = g_strdup_printf("%s/cgroup.procs", unified);
    if (access(pressure, W_OK) < 0 || access("/proc/pressure/cpu", R_OK) < 0) {
        fprintf(stderr, "needs a cgroup2 tree and pressure stall information\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
