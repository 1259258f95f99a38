/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FUSE over io_uring (Linux 6.14): a ring and a thread for each CPU. An answer and the wait for the
 * next request are one system call; what is stored in the page cache goes by /dev/fuse all the
 * same.
 */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <linux/fuse.h>

#include "tests/bench/round-trip.h"

#ifdef HAVE_LIBURING

#include <liburing.h>

#define ENTRIES 4u
#define PAYLOAD_PAGES 256u /* the kernel wants 32 at least */
#define REGISTER 1u
#define COMMIT_AND_FETCH 2u

/* What the kernel has in an entry (linux/fuse.h, since 6.14). */
typedef struct EntryHead {
    char header[128];    /* struct fuse_in_header, or fuse_out_header */
    char operation[128]; /* what follows it, by opcode */
    uint64_t flags, commit_id;
    uint32_t payload_len, padding;
    uint64_t reserved;
} EntryHead;

typedef struct Command {
    uint64_t flags, commit_id;
    uint16_t queue;
    uint8_t padding[6];
} Command;

typedef struct Entry {
    EntryHead head;
    struct iovec parts[2];
    void *payload; /* owned */
    size_t size;
} Entry;

typedef struct Queue {
    const Server *server;
    unsigned cpu;
    pthread_barrier_t *registered;
    struct io_uring ring;
    Entry entries[ENTRIES];
} Queue;

static void submit(Queue *queue, Entry *entry, unsigned operation, uint64_t commit_id)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&queue->ring);
    Command command = {.commit_id = commit_id, .queue = (uint16_t)queue->cpu};

    if (!sqe)
        bench_die("a full ring");
    /* 128 bytes, of which the head is cleared by nobody else. */
    memset(sqe, 0, 2 * sizeof(*sqe));
    sqe->opcode = IORING_OP_URING_CMD;
    sqe->fd = queue->server->fd;
    sqe->cmd_op = operation;
    sqe->addr = (uint64_t)(uintptr_t)entry->parts;
    sqe->len = G_N_ELEMENTS(entry->parts);
    memcpy(sqe->cmd, &command, sizeof(command));
    io_uring_sqe_set_data(sqe, entry);
}

static void serve_entry(Queue *queue, Entry *entry)
{
    struct fuse_in_header in;
    struct fuse_out_header out = {0};
    size_t len;

    memcpy(&in, entry->head.header, sizeof(in));
    char *name = entry->payload;
    if (in.opcode == FUSE_LOOKUP)
        name[MIN(entry->head.payload_len, entry->size - 1)] = '\0';
    int r = answer(queue->server, in.opcode, in.nodeid, entry->head.operation, name, entry->payload,
                   &len);
    out = (struct fuse_out_header){
        .len = (uint32_t)(sizeof(out) + len), .error = MIN(r, 0), .unique = in.unique};
    memcpy(entry->head.header, &out, sizeof(out));
    entry->head.payload_len = (uint32_t)len;
    submit(queue, entry, COMMIT_AND_FETCH, entry->head.commit_id);
}

static void check(int r, const char *what)
{
    if (r >= 0 || r == -EINTR)
        return;
    errno = -r;
    bench_die("%s", what);
}

static void open_queue(Queue *queue)
{
    check(io_uring_queue_init(2 * ENTRIES, &queue->ring, IORING_SETUP_SQE128), "io_uring");
    for (unsigned i = 0; i < ENTRIES; i++) {
        Entry *entry = &queue->entries[i];
        entry->size = PAYLOAD_PAGES * (size_t)sysconf(_SC_PAGESIZE);
        entry->payload = g_malloc0(entry->size);
        entry->parts[0] = (struct iovec){&entry->head, sizeof(entry->head)};
        entry->parts[1] = (struct iovec){entry->payload, entry->size};
        submit(queue, entry, REGISTER, 0);
    }
    check(io_uring_submit(&queue->ring), "io_uring");
    /* One that is refused is done at once. */
    struct io_uring_cqe *done;
    if (io_uring_peek_cqe(&queue->ring, &done) == 0)
        check(done->res, "an entry of io_uring");
}

static void *run(void *data)
{
    Queue *queue = data;
    cpu_set_t own;

    CPU_ZERO(&own);
    CPU_SET(queue->cpu, &own);
    (void)sched_setaffinity(0, sizeof(own), &own); /* slower if not */
    open_queue(queue);
    (void)pthread_barrier_wait(queue->registered);
    for (;;) {
        struct io_uring_cqe *done;
        check(io_uring_submit_and_wait(&queue->ring, 1), "io_uring");
        while (io_uring_peek_cqe(&queue->ring, &done) == 0) {
            Entry *entry = io_uring_cqe_get_data(done);
            check(done->res, "an entry of io_uring");
            io_uring_cqe_seen(&queue->ring, done);
            serve_entry(queue, entry);
        }
    }
    return NULL;
}

void serve_uring(Server *server)
{
    unsigned cpus = (unsigned)sysconf(_SC_NPROCESSORS_CONF);
    Queue *queues = g_new0(Queue, cpus);
    pthread_barrier_t registered;
    pthread_t thread;

    if (pthread_barrier_init(&registered, NULL, cpus + 1) != 0)
        bench_die("a barrier");
    for (unsigned i = 0; i < cpus; i++) {
        queues[i] = (Queue){.server = server, .cpu = i, .registered = &registered};
        if (pthread_create(&thread, NULL, run, &queues[i]) != 0)
            bench_die("a thread");
    }
    (void)pthread_barrier_wait(&registered);
    if (write(server->ready, "", 1) != 1)
        bench_die("pipe");
    for (;;)
        (void)pause();
}

#else

void serve_uring(Server *server)
{
    (void)server; /* built without liburing */
    _exit(1);
}

#endif
