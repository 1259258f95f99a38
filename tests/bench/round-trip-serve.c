/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What round-trip's server says, and the ways of reading requests from /dev/fuse. Here is nothing
 * of io_uring (round-trip-uring.c).
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/bench/round-trip.h"

/* Younger than the oldest headers this is built with (linux/fuse.h: 6.9 and 6.14). */
#define INIT_PASSTHROUGH (UINT64_C(1) << 37)
#define INIT_OVER_IO_URING (UINT64_C(1) << 41)
#define OPEN_PASSTHROUGH (1u << 7)
typedef struct BackingMap {
    int32_t fd;
    uint32_t flags;
    uint64_t padding;
} BackingMap;
#define IOC_BACKING_OPEN _IOW(229, 1, BackingMap)

/* Of a kernel before 5.17; flags2 is not in it. */
#define INIT_LEAST 16u

#define INODE 2u
#define FOREVER_SEC 100000u
#define BACKGROUND 1000u /* RELEASE in the kernel's queue */
#define SPIN_NSEC 50000u

static void set_attributes(const Server *server, uint64_t inode, struct fuse_attr *attr)
{
    attr->ino = inode;
    attr->mode = inode == INODE ? S_IFREG | 0444 : S_IFDIR | 0755;
    attr->nlink = 1;
    attr->size = inode == INODE ? server->text_len : 0;
    attr->blksize = 4096;
}

/* Into the page cache, as of that moment. */
static void store_text(const Server *server)
{
    struct fuse_notify_store_out store = {.nodeid = INODE, .size = (uint32_t)server->text_len};
    struct fuse_out_header header = {
        .len = (uint32_t)(sizeof(header) + sizeof(store) + server->text_len),
        .error = FUSE_NOTIFY_STORE};
    struct iovec parts[] = {{&header, sizeof(header)},
                            {&store, sizeof(store)},
                            {(char *)server->text, server->text_len}};

    if (writev(server->fd, parts, G_N_ELEMENTS(parts)) < 0)
        bench_die("FUSE_NOTIFY_STORE");
}

static void answer_open(const Server *server, struct fuse_open_out *ret_open)
{
    *ret_open = (struct fuse_open_out){.fh = 1, .open_flags = FOPEN_KEEP_CACHE | FOPEN_NOFLUSH};
    if (!server->way->passthrough) {
        store_text(server);
        return;
    }
    if (pwrite(server->backing_fd, server->text, server->text_len, 0) < 0)
        bench_die("memfd");
    ret_open->open_flags = OPEN_PASSTHROUGH | FOPEN_NOFLUSH;
    /* backing_id, which older headers call padding */
    memcpy((char *)ret_open + offsetof(struct fuse_open_out, open_flags) + 4, &server->backing_id,
           sizeof(server->backing_id));
}

int answer(const Server *server, uint32_t opcode, uint64_t inode, const void *operation,
           const char *rest, void *ret_answer, size_t *ret_len)
{
    const char *name = rest ? rest : operation;

    *ret_len = 0;
    switch (opcode) {
    case FUSE_LOOKUP: {
        struct fuse_entry_out *entry = ret_answer;
        if (inode != FUSE_ROOT_ID || strcmp(name, "text") != 0)
            return -ENOENT;
        *entry = (struct fuse_entry_out){
            .nodeid = INODE, .entry_valid = FOREVER_SEC, .attr_valid = FOREVER_SEC};
        set_attributes(server, INODE, &entry->attr);
        *ret_len = sizeof(*entry);
        return 0;
    }
    case FUSE_GETATTR: {
        struct fuse_attr_out *attr = ret_answer;
        *attr = (struct fuse_attr_out){.attr_valid = FOREVER_SEC};
        set_attributes(server, inode, &attr->attr);
        *ret_len = sizeof(*attr);
        return 0;
    }
    case FUSE_OPEN:
        answer_open(server, ret_answer);
        *ret_len = sizeof(struct fuse_open_out);
        return 0;
    case FUSE_RELEASE:
        return 0;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        return 1;
    default:
        return -ENOSYS;
    }
}

static void write_answer(int fd, uint64_t unique, int error, const void *data, size_t len)
{
    struct fuse_out_header header = {
        .len = (uint32_t)(sizeof(header) + len), .error = error, .unique = unique};
    struct iovec parts[] = {{&header, sizeof(header)}, {(void *)data, len}};

    if (writev(fd, parts, len > 0 ? 2 : 1) < 0 && errno != ENOENT) /* ENOENT: interrupted */
        bench_die("an answer");
}

/* One request; false when there is none. */
static bool serve_one(const Server *server, int fd)
{
    _Alignas(8) char request[REQUEST_MAX], reply[256];
    const struct fuse_in_header *header = (const void *)request;
    size_t len;

    ssize_t n = read(fd, request, sizeof(request));
    if (n < 0 && (errno == EAGAIN || errno == ENOENT || errno == EINTR))
        return false;
    if (n < (ssize_t)sizeof(*header))
        bench_die("a request");
    request[n < (ssize_t)sizeof(request) ? n : n - 1] = '\0';
    int r = answer(server, header->opcode, header->nodeid, request + sizeof(*header), NULL, reply,
                   &len);
    if (r <= 0)
        write_answer(fd, header->unique, r, reply, len);
    return true;
}

static void set_blocking(int fd, bool blocking)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK) < 0)
        bench_die("fcntl");
}

/* Each with a descriptor of its own. */
typedef struct Thread {
    const Server *server;
    int fd, epoll_fd;
} Thread;

static void *block(void *data)
{
    const Thread *thread = data;

    for (;;)
        (void)serve_one(thread->server, thread->fd);
    return NULL;
}

static void run_threads(const Server *server, void *(*run)(void *), Thread *threads)
{
    pthread_t thread;

    for (unsigned i = 1; i < server->way->threads; i++) {
        if (pthread_create(&thread, NULL, run, &threads[i]) != 0)
            bench_die("a thread");
    }
    (void)run(&threads[0]);
}

void serve_blocking(Server *server)
{
    Thread threads[2];

    set_blocking(server->fd, true);
    for (unsigned i = 0; i < server->way->threads; i++) {
        uint32_t source = (uint32_t)server->fd;
        threads[i] = (Thread){.server = server, .fd = server->fd};
        if (!server->way->cloned)
            continue;
        threads[i].fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
        if (threads[i].fd < 0 || ioctl(threads[i].fd, FUSE_DEV_IOC_CLONE, &source) < 0)
            bench_die("a clone");
    }
    run_threads(server, block, threads);
}

static void *wait_in_set(void *data)
{
    const Thread *thread = data;
    struct epoll_event event;

    for (;;) {
        if (epoll_wait(thread->epoll_fd, &event, 1, -1) != 1)
            continue;
        while (serve_one(thread->server, thread->fd))
            ;
        event = (struct epoll_event){.events = EPOLLIN | EPOLLONESHOT};
        if (epoll_ctl(thread->epoll_fd, EPOLL_CTL_MOD, thread->fd, &event) < 0)
            bench_die("epoll");
    }
    return NULL;
}

void serve_epoll(Server *server)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT};
    Thread threads[2];
    int set = epoll_create1(EPOLL_CLOEXEC);

    set_blocking(server->fd, false);
    if (set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, server->fd, &event) < 0)
        bench_die("epoll");
    for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = (Thread){.server = server, .fd = server->fd, .epoll_fd = set};
    run_threads(server, wait_in_set, threads);
}

void serve_spinning(Server *server)
{
    struct pollfd next = {.fd = server->fd, .events = POLLIN};
    uint64_t last = 0;

    set_blocking(server->fd, false);
    for (;;) {
        if (serve_one(server, server->fd))
            last = bench_now_nsec();
        else if (bench_now_nsec() - last > SPIN_NSEC)
            (void)poll(&next, 1, -1);
    }
}

/* False when the kernel has not what this way needs. */
static bool negotiate(const Server *server)
{
    _Alignas(8) char request[REQUEST_MAX];
    const struct fuse_in_header *header = (const void *)request;
    const struct fuse_init_in *in = (const void *)(request + sizeof(*header));
    uint64_t wanted = (server->way->passthrough ? INIT_PASSTHROUGH : 0) |
                      (server->way->uring ? INIT_OVER_IO_URING : 0);

    if (read(server->fd, request, sizeof(request)) < (ssize_t)(sizeof(*header) + INIT_LEAST) ||
        header->opcode != FUSE_INIT)
        bench_die("INIT");
    uint64_t offered = in->flags | (in->flags & FUSE_INIT_EXT ? (uint64_t)in->flags2 << 32 : 0);
    struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION,
                                .minor = in->minor,
                                .flags = FUSE_INIT_EXT,
                                .flags2 = (uint32_t)((wanted & offered) >> 32),
                                .max_background = BACKGROUND,
                                .congestion_threshold = BACKGROUND,
                                .max_write = 4096,
                                .time_gran = 1};
    const uint32_t depth = 1; /* max_stack_depth, which older headers call unused */
    if (server->way->passthrough)
        memcpy((char *)&out + offsetof(struct fuse_init_out, flags2) + 4, &depth, sizeof(depth));
    write_answer(server->fd, header->unique, 0, &out, sizeof(out));
    return (wanted & ~offered) == 0;
}

/* The file that is read past FUSE. */
static bool register_backing(Server *server)
{
    server->backing_fd = memfd_create("text", MFD_CLOEXEC);
    BackingMap map = {.fd = server->backing_fd};

    if (server->backing_fd < 0 || pwrite(server->backing_fd, server->text, server->text_len, 0) < 0)
        bench_die("memfd");
    server->backing_id = ioctl(server->fd, IOC_BACKING_OPEN, &map);
    return server->backing_id > 0;
}

void serve(Server *server)
{
    if (!negotiate(server) || (server->way->passthrough && !register_backing(server)))
        _exit(1);
    if (!server->way->uring && write(server->ready, "", 1) != 1)
        _exit(1);
    server->way->serve(server);
    _exit(1);
}
