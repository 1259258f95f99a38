/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container that has the kernel hold a lock for a question to its view, and has the view's server
 * look at what that lock protects: it must go on all the same.
 *
 * The lock is that of an epoll set, held while one asks a file of the view for its events. What is
 * looked at is where a reader's file stands, whose number another thread gives to the set while the
 * reader waits. A file that is a FIFO holds the server up until all of that is in place.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

#include "daemon/source/read_apart.h"
#include "tests/fuse/captured-mount.h"

#define SLOW_FILE "proc/interrupts"
#define PATIENCE_SEC 5

static const char *scenarios;

typedef struct Entangled {
    CapturedMount m;
    int read_fd, asked_fd, epoll_fd;
    char text[256];
    ssize_t got;
} Entangled;

static void *open_slow_file(void *data)
{
    const Entangled *e = data;

    return (void *)(intptr_t)sf_close(captured_open(&e->m, SLOW_FILE, O_RDONLY));
}

static void *read_rest(void *data)
{
    Entangled *e = data;
    char *link = captured_show_thread(&e->m);

    e->got = read(e->read_fd, e->text, sizeof(e->text) - 1);
    (void)unlink(link);
    g_free(link);
    return NULL;
}

static void *ask_for_events(void *data)
{
    const Entangled *e = data;
    struct epoll_event event = {.events = EPOLLIN};

    (void)epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, e->asked_fd, &event);
    return NULL;
}

static void start(pthread_t *thread, void *(*run)(void *data), Entangled *e)
{
    assert_int_equal(pthread_create(thread, NULL, run, e), 0);
    g_usleep(50000); /* until it waits; too short only makes the test see less */
}

static bool ends(pthread_t thread)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_SEC;
    return pthread_timedjoin_np(thread, NULL, &until) == 0;
}

static void test_goes_on(void **state)
{
    Entangled e = {0};
    pthread_t threads[3];
    bool went_on = true;

    captured_mount(&e.m, scenarios, "swap-wide", "quota", SF_MOUNT_VIEW);
    g_autofree char *fifo = g_build_filename(e.m.root, SLOW_FILE, NULL);
    e.read_fd = captured_open(&e.m, "proc/uptime", O_RDONLY);
    e.asked_fd = captured_open(&e.m, "proc/loadavg", O_RDONLY);
    e.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    assert_true(e.read_fd >= 0 && e.asked_fd >= 0 && e.epoll_fd >= 0);
    assert_int_equal(read(e.read_fd, e.text, 1), 1);
    g_usleep(SF_VIEW_SHARED_MSEC * 5000); /* from now on it is looked at before it reads */
    assert_int_equal(unlink(fifo), 0);
    assert_int_equal(mkfifo(fifo, 0600), 0);

    start(&threads[0], open_slow_file, &e);
    start(&threads[1], read_rest, &e);
    start(&threads[2], ask_for_events, &e);
    assert_int_equal(dup2(e.epoll_fd, e.read_fd), e.read_fd);
    int writer = open(fifo, O_WRONLY | O_CLOEXEC);
    for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++)
        went_on = went_on && ends(threads[i]);
    if (!went_on) { /* nothing less ends it */
        (void)umount2(e.m.top, MNT_FORCE);
        abort();
    }
    assert_true(writer >= 0);
    assert_true(e.got > 0);
    assert_non_null(memchr(e.text, '\n', (size_t)e.got));
    /* Not that it did not look at all. */
    assert_true(sf_view_is_unseen(e.m.view));
    for (unsigned i = 0; i < 100 && sf_read_apart_lost() > 0; i++)
        g_usleep(10000);
    assert_int_equal(sf_read_apart_lost(), 0);
    (void)close(writer);
    (void)close(e.read_fd);
    (void)close(e.asked_fd);
    (void)close(e.epoll_fd);
    captured_unmount(&e.m);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_goes_on)};

    int r = captured_main(argc, argv, &scenarios);
    return r != 0 ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
