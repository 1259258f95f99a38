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
#include <sched.h>
#include <stdatomic.h>
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

static int parse_read(const char *text, int *ret_fd, uint64_t *ret_offset)
{
    return sf_syscall_parse_read(text, strlen(text), ret_fd, ret_offset);
}

static void test_read_call(void **state)
{
    char text[256];
    uint64_t offset = 7;
    int fd = -7;

    (void)snprintf(text, sizeof(text), "%d 0x3 0x7f00 0x20000 0x0 0xffffffff 0x0 0x7ffe 0x7f07\n",
                   SYS_read);
    assert_int_equal(parse_read(text, &fd, &offset), 0);
    assert_int_equal(fd, 3);
    (void)snprintf(text, sizeof(text), "%d 0x4 0x7f00 0x10 0x1ff 0x0 0x0 0x7ffe 0x7f07\n",
                   SYS_pread64);
    assert_int_equal(parse_read(text, &fd, &offset), 0);
    assert_int_equal(fd, -1);
    assert_int_equal(offset, 0x1ff);
    (void)snprintf(text, sizeof(text), "%d 0x5 0x7f00 0x1 0xffffffffffffffff 0x0 0x0 0x7 0x7\n",
                   SYS_preadv2);
    assert_int_equal(parse_read(text, &fd, &offset), 0);
    assert_int_equal(fd, 5);
    (void)snprintf(text, sizeof(text), "%d 0x5 0x7f00 0x1 0x0 0x0 0x0 0x7ffe 0x7f07\n", SYS_statx);
    assert_int_equal(parse_read(text, &fd, &offset), -ENODATA);
    (void)snprintf(text, sizeof(text), "%d 0x5 0x7f00 0x1 0x0 0x0 0x0 0x7 0x7\n", SYS_nanosleep);
    assert_int_equal(parse_read(text, &fd, &offset), -EAGAIN);
    assert_int_equal(parse_read("running\n", &fd, &offset), -EBUSY);
    assert_int_equal(parse_read("-1 0x7ffe 0x7f07\n", &fd, &offset), -EAGAIN);
    assert_int_equal(parse_read("", &fd, &offset), -EAGAIN);
    assert_int_equal(parse_read("0 0x3 0x 0x1 0x1 0x1 0x1 0x1 0x1\n", &fd, &offset), -EAGAIN);
    assert_int_equal(parse_read("0 3 0x1 0x1 0x1 0x1 0x1\n", &fd, &offset), -EAGAIN);
}

/* A thread of ours that waits in a read of a file that has an offset: none does, so of a pipe. It
 * takes a while until it does. */
static void *read_pipe(void *data)
{
    struct timespec begin, now;
    char byte;

    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    atomic_store((_Atomic pid_t *)data + 1, (pid_t)syscall(SYS_gettid));
    do
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 < 20);
    return (void *)read((int)atomic_load((_Atomic pid_t *)data), &byte, 1);
}

static void test_reading_thread(void **state)
{
    _Atomic pid_t shared[2] = {0};
    int fds[2];
    pthread_t thread;
    uint64_t offset = 7;
    unsigned cpu = CPU_SETSIZE;
    SfHost *here;

    assert_int_equal(sf_host_open(NULL, &here), 0);
    assert_int_equal(pipe(fds), 0);
    atomic_store(&shared[0], fds[0]);
    assert_int_equal(pthread_create(&thread, NULL, read_pipe, shared), 0);
    while (atomic_load(&shared[1]) == 0)
        (void)sched_yield();
    assert_int_equal(sf_thread_read_offset(here, atomic_load(&shared[1]), &offset), 0);
    assert_int_equal(offset, 0);
    assert_int_equal(sf_thread_cpu(here, atomic_load(&shared[1]), &cpu), 0);
    assert_true(cpu < CPU_SETSIZE);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(sf_thread_read_offset(here, 0, &offset), -EAGAIN);
    (void)close(fds[0]);
    (void)close(fds[1]);
    sf_host_free(here);
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
        cmocka_unit_test(test_read_call),  cmocka_unit_test(test_reading_thread),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
