/* SPDX-License-Identifier: Apache-2.0 */
/*
 * round-trip [--samples N] [--pause USEC] [--bytes N] [--pinned] [--cgroup DIR]...: what FUSE
 * itself costs on this machine, by the ways in which a server can be woken and can answer. One file
 * of constant text, which nothing is rendered for, is opened, read to its end and closed; the
 * rounds of all ways are interleaved, and the kernel's own files are read in turn with them.
 *
 * Needs root; mounts in a mount namespace of its own. A way that this kernel has not, or not
 * switched on (the module parameter enable_uring of fuse), is left out, and said.
 */

#include "tests/bench/round-trip.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHUNK 25u        /* reads of one way in turn */
#define UNCOUNTED 2u     /* the first of them */
#define SETTLE_USEC 1000 /* after a chunk: when the last RELEASE has been answered */
#define CANNOT_MEASURE 77

static const Way WAYS[] = {
    {"epoll", "two threads, a one-shot epoll set, the kind that sysfsd has", serve_epoll,
     .threads = 2},
    {"blocking", "a thread in read(2)", serve_blocking, .threads = 1},
    {"cloned", "two threads in read(2), each on its own clone", serve_blocking, .threads = 2,
     .cloned = true},
    {"spinning", "a thread that asks for 50 us before it sleeps", serve_spinning, .threads = 1},
    {"passthrough", "a thread in read(2); the text in a memfd that is read past FUSE",
     serve_blocking, .threads = 1, .passthrough = true},
    {"io_uring", "a queue and a thread for each CPU", serve_uring, .uring = true},
};

static const char *const NATIVE[] = {"/proc/swaps", "/proc/meminfo"};

/* What is read in turn. */
typedef struct Subject {
    const char *name, *what;
    char *path; /* owned */
    pid_t server;
    clockid_t clock; /* of the server's CPU time */
    uint64_t *nsec;  /* owned; of each read */
    unsigned count;
    uint64_t reader_cpu, server_cpu;
} Subject;

static void read_once(const char *path)
{
    char buffer[65536];
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        bench_die("%s", path);
    while ((n = read(fd, buffer, sizeof(buffer))) > 0)
        ;
    if (n < 0)
        bench_die("%s", path);
    (void)close(fd);
}

/* The first reads after a pause, and after another subject's, are none of "back to back". */
static void read_chunk(Subject *subject, const Options *options, uint64_t cost)
{
    uint64_t reader = 0, server;
    unsigned counted = 0;

    (void)usleep(SETTLE_USEC);
    server = subject->server > 0 ? bench_clock_nsec(subject->clock) : 0;
    for (unsigned i = 0; i < CHUNK; i++) {
        if (options->pause_usec > 0)
            (void)usleep(options->pause_usec);
        uint64_t cpu = bench_clock_nsec(CLOCK_THREAD_CPUTIME_ID), begin = bench_now_nsec();
        read_once(subject->path);
        uint64_t took = bench_now_nsec() - begin;
        cpu = bench_clock_nsec(CLOCK_THREAD_CPUTIME_ID) - cpu;
        if (i < UNCOUNTED || subject->count >= options->samples)
            continue;
        reader += cpu > cost ? cpu - cost : 0;
        subject->nsec[subject->count++] = took;
        counted++;
    }
    (void)usleep(SETTLE_USEC);
    if (subject->server > 0)
        subject->server_cpu += (bench_clock_nsec(subject->clock) - server) * counted / CHUNK;
    subject->reader_cpu += reader;
}

static void fill_text(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        text[i] = i % 64 == 63 || i == len - 1 ? '\n' : (char)('a' + i % 26);
}

/* The server's process; told by pipe when its file can be read. */
static void start(Subject *subject, const Way *way, const Options *options, const char *directory)
{
    Server server = {.way = way, .text_len = options->bytes};
    g_autofree char *mount_options = NULL;
    int ready[2];
    char byte;

    subject->name = way->name;
    subject->what = way->what;
    subject->path = g_strdup_printf("%s/%s/text", directory, way->name);
    g_autofree char *mount_point = g_path_get_dirname(subject->path);
    server.fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (server.fd < 0)
        bench_die("/dev/fuse");
    mount_options = g_strdup_printf("fd=%d,rootmode=40000,user_id=0,group_id=0", server.fd);
    if (mkdir(mount_point, 0700) < 0 ||
        mount("round-trip", mount_point, "fuse", MS_NOSUID | MS_NODEV, mount_options) < 0)
        bench_die("%s", mount_point);
    fill_text(server.text, server.text_len);
    if (pipe2(ready, O_CLOEXEC) < 0)
        bench_die("pipe");
    (void)fflush(stdout);
    subject->server = fork();
    if (subject->server < 0)
        bench_die("fork");
    if (subject->server == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close(ready[0]);
        server.ready = ready[1];
        serve(&server);
    }
    (void)close(server.fd);
    (void)close(ready[1]);
    bool works = read(ready[0], &byte, 1) == 1;
    (void)close(ready[0]);
    if (works && clock_getcpuclockid(subject->server, &subject->clock) == 0)
        return;
    (void)kill(subject->server, SIGKILL);
    (void)waitpid(subject->server, NULL, 0);
    (void)umount2(mount_point, MNT_DETACH);
    subject->server = -1;
    if (!way->passthrough && !way->uring)
        exit(1); /* it has said why */
    (void)printf("%-14s left out: this kernel, as it is set up, or this build has it not\n",
                 way->name);
}

/* Of readers alone, as those of a container are. */
static void join(char **cgroups)
{
    for (char **cgroup = cgroups; cgroup && *cgroup; cgroup++) {
        g_autofree char *path = g_build_filename(*cgroup, "cgroup.procs", NULL);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, "0", 1) != 1)
            bench_die("%s", path);
        (void)close(fd);
    }
    g_strfreev(cgroups);
}

static double percentile_usec(const Subject *subject, unsigned percent)
{
    return (double)bench_percentile(subject->nsec, subject->count, percent) / 1000;
}

static void report(const Subject *subject, double native_usec)
{
    double n = subject->count;

    double p50 = percentile_usec(subject, 50), p99 = percentile_usec(subject, 99);
    (void)printf("%-14s %8.1f %8.1f %8.2f %8.1f %8.1f  %s\n", subject->name, p50, p99,
                 p50 / native_usec, (double)subject->reader_cpu / n / 1000,
                 (double)subject->server_cpu / n / 1000, subject->what);
}

static void parse(int argc, char **argv, Options *options)
{
    gint samples = 2000, pause_usec = 0, bytes = 1500;
    gboolean pinned = FALSE;
    char **cgroups = NULL;
    const GOptionEntry entries[] = {
        {"samples", 0, 0, G_OPTION_ARG_INT, &samples, "reads of each (2000)", "N"},
        {"pause", 0, 0, G_OPTION_ARG_INT, &pause_usec, "before each read (0)", "USEC"},
        {"bytes", 0, 0, G_OPTION_ARG_INT, &bytes, "of the text (1500)", "N"},
        {"pinned", 0, 0, G_OPTION_ARG_NONE, &pinned, "readers and servers on one CPU", NULL},
        {"cgroup", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &cgroups, "that readers join", "DIR"},
        {0}};
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) error = NULL;

    g_option_context_set_summary(
        context, "The median and p99 of open, read to the end and close, in microseconds, the\n"
                 "median in multiples of the kernel's own /proc/swaps, and the CPU time of reader\n"
                 "and server for each, by the way in which the server is woken and answers.");
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error) || argc > 1 || samples < 100 ||
        pause_usec < 0 || bytes < 1 || bytes > (gint)TEXT_MAX) {
        (void)fprintf(stderr, "round-trip: %s\n",
                      error ? error->message : "an argument is out of range; see --help");
        exit(2);
    }
    *options = (Options){(unsigned)samples, (unsigned)pause_usec, (size_t)bytes, pinned, cgroups};
}

int main(int argc, char **argv)
{
    Subject subjects[G_N_ELEMENTS(NATIVE) + G_N_ELEMENTS(WAYS)] = {0};
    unsigned count = 0, first = 0;
    double native_usec = 0;
    Options options;
    cpu_set_t own;

    parse(argc, argv, &options);
    if (access("/dev/fuse", R_OK | W_OK) < 0 || unshare(CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("round-trip", "/mnt", "tmpfs", MS_NOSUID | MS_NODEV, "mode=700") < 0) {
        (void)fprintf(stderr, "round-trip: cannot mount here: %s\n", strerror(errno));
        return CANNOT_MEASURE;
    }
    if (options.pinned) {
        CPU_ZERO(&own);
        CPU_SET((unsigned)sched_getcpu(), &own);
        (void)sched_setaffinity(0, sizeof(own), &own); /* as before, if not */
    }
    uint64_t cost = bench_clock_cost();
    for (unsigned i = 0; i < G_N_ELEMENTS(NATIVE); i++)
        subjects[count++] =
            (Subject){.name = NATIVE[i], .what = "the kernel's own", .path = g_strdup(NATIVE[i])};
    for (unsigned i = 0; i < G_N_ELEMENTS(WAYS); i++)
        start(&subjects[count++], &WAYS[i], &options, "/mnt");
    join(options.cgroups);
    for (unsigned i = 0; i < count; i++)
        subjects[i].nsec = g_new0(uint64_t, options.samples);
    for (unsigned done = 0; done < options.samples; done += CHUNK - UNCOUNTED) {
        for (unsigned i = 0; i < count; i++) {
            Subject *subject = &subjects[(i + first) % count];
            if (subject->server >= 0)
                read_chunk(subject, &options, cost);
        }
        first++;
    }
    (void)printf("%-14s %8s %8s %8s %8s %8s\n", "", "p50 us", "p99", "/swaps", "reader",
                 "server CPU");
    for (unsigned i = 0; i < count; i++) {
        if (subjects[i].count > 0) {
            native_usec = i == 0 ? percentile_usec(&subjects[0], 50) : native_usec;
            report(&subjects[i], native_usec);
        }
        if (subjects[i].server > 0) {
            (void)kill(subjects[i].server, SIGKILL);
            (void)waitpid(subjects[i].server, NULL, 0);
        }
        g_free(subjects[i].nsec);
        g_free(subjects[i].path);
    }
    return 0;
}
