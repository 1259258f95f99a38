/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judges the view of a running container: takes all its files again and again, and checks each time
 * what must hold between them (consistency.h) and against the time before. Must not try twice: what
 * does not hold once is reported.
 *
 * usage: live-check [OPTION]... SECONDS ROOT
 *   ROOT            the view: RUNTIME_DIR/views/ID, or the container's root, /proc/PID/root
 *   --lock FILE     held shared (flock(2)) while files are taken; who changes limits holds it
 *                   exclusively, so that no limit changes within an instant
 *   --freeze FILE   the container's freezer.state (v1) or cgroup.freeze (v2): every second instant
 *                   is taken with all its tasks standing still, and what it uses is compared too
 *   --apart         limits change at any moment: only what must hold within a file, and over time
 *   --save DIR      keeps the texts of the first instant that did not hold
 *
 * Output: TAP, one point, and a line for each violation. Exit 1 when there was one.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/cpuset.h"
#include "lib/base/io.h"
#include "tests/golden/consistency_text.h"
#include "tests/live/live_snapshot.h"

#define HOST_TEXT_MAX (4u << 20)
#define REPORTS_MAX 40
#define FREEZE_TRIES 2000
/* Whole directories are read in two of so many rounds. */
#define WHOLE_EACH 16
#define SECONDS_MAX 3600
/* Between two instants, so that a writer gets the lock; and a quarter of what an instant took, for
 * on a slow machine the writer is slow too. */
#define PAUSE_NSEC 2000000
#define PAUSE_MAX_NSEC 900000000
/* A slow machine has done nothing in the time that was asked for. */
#define ROUNDS_MIN 8

typedef struct Options {
    uint64_t seconds;
    const char *root, *lock, *freeze, *save;
    bool apart;
} Options;

typedef struct Checker {
    const Options *options;
    int root_fd, lock_fd;
    char *host_possible; /* owned, as all texts here */
    char *host_meminfo, *host_stat;
    HostTexts host;
    /* This instant, the one before, and the last that had the most CPUs. */
    LiveSnapshot instants[3];
    LiveSnapshot *now, *before, *widest;
    unsigned widest_count;
    SfCpuSet seen;
    uint64_t rounds, frozen_rounds, violations;
    uint64_t longest_nsec, total_nsec;
    uint64_t least_kb, most_kb; /* MemTotal */
    uint64_t most_swap_kb;      /* used */
    unsigned least_cpus, most_cpus;
} Checker;

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    stopped = number;
}

static void sleep_nsec(long nsec) /* less than a second */
{
    struct timespec pause = {.tv_nsec = nsec};
    (void)nanosleep(&pause, NULL); /* a signal ends the wait: so it should */
}

static int read_host(const char *path, char **text, SfSlice *ret_slice)
{
    size_t len;
    free(*text);
    *text = NULL;
    int r = sf_read_alloc_at(AT_FDCWD, path, HOST_TEXT_MAX, text, &len);
    if (r == 0)
        *ret_slice = sf_slice(*text, len);
    return r;
}

static int write_file(const char *path, const char *text)
{
    SF_CLEANUP_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return sf_write_all(fd, text, strlen(text));
}

static bool is_v1_freezer(const char *path)
{
    size_t len = strlen(path);
    return len >= 6 && strcmp(path + len - 6, ".state") == 0;
}

static void thaw(const char *path)
{
    (void)write_file(path, is_v1_freezer(path) ? "THAWED" : "0"); /* gone with the container */
}

/* Whether all tasks stand still: freezer.state says so, or cgroup.events beside cgroup.freeze. */
static bool is_frozen(const char *path)
{
    char events[4096], text[256];
    size_t len;
    if (is_v1_freezer(path))
        return sf_read_at(AT_FDCWD, path, text, sizeof(text), &len) == 0 &&
               sf_slice_eq(sf_slice_trim(sf_slice(text, len)), "FROZEN");
    int r = snprintf(events, sizeof(events), "%.*s/cgroup.events", (int)(strrchr(path, '/') - path),
                     path);
    return r > 0 && sf_read_at(AT_FDCWD, events, text, sizeof(text), &len) == 0 &&
           consistency_value(sf_slice(text, len), "frozen") == 1;
}

static bool freeze(const char *path)
{
    if (write_file(path, is_v1_freezer(path) ? "FROZEN" : "1") < 0)
        return false;
    for (unsigned i = 0; i < FREEZE_TRIES && !stopped; i++) {
        if (is_frozen(path))
            return true;
        sleep_nsec(500000);
    }
    return false;
}

static int take_host(Checker *c)
{
    int r = read_host("/proc/meminfo", &c->host_meminfo, &c->host.meminfo);
    if (r == 0)
        r = read_host("/proc/stat", &c->host_stat, &c->host.stat);
    return r;
}

/* Remembers what limits and which CPUs were seen. */
static void note_seen(Checker *c)
{
    SfSlice meminfo = consistency_text(&c->now->snapshot, "proc_meminfo");
    uint64_t kb = consistency_meminfo(meminfo, "MemTotal");
    uint64_t swap_kb =
        consistency_meminfo(meminfo, "SwapTotal") - consistency_meminfo(meminfo, "SwapFree");
    if (kb < c->least_kb)
        c->least_kb = kb;
    if (kb > c->most_kb)
        c->most_kb = kb;
    if (swap_kb > c->most_swap_kb)
        c->most_swap_kb = swap_kb;
    SfSlice online = sf_slice_trim(consistency_text(&c->now->snapshot, "sys_cpu_online"));
    SfCpuSet cpus, missing;
    if (sf_cpuset_parse_list(online.data, online.len, &cpus) < 0)
        return; /* consistency_check() reports it */
    unsigned count = sf_cpuset_count(&cpus);
    if (count < c->least_cpus)
        c->least_cpus = count;
    if (count > c->most_cpus)
        c->most_cpus = count;
    sf_cpuset_foreach (cpu, &cpus)
        sf_cpuset_add(&c->seen, (unsigned)cpu);
    missing = c->seen;
    sf_cpuset_subtract(&missing, &cpus);
    c->now->snapshot.cpus_left = !sf_cpuset_empty(&missing);
}

/* The instant is now the one before; the two others are kept or reused. */
static void rotate(Checker *c)
{
    SfSlice online = sf_slice_trim(consistency_text(&c->now->snapshot, "sys_cpu_online"));
    SfCpuSet cpus;
    unsigned count =
        sf_cpuset_parse_list(online.data, online.len, &cpus) == 0 ? sf_cpuset_count(&cpus) : 0;
    c->before = c->now;
    if (!c->widest || count >= c->widest_count) {
        c->widest = c->now;
        c->widest_count = count;
    }
    for (unsigned i = 0; i < 3; i++) {
        if (&c->instants[i] != c->before && &c->instants[i] != c->widest)
            c->now = &c->instants[i];
    }
}

static void print_report(Checker *c, const SfText *report)
{
    SfSlice rest = sf_slice(report->data ? report->data : "", report->len), line;
    while (sf_slice_next_line(&rest, &line)) {
        if (++c->violations <= REPORTS_MAX)
            printf("# round %" PRIu64 "%s: %.*s\n", c->rounds,
                   c->now->snapshot.moving ? "" : " (frozen)", (int)line.len, line.data);
    }
}

static void round_once(Checker *c)
{
    const Options *options = c->options;
    SF_CLEANUP_TEXT SfText report = SF_TEXT_INIT;
    bool still = options->freeze && c->rounds % 2 == 1;
    bool whole = c->rounds % WHOLE_EACH < 2; /* one that is frozen, one that is not */
    c->rounds++;
    if (c->lock_fd >= 0)
        (void)flock(c->lock_fd, LOCK_SH); /* fails only when a signal comes: that ends it all */
    if (still && !freeze(options->freeze))
        sf_text_puts(&report, "the container cannot be frozen\n");
    bool held = live_snapshot_take(c->now, c->root_fd, whole, &report);
    if (still)
        thaw(options->freeze);
    if (c->lock_fd >= 0)
        (void)flock(c->lock_fd, LOCK_UN); /* cannot fail */
    c->now->snapshot.moving = !still;
    c->now->snapshot.apart = options->apart;
    c->frozen_rounds += still;
    if (c->now->whole_nsec > c->longest_nsec)
        c->longest_nsec = c->now->whole_nsec;
    c->total_nsec += c->now->whole_nsec;
    note_seen(c);

    held &= take_host(c) == 0 && consistency_check(&c->now->snapshot, &c->host, &report);
    if (c->before)
        held &= consistency_check_order(&c->before->snapshot, &c->now->snapshot, &report);
    if (c->widest && c->widest != c->before)
        held &= consistency_check_order(&c->widest->snapshot, &c->now->snapshot, &report);
    if (!held || report.len > 0) {
        if (c->violations == 0 && options->save) {
            live_snapshot_save(c->now, options->save, "now");
            if (c->before)
                live_snapshot_save(c->before, options->save, "before");
        }
        if (report.len == 0)
            sf_text_puts(&report, "not held, and no reason given\n");
        print_report(c, &report);
    }
    rotate(c);
}

static bool parse(int argc, char **argv, Options *ret_options)
{
    Options options = {0};
    int i = 1;
    for (; i + 1 < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--apart") == 0)
            options.apart = true;
        else if (strcmp(argv[i], "--lock") == 0)
            options.lock = argv[++i];
        else if (strcmp(argv[i], "--freeze") == 0)
            options.freeze = argv[++i];
        else if (strcmp(argv[i], "--save") == 0)
            options.save = argv[++i];
        else
            return false;
    }
    if (argc - i != 2 || sf_slice_u64(sf_slice(argv[i], strlen(argv[i])), &options.seconds) < 0 ||
        options.seconds > SECONDS_MAX)
        return false;
    options.root = argv[i + 1];
    *ret_options = options;
    return true;
}

static bool checker_open(Checker *c)
{
    const Options *options = c->options;
    c->root_fd = open(options->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (c->root_fd < 0) {
        printf("Bail out! %s: %s\n", options->root, strerror(errno));
        return false;
    }
    if (options->lock) {
        c->lock_fd = open(options->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (c->lock_fd < 0) {
            printf("Bail out! %s: %s\n", options->lock, strerror(errno));
            return false;
        }
    }
    if (read_host("/sys/devices/system/cpu/possible", &c->host_possible, &c->host.cpu_possible) <
        0) {
        printf("Bail out! the host's CPUs cannot be read\n");
        return false;
    }
    c->host.page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    c->now = &c->instants[0];
    return true;
}

static void checker_clear(Checker *c)
{
    for (unsigned i = 0; i < 3; i++)
        live_snapshot_clear(&c->instants[i]);
    free(c->host_possible);
    free(c->host_meminfo);
    free(c->host_stat);
    if (c->lock_fd >= 0)
        (void)close(c->lock_fd);
    if (c->root_fd >= 0)
        (void)close(c->root_fd);
}

int main(int argc, char **argv)
{
    Options options;
    if (!parse(argc, argv, &options)) {
        (void)fprintf(stderr,
                      "usage: live-check [--apart] [--lock FILE] [--freeze FILE] [--save DIR] "
                      "SECONDS ROOT\n");
        return 2;
    }
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigaction(SIGTERM, &action, NULL); /* cannot fail, as the next */
    (void)sigaction(SIGINT, &action, NULL);

    static Checker c = {
        .root_fd = -1, .lock_fd = -1, .least_kb = UINT64_MAX, .least_cpus = UINT_MAX};
    c.options = &options;
    if (!checker_open(&c)) {
        checker_clear(&c);
        return 1;
    }
    struct timespec begin, now;
    (void)clock_gettime(CLOCK_MONOTONIC, &begin); /* cannot fail with this clock */
    do {
        round_once(&c);
        sleep_nsec(PAUSE_NSEC + (long)sf_min_u64(c.before->whole_nsec / 4, PAUSE_MAX_NSEC));
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
    } while (!stopped &&
             ((uint64_t)(now.tv_sec - begin.tv_sec) < options.seconds || c.rounds < ROUNDS_MIN));
    bool ok = c.violations == 0;
    printf("# %" PRIu64 " rounds of %u texts, %" PRIu64 " of them frozen, %" PRIu64
           " violations; an instant took %" PRIu64 " us, at most %" PRIu64 "\n",
           c.rounds, c.before->snapshot.count, c.frozen_rounds, c.violations,
           c.total_nsec / c.rounds / 1000, c.longest_nsec / 1000);
    printf("# MemTotal %" PRIu64 "..%" PRIu64 " kB, CPUs %u..%u\n", c.least_kb, c.most_kb,
           c.least_cpus, c.most_cpus);
    printf("# swap used at most %" PRIu64 " kB\n", c.most_swap_kb);
    printf("%s 1 - %s\n1..1\n", ok ? "ok" : "not ok", options.root);
    checker_clear(&c);
    return ok ? 0 : 1;
}
