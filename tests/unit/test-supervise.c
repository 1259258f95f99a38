/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor's table of files before and after an exec that fails, and what it takes for a sign
 * of life. All of it is static: the source is included.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <sys/stat.h>

#include "daemon/supervise.c"

#define HELD 6u

static unsigned open_files(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    (void)closedir(dir);
    return count;
}

static ino_t inode_of(int fd)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    return st.st_ino;
}

/* A file of its own at a number, and the end of it that is not held. */
static int make_file(int number, int *ret_other)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    *ret_other = fcntl(ends[1], F_DUPFD_CLOEXEC, 200);
    (void)close(ends[1]);
    int high = fcntl(ends[0], F_DUPFD_CLOEXEC, 100);
    (void)close(ends[0]);
    assert_int_equal(dup3(high, number, O_CLOEXEC), number);
    (void)close(high);
    return number;
}

static void begin_store(void)
{
    s.count = 0;
    for (int fd = FIRST_FD; fd < FIRST_FD + 20; fd++)
        (void)close(fd);
}

static void hear_words(const char *words)
{
    char text[MESSAGE_MAX + 1];
    int fd = -1;

    (void)g_strlcpy(text, words, sizeof(text));
    hear_text(text, strlen(text), &fd);
}

static void test_failed_exec_leaves_the_files(void **state)
{
    /* In the others' places, in the right one, beyond all; and two that are not held. */
    static const int numbers[HELD] = {FIRST_FD + 2, FIRST_FD + 1, FIRST_FD,
                                      FIRST_FD + 9, FIRST_FD + 7, FIRST_FD + 3};
    static const int strangers[] = {FIRST_FD + 4, FIRST_FD + 5};
    ino_t inodes[HELD], strange[2];
    int others[HELD], unused;

    begin_store();
    for (unsigned i = 0; i < HELD; i++) {
        g_autofree char *name = g_strdup_printf("v%u", i);
        store(name, strlen(name), make_file(numbers[i], &others[i]));
        inodes[i] = inode_of(numbers[i]);
    }
    for (unsigned i = 0; i < 2; i++)
        strange[i] = inode_of(make_file(strangers[i], &unused));
    unsigned before = open_files();

    for (unsigned round = 0; round < 3; round++) {
        assert_int_equal(line_up(true), 0);
        for (unsigned i = 0; i < HELD; i++) {
            assert_int_equal(inode_of(FIRST_FD + (int)i), inodes[i]);
            assert_int_equal(fcntl(FIRST_FD + (int)i, F_GETFD), 0);
        }
        assert_int_equal(open_files(), before);
        step_back();
        assert_int_equal(open_files(), before);
        for (unsigned i = 0; i < HELD; i++) {
            assert_int_equal(inode_of(s.stored[i].fd), inodes[i]);
            assert_int_equal(fcntl(s.stored[i].fd, F_GETFD), FD_CLOEXEC);
        }
        for (unsigned i = 0; i < 2; i++)
            assert_int_equal(inode_of(strangers[i]), strange[i]);
    }
    /* Nobody else has any of them: a connection ends when it is dropped. */
    (void)signal(SIGPIPE, SIG_IGN);
    for (unsigned i = 0; i < HELD; i++) {
        g_autofree char *name = g_strdup_printf("v%u", i);
        drop(name, strlen(name));
        assert_int_equal(write(others[i], "x", 1), -1);
        assert_int_equal(errno, EPIPE);
    }
    assert_int_equal(open_files(), before - HELD);
}

static void test_signs_of_life(void **state)
{
    s.ready = false;
    s.told_ready = true;
    s.heard_msec = 1;
    hear_words("FDSTOREREMOVE=1\nFDNAME=e1");
    assert_true(s.heard_msec > 1); /* it gets on with its start */
    s.heard_msec = 1;
    hear_words("STATUS=x\nREADY=1");
    assert_true(s.ready);
    assert_true(s.heard_msec > 1);
    s.heard_msec = 1;
    hear_words("FDSTOREREMOVE=1\nFDNAME=e1");
    hear_words("READY=1");
    hear_words("WATCHDOG=");
    hear_words("WATCHDOG=12");
    assert_int_equal(s.heard_msec, 1);
    hear_words("STATUS=x\nWATCHDOG=1\n");
    assert_true(s.heard_msec > 1);
}

static void test_program_of_a_daemon_that_does_not_start(void **state)
{
    static char path[] = "/usr/sbin/sysfsd";

    s.path = path;
    s.own_program = false;
    s.started_msec = now_msec();
    s.ready = false;
    plan_start(SIGSEGV);
    assert_true(s.own_program);
    plan_start(SIGSEGV); /* nor does the other */
    assert_false(s.own_program);
    plan_start(SIGSEGV);
    s.ready = true;
    plan_start(SIGKILL);
    assert_false(s.own_program);
}

static void wait_for_end(pid_t pid)
{
    siginfo_t info;

    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

/* As PID 1 of a container is given them. */
static void test_orphans(void **state)
{
    pid_t pids[3];
    int status;

    for (unsigned i = 0; i < G_N_ELEMENTS(pids); i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0)
            _exit(0);
        wait_for_end(pids[i]);
    }
    s.child = pids[2];
    reap_orphans();
    assert_int_equal(waitpid(pids[2], &status, WNOHANG), pids[2]);
    s.child = 0;
    reap_orphans();
    assert_int_equal(waitpid(-1, &status, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failed_exec_leaves_the_files),
        cmocka_unit_test(test_signs_of_life),
        cmocka_unit_test(test_program_of_a_daemon_that_does_not_start),
        cmocka_unit_test(test_orphans),
    };

    (void)unsetenv("NOTIFY_SOCKET");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
