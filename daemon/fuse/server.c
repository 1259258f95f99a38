/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker pool. Each connection is in the epoll set with EPOLLONESHOT: one worker at a time has
 * it, takes one request, answers it and arms it again. So a container that floods its view, or a
 * request that hangs in the kernel, has one worker and not the pool, and a new request wakes one
 * thread: with a level-triggered set every waiting thread is woken for each request and finds
 * nothing. Nothing here looks into a request.
 */

#include "daemon/fuse/server.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "daemon/fuse/connection.h"

#define WORKERS_MIN 4
#define WORKERS_MAX 64
#define STOP_KEY UINT64_MAX

typedef struct Worker {
    pthread_t thread;
    struct SfServer *server;
    char *buffer; /* owned; SF_FUSE_BUFFER_BYTES */
    _Atomic uint64_t requests;
    bool started;
} Worker;

struct SfServer {
    int epoll_fd;
    int stop_fd; /* eventfd in the set; readable: workers end */
    SfPoller *poller;
    SfCodec *codec;
    SfConnectionTable *connections;
    _Atomic unsigned connection_count;
    unsigned worker_count;
    Worker workers[];
};

/* Takes one request off the connection and answers it. False when the connection is dead (unmounted
 * or aborted by somebody). */
static bool serve_one(Worker *worker, SfConnection *connection)
{
    ssize_t n = read(connection->fd, worker->buffer, SF_FUSE_BUFFER_BYTES);

    if (n < 0) /* EAGAIN: another wake-up took it. ENOENT: the request was withdrawn while it was
                  copied. */
        return errno != ENODEV;
    SfCodecPeer peer = {connection->fd, sf_connection_key(connection), connection->view};
    sf_codec_serve(worker->server->codec, &peer, worker->buffer, (size_t)n);
    atomic_fetch_add_explicit(&worker->requests, 1, memory_order_relaxed);
    return true;
}

/* Gives up a reference. */
static void release(SfServer *server, SfConnection *connection)
{
    uint64_t key = sf_connection_key(connection);

    if (sf_connection_release(server->connections, connection))
        sf_poller_forget_connection(server->poller, key);
}

/* The poller's thread has seen an event of a file of that connection. */
static void tell_event(void *data, uint64_t key, struct fuse_pollhandle *poll_handle)
{
    SfServer *server = data;
    SfConnection *connection = sf_connection_acquire(server->connections, key);

    if (!connection) {
        sf_codec_drop_event(poll_handle);
        return;
    }
    sf_codec_tell_event(server->codec, connection->fd, poll_handle);
    release(server, connection);
}

static void arm(SfServer *server, SfConnection *connection)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT,
                                .data.u64 = sf_connection_key(connection)};

    /* Fails only when the main thread has taken it out of the set meanwhile, which is as well. */
    (void)epoll_ctl(server->epoll_fd, EPOLL_CTL_MOD, connection->fd, &event);
}

static void *run_worker(void *data)
{
    Worker *worker = data;
    SfServer *server = worker->server;

    for (;;) {
        struct epoll_event event;
        /* One at a time: a second one would wait behind the first although another thread is free.
         */
        int n = epoll_wait(server->epoll_fd, &event, 1, -1);
        if (n <= 0)
            continue; /* EINTR: a debugger or a stop and continue */
        if (event.data.u64 == STOP_KEY)
            return NULL;
        SfConnection *connection = sf_connection_acquire(server->connections, event.data.u64);
        if (!connection)
            continue;
        if (serve_one(worker, connection))
            arm(server, connection);
        release(server, connection);
    }
}

static int start_worker(SfServer *server, unsigned index)
{
    Worker *worker = &server->workers[index];
    sigset_t all, before;

    worker->server = server;
    worker->buffer = g_malloc(SF_FUSE_BUFFER_BYTES);
    (void)sigfillset(&all); /* signals are the main thread's */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = -pthread_create(&worker->thread, NULL, run_worker, worker);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    worker->started = r == 0;
    if (r == 0) {
        char name[16];
        (void)g_snprintf(name, sizeof(name), "fuse-%u", index);
        (void)pthread_setname_np(worker->thread, name);
    }
    return r;
}

static int open_set(SfServer *server)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = STOP_KEY};

    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (server->epoll_fd < 0)
        return -errno;
    server->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->stop_fd < 0)
        return -errno;
    if (epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, server->stop_fd, &event) < 0)
        return -errno;
    return 0;
}

int sf_server_new(unsigned workers, SfServer **ret_server)
{
    if (workers == 0)
        workers = CLAMP(g_get_num_processors(), WORKERS_MIN, WORKERS_MAX / 4);
    workers = MIN(workers, WORKERS_MAX);

    SfServer *server = g_malloc0(sizeof(*server) + workers * sizeof(server->workers[0]));
    server->epoll_fd = server->stop_fd = -1;
    server->worker_count = workers;
    server->connections = sf_connection_table_new();

    int r = sf_poller_new(tell_event, server, &server->poller);
    if (r >= 0)
        r = sf_codec_new(server->poller, &server->codec);
    if (r >= 0)
        r = open_set(server);
    for (unsigned i = 0; i < workers && r >= 0; i++)
        r = start_worker(server, i);
    if (r < 0) {
        sf_server_free(server);
        return r;
    }
    *ret_server = server;
    return 0;
}

void sf_server_free(SfServer *server)
{
    if (!server)
        return;
    if (server->stop_fd >= 0)
        (void)eventfd_write(server->stop_fd, 1); /* cannot block: the counter is 0 */
    for (unsigned i = 0; i < server->worker_count; i++) {
        if (server->workers[i].started)
            (void)pthread_join(server->workers[i].thread, NULL);
        g_free(server->workers[i].buffer);
    }
    sf_poller_free(server->poller);
    (void)sf_close(server->stop_fd);
    (void)sf_close(server->epoll_fd);
    sf_codec_free(server->codec);
    sf_connection_table_free(server->connections);
    g_free(server);
}

int sf_server_mount(SfServer *server, SfView *view, const char *mount_point,
                    SfConnection **ret_connection)
{
    SfConnection *connection;
    int r = sf_connection_open(server->connections, server->codec, view, mount_point, &connection);
    if (r < 0)
        return r;

    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT,
                                .data.u64 = sf_connection_key(connection)};
    if (epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) < 0) {
        r = -errno;
        sf_connection_close(connection);
        release(server, connection);
        return r;
    }
    atomic_fetch_add(&server->connection_count, 1);
    *ret_connection = connection;
    return 0;
}

void sf_server_unmount(SfServer *server, SfConnection *connection)
{
    sf_connection_close(connection);
    (void)epoll_ctl(server->epoll_fd, EPOLL_CTL_DEL, connection->fd, NULL);
    atomic_fetch_sub(&server->connection_count, 1);
    release(server, connection);
}

uint64_t sf_server_requests(const SfServer *server)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < server->worker_count; i++)
        total += atomic_load_explicit(&server->workers[i].requests, memory_order_relaxed);
    return total;
}

unsigned sf_server_workers(const SfServer *server)
{
    return server->worker_count;
}

unsigned sf_server_connections(const SfServer *server)
{
    return atomic_load(&server->connection_count);
}
