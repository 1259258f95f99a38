/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watching processes: real ones, their pidfds, and the main loop.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/control/exits.h"

typedef struct Child {
    SfExitWatcher *watcher;
    struct Child *other; /* ends with it */
    pid_t pid;
    int pidfd;
    unsigned ended;
} Child;

static void on_ended(void *data)
{
    Child *child = data;

    child->ended++;
    sf_exit_watch_remove(child->watcher, child->pidfd);
    if (child->other)
        sf_exit_watch_remove(child->watcher, child->other->pidfd);
}

static Child start(SfExitWatcher *watcher)
{
    Child child = {.watcher = watcher, .pid = fork()};

    if (child.pid == 0) {
        (void)pause();
        _exit(0);
    }
    assert_true(child.pid > 0);
    child.pidfd = (int)syscall(SYS_pidfd_open, child.pid, 0);
    assert_true(child.pidfd >= 0);
    return child;
}

static void end(Child *child)
{
    assert_int_equal(kill(child->pid, SIGKILL), 0);
    assert_int_equal(waitpid(child->pid, NULL, 0), child->pid);
}

static void turn_loop(void)
{
    for (unsigned i = 0; i < 10; i++)
        (void)g_main_context_iteration(NULL, FALSE);
}

static void test_each_once(void **state)
{
    SfExitWatcher *watcher;

    assert_int_equal(sf_exit_watcher_new(on_ended, &watcher), 0);
    Child a = start(watcher), b = start(watcher);
    assert_int_equal(sf_exit_watch_add(watcher, a.pidfd, &a), 0);
    assert_int_equal(sf_exit_watch_add(watcher, a.pidfd, &a), -EEXIST);
    assert_int_equal(sf_exit_watch_add(watcher, b.pidfd, &b), 0);
    turn_loop();
    assert_int_equal(a.ended + b.ended, 0);
    end(&a);
    turn_loop();
    assert_int_equal(a.ended, 1);
    assert_int_equal(b.ended, 0);
    end(&b);
    turn_loop();
    assert_int_equal(a.ended, 1);
    assert_int_equal(b.ended, 1);
    (void)close(a.pidfd);
    (void)close(b.pidfd);
    sf_exit_watcher_free(watcher);
}

/* Both have ended, and what is done for the first takes the other away. */
static void test_removed_meanwhile(void **state)
{
    SfExitWatcher *watcher;

    assert_int_equal(sf_exit_watcher_new(on_ended, &watcher), 0);
    Child a = start(watcher), b = start(watcher);
    a.other = &b;
    b.other = &a;
    assert_int_equal(sf_exit_watch_add(watcher, a.pidfd, &a), 0);
    assert_int_equal(sf_exit_watch_add(watcher, b.pidfd, &b), 0);
    end(&a);
    end(&b);
    turn_loop();
    assert_int_equal(a.ended + b.ended, 1);
    sf_exit_watch_remove(watcher, a.pidfd); /* of what is not in it */
    (void)close(a.pidfd);
    (void)close(b.pidfd);
    sf_exit_watcher_free(watcher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_once),
        cmocka_unit_test(test_removed_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
