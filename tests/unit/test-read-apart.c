/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading by processes of their own: that it reads, and that somebody who has the kernel wait costs
 * one of them and nobody's time.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/source/read_apart.h"

static SfHost *host;

static int64_t now_msec(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int open_fdinfo(int fd)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    int info = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(info >= 0);
    return info;
}

static int read_fdinfo(int fd, char text[SF_READ_APART_MAX + 1])
{
    size_t len = 0;
    int info = open_fdinfo(fd);
    int r = sf_read_apart(host, info, text, &len);

    text[len] = '\0';
    (void)close(info);
    return r;
}

static void test_reads(void **state)
{
    char text[SF_READ_APART_MAX + 1];
    size_t len;
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(lseek(fd, 7, SEEK_SET), 7);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(read_fdinfo(fd, text), 0);
        assert_non_null(strstr(text, "pos:\t7\n"));
    }
    (void)close(fd);
    fd = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(sf_read_apart(host, fd, text, &len), -EISDIR);
    (void)close(fd);
    assert_int_equal(sf_read_apart_lost(), 0);
}

static void *read_once(void *data)
{
    char text[SF_READ_APART_MAX + 1];

    return (void *)(intptr_t)read_fdinfo(*(int *)data, text);
}

/* A reader ends with the thread that had it made; the next question makes another. */
static void test_maker_ends(void **state)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    for (unsigned i = 0; i < 20; i++) {
        pthread_t thread;
        void *result;
        assert_int_equal(pthread_create(&thread, NULL, read_once, &fd), 0);
        assert_int_equal(pthread_join(thread, &result), 0);
        assert_int_equal((intptr_t)result, 0);
    }
    (void)close(fd);
}

/* Every request but POLL fails, which for an open means that none is needed. */
static void serve(int fd)
{
    static _Alignas(struct fuse_in_header) char request[1u << 20];

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (ssize_t n; (n = read(fd, request, sizeof(request))) > 0 || errno == EINTR;) {
        const struct fuse_in_header *in = (const struct fuse_in_header *)request;
        struct {
            struct fuse_out_header header;
            struct fuse_init_out init;
        } reply = {.header = {.len = sizeof(reply), .unique = in->unique},
                   .init = {.major = FUSE_KERNEL_VERSION,
                            .minor = FUSE_KERNEL_MINOR_VERSION,
                            .max_write = 4096}};
        if (n <= 0 || in->opcode == FUSE_POLL)
            continue;
        if (in->opcode != FUSE_INIT) {
            reply.header.len = sizeof(reply.header);
            reply.header.error = -ENOSYS;
        }
        (void)!write(fd, &reply, reply.header.len);
    }
    _exit(0);
}

static int mount_file(const char *where, pid_t *ret_server)
{
    char options[128];
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return -1;
    (void)snprintf(options, sizeof(options), "fd=%d,rootmode=100444,user_id=0,group_id=0", fd);
    if (mount("fuse", where, "fuse", 0, options) < 0) {
        (void)close(fd);
        return -1;
    }
    *ret_server = fork();
    assert_true(*ret_server >= 0);
    if (*ret_server == 0)
        serve(fd);
    (void)close(fd);
    return 0;
}

typedef struct Set {
    int epoll_fd, file_fd;
} Set;

/* Asks the file, with the lock of the set held, and has no answer. */
static void *add_file(void *data)
{
    const Set *set = data;
    struct epoll_event event = {.events = EPOLLIN};

    (void)epoll_ctl(set->epoll_fd, EPOLL_CTL_ADD, set->file_fd, &event);
    return NULL;
}

static void test_reader_hangs(void **state)
{
    char file[] = "/tmp/sysfsd-read-apart-XXXXXX", text[SF_READ_APART_MAX + 1];
    Set set = {.epoll_fd = epoll_create1(EPOLL_CLOEXEC), .file_fd = -1};
    pthread_t thread;
    pid_t server = 0;

    int fd = mkstemp(file);
    assert_true(fd >= 0);
    assert_int_equal(mount_file(file, &server), 0);
    set.file_fd = open(file, O_RDONLY | O_CLOEXEC);
    assert_true(set.file_fd >= 0);
    assert_int_equal(read_fdinfo(set.epoll_fd, text), 0);
    assert_int_equal(pthread_create(&thread, NULL, add_file, &set), 0);
    (void)usleep(50000); /* not a pass condition: until it waits */

    for (unsigned lost = 1; lost <= 2; lost++) {
        int64_t begin = now_msec();
        assert_int_equal(read_fdinfo(set.epoll_fd, text), -ETIMEDOUT);
        assert_true(now_msec() - begin < 500);
        assert_int_equal(sf_read_apart_lost(), lost);
        assert_int_equal(read_fdinfo(fd, text), 0); /* another goes on */
    }
    /* There is a bound. */
    for (unsigned i = 0; i < 20; i++) {
        int r = read_fdinfo(set.epoll_fd, text);
        assert_true(r == -ETIMEDOUT || r == -EAGAIN);
    }
    assert_int_equal(read_fdinfo(set.epoll_fd, text), -EAGAIN);
    assert_in_range(sf_read_apart_lost(), 2, 16);

    /* The lock is let go: all of them end, and there are readers again. */
    (void)kill(server, SIGKILL);
    (void)waitpid(server, NULL, 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (unsigned i = 0; i < 500 && sf_read_apart_lost() > 0; i++)
        (void)usleep(10000);
    assert_int_equal(sf_read_apart_lost(), 0);
    assert_int_equal(read_fdinfo(set.epoll_fd, text), 0);
    (void)close(set.file_fd);
    (void)close(set.epoll_fd);
    (void)umount2(file, MNT_DETACH);
    (void)close(fd);
    (void)unlink(file);
}

static int setup(void **state)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return -1;
    return sf_host_open(NULL, &host);
}

static int teardown(void **state)
{
    sf_host_free(host);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_maker_ends),
        cmocka_unit_test(test_reader_hangs),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
