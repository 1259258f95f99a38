/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sysfsd-bench read [OPTION]... --source NAME:DAEMON:PID[,PID]... FILE...: times open, read to the
 * end, close of each file from inside the containers of each source, and prints a line for each
 * source, file and phase (fields after a tab; times in nanoseconds):
 *   phase source file reads bytes p50 p90 p99 largest mean reader-CPU daemon-CPU
 * or "phase source file absent" where the source does not serve the file.
 *
 * A round goes through all files and sources, so that noise meets all alike: a block of reads of
 * one file of one source by all readers at once, then the next source. DAEMON (0: none) is the
 * process whose CPU time is asked before and after each block. CPU times are per read.
 *   --readers N    readers of each source, spread over its containers (1)
 *   --rounds N     (100)
 *   --block N      reads of a reader in a block (10)
 *   --warm N       reads before those of a block, not counted (1)
 *   --pause USEC   before each read (0)
 *   --cycle USEC   a round takes that long, its blocks evenly spread
 *   --busy PID:N   every round a second time, phase "busy", while N processes in that container
 *                  read without a pause
 */

#include "tests/bench/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define USAGE "read [OPTION]... --source NAME:DAEMON:PID[,PID]... FILE..."
#define MAX_SOURCES 8
#define MAX_FILES 64
#define MAX_READERS 64
#define MAX_BLOCK 10000
#define FUSE_MAGIC 0x65735546
/* For what a daemon does after its last reply. */
#define SETTLE_NSEC 1000000

/* Shared with one reader. */
typedef struct Slot {
    _Atomic uint32_t go, done; /* numbers of blocks; futexes */
    unsigned file;
    uint32_t warm, block;
    uint64_t pause_nsec;
    uint64_t cpu_nsec, bytes;
    bool probe; /* to say whether it is absent: that is a request to the daemon, too */
    bool absent;
    uint64_t times[MAX_BLOCK];
} Slot;

typedef struct Source {
    char *name;
    pid_t daemon;
    pid_t containers[MAX_READERS];
    unsigned container_count;
    Slot *slots[MAX_READERS];
} Source;

typedef struct Row {
    uint64_t *times;
    size_t count;
    uint64_t reader_nsec, daemon_nsec, daemon_reads, bytes;
    bool absent;
} Row;

typedef struct Read {
    Source sources[MAX_SOURCES];
    unsigned source_count;
    char **files;
    unsigned file_count;
    unsigned readers;
    uint64_t rounds, block, warm, pause_usec, cycle_usec;
    pid_t busy_pid;
    unsigned busy_count;
    _Atomic uint32_t *busy; /* 1: the busy ones read; a futex */
    Row *rows;              /* by phase, file, source */
    uint64_t started_nsec;
    uint64_t cycle_blocks; /* blocks begun with --cycle */
} Read;

static void futex_wait(_Atomic uint32_t *futex, uint32_t value)
{
    (void)syscall(SYS_futex, futex, FUTEX_WAIT, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *futex)
{
    (void)syscall(SYS_futex, futex, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

static size_t read_whole(const char *path)
{
    static char buffer[262144];
    size_t total = 0;
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        bench_die("%s", path);
    while ((n = read(fd, buffer, sizeof(buffer))) > 0)
        total += (size_t)n;
    if (n < 0)
        bench_die("%s", path);
    (void)close(fd);
    return total;
}

static void read_block(Slot *slot, const char *path, uint64_t cost)
{
    uint64_t cpu_nsec = 0;

    for (uint32_t i = 0; i < slot->warm + slot->block; i++) {
        bench_sleep_nsec(slot->pause_nsec);
        uint64_t cpu_begin = bench_clock_nsec(CLOCK_THREAD_CPUTIME_ID);
        uint64_t begin = bench_now_nsec();
        slot->bytes = read_whole(path);
        uint64_t end = bench_now_nsec();
        uint64_t cpu = bench_clock_nsec(CLOCK_THREAD_CPUTIME_ID) - cpu_begin;
        if (i < slot->warm)
            continue;
        slot->times[i - slot->warm] = end - begin;
        cpu_nsec += cpu > cost ? cpu - cost : 0;
    }
    slot->cpu_nsec = cpu_nsec;
}

typedef struct Reader {
    const Read *read;
    const Source *source;
    Slot *slot;
} Reader;

static void reader_body(void *data)
{
    const Reader *reader = data;
    Slot *slot = reader->slot;
    uint64_t cost = bench_clock_cost();

    for (uint32_t number = 0;;) {
        while (atomic_load(&slot->go) == number)
            futex_wait(&slot->go, number);
        number++;
        const char *path = reader->read->files[slot->file];
        struct statfs fs;
        /* A source with a daemon serves what is on FUSE. */
        slot->absent = slot->probe && (statfs(path, &fs) < 0 ||
                                       (fs.f_type == FUSE_MAGIC) != (reader->source->daemon != 0));
        if (!slot->absent)
            read_block(slot, path, cost);
        atomic_store(&slot->done, number);
        futex_wake(&slot->done);
    }
}

static void busy_body(void *data)
{
    const Read *read = data;

    for (unsigned i = 0;; i++) {
        while (!atomic_load(read->busy))
            futex_wait(read->busy, 0);
        (void)read_whole(read->files[i % read->file_count]);
    }
}

static void *shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        bench_die("memory");
    return memory;
}

/* A reader that has died will not answer. */
static void wait_done(Slot *slot, uint32_t number)
{
    struct timespec second = {1, 0};
    uint32_t done;

    while ((done = atomic_load(&slot->done)) != number) {
        (void)syscall(SYS_futex, &slot->done, FUTEX_WAIT, done, &second, NULL, 0);
        if (waitpid(-1, NULL, WNOHANG) > 0) {
            errno = 0;
            bench_die("a reader has died");
        }
    }
}

static void start_readers(Read *read)
{
    read->busy = shared(sizeof(*read->busy));
    for (unsigned s = 0; s < read->source_count; s++) {
        Source *source = &read->sources[s];
        for (unsigned i = 0; i < read->readers; i++) {
            source->slots[i] = shared(sizeof(Slot));
            Reader reader = {read, source, source->slots[i]};
            (void)bench_enter(source->containers[i % source->container_count], reader_body,
                              &reader);
        }
    }
    for (unsigned i = 0; i < read->busy_count; i++)
        (void)bench_enter(read->busy_pid, busy_body, read);
}

static void run_block(Read *read, Source *source, unsigned file, Row *row, bool record)
{
    bench_sleep_nsec(SETTLE_NSEC);
    uint64_t daemon_begin = bench_process_nsec(source->daemon);
    for (unsigned i = 0; i < read->readers; i++) {
        Slot *slot = source->slots[i];
        slot->file = file;
        slot->warm = (uint32_t)read->warm;
        slot->block = record ? (uint32_t)read->block : 1;
        slot->probe = !record;
        slot->pause_nsec = record ? read->pause_usec * 1000 : 0;
    }
    for (unsigned i = 0; i < read->readers; i++) {
        atomic_fetch_add(&source->slots[i]->go, 1);
        futex_wake(&source->slots[i]->go);
    }
    for (unsigned i = 0; i < read->readers; i++)
        wait_done(source->slots[i], atomic_load(&source->slots[i]->go));
    bench_sleep_nsec(SETTLE_NSEC);
    row->absent = source->slots[0]->absent;
    if (row->absent || !record)
        return;
    row->daemon_nsec += bench_process_nsec(source->daemon) - daemon_begin;
    for (unsigned i = 0; i < read->readers; i++) {
        const Slot *slot = source->slots[i];
        memcpy(row->times + row->count, slot->times, slot->block * sizeof(*slot->times));
        row->count += slot->block;
        row->reader_nsec += slot->cpu_nsec;
        row->daemon_reads += slot->block + slot->warm;
        row->bytes = slot->bytes;
    }
}

static Row *row_of(const Read *read, unsigned phase, unsigned file, unsigned source)
{
    return &read->rows[(phase * read->file_count + file) * read->source_count + source];
}

/* Until the next block of a round that is as long as --cycle says. */
static void keep_pace(Read *read, unsigned present)
{
    if (!read->cycle_usec || !present)
        return;
    uint64_t due = read->started_nsec + read->cycle_blocks++ * (read->cycle_usec * 1000 / present);
    uint64_t now = bench_now_nsec();
    if (due > now)
        bench_sleep_nsec(due - now);
}

static void run_rounds(Read *read)
{
    unsigned phases = read->busy_count ? 2 : 1, present = 0;

    /* One read of each: what is absent, and what a first read alone has to do. */
    for (unsigned f = 0; f < read->file_count; f++) {
        for (unsigned s = 0; s < read->source_count; s++) {
            run_block(read, &read->sources[s], f, row_of(read, 0, f, s), false);
            present += !row_of(read, 0, f, s)->absent;
            row_of(read, 1, f, s)->absent = row_of(read, 0, f, s)->absent;
        }
    }
    read->started_nsec = bench_now_nsec();
    for (uint64_t round = 0; round < read->rounds; round++) {
        for (unsigned phase = 0; phase < phases; phase++) {
            atomic_store(read->busy, phase);
            futex_wake(read->busy);
            for (unsigned i = 0; i < read->file_count * read->source_count; i++) {
                unsigned s = (unsigned)((i + round) % read->source_count);
                unsigned f = i / read->source_count;
                if (row_of(read, phase, f, s)->absent)
                    continue;
                keep_pace(read, present);
                run_block(read, &read->sources[s], f, row_of(read, phase, f, s), true);
            }
        }
    }
    atomic_store(read->busy, 0);
}

static void print_rows(const Read *read)
{
    for (unsigned phase = 0; phase < (read->busy_count ? 2u : 1u); phase++) {
        for (unsigned i = 0; i < read->file_count * read->source_count; i++) {
            unsigned f = i / read->source_count, s = i % read->source_count;
            const Row *row = row_of(read, phase, f, s);
            (void)printf("%s\t%s\t%s", phase ? "busy" : "quiet", read->sources[s].name,
                         read->files[f]);
            if (row->absent) {
                (void)printf("\tabsent\n");
                continue;
            }
            (void)printf("\t%zu\t%llu", row->count, (unsigned long long)row->bytes);
            bench_print_times(row->times, row->count);
            (void)printf("\t%llu\t%llu\n", (unsigned long long)(row->reader_nsec / row->count),
                         (unsigned long long)(row->daemon_nsec / row->daemon_reads));
        }
    }
}

/* NAME:DAEMON:PID[,PID]... */
static void parse_source(Read *read, char *text)
{
    Source *source = &read->sources[read->source_count++];
    char *rest = text;

    source->name = strsep(&rest, ":");
    char *daemon = strsep(&rest, ":");
    if (!rest)
        bench_usage(USAGE);
    source->daemon = (pid_t)bench_number(daemon, INT32_MAX);
    while (rest && source->container_count < MAX_READERS)
        source->containers[source->container_count++] =
            (pid_t)bench_number(strsep(&rest, ","), INT32_MAX);
}

static void parse_busy(Read *read, char *text)
{
    char *pid = strsep(&text, ":");

    if (!text)
        bench_usage(USAGE);
    read->busy_pid = (pid_t)bench_number(pid, INT32_MAX);
    read->busy_count = (unsigned)bench_number(text, MAX_READERS);
}

static void parse(int argc, char **argv, Read *read)
{
    int i = 1;

    for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
        const char *option = argv[i] + 2;
        if (strcmp(option, "source") == 0 && read->source_count < MAX_SOURCES)
            parse_source(read, argv[i + 1]);
        else if (strcmp(option, "busy") == 0)
            parse_busy(read, argv[i + 1]);
        else if (strcmp(option, "readers") == 0)
            read->readers = (unsigned)bench_number(argv[i + 1], MAX_READERS);
        else if (strcmp(option, "rounds") == 0)
            read->rounds = bench_number(argv[i + 1], 1000000);
        else if (strcmp(option, "block") == 0)
            read->block = bench_number(argv[i + 1], MAX_BLOCK - 100);
        else if (strcmp(option, "warm") == 0)
            read->warm = bench_number(argv[i + 1], 100);
        else if (strcmp(option, "pause") == 0)
            read->pause_usec = bench_number(argv[i + 1], 10000000);
        else if (strcmp(option, "cycle") == 0)
            read->cycle_usec = bench_number(argv[i + 1], 3600000000);
        else
            bench_usage(USAGE);
    }
    read->files = argv + i;
    read->file_count = (unsigned)(argc - i);
    if (argc - i < 1 || argc - i > MAX_FILES || !read->source_count || !read->readers ||
        !read->rounds || !read->block)
        bench_usage(USAGE);
}

int bench_read(int argc, char **argv)
{
    static Read read = {.readers = 1, .rounds = 100, .block = 10, .warm = 1};

    parse(argc, argv, &read);
    size_t rows = 2ul * read.file_count * read.source_count;
    read.rows = bench_alloc(rows, sizeof(*read.rows));
    for (size_t i = 0; i < rows; i++)
        read.rows[i].times = bench_alloc(read.rounds * read.block * read.readers, sizeof(uint64_t));
    start_readers(&read);
    run_rounds(&read);
    print_rows(&read);
    return 0; /* the readers die with us */
}
