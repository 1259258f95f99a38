/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that waits for events. What an event is is the kernel's file's matter.
 */

#include "daemon/fuse/poller.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "lib/base/fd.h"
#include "lib/base/thread.h"

#define STOP_ID 0 /* no SfViewEvents.id is */

typedef struct Watch {
    uint64_t id; /* SfViewEvents.id; the key in the table */
    uint64_t connection;
    int epoll_fd; /* the poller's */
    int fd;       /* owned */
    bool pending; /* an event that nobody has taken yet */
    bool wanted;  /* not told yet */
    uint64_t waiter;
} Watch;

struct SfPoller {
    int epoll_fd, stop_fd;
    SfPollerTell tell;
    void *data;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* protects the table and what is in it */
    GHashTable *watches;  /* id -> Watch, owned */
};

static void free_watch(void *data)
{
    Watch *watch = data;

    /* Closing alone would leave it in the set: the view's own fd is of the same open file. */
    (void)epoll_ctl(watch->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    (void)sf_close(watch->fd);
    g_free(watch);
}

/* An event of the file with that number, which may be closed by now. */
static void happen(SfPoller *poller, uint64_t id)
{
    uint64_t connection = 0, waiter = 0;
    bool wanted = false;

    (void)pthread_mutex_lock(&poller->lock);
    Watch *watch = g_hash_table_lookup(poller->watches, &id);
    if (watch) {
        watch->pending = true;
        connection = watch->connection;
        waiter = watch->waiter;
        wanted = watch->wanted;
        watch->wanted = false;
    }
    (void)pthread_mutex_unlock(&poller->lock);
    if (wanted)
        poller->tell(poller->data, connection, waiter);
}

static void *run(void *data)
{
    SfPoller *poller = data;

    for (;;) {
        struct epoll_event event;
        int n = epoll_wait(poller->epoll_fd, &event, 1, -1);
        if (n <= 0)
            continue; /* EINTR: a debugger or a stop and continue */
        if (event.data.u64 == STOP_ID)
            return NULL;
        happen(poller, event.data.u64);
    }
}

static int start(SfPoller *poller)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = STOP_ID};

    poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (poller->epoll_fd < 0)
        return -errno;
    poller->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (poller->stop_fd < 0 ||
        epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, poller->stop_fd, &event) < 0)
        return -errno;
    int r = sf_thread_start("events", run, poller, &poller->thread);
    poller->started = r == 0;
    return r;
}

int sf_poller_new(SfPollerTell tell, void *data, SfPoller **ret_poller)
{
    SfPoller *poller = g_new0(SfPoller, 1);

    poller->tell = tell;
    poller->data = data;
    poller->epoll_fd = poller->stop_fd = -1;
    poller->watches = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, free_watch);
    (void)pthread_mutex_init(&poller->lock, NULL); /* cannot fail without attributes */
    int r = start(poller);
    if (r < 0) {
        sf_poller_free(poller);
        return r;
    }
    *ret_poller = poller;
    return 0;
}

void sf_poller_free(SfPoller *poller)
{
    if (!poller)
        return;
    if (poller->started) {
        (void)eventfd_write(poller->stop_fd, 1); /* cannot block: the counter is 0 */
        (void)pthread_join(poller->thread, NULL);
    }
    g_hash_table_destroy(poller->watches);
    (void)pthread_mutex_destroy(&poller->lock);
    (void)sf_close(poller->stop_fd);
    (void)sf_close(poller->epoll_fd);
    g_free(poller);
}

/* EPOLLONESHOT: a waiter that does not come back is not woken again. Under the lock. */
static int arm(SfPoller *poller, const Watch *watch, int operation)
{
    struct epoll_event event = {.events = EPOLLPRI | EPOLLONESHOT, .data.u64 = watch->id};

    return epoll_ctl(poller->epoll_fd, operation, watch->fd, &event) < 0 ? -errno : 0;
}

static int add_watch(SfPoller *poller, uint64_t connection, SfViewEvents events, Watch **ret_watch)
{
    SF_CLEANUP_FD int fd = fcntl(events.fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return -errno;

    Watch *watch = g_new0(Watch, 1);
    *watch = (Watch){.id = events.id,
                     .connection = connection,
                     .epoll_fd = poller->epoll_fd,
                     .fd = sf_steal_fd(&fd)};
    int r = arm(poller, watch, EPOLL_CTL_ADD);
    if (r < 0) {
        free_watch(watch);
        return r;
    }
    (void)g_hash_table_insert(poller->watches, &watch->id, watch);
    *ret_watch = watch;
    return 0;
}

int sf_poller_watch(SfPoller *poller, uint64_t connection, SfViewEvents events, uint64_t waiter)
{
    (void)pthread_mutex_lock(&poller->lock);
    Watch *watch = g_hash_table_lookup(poller->watches, &events.id);
    /* An event may come as soon as it is armed: happen() waits for the lock. */
    int r =
        watch ? arm(poller, watch, EPOLL_CTL_MOD) : add_watch(poller, connection, events, &watch);
    if (r >= 0) {
        watch->waiter = waiter;
        watch->wanted = true;
    }
    (void)pthread_mutex_unlock(&poller->lock);
    return r;
}

bool sf_poller_take_event(SfPoller *poller, SfViewEvents events)
{
    (void)pthread_mutex_lock(&poller->lock);
    Watch *watch = g_hash_table_lookup(poller->watches, &events.id);
    bool pending = watch && watch->pending;
    if (watch)
        watch->pending = false;
    (void)pthread_mutex_unlock(&poller->lock);
    return pending;
}

void sf_poller_forget(SfPoller *poller, SfViewEvents events)
{
    (void)pthread_mutex_lock(&poller->lock);
    (void)g_hash_table_remove(poller->watches, &events.id);
    (void)pthread_mutex_unlock(&poller->lock);
}

static gboolean is_of_connection(void *key, void *value, void *data)
{
    return ((const Watch *)value)->connection == *(const uint64_t *)data;
}

void sf_poller_forget_connection(SfPoller *poller, uint64_t connection)
{
    (void)pthread_mutex_lock(&poller->lock);
    (void)g_hash_table_foreach_remove(poller->watches, is_of_connection, &connection);
    (void)pthread_mutex_unlock(&poller->lock);
}
