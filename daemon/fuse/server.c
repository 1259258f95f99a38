/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker pool. Each connection is in one lane's epoll set (lanes.h) with EPOLLONESHOT: one
 * worker at a time has it, answers what is there, and arms it again when nothing is left, or when
 * others of the lane have requests at the end of a turn. So a container that floods its view, or a
 * request that hangs in the kernel, has one worker and not the pool, and a new request wakes one
 * thread: with a level-triggered set every waiting thread is woken for each request and finds
 * nothing. Of a request, what is looked at here is who waits for it.
 */

#include "daemon/fuse/server.h"

#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <pthread.h>
#include <linux/fuse.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include "daemon/fuse/aside.h"
#include "daemon/fuse/connection.h"
#include "daemon/fuse/lanes.h"
#include "daemon/fuse/relaxed.h"
#include "daemon/fuse/shown.h"
#include "lib/base/thread.h"

#define WORKERS_MIN 8
#define WORKERS_MAX 48
G_STATIC_ASSERT(WORKERS_MAX < SF_KEEP_JOURNALS); /* the rest are for requests that wait */
/* Threads of a lane: a container whose cgroups hang in the kernel takes one for each of its two
 * connections, and leaves others. */
#define LANE_WORKERS 4
/* Requests that questions wait for at most which are best answered last; each comes within a
 * millisecond. */
#define ASIDE_TRIES 4
/* Requests that a turn is longer by while there are such questions: nothing else is left then, but
 * where it never ends. */
#define ASIDE_TURN 128u
/* A reader that was found in its place is looked at again after one, two, at most LOOK_MOST turns
 * that left it likely to be elsewhere; any other turn counts LOOK_SELDOM times less. To look costs
 * a read of procfs; to answer one that has moved away, twice as much as one that has not. */
#define LOOK_MOST 4
#define LOOK_SELDOM 16
/* A worker that was away for so long has given its CPU to somebody who is busy, and others that
 * wait for the same connection have waited for that: it keeps the CPU for a while. */
#define AWAY_NSEC 300000u
#define STAY_NSEC 100000000u
#define STOP_KEY UINT64_MAX
#define NO_KEY (UINT64_MAX - 1)
#define STUCK_NSEC (UINT64_C(10) * 1000000000)
/* Requests but WRITE are shorter: a name of 255 bytes and the headers. */
#define JOURNAL_TOUCHED 8192u

/* Daemons that may end while they serve a request that a former one has left. */
#define LEFT_TRIES 3u

typedef struct Worker {
    pthread_t thread;
    struct SfServer *server;
    /* Requests are read into the keep's journal, and served from a copy. */
    char *journal;                   /* borrowed; SF_FUSE_BUFFER_BYTES */
    _Atomic uint64_t *journal_owner; /* borrowed */
    char *buffer;                    /* owned; SF_FUSE_BUFFER_BYTES */
    _Atomic uint64_t requests;
    _Atomic uint64_t busy_since; /* coarse monotonic nanoseconds; 0: waits for a request */
    int epoll_fd;                /* its lane's; borrowed */
    unsigned lane;
    pid_t readers[SF_FLOOD_READERS]; /* of this turn, each once, as far as there is room */
    unsigned reader_count;
    pid_t reader;        /* the last one of this turn; 0: there was none */
    bool answered;       /* by what was served last, and has not had the CPU since */
    bool elsewhere;      /* for all that is known, it does not run on this CPU */
    uint64_t stay_until; /* before that it does not give the CPU away; coarse monotonic */
    SfAside aside;       /* of this turn */
    SfShownList shown;   /* until SF_VIEW_SHARED_MSEC later (daemon/view/pages.c) */
    bool started;
} Worker;

/* A connection that is taken up. */
typedef struct Resumed {
    struct SfServer *server;
    SfConnection *connection;
} Resumed;

struct SfServer {
    SfLanes *lanes;
    int *epoll_fds;        /* one a lane */
    _Atomic bool *resting; /* one a lane: one of its threads sleeps */
    int stop_fd;           /* eventfd in all sets; readable: workers end */
    SfKeep *keep;          /* borrowed */
    SfPoller *poller;
    SfCodec *codec;
    SfConnectionTable *connections;
    _Atomic unsigned connection_count;
    unsigned worker_count;
    Worker workers[];
};

static uint64_t nsec_of(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now); /* cannot fail for these clocks */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t coarse_nsec(void)
{
    return nsec_of(CLOCK_MONOTONIC_COARSE);
}

static void set_busy(Worker *worker, bool busy)
{
    uint64_t since = busy ? coarse_nsec() : 0;

    atomic_store_explicit(&worker->busy_since, since, memory_order_relaxed);
}

bool sf_server_is_stuck(const SfServer *server)
{
    uint64_t now = coarse_nsec();

    for (unsigned i = 0; i < server->worker_count; i++) {
        uint64_t since = atomic_load_explicit(&server->workers[i].busy_since, memory_order_relaxed);
        if (since == 0 || since > now || now - since < STUCK_NSEC)
            return false;
    }
    return server->worker_count > 0;
}

/* Whose request it is, in the keep: container and kind. */
static uint64_t owner_of(const SfConnection *connection)
{
    return sf_keep_journal_owner_of(sf_container_number(sf_view_container(connection->view)),
                                    connection->kind);
}

static SfCodecPeer peer_of(const SfConnection *connection)
{
    return (SfCodecPeer){.fd = connection->fd,
                         .key = sf_connection_key(connection),
                         .view = connection->view,
                         .kind = connection->kind};
}

static bool expire(SfServer *server, uint64_t key, uint64_t inode);

static void note_shown(Worker *worker, uint64_t key, uint64_t inode)
{
    SfShown file = {key, inode, coarse_nsec() + SF_VIEW_SHARED_MSEC * UINT64_C(1000000)}, first;

    if (sf_shown_add(&worker->shown, &file, &first)) /* early does little harm */
        (void)expire(worker->server, first.key, first.inode);
}

static void note_served(Worker *worker, uint64_t key, const SfCodecServed *served)
{
    sf_shown_remove(&worker->shown, key, served->shown ? served->shown : served->closed);
    if (served->shown)
        note_shown(worker, key, served->shown);
}

/* Where the reader runs that was answered last. By the end of a turn, not before: a reader that
 * waits for this CPU, or for what it has asked next, would wait for that too. Who is found in the
 * same place again is looked at less often. A flood comes from everywhere, and stays where it is.
 */
static void look_at_reader(Worker *worker, SfConnection *connection)
{
    const SfLanes *lanes = worker->server->lanes;
    unsigned cpu, lane = sf_relaxed_get(&connection->lane);
    unsigned every = sf_relaxed_get(&connection->look_every);
    unsigned due = sf_relaxed_get(&connection->look_in);
    unsigned turn = worker->elsewhere ? LOOK_SELDOM : 1;

    if (worker->reader == 0 || sf_flood_is_on(&connection->flood))
        return;
    if (due > turn) {
        sf_relaxed_put(&connection->look_in, due - turn);
        return;
    }
    set_busy(worker, true);
    bool same = sf_view_reader_cpu(connection->view, worker->reader, &cpu) < 0 ||
                sf_lanes_of_cpu(lanes, cpu) == lane;
    set_busy(worker, false);
    if (!same)
        sf_relaxed_put(&connection->lane, sf_lanes_of_cpu(lanes, cpu));
    every = same ? MIN(every * 2, LOOK_MOST) : 1;
    sf_relaxed_put(&connection->look_every, every);
    sf_relaxed_put(&connection->look_in, every * LOOK_SELDOM);
}

static void note_reader(Worker *worker, pid_t reader)
{
    for (unsigned i = 0; i < worker->reader_count; i++) {
        if (worker->readers[i] == reader)
            return;
    }
    if (reader != 0 && worker->reader_count < G_N_ELEMENTS(worker->readers))
        worker->readers[worker->reader_count++] = reader;
}

/* The request is in buffer and journal. */
static SfCodecServed serve_or_put_aside(Worker *worker, SfCodecPeer *peer, size_t len)
{
    SfServer *server = worker->server;
    uint64_t owner = atomic_load(worker->journal_owner);

    peer->turn = SF_CODEC_MAY_WAIT;
    SfCodecServed served = sf_codec_serve(server->codec, peer, worker->buffer, len, false);
    if (!served.waits ||
        sf_aside_put(&worker->aside, server->keep, WORKERS_MAX, owner, worker->journal, len))
        return served;
    peer->turn = SF_CODEC_NOW;
    memcpy(worker->buffer, worker->journal, len);
    return sf_codec_serve(server->codec, peer, worker->buffer, len, false);
}

/* Takes one request off the connection and answers it: 0, or negative errno of the read. From the
 * moment the kernel has handed a request out until it is answered the journal has it: the length
 * that it begins with is 0 before. */
static int serve_one(Worker *worker, SfConnection *connection)
{
    SfCodecPeer peer = peer_of(connection);

    ((struct fuse_in_header *)worker->journal)->len = 0;
    atomic_store(worker->journal_owner, owner_of(connection));
    ssize_t n = read(connection->fd, worker->journal, SF_FUSE_BUFFER_BYTES);
    int r = n < 0 ? -errno : 0;
    if (n >= 0) {
        const struct fuse_in_header *header = (const struct fuse_in_header *)worker->buffer;
        set_busy(worker, true);
        memcpy(worker->buffer, worker->journal, (size_t)n);
        pid_t reader = header->opcode == FUSE_RELEASE ? 0 : (pid_t)header->pid;
        SfCodecServed served = serve_or_put_aside(worker, &peer, (size_t)n);
        if (served.shown || served.closed)
            note_served(worker, peer.key, &served);
        note_reader(worker, reader);
        worker->answered = reader != 0 && !served.waits;
        if (reader != 0)
            worker->reader = reader;
        set_busy(worker, false);
        atomic_fetch_add_explicit(&worker->requests, 1, memory_order_relaxed);
        sf_view_count_request(connection->view);
    }
    atomic_store(worker->journal_owner, 0);
    return r;
}

static bool others_come_first(const Worker *worker, const SfConnection *connection)
{
    for (unsigned i = 0; i < worker->aside.count; i++) {
        const struct fuse_in_header *header = (const void *)worker->aside.waits[i].request;
        if (sf_view_is_renewed(connection->view, header->nodeid))
            return true;
    }
    return false;
}

/* Answers what was left until no other request was. */
static void serve_aside(Worker *worker, SfConnection *connection)
{
    SfAside *aside = &worker->aside;
    SfCodecPeer peer = peer_of(connection);
    struct pollfd next = {.fd = connection->fd, .events = POLLIN};

    if (aside->count == 0)
        return;
    /* Who has been shown a new text comes back for it at once. */
    for (unsigned i = 0; i < ASIDE_TRIES && others_come_first(worker, connection); i++) {
        if (poll(&next, 1, 1) <= 0 || serve_one(worker, connection) < 0)
            break;
    }
    peer.turn = SF_CODEC_WAITED;
    set_busy(worker, true);
    for (unsigned i = 0; i < aside->count; i++) {
        SfCodecServed served = sf_codec_serve(worker->server->codec, &peer, aside->waits[i].request,
                                              aside->waits[i].len, false);
        peer.told = served.told ? served.told : peer.told;
        if (served.shown)
            note_served(worker, peer.key, &served);
    }
    sf_aside_clear(aside, worker->server->keep);
    set_busy(worker, false);
}

/* A flood of requests leaves CPU time to others. One thread of a lane sleeps for it at a time: the
 * others serve. */
static void rest(const Worker *worker, SfConnection *connection, uint64_t turn_nsec)
{
    _Atomic bool *resting = &worker->server->resting[worker->lane];
    uint64_t nsec =
        sf_flood_rest_nsec(&connection->flood, turn_nsec, sf_view_requests(connection->view),
                           sf_server_requests(worker->server), coarse_nsec());
    struct timespec pause = {.tv_nsec = (long)nsec};

    if (nsec == 0 || atomic_exchange(resting, true))
        return;
    (void)nanosleep(&pause, NULL);
    atomic_store(resting, false);
}

/* A reader that has been answered and waits for this CPU goes first: mostly it has closed its file
 * when this comes back. To sleep before, and to be woken by that, would cost it more than all else
 * of the answer. False: nobody had the CPU. */
static bool let_reader_go_on(Worker *worker, const SfConnection *connection)
{
    if (sf_flood_is_on(&connection->flood) || coarse_nsec() < worker->stay_until)
        return false;
    uint64_t begin = nsec_of(CLOCK_MONOTONIC);
    (void)sched_yield();
    if (nsec_of(CLOCK_MONOTONIC) - begin > AWAY_NSEC)
        worker->stay_until = coarse_nsec() + STAY_NSEC;
    return true;
}

/* Serves until the turn has had `most` requests, or none is left. ENOENT: the request was withdrawn
 * while it was copied. */
static int serve_some(Worker *worker, SfConnection *connection, unsigned *count, unsigned most)
{
    int r = 0;

    while (*count < most && (r >= 0 || r == -ENOENT || r == -EINTR)) {
        r = serve_one(worker, connection);
        if (r == -EAGAIN && worker->answered) {
            worker->answered = false;
            r = let_reader_go_on(worker, connection) ? serve_one(worker, connection) : r;
            worker->elsewhere = r == -EAGAIN;
        }
        ++*count;
    }
    return r;
}

typedef enum TurnEnd {
    TURN_DEAD, /* the connection is: unmounted or aborted by somebody */
    TURN_DONE, /* no request is left */
    TURN_FULL, /* some may be */
} TurnEnd;

static TurnEnd serve_turn(Worker *worker, SfConnection *connection)
{
    uint64_t begin = nsec_of(CLOCK_MONOTONIC);
    unsigned turn = sf_flood_turn(&connection->flood), count = 0;

    worker->reader_count = 0;
    worker->reader = 0;
    worker->elsewhere = false;
    int r = serve_some(worker, connection, &count, turn);
    if (r >= 0) {
        turn = sf_flood_longer_turn(&connection->flood, turn, worker->reader_count);
        r = serve_some(worker, connection, &count, turn);
    }
    bool alone = worker->server->worker_count < 2 * sf_lanes_count(worker->server->lanes);
    bool rests =
        sf_flood_end_turn(&connection->flood, turn, r >= 0, worker->reader_count) && !alone;
    uint64_t turn_nsec = rests ? nsec_of(CLOCK_MONOTONIC) - begin : 0;
    count = 0;
    if (r >= 0 && worker->aside.count > 0 && !rests)
        r = serve_some(worker, connection, &count, ASIDE_TURN);
    serve_aside(worker, connection);
    if (r != -ENODEV)
        look_at_reader(worker, connection);
    if (rests)
        rest(worker, connection, turn_nsec);
    return r == -ENODEV ? TURN_DEAD : r < 0 ? TURN_DONE : TURN_FULL;
}

/* Gives up a reference. */
static void release(SfServer *server, SfConnection *connection)
{
    uint64_t key = sf_connection_key(connection);

    if (!sf_connection_release(connection))
        return;
    /* Closing is not enough where somebody else holds the same open file. */
    (void)epoll_ctl(server->epoll_fds[sf_relaxed_get(&connection->lane)], EPOLL_CTL_DEL,
                    connection->fd, NULL);
    /* Not before: who still serves a write has the file held. */
    if (connection->kind == SF_MOUNT_VIEW)
        sf_codec_end_files(server->codec, connection->view);
    sf_connection_free(server->connections, connection);
    sf_poller_forget_connection(server->poller, key);
}

/* The poller's thread has seen an event of a file of that connection. */
static void tell_event(void *data, uint64_t key, uint64_t waiter)
{
    SfServer *server = data;
    SfConnection *connection = sf_connection_acquire(server->connections, key);

    if (!connection)
        return;
    sf_codec_tell_event(connection->fd, waiter);
    release(server, connection);
}

/* True: to be done again a moment later. */
static bool expire(SfServer *server, uint64_t key, uint64_t inode)
{
    SfConnection *connection = sf_connection_acquire(server->connections, key);

    if (!connection)
        return false;
    SfCodecPeer peer = peer_of(connection);
    SfViewExpired expired = sf_view_expire(connection->view, inode);
    if (expired == SF_EXPIRED)
        sf_codec_forget_attributes(server->codec, &peer, inode);
    release(server, connection);
    return expired == SF_EXPIRED_YET;
}

/* Expires what is due. How long to wait for events until the next is, in milliseconds; -1: nothing
 * will be. */
static int expire_due(Worker *worker)
{
    uint64_t now = worker->shown.count > 0 ? coarse_nsec() : 0;
    SfShown file;

    while (sf_shown_take_due(&worker->shown, now, &file)) {
        if (expire(worker->server, file.key, file.inode))
            note_shown(worker, file.key, file.inode);
    }
    return sf_shown_wait_msec(&worker->shown, now);
}

/* Into the set of the lane that it is served in, from that of the given one. */
static int arm(const SfServer *server, SfConnection *connection, unsigned from)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT,
                                .data.u64 = sf_connection_key(connection)};
    unsigned lane = sf_relaxed_get(&connection->lane);
    int set = server->epoll_fds[lane];

    if (lane == from)
        return epoll_ctl(set, EPOLL_CTL_MOD, connection->fd, &event) < 0 ? -errno : 0;
    if (epoll_ctl(set, EPOLL_CTL_ADD, connection->fd, &event) < 0) { /* ENOSPC: max_user_watches */
        sf_relaxed_put(&connection->lane, from);
        return arm(server, connection, from);
    }
    (void)epoll_ctl(server->epoll_fds[from], EPOLL_CTL_DEL, connection->fd, NULL); /* is in it */
    return 0;
}

/* The next connection to serve, NO_KEY or STOP_KEY. full: one that was served until its turn was
 * full; it is gone on with if no other has a request. To hand it on would wake a second thread on
 * its reader's CPU, beside which the kernel has the reader wake on another one. One at a time: a
 * second one would wait behind the first although another thread is free. */
static uint64_t next_key(Worker *worker, uint64_t full)
{
    struct epoll_event event;
    int wait_msec = expire_due(worker);

    int n = epoll_wait(worker->epoll_fd, &event, 1, full == NO_KEY ? wait_msec : 0);
    return n > 0 ? event.data.u64 : full; /* something is due; EINTR: a debugger or a stop */
}

/* Gives the connection a turn. True when that was full, of one reader: it is to be gone on with, or
 * armed. Where several read, a thread that never sleeps would wait for its share of the CPU beside
 * others that do not either. */
static bool serve(Worker *worker, uint64_t key)
{
    SfServer *server = worker->server;
    SfConnection *connection = sf_connection_acquire(server->connections, key);

    if (!connection)
        return false;
    unsigned lane = sf_relaxed_get(&connection->lane);
    TurnEnd end = serve_turn(worker, connection);
    bool full =
        end == TURN_FULL && worker->reader_count == 1 && sf_relaxed_get(&connection->lane) == lane;
    if (!full && end != TURN_DEAD)
        (void)arm(server, connection, lane); /* fails for a file that is not in the set */
    release(server, connection);
    return full;
}

/* Arms one whose turn was full. */
static void hand_on(Worker *worker, uint64_t key)
{
    SfConnection *connection = sf_connection_acquire(worker->server->connections, key);

    if (!connection)
        return;
    (void)arm(worker->server, connection, sf_relaxed_get(&connection->lane));
    release(worker->server, connection);
}

static void *run_worker(void *data)
{
    Worker *worker = data;
    uint64_t full = NO_KEY;

    (void)sf_lanes_set_slice(); /* slower beside busy threads if not */
    for (;;) {
        uint64_t key = next_key(worker, full);
        if (full != NO_KEY && key != full)
            hand_on(worker, full);
        if (key == STOP_KEY)
            return NULL;
        full = key != NO_KEY && serve(worker, key) ? key : NO_KEY;
    }
}

static int start_worker(SfServer *server, unsigned index)
{
    Worker *worker = &server->workers[index];
    char name[16];

    worker->server = server;
    worker->lane = index % sf_lanes_count(server->lanes);
    worker->epoll_fd = server->epoll_fds[worker->lane];
    worker->buffer = g_malloc(SF_FUSE_BUFFER_BYTES);
    worker->journal = sf_keep_journal_buffer(server->keep, index);
    worker->journal_owner = sf_keep_journal_owner(server->keep, index);
    sf_keep_journal_clear(server->keep, index);
    /* Touched now: a fault while the kernel copies a request to a process that is being killed
     * would be an error for the reader. */
    memset(worker->journal, 0, JOURNAL_TOUCHED);
    (void)g_snprintf(name, sizeof(name), "fuse-%u", index);
    int r = sf_thread_start(name, run_worker, worker, &worker->thread);
    worker->started = r == 0;
    if (r == 0)
        (void)sf_lanes_bind(server->lanes, worker->lane, worker->thread); /* slower if not */
    return r;
}

static int start_workers(SfServer *server)
{
    int r = 0;

    sf_aside_prepare(server->keep, WORKERS_MAX);
    for (unsigned i = 0; i < server->worker_count && r >= 0; i++)
        r = start_worker(server, i);
    return r;
}

static int open_sets(SfServer *server)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = STOP_KEY};
    unsigned count = sf_lanes_count(server->lanes);

    server->epoll_fds = g_new(int, count);
    server->resting = g_new0(_Atomic bool, count);
    for (unsigned i = 0; i < count; i++)
        server->epoll_fds[i] = -1;
    server->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->stop_fd < 0)
        return -errno;
    for (unsigned i = 0; i < count; i++) {
        server->epoll_fds[i] = epoll_create1(EPOLL_CLOEXEC);
        if (server->epoll_fds[i] < 0 ||
            epoll_ctl(server->epoll_fds[i], EPOLL_CTL_ADD, server->stop_fd, &event) < 0)
            return -errno;
    }
    return 0;
}

int sf_server_new(const SfServerOptions *options, SfServer **ret_server)
{
    static const SfServerOptions plain = {0};

    if (!options)
        options = &plain;
    unsigned workers = options->workers;
    if (workers == 0)
        workers = MAX(g_get_num_processors() * LANE_WORKERS, WORKERS_MIN);
    workers = MIN(workers, WORKERS_MAX);

    SfServer *server = g_malloc0(sizeof(*server) + workers * sizeof(server->workers[0]));
    server->stop_fd = -1;
    server->worker_count = workers;
    server->lanes = sf_lanes_new(MAX(workers / LANE_WORKERS, 1));
    server->connections = sf_connection_table_new();
    server->keep = options->keep ? options->keep : sf_keep_default();

    int r = server->keep ? sf_poller_new(tell_event, server, &server->poller) : -ENOMEM;
    if (r >= 0)
        r = sf_codec_new(server->poller, &options->hooks, &server->codec);
    if (r >= 0)
        r = open_sets(server);
    if (r >= 0 && !options->paused)
        r = start_workers(server);
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
    for (unsigned i = 0; server->epoll_fds && i < sf_lanes_count(server->lanes); i++)
        (void)sf_close(server->epoll_fds[i]);
    g_free(server->epoll_fds);
    g_free((void *)server->resting);
    sf_lanes_free(server->lanes);
    sf_codec_free(server->codec);
    sf_connection_table_free(server->connections);
    g_free(server);
}

/* Into the epoll set. events: EPOLLIN, or 0 for a connection that is served from arm() on. On error
 * the connection is given up by `end`. */
static int begin(SfServer *server, SfConnection *connection, uint32_t events,
                 void (*end)(SfConnection *connection))
{
    struct epoll_event event = {.events = events | EPOLLONESHOT,
                                .data.u64 = sf_connection_key(connection)};

    if (epoll_ctl(server->epoll_fds[0], EPOLL_CTL_ADD, connection->fd, &event) < 0) {
        int r = -errno;
        end(connection);
        release(server, connection);
        return r;
    }
    atomic_fetch_add(&server->connection_count, 1);
    return 0;
}

int sf_server_mount(SfServer *server, SfView *view, SfViewMount kind, const char *mount_point,
                    SfConnection **ret_connection)
{
    SfConnection *connection;
    int r = sf_connection_open(server->connections, server->codec, view, kind, mount_point,
                               &connection);

    if (r >= 0 && kind == SF_MOUNT_VIEW && sf_codec_shares(server->codec))
        sf_view_share(view);
    if (r >= 0)
        r = begin(server, connection, EPOLLIN, sf_connection_close);
    if (r >= 0)
        *ret_connection = connection;
    return r;
}

int sf_server_prime(SfServer *server, const char *mount_point)
{
    return sf_connection_prime(server->codec, mount_point);
}

/* An open file of the view that was taken up: who waits for its events, and who reads it from
 * pages. */
static void watch_again(SfViewHandle *handle, void *data)
{
    Resumed *resumed = data;
    SfViewEvents events = sf_view_events(handle);
    uint64_t waiter = sf_view_waiter(handle);
    SfCodecPeer peer = peer_of(resumed->connection);

    if (sf_view_is_shared(handle))
        sf_codec_forget_attributes(resumed->server->codec, &peer, sf_view_handle_inode(handle));
    if (events.fd >= 0 && waiter != 0 &&
        sf_poller_watch(resumed->server->poller, sf_connection_key(resumed->connection), events,
                        waiter) < 0)
        sf_codec_tell_event(resumed->connection->fd, waiter); /* it asks again */
}

/* One that ended each process that served it, or held it up until it was ended, is answered with an
 * error: the others live. */
static void serve_left(SfServer *server, const SfCodecPeer *peer, char *request, size_t len,
                       unsigned tries)
{
    if (tries <= LEFT_TRIES) {
        (void)sf_codec_serve(server->codec, peer, request, len, true);
        return;
    }
    g_warning("a request is answered with an error: %u daemons have ended while they served it",
              tries - 1);
    sf_codec_refuse(peer->fd, request, EIO);
}

/* What a process that died was asked on this connection. In the order of its threads, which is
 * none: requests of one reader wait for each other. */
static void serve_journal(SfServer *server, const SfConnection *connection)
{
    g_autofree char *request = NULL;
    SfCodecPeer peer = peer_of(connection);

    for (unsigned i = 0; i < SF_KEEP_JOURNALS; i++) {
        const char *journal = sf_keep_journal_buffer(server->keep, i);
        if (atomic_load(sf_keep_journal_owner(server->keep, i)) != owner_of(connection))
            continue;
        size_t len = ((const struct fuse_in_header *)journal)->len;
        if (len >= sizeof(struct fuse_in_header) && len <= SF_FUSE_BUFFER_BYTES) {
            request = request ? request : g_malloc(SF_FUSE_BUFFER_BYTES);
            memcpy(request, journal, len);
            serve_left(server, &peer, request, len, sf_keep_journal_try(server->keep, i));
        }
        sf_keep_journal_clear(server->keep, i);
    }
}

int sf_server_resume(SfServer *server, SfView *view, SfViewMount kind, const char *mount_point,
                     int fd, SfConnection **ret_connection)
{
    SfConnection *connection;
    int r = sf_connection_adopt(server->connections, fd, view, kind, mount_point, &connection);

    if (r >= 0) /* somebody holds it: to be tried again, and nothing was done twice then */
        r = begin(server, connection, 0, sf_connection_leave);
    if (r < 0)
        return r;
    Resumed resumed = {server, connection};
    serve_journal(server, connection);
    if (kind == SF_MOUNT_VIEW)
        sf_view_each_handle(view, watch_again, &resumed);
    (void)arm(server, connection, 0); /* it is in the set */
    *ret_connection = connection;
    return 0;
}

int sf_server_go(SfServer *server)
{
    return start_workers(server);
}

typedef struct Recall {
    SfServer *server;
    SfCodecPeer peer;
} Recall;

static void recall_inode(uint64_t inode, void *data)
{
    const Recall *recall = data;

    sf_codec_forget_attributes(recall->server->codec, &recall->peer, inode);
}

void sf_server_recall(SfServer *server, SfConnection *connection)
{
    Recall recall = {server, peer_of(connection)};

    sf_constants_each_told(connection->view, recall_inode, &recall);
}

int sf_server_connection_fd(const SfConnection *connection)
{
    return connection->fd;
}

void sf_server_leave(SfServer *server, SfConnection *connection)
{
    sf_connection_leave(connection);
    atomic_fetch_sub(&server->connection_count, 1);
    release(server, connection);
}

void sf_server_unmount(SfServer *server, SfConnection *connection)
{
    sf_connection_close(connection);
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
