/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes are clones of this one that use nothing of its memory but their stack, and keep no
 * file of its but their end of a socket. One is used by one thread at a time. A file to read is
 * sent as a descriptor, its text comes back. This file knows nothing of what is read.
 */

#include "daemon/source/read_apart.h"

#include <errno.h>
#include <limits.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/source/process.h"
#include "lib/base/fd.h"

#define READERS 4
/* Given up and still there. Each waits for a lock that somebody in a container keeps. */
#define LOST_MAX 16
/* A text takes some microseconds, more where the CPUs are busy. Only a reader that is seen waiting
 * in the kernel, twice, hangs. */
#define LOOK_MSEC 20
#define LOOKS_MAX 50

typedef struct Reader {
    pthread_mutex_t lock; /* the one who uses it */
    pid_t pid;            /* 0: none */
    int socket;
} Reader;

typedef struct Answer {
    int32_t result; /* bytes, or a negative errno */
    char text[SF_READ_APART_MAX];
} Answer;

typedef union Control {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
} Control;

/* Of questions in a row that no reader lived to answer: where one cannot be made at all, it is not
 * tried for ever. */
#define FAILURES_MAX 8
static atomic_uint failures;

static Reader readers[READERS] = {
    [0 ... READERS - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER, .socket = -1},
};
static atomic_uint next_reader;

static pthread_mutex_t lost_lock = PTHREAD_MUTEX_INITIALIZER;
static pid_t lost[LOST_MAX]; /* 0: free */

static int receive_file(int socket)
{
    char byte;
    Control control;
    int fd = -1;
    struct iovec iov = {&byte, sizeof(byte)};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    long n;

    do
        n = syscall(SYS_recvmsg, socket, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    const struct cmsghdr *header = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header && header->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(header), sizeof(fd));
    return fd;
}

/* Of the process that reads: system calls alone, and made as such, since other threads of its maker
 * may have held any lock there is when it was made: libc's, or a sanitizer's around libc. */
static _Noreturn void be_reader(int socket)
{
    (void)syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* or its end of the socket */
    (void)syscall(SYS_prctl, PR_SET_NAME, "sysfsd-read", 0, 0, 0);
    /* One that hangs would keep the daemon's lock and connections from the next. */
    bool closed = (socket == 0 || syscall(SYS_close_range, 0, socket - 1, 0) == 0) &&
                  syscall(SYS_close_range, socket + 1, UINT_MAX, 0) == 0;
    for (int fd; closed && (fd = receive_file(socket)) >= 0; (void)syscall(SYS_close, fd)) {
        Answer answer;
        long n;

        do
            n = syscall(SYS_pread64, fd, answer.text, sizeof(answer.text), 0);
        while (n < 0 && errno == EINTR);
        answer.result = (int32_t)(n < 0 ? -errno : n);
        size_t size = offsetof(Answer, text) + (size_t)(n < 0 ? 0 : n);
        if (syscall(SYS_sendto, socket, &answer, size, MSG_NOSIGNAL, NULL, 0) < 0)
            break;
    }
    for (;;)
        (void)syscall(SYS_exit_group, 0);
}

static bool has_ended(pid_t pid)
{
    return waitpid(pid, NULL, WNOHANG | __WALL) != 0;
}

unsigned sf_read_apart_lost(void)
{
    unsigned count = 0;

    (void)pthread_mutex_lock(&lost_lock);
    for (unsigned i = 0; i < LOST_MAX; i++) {
        if (lost[i] != 0 && has_ended(lost[i]))
            lost[i] = 0;
        count += lost[i] != 0;
    }
    (void)pthread_mutex_unlock(&lost_lock);
    return count;
}

static void remember_lost(pid_t pid)
{
    (void)pthread_mutex_lock(&lost_lock);
    for (unsigned i = 0; i < LOST_MAX; i++) {
        if (lost[i] == 0) {
            lost[i] = pid;
            break;
        }
    }
    (void)pthread_mutex_unlock(&lost_lock);
}

static void give_up(Reader *reader)
{
    (void)kill(reader->pid, SIGKILL); /* ours until it is waited for */
    reader->socket = sf_close(reader->socket);
    if (!has_ended(reader->pid))
        remember_lost(reader->pid);
    reader->pid = 0;
}

/* Without an exit signal: nobody else shall notice. */
static int start(Reader *reader)
{
    struct clone_args args = {0};
    int sockets[2];
    sigset_t all, saved;

    /* One may be added for each that is in use. */
    if (sf_read_apart_lost() + READERS > LOST_MAX)
        return -EAGAIN;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
        return -EBUSY;
    (void)sigfillset(&all); /* cannot fail on a valid pointer */
    (void)pthread_sigmask(SIG_SETMASK, &all, &saved);
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    if (pid == 0)
        be_reader(sockets[1]);
    (void)pthread_sigmask(SIG_SETMASK, &saved, NULL);
    (void)sf_close(sockets[1]);
    if (pid < 0) {
        (void)sf_close(sockets[0]);
        return -EBUSY;
    }
    reader->pid = pid;
    reader->socket = sockets[0];
    return 0;
}

static bool send_file(int socket, int fd)
{
    char byte = 0;
    Control control = {0};
    struct iovec iov = {&byte, sizeof(byte)};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(fd));
    memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
}

/* '\0': not to be seen. */
static char state_of(const SfHost *host, pid_t pid)
{
    SfPidStat stat;

    return sf_pid_stat_read(host, pid, &stat) >= 0 ? stat.state : '\0';
}

/* 0; -ETIMEDOUT: it hangs; -EBUSY: it has no CPU, or no memory. */
static int wait_for_answer(const SfHost *host, const Reader *reader)
{
    unsigned waiting = 0;
    char state = '\0';

    for (unsigned i = 0; i < LOOKS_MAX; i++) {
        struct pollfd item = {.fd = reader->socket, .events = POLLIN};
        int n = poll(&item, 1, LOOK_MSEC);
        if (n > 0)
            return 0;
        state = state_of(host, reader->pid);
        waiting = state == 'D' ? waiting + 1 : 0;
        if (waiting == 2)
            return -ETIMEDOUT;
    }
    return state == '\0' ? -ETIMEDOUT : -EBUSY;
}

static int ask(const SfHost *host, Reader *reader, int fd, char *buffer, size_t *ret_len)
{
    Answer answer;

    /* One whose maker has ended is gone, and is seen to be by this. */
    if (!send_file(reader->socket, fd))
        return -EPIPE;
    int r = wait_for_answer(host, reader);
    if (r < 0)
        return r;
    ssize_t n = recv(reader->socket, &answer, sizeof(answer), MSG_DONTWAIT);
    if (n < (ssize_t)offsetof(Answer, text))
        return -EPIPE;
    if (answer.result < 0)
        return answer.result;
    *ret_len = (size_t)n - offsetof(Answer, text);
    memcpy(buffer, answer.text, *ret_len);
    return 0;
}

/* Any that nobody uses. */
static Reader *take_reader(void)
{
    unsigned first = atomic_fetch_add(&next_reader, 1);

    for (unsigned i = 0; i < READERS; i++) {
        Reader *reader = &readers[(first + i) % READERS];
        if (pthread_mutex_trylock(&reader->lock) == 0)
            return reader;
    }
    (void)pthread_mutex_lock(&readers[first % READERS].lock);
    return &readers[first % READERS];
}

int sf_read_apart(const SfHost *host, int fd, char buffer[SF_READ_APART_MAX], size_t *ret_len)
{
    int r = -EPIPE;

    if (atomic_load(&failures) >= FAILURES_MAX)
        return -EAGAIN;
    Reader *reader = take_reader();
    for (unsigned i = 0; i < 2 && r == -EPIPE; i++) {
        if (reader->pid == 0)
            r = start(reader);
        if (reader->pid != 0)
            r = ask(host, reader, fd, buffer, ret_len);
        if (reader->pid != 0 && (r == -EPIPE || r == -ETIMEDOUT || r == -EBUSY))
            give_up(reader);
    }
    (void)pthread_mutex_unlock(&reader->lock);
    if (r != -EPIPE) {
        atomic_store(&failures, 0);
        return r;
    }
    atomic_fetch_add(&failures, 1);
    return -EBUSY;
}
