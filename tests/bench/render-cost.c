/* SPDX-License-Identifier: Apache-2.0 */
/*
 * render-cost [--check] [--rounds N] [--scenario DIR] [FILE...]: what it costs to render the text
 * of a virtual file, without FUSE: nanoseconds, system calls, heap allocations, locks, and those of
 * the locks that another container's rendering takes too. "warm" is one render right after another,
 * "cold" one some seconds later, when nothing that is remembered for a moment holds any more. FILE:
 * provider names; without any, the hot files.
 *
 * --check measures no time, and fails when a file allocates, or takes a lock of all containers'.
 * Ends with 77 where it cannot measure: no permission to make cgroups, or a sanitizer's heap.
 */

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/provider/provider.h"
#include "tests/bench/bench-world.h"
#include "tests/bench/counting.h"

#define ROUNDS 4000u
#define COLD_ROUNDS 400u
#define COUNT_ROUNDS 64u
/* Past what host texts, task counts and load averages may be old. */
#define COLD_NSEC UINT64_C(6000000000)
#define CANNOT_MEASURE 77

static const char *const HOT[] = {"proc_meminfo", "proc_stat",   "proc_uptime",  "proc_loadavg",
                                  "proc_swaps",   "proc_vmstat", "proc_cpuinfo", "sys_cpu_online"};

typedef struct Job {
    BenchWorld *world;
    const SfProvider *provider;
    SfText *text;
    bool cold;
    unsigned rounds;
} Job;

typedef struct Cost {
    double nsec;
    double calls; /* negative: not known */
    double allocations, locks;
    unsigned shared_locks;
} Cost;

static uint64_t now_nsec(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void render_one(const Job *job, unsigned container)
{
    if (job->cold)
        job->world->passed_nsec += COLD_NSEC;
    sf_text_reset(job->text);
    int r = job->provider->ops->render(job->world->containers[container], job->text);
    if (r == 0)
        r = job->text->error;
    if (r < 0) {
        (void)fprintf(stderr, "render-cost: %s: %s\n", job->provider->name, g_strerror(-r));
        exit(1);
    }
}

static void run(void *data)
{
    const Job *job = data;

    for (unsigned i = 0; i < job->rounds; i++)
        render_one(job, 0);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* The median, by batches of renders where one is as short as the clock's own cost. */
static double time_of(const Job *job, unsigned rounds)
{
    unsigned batch = job->cold ? 1 : 8, count = rounds / batch;
    g_autofree uint64_t *times = g_new(uint64_t, count);

    for (unsigned i = 0; i < count; i++) {
        uint64_t begin = now_nsec();
        for (unsigned j = 0; j < batch; j++)
            render_one(job, 0);
        times[i] = now_nsec() - begin;
    }
    qsort(times, count, sizeof(*times), compare);
    return (double)times[count / 2] / batch;
}

static Cost measure(Job *job, unsigned rounds)
{
    LockSet own = {0}, other = {0};
    bool cold = job->cold;
    Cost cost = {0};

    /* Everything that grows once has grown after this: each host text has the two that it takes
     * turns in. */
    job->rounds = COUNT_ROUNDS;
    job->cold = true;
    run(job);
    job->cold = cold;
    run(job);
    render_one(job, 1);
    uint64_t allocations = counting_allocations(), locks = counting_locks();
    counting_collect_locks(&own);
    run(job);
    counting_collect_locks(NULL);
    cost.allocations = (double)(counting_allocations() - allocations) / COUNT_ROUNDS;
    cost.locks = (double)(counting_locks() - locks) / COUNT_ROUNDS;
    counting_collect_locks(&other);
    render_one(job, 1);
    counting_collect_locks(NULL);
    cost.shared_locks = counting_common_locks(&own, &other);
    if (rounds == 0)
        return cost;
    cost.calls = (double)counting_system_calls(run, job) / COUNT_ROUNDS;
    cost.nsec = time_of(job, job->cold ? MIN(rounds, COLD_ROUNDS) : rounds);
    return cost;
}

/* What must hold of a hot file. A text that all containers share is read under its own lock. */
static bool check(const char *name, const char *state, const Cost *cost, bool shared_allowed)
{
    bool held = cost->allocations == 0 && (shared_allowed || cost->shared_locks == 0);

    (void)printf("%s %s %s: %.2f allocations, %u locks of all containers\n", held ? "ok" : "not ok",
                 name, state, cost->allocations, cost->shared_locks);
    return held;
}

static bool measure_file(BenchWorld *world, const char *name, unsigned rounds, SfText *text)
{
    Job job = {.world = world, .provider = sf_provider_named(name), .text = text};
    unsigned mode;

    if (!job.provider || !job.provider->ops->render) {
        (void)fprintf(stderr, "render-cost: no file %s\n", name);
        exit(2);
    }
    if (!sf_provider_shown(job.provider, world->containers[0], &mode))
        return true;
    Cost warm = measure(&job, rounds);
    size_t bytes = text->len;
    job.cold = true;
    Cost cold = measure(&job, rounds);
    if (rounds == 0) {
        bool right = check(name, "warm", &warm, false);
        return check(name, "cold", &cold, true) && right;
    }
    (void)printf("%-16s %6zu  %8.0f %8.0f  %6.1f %6.1f  %6.2f %6.2f  %5.1f %5.1f  %u\n", name,
                 bytes, warm.nsec, cold.nsec, warm.calls, cold.calls, warm.allocations,
                 cold.allocations, warm.locks, cold.locks, warm.shared_locks);
    return true;
}

static int usage(void)
{
    (void)fprintf(stderr, "usage: render-cost [--check] [--rounds N] [--scenario DIR] [FILE...]\n");
    return 2;
}

int main(int argc, char **argv)
{
    const char *scenario = NULL;
    uint64_t rounds = ROUNDS;
    BenchWorld world;
    int at = 1;

    for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++) {
        if (strcmp(argv[at], "--check") == 0)
            rounds = 0;
        else if (strcmp(argv[at], "--scenario") == 0 && at + 1 < argc)
            scenario = argv[++at];
        else if (strcmp(argv[at], "--rounds") != 0 || at + 1 == argc ||
                 sf_slice_u64(sf_slice_str(argv[++at]), &rounds) < 0 || rounds < 8 ||
                 rounds > 10000000)
            return usage();
    }
    if (rounds == 0 && !counting_possible())
        return CANNOT_MEASURE;
    int r = bench_world_open(&world, scenario);
    if (r < 0) {
        (void)fprintf(stderr, "render-cost: no container: %s\n", g_strerror(-r));
        return r == -EPERM ? CANNOT_MEASURE : 1;
    }
    if (rounds > 0)
        (void)printf("%-16s %6s  %8s %8s  %6s %6s  %6s %6s  %5s %5s  %s\n", "", "bytes", "ns warm",
                     "cold", "calls", "cold", "allocs", "cold", "locks", "cold", "shared");
    SF_CLEANUP_TEXT SfText text = SF_TEXT_INIT;
    bool held = true;
    for (unsigned i = 0; at == argc && i < G_N_ELEMENTS(HOT); i++)
        held &= measure_file(&world, HOT[i], (unsigned)rounds, &text);
    for (; at < argc; at++)
        held &= measure_file(&world, argv[at], (unsigned)rounds, &text);
    bench_world_close(&world);
    return held ? 0 : 1;
}
