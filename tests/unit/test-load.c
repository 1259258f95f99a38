/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load averages against the kernel's arithmetic step by step, and the sampler thread: that it
 * follows, lets go, sleeps, and that a container can end at any moment of a count.
 */

#include "daemon/container/container_private.h"
#include "daemon/container/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>

#include "daemon/container/container.h"
#include "tests/unit/source-tree.h"

#define SEC 1000000000ull
#define MSEC 1000000ull
#define INTERVAL SF_LOAD_INTERVAL_NSEC

/* --- arithmetic ------------------------------------------------------------------------------- */

/* calc_load() of include/linux/sched/loadavg.h, as the kernel documents it. */
static uint64_t kernel_step(uint64_t load, uint64_t exponent, uint64_t active)
{
    uint64_t next = load * exponent + active * (2048 - exponent);

    if (active >= load)
        next += 2047;
    return next / 2048;
}

static void test_first_read_seeds(void **state)
{
    SfLoad load = {0};

    sf_load_update(&load, 3, 1234 * SEC);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(load.averages[i], 3 << SF_LOAD_FSHIFT);
    assert_int_equal(load.sampled_nsec, 1230 * SEC);

    /* In the first interval after boot the time is still not "never". */
    load = (SfLoad){0};
    sf_load_update(&load, 1, 2 * SEC);
    assert_true(load.sampled_nsec > 0);
    sf_load_update(&load, 0, 3 * SEC);
    assert_int_equal(load.averages[0], 1 << SF_LOAD_FSHIFT);
    sf_load_update(&load, 0, 5 * SEC + MSEC);
    assert_int_equal(load.averages[0], 1884);
}

static void test_steps_as_the_kernel(void **state)
{
    static const uint64_t exponents[3] = {1884, 2014, 2037};
    static const uint64_t active[] = {0, 1, 4, 4, 0, 100, 1, 0, 0, 2};
    SfLoad load = {0};
    uint64_t expected[3] = {0};
    uint64_t now = 1000 * SEC;

    sf_load_update(&load, 0, now);
    for (unsigned step = 0; step < 1000; step++) {
        uint64_t n = active[step % 10];
        now += INTERVAL;
        sf_load_update(&load, n, now);
        for (unsigned i = 0; i < 3; i++) {
            expected[i] = kernel_step(expected[i], exponents[i], n * 2048);
            assert_int_equal(load.averages[i], expected[i]);
        }
        assert_int_equal(load.sampled_nsec, now);
    }
}

/* Rises to the count exactly (that is what the rounding up is for) and falls to 0.00. */
static void test_steady_load(void **state)
{
    for (uint64_t n = 0; n <= 4; n++) {
        SfLoad load = {0};
        uint64_t now = 1000 * SEC;
        sf_load_update(&load, n == 0 ? 4 : 0, now);
        for (unsigned step = 0; step < 2000; step++)
            sf_load_update(&load, n, now += INTERVAL);
        for (unsigned i = 0; i < 3; i++)
            assert_true(n > 0 ? load.averages[i] == n << SF_LOAD_FSHIFT : load.averages[i] < 10);
    }
}

static void test_within_an_interval(void **state)
{
    SfLoad load = {0};

    sf_load_update(&load, 1, 1000 * SEC);
    sf_load_update(&load, 50, 1000 * SEC + INTERVAL - 1);
    assert_int_equal(load.averages[0], 1 << SF_LOAD_FSHIFT);
    sf_load_update(&load, 50, 900 * SEC); /* a clock that went back */
    assert_int_equal(load.averages[0], 1 << SF_LOAD_FSHIFT);
    assert_int_equal(load.sampled_nsec, 1000 * SEC);
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

static void test_missed_intervals(void **state)
{
    for (uint64_t n = 1; n < 400; n += 1 + n / 3) {
        SfLoad stepped = {0}, jumped = {0};
        sf_load_update(&stepped, 8, 1000 * SEC);
        sf_load_update(&jumped, 8, 1000 * SEC);
        for (uint64_t i = 1; i <= n; i++)
            sf_load_update(&stepped, 2, 1000 * SEC + i * INTERVAL);
        sf_load_update(&jumped, 2, 1000 * SEC + n * INTERVAL + INTERVAL / 2);
        assert_int_equal(jumped.sampled_nsec, stepped.sampled_nsec);
        /* Both round, at different places: 1 % of the load that was. */
        for (unsigned i = 0; i < 3; i++)
            assert_true(distance(jumped.averages[i], stepped.averages[i]) <= 8 * 2048 / 100 + 8);
    }
    SfLoad load = {0};
    sf_load_update(&load, UINT64_MAX, 1);
    sf_load_update(&load, UINT64_MAX, UINT64_MAX);
    sf_load_update(&load, 3, UINT64_MAX);
    assert_true(load.averages[0] <= (1ull << 32) << SF_LOAD_FSHIFT);
}

static void test_wanted(void **state)
{
    SfLoad load = {0};

    assert_false(sf_load_wanted(&load, 5));
    load.read_nsec = 1000 * SEC;
    assert_true(sf_load_wanted(&load, 1000 * SEC));
    assert_true(sf_load_wanted(&load, 900 * SEC));
    assert_true(sf_load_wanted(&load, 1600 * SEC - 1));
    assert_false(sf_load_wanted(&load, 1600 * SEC));
}

/* --- the thread ------------------------------------------------------------------------------- */

typedef struct World {
    Tree tree;
    _Atomic uint64_t now_nsec;
    SfHost *host;
    SfCgroups *cgroups;
    int pidfd;
    SfLoadSampler *sampler;
} World;

static uint64_t test_clock(void *data)
{
    return atomic_load((_Atomic uint64_t *)data);
}

static void world_begin(World *world)
{
    static const char *const kinds[] = {"mnt", "pid", "user", "time"};
    char path[64];

    memset(world, 0, sizeof(*world));
    tree_init(&world->tree);
    world->pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    assert_true(world->pidfd >= 0);
    tree_write(&world->tree, "proc/self/mountinfo",
               "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    tree_write(&world->tree, "proc/42/cgroup", "0::/c1\n");
    tree_write(&world->tree, "proc/42/uid_map", "0 0 4294967295\n");
    tree_write(&world->tree, "proc/42/gid_map", "0 0 4294967295\n");
    tree_write(&world->tree, "proc/42/stat",
               "42 (init) R 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0\n");
    tree_mkdir(&world->tree, "proc/42/ns");
    tree_mkdir(&world->tree, "proc/self/ns");
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        (void)snprintf(path, sizeof(path), "proc/42/ns/%s", kinds[i]);
        tree_symlink(&world->tree, path, "x:[4026531840]");
        (void)snprintf(path, sizeof(path), "proc/self/ns/%s", kinds[i]);
        tree_symlink(&world->tree, path, "x:[4026531840]");
    }
    tree_write(&world->tree, "sys/fs/cgroup/cgroup.controllers", "\n");
    tree_write(&world->tree, "sys/fs/cgroup/c1/cgroup.threads", "42\n");

    atomic_store(&world->now_nsec, 1000 * SEC);
    SfHostOptions options = {.root = world->tree.root,
                             .ticks_per_sec = 100,
                             .boottime_nsec = test_clock,
                             .clock_data = &world->now_nsec};
    assert_int_equal(sf_host_open(&options, &world->host), 0);
    assert_int_equal(sf_cgroups_open(world->host, &world->cgroups), 0);
    world->sampler = sf_load_sampler_new();
    assert_non_null(world->sampler);
    sf_load_sampler_set_default(world->sampler);
}

static void world_end(World *world)
{
    unsigned nodes, fds;

    sf_load_sampler_free(world->sampler);
    sf_cgroups_counts(world->cgroups, &nodes, &fds);
    assert_int_equal(nodes, 0); /* no reference to a container is left anywhere */
    sf_cgroups_free(world->cgroups);
    sf_host_free(world->host);
    (void)sf_close(world->pidfd);
    tree_clear(&world->tree);
}

static SfContainer *make(World *world)
{
    SfContainer *container = NULL;
    SfContainerSpec spec = {.id = "c1", .init_pid = 42, .pidfd = world->pidfd};

    assert_int_equal(sf_container_new(world->host, world->cgroups, &spec, &container), 0);
    return container;
}

static unsigned live_nodes(World *world)
{
    unsigned nodes, fds;

    sf_cgroups_counts(world->cgroups, &nodes, &fds);
    return nodes;
}

static void msleep(unsigned msec)
{
    (void)nanosleep(&(struct timespec){msec / 1000, (long)(msec % 1000) * 1000000}, NULL);
}

/* The sampler's sleep is as long as the clock is away from a multiple of the interval. */
static void set_clock_before_boundary(World *world, uint64_t base_sec, unsigned msec)
{
    atomic_store(&world->now_nsec, base_sec * SEC - msec * MSEC);
}

/* How often the sampler's thread has gone to sleep. */
static unsigned long thread_switches(void)
{
    unsigned long switches = 0;
    DIR *dir = opendir("/proc/self/task");

    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[300], line[128];
        bool ours = false;
        (void)snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
        FILE *file = fopen(path, "re");
        while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
            if (strcmp(line, "Name:\tsysfsd-load\n") == 0)
                ours = true;
            if (ours && strncmp(line, "voluntary_ctxt_switches:", 24) == 0)
                switches = strtoul(line + 24, NULL, 10);
        }
        if (file != NULL)
            (void)fclose(file);
    }
    (void)closedir(dir);
    return switches;
}

/* Waits, on a busy machine too, until the thread has gone to sleep more often than that. */
static unsigned long wait_for_sleep(unsigned long than)
{
    unsigned long switches = thread_switches();

    for (unsigned i = 0; i < 1000 && switches <= than; i++) {
        msleep(10);
        switches = thread_switches();
    }
    assert_true(switches > than);
    return switches;
}

static uint64_t sampled_at(SfContainer *container)
{
    (void)pthread_mutex_lock(&container->load_lock);
    uint64_t at = container->load.sampled_nsec;
    (void)pthread_mutex_unlock(&container->load_lock);
    return at;
}

static void test_sampler_follows_and_lets_go(void **state)
{
    World world;
    uint64_t load[3];

    world_begin(&world);
    SfContainer *container = make(&world);
    set_clock_before_boundary(&world, 1000, 60);
    assert_int_equal(sf_container_load(container, load), 0);
    assert_int_equal(load[0], 2048);
    tree_write(&world.tree, "sys/fs/cgroup/c1/cgroup.threads", "");
    uint64_t before = sampled_at(container);
    set_clock_before_boundary(&world, 1005, 30); /* an interval on, and near the next wake-up */
    for (unsigned i = 0; i < 1000 && sampled_at(container) == before; i++)
        msleep(10);
    /* Sampled by the thread: this read, in the same interval, finds it done. A task that appears
     * now is not counted. */
    tree_write(&world.tree, "sys/fs/cgroup/c1/cgroup.threads", "42\n");
    atomic_store(&world.now_nsec, 1004 * SEC + 999 * MSEC);
    assert_int_equal(sf_container_load(container, load), 0);
    assert_int_equal(load[0], 1884);

    /* The container's end: the only reference left is ours. */
    sf_load_sampler_forget(world.sampler, container);
    sf_load_sampler_forget(world.sampler, container);
    assert_int_equal(sf_container_load(container, load),
                     0); /* a late reader does not bring it back */
    assert_null(sf_container_unref(container));
    assert_int_equal(live_nodes(&world), 0);
    world_end(&world);
}

static void test_sampler_drops_what_nobody_reads(void **state)
{
    World world;
    uint64_t load[3];

    world_begin(&world);
    SfContainer *container = make(&world);
    set_clock_before_boundary(&world, 1000, 40);
    assert_int_equal(sf_container_load(container, load), 0);
    sf_container_unref(container);
    assert_int_equal(live_nodes(&world), 2); /* held by the sampler */
    set_clock_before_boundary(&world, 1605, 30);
    for (unsigned i = 0; i < 200 && live_nodes(&world) > 0; i++)
        msleep(10);
    assert_int_equal(live_nodes(&world), 0);
    world_end(&world);
}

static void test_sampler_freed_first(void **state)
{
    World world;
    uint64_t load[3];

    world_begin(&world);
    SfContainer *container = make(&world);
    assert_int_equal(sf_container_load(container, load), 0);
    sf_load_sampler_free(world.sampler);
    world.sampler = NULL;
    assert_int_equal(sf_container_load(container, load), 0);
    sf_container_unref(container);
    container = make(&world); /* without a sampler */
    assert_int_equal(sf_container_load(container, load), 0);
    sf_container_unref(container);
    sf_load_sampler_free(NULL);
    world_end(&world);
}

static void test_sampler_sleeps(void **state)
{
    World world;

    world_begin(&world);
    SfContainer *container = make(&world);
    /* With nothing to follow it waits without a timeout. */
    unsigned long before = wait_for_sleep(0);
    msleep(300);
    assert_int_equal(thread_switches(), before);
    sf_container_unref(container);
    world_end(&world);
}

typedef struct Racer {
    World *world;
    atomic_bool stop;
    atomic_uint failures;
} Racer;

static void *race_main(void *data)
{
    Racer *racer = data;
    uint64_t load[3];

    while (!atomic_load(&racer->stop)) {
        SfContainer *container = make(racer->world);
        if (sf_container_load(container, load) < 0)
            atomic_fetch_add(&racer->failures, 1);
        SfContainer *reader = sf_container_ref(container); /* an open file */
        sf_load_sampler_forget(racer->world->sampler, container);
        sf_container_unref(container);
        if (sf_container_load(reader, load) < 0)
            atomic_fetch_add(&racer->failures, 1);
        sf_container_unref(reader);
    }
    return NULL;
}

/* Containers come and go while the thread samples as fast as it can: the clock stands just before a
 * boundary, so that each of its sleeps is a few milliseconds long. */
static void test_containers_end_while_sampled(void **state)
{
    World world;
    Racer racer = {.world = &world};
    pthread_t threads[2];
    uint64_t load[3];

    world_begin(&world);
    set_clock_before_boundary(&world, 1000, 1);
    SfContainer *stays = make(&world);
    assert_int_equal(sf_container_load(stays, load), 0);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race_main, &racer), 0);
    for (unsigned i = 0; i < 100; i++) {
        msleep(4);
        atomic_fetch_add(&world.now_nsec, INTERVAL);
        assert_int_equal(sf_container_load(stays, load), 0);
    }
    atomic_store(&racer.stop, true);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&racer.failures), 0);
    sf_load_sampler_forget(world.sampler, stays);
    sf_container_unref(stays);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_read_seeds),
        cmocka_unit_test(test_steps_as_the_kernel),
        cmocka_unit_test(test_steady_load),
        cmocka_unit_test(test_within_an_interval),
        cmocka_unit_test(test_missed_intervals),
        cmocka_unit_test(test_wanted),
        cmocka_unit_test(test_sampler_follows_and_lets_go),
        cmocka_unit_test(test_sampler_drops_what_nobody_reads),
        cmocka_unit_test(test_sampler_freed_first),
        cmocka_unit_test(test_sampler_sleeps),
        cmocka_unit_test(test_containers_end_while_sampled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
