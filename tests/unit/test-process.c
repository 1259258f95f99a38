/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What is read of a process: names that try to look like fields, ID maps, namespaces, pidfds.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "daemon/source/process.h"
#include "source-tree.h"

#define FIELDS                                                                                     \
    " S 10 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 987654 1000 200 18446744073709551615 1\n"

static int parse_stat(const char *text, SfPidStat *ret_stat)
{
    return sf_pid_stat_parse(text, strlen(text), ret_stat);
}

static void assert_fields(const char *text)
{
    SfPidStat stat;

    assert_int_equal(parse_stat(text, &stat), 0);
    assert_int_equal(stat.state, 'S');
    assert_int_equal(stat.ppid, 10);
    assert_int_equal(stat.num_threads, 3);
    assert_int_equal(stat.start_ticks, 987654);
}

static void test_stat_names(void **state)
{
    assert_fields("42 (init)" FIELDS);
    assert_fields("42 (a b c)" FIELDS);
    assert_fields("42 (a) R 1 1 1 1)" FIELDS);
    assert_fields("42 (x) S 1 (y))" FIELDS);
    assert_fields("42 ()" FIELDS);
    assert_fields("42 (new\nline)" FIELDS);
    assert_fields("42 (((()" FIELDS);
}

static void test_stat_malformed(void **state)
{
    static const char *const BAD[] = {
        "",
        "42 init S 10",
        "42 (init)",
        "42 (init) ",
        "42 (init) S 10 42 42 0 -1 4194560 1 2 3 4",
        "42 (init) SS 10 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 987654\n",
        "42 (init) S x 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 987654\n",
        "42 (init) S 10 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 -5\n",
        "42 (init) S 99999999999 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 5\n",
    };
    SfPidStat stat = {.ppid = 77};

    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        assert_int_equal(parse_stat(BAD[i], &stat), -EINVAL);
    assert_int_equal(stat.ppid, 77);
}

static void test_nspid(void **state)
{
    static const char TEXT[] = "Name:\tinit\nNgid:\t0\nNSpid:\t4242\t17\t1\nNSpgid:\t4242\t1\n";
    pid_t pid;
    unsigned levels;

    assert_int_equal(sf_pid_status_parse_nspid(TEXT, strlen(TEXT), &pid, &levels), 0);
    assert_int_equal(pid, 1);
    assert_int_equal(levels, 3);
    assert_int_equal(sf_pid_status_parse_nspid("NSpid:\t5", 8, &pid, &levels), 0);
    assert_int_equal(pid, 5);
    assert_int_equal(levels, 1);
    assert_int_equal(sf_pid_status_parse_nspid("Name:\tx\n", 8, &pid, &levels), -ENODATA);
    assert_int_equal(sf_pid_status_parse_nspid("", 0, &pid, &levels), -ENODATA);
    assert_int_equal(sf_pid_status_parse_nspid("NSpid:\n", 7, &pid, &levels), -EINVAL);
    assert_int_equal(sf_pid_status_parse_nspid("NSpid:\t-5\n", 10, &pid, &levels), -EINVAL);
    assert_int_equal(pid, 5);
}

static int root_of(const char *text, uint32_t *ret_id)
{
    return sf_id_map_parse_root(text, strlen(text), ret_id);
}

static void test_id_map(void **state)
{
    uint32_t id = 7;

    assert_int_equal(root_of("         0          0 4294967295\n", &id), 0);
    assert_int_equal(id, 0);
    assert_int_equal(root_of("         0     100000      65536\n", &id), 0);
    assert_int_equal(id, 100000);
    assert_int_equal(root_of("1 200000 65535\n0 1000 1\n", &id), 0);
    assert_int_equal(id, 1000);
    assert_int_equal(root_of("", &id), -ENODATA);
    assert_int_equal(root_of("1 100000 65536\n", &id), -ENODATA);
    assert_int_equal(root_of("0 4294967295 1\n", &id), -ENODATA);
    assert_int_equal(root_of("0 100000\n", &id), -EINVAL);
    assert_int_equal(root_of("0 100000 1 1\n", &id), -EINVAL);
    assert_int_equal(root_of("0 4294967296 1\n", &id), -EINVAL);
    assert_int_equal(root_of("0 -1 1\n", &id), -EINVAL);
    assert_int_equal(root_of("\n", &id), -EINVAL);
    assert_int_equal(id, 1000);
}

/* A host that is a directory. */
static Tree tree;
static SfHost *host;

static int setup(void **state)
{
    tree_init(&tree);
    tree_mkdir(&tree, "proc/7/ns");
    tree_write(&tree, "proc/7/stat", "7 (a) b)" FIELDS);
    tree_write(&tree, "proc/7/uid_map", "0 100000 65536\n");
    tree_write(&tree, "proc/7/gid_map", "0 200000 65536\n");
    tree_symlink(&tree, "proc/7/ns/mnt", "mnt:[4026532001]");
    tree_symlink(&tree, "proc/7/ns/pid", "pid:[4026532002]");
    tree_symlink(&tree, "proc/7/ns/user", "user:[4026532003]");
    tree_mkdir(&tree, "proc/8/ns"); /* a kernel without user namespaces */
    tree_symlink(&tree, "proc/8/ns/mnt", "4026532001");
    return sf_host_open(&(SfHostOptions){.root = tree.root}, &host);
}

static int teardown(void **state)
{
    sf_host_free(host);
    tree_clear(&tree);
    return 0;
}

static void test_read_tree(void **state)
{
    SfPidStat stat;
    uid_t uid = 1;
    gid_t gid = 1;
    SfNamespaces namespaces;

    assert_int_equal(sf_pid_stat_read(host, 7, &stat), 0);
    assert_int_equal(stat.start_ticks, 987654);
    assert_int_equal(sf_pid_stat_read(host, 9, &stat), -ESRCH);
    assert_int_equal(sf_process_root_ids(host, 7, &uid, &gid), 0);
    assert_int_equal(uid, 100000);
    assert_int_equal(gid, 200000);
    assert_int_equal(sf_process_root_ids(host, 9, &uid, &gid), -ESRCH);
    assert_int_equal(uid, 100000);
    assert_int_equal(sf_process_root_ids(host, 8, &uid, &gid), 0);
    assert_int_equal(uid, 0);

    assert_int_equal(sf_process_namespaces(host, 7, &namespaces), 0);
    assert_true(namespaces.mnt == 4026532001u);
    assert_true(namespaces.user == 4026532003u);
    assert_true(namespaces.time == 0);
    assert_int_equal(sf_process_namespaces(host, 8, &namespaces), -EINVAL);
    assert_int_equal(sf_process_namespaces(host, 9, &namespaces), -ESRCH);
}

static void test_read_here(void **state)
{
    SfHost *here;
    SfPidStat stat;
    SfNamespaces self, by_pid;
    uid_t uid;
    gid_t gid;

    assert_int_equal(sf_host_open(NULL, &here), 0);
    assert_int_equal(prctl(PR_SET_NAME, "a) R 1 (b"), 0);
    assert_int_equal(sf_pid_stat_read(here, getpid(), &stat), 0);
    assert_int_equal(stat.ppid, getppid());
    assert_int_equal(stat.num_threads, 1);
    assert_true(stat.start_ticks > 0);
    assert_int_equal(sf_process_namespaces(here, 0, &self), 0);
    assert_int_equal(sf_process_namespaces(here, getpid(), &by_pid), 0);
    assert_memory_equal(&self, &by_pid, sizeof(self));
    assert_true(self.mnt > 0);
    assert_int_equal(sf_process_root_ids(here, getpid(), &uid, &gid), 0);
    sf_host_free(here);
}

static void test_pidfd(void **state)
{
    int fd = -1;
    pid_t pid = 0;

    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        pause();
        _exit(0);
    }
    assert_int_equal(sf_process_pidfd(child, &fd), 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(sf_pidfd_pid(fd, &pid), 0);
    assert_int_equal(pid, child);

    siginfo_t info;
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(sf_pidfd_pid(fd, &pid), -ESRCH); /* a zombie has ended */
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(sf_pidfd_pid(fd, &pid), -ESRCH);
    (void)sf_close(fd);
    assert_int_equal(sf_process_pidfd(child, &fd), -ESRCH);
    assert_int_equal(sf_process_pidfd(0, &fd), -EINVAL);
    assert_int_equal(sf_process_pidfd(-1, &fd), -EINVAL);

    assert_int_equal(sf_pidfd_pid(-1, &pid), -EBADF);
    assert_int_equal(sf_pidfd_pid(0, &pid), -EBADF); /* an fd, but none of a process */
}

static void *thread_main(void *data)
{
    int fd;
    *(int *)data = sf_process_pidfd((pid_t)syscall(SYS_gettid), &fd);
    return NULL;
}

static void test_pidfd_of_thread(void **state)
{
    pthread_t thread;
    int result = 0;

    assert_int_equal(pthread_create(&thread, NULL, thread_main, &result), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(result, -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stat_names), cmocka_unit_test(test_stat_malformed),
        cmocka_unit_test(test_nspid),      cmocka_unit_test(test_id_map),
        cmocka_unit_test(test_read_tree),  cmocka_unit_test(test_read_here),
        cmocka_unit_test(test_pidfd),      cmocka_unit_test(test_pidfd_of_thread),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
