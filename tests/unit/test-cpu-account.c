/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spreading CPU time: the cases the design names with exact figures, and all invariants under
 * thousands of random samples with CPUs that come and go, glitches and samples out of order.
 */

#include "daemon/container/cpu_account.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/number.h"

#define SEC 1000000000ull
#define MSEC 1000000ull

/* The tests hold several answers at a time: each has memory of its own. */
static int take(SfCpuAccount *account, const SfCpuSample *sample, const SfCpuSet *visible,
                SfCpuTimes *ret_times)
{
    SfText memory = SF_TEXT_INIT;

    return sf_cpu_account_update(account, sample, visible, &memory, ret_times);
}

static void times_clear(SfCpuTimes *times)
{
    free((void *)times->cpus);
    *times = (SfCpuTimes){0};
}

static SfCpuSet cpus(const char *list)
{
    SfCpuSet set;

    assert_int_equal(sf_cpuset_parse_list(list, strlen(list), &set), 0);
    return set;
}

/* One update on v2: no figures by CPU. */
static SfCpuTimes update(SfCpuAccount *account, const char *list, uint64_t age_nsec,
                         uint64_t user_nsec, uint64_t system_nsec, uint64_t throttled_nsec)
{
    SfCpuSample sample = {.age_nsec = age_nsec,
                          .usage = {.user_nsec = user_nsec, .system_nsec = system_nsec},
                          .throttled_nsec = throttled_nsec};
    SfCpuSet visible = cpus(list);
    SfCpuTimes times;

    assert_int_equal(take(account, &sample, &visible, &times), 0);
    assert_int_equal(times.count, sf_cpuset_count(&visible));
    return times;
}

static SfCpuTimes update_v1(SfCpuAccount *account, const char *list, uint64_t age_nsec,
                            const SfCpuUsageOne *percpu, unsigned count)
{
    SfCpuSample sample = {.age_nsec = age_nsec, .percpu = percpu, .percpu_count = count};
    SfCpuSet visible = cpus(list);
    SfCpuTimes times;

    for (unsigned i = 0; i < count; i++) {
        sample.usage.user_nsec += percpu[i].user_nsec;
        sample.usage.system_nsec += percpu[i].system_nsec;
    }
    assert_int_equal(take(account, &sample, &visible, &times), 0);
    return times;
}

static void assert_time(const SfCpuTime *time, uint64_t user, uint64_t system, uint64_t idle,
                        uint64_t steal)
{
    assert_int_equal(time->user_nsec, user);
    assert_int_equal(time->system_nsec, system);
    assert_int_equal(time->idle_nsec, idle);
    assert_int_equal(time->steal_nsec, steal);
}

static void test_two_loops_under_quota(void **state)
{
    SfCpuAccount *account = sf_cpu_account_new();
    SfCpuTimes times = update(account, "4-5", 10 * SEC, 0, 0, 0);

    assert_time(&times.total, 0, 0, 20 * SEC, 0);
    assert_int_equal(times.cpus[0].cpu, 4);
    assert_int_equal(times.cpus[1].cpu, 5);
    times_clear(&times);

    /* Two busy loops under a quota of 1.5: 75 % busy. What remains is idle where the kernel tells
     * of no throttling ... */
    times = update(account, "4-5", 20 * SEC, 15 * SEC, 0, 0);
    assert_time(&times.total, 15 * SEC, 0, 25 * SEC, 0);
    for (unsigned i = 0; i < 2; i++)
        assert_time(&times.cpus[i], 7500 * MSEC, 0, 12500 * MSEC, 0);
    times_clear(&times);

    /* ... and stolen where it does: the tasks wanted to run. */
    times = update(account, "4-5", 30 * SEC, 30 * SEC, 0, 5 * SEC);
    assert_time(&times.total, 30 * SEC, 0, 25 * SEC, 5 * SEC);
    for (unsigned i = 0; i < 2; i++)
        assert_time(&times.cpus[i], 15 * SEC, 0, 12500 * MSEC, 2500 * MSEC);
    times_clear(&times);

    /* One loop: 50 %. Another container's work: nothing. */
    times = update(account, "4-5", 40 * SEC, 40 * SEC, 0, 5 * SEC);
    assert_time(&times.total, 40 * SEC, 0, 35 * SEC, 5 * SEC);
    times_clear(&times);
    times = update(account, "4-5", 50 * SEC, 40 * SEC, 0, 5 * SEC);
    assert_time(&times.total, 40 * SEC, 0, 55 * SEC, 5 * SEC);
    times_clear(&times);
    sf_cpu_account_free(account);
}

static void test_steal_takes_only_what_is_left(void **state)
{
    SfCpuAccount *account = sf_cpu_account_new();

    /* Throttled time is counted on every CPU of the cpuset, and can be many times what passed. */
    SfCpuTimes times = update(account, "0-1", 10 * SEC, 12 * SEC, 3 * SEC, 100 * SEC);
    assert_time(&times.total, 12 * SEC, 3 * SEC, 0, 5 * SEC);
    times_clear(&times);
    /* What it did not get then it does not get later. */
    times = update(account, "0-1", 20 * SEC, 12 * SEC, 3 * SEC, 100 * SEC);
    assert_time(&times.total, 12 * SEC, 3 * SEC, 20 * SEC, 5 * SEC);
    times_clear(&times);
    sf_cpu_account_free(account);
}

static void test_first_sample_discards_surplus(void **state)
{
    SfCpuAccount *account = sf_cpu_account_new();

    /* Two CPUs of 10 s age cannot have used 100 s: the cgroup is older than init. */
    SfCpuTimes times = update(account, "0-1", 10 * SEC, 75 * SEC, 25 * SEC, 0);
    assert_time(&times.total, 15 * SEC, 5 * SEC, 0, 0);
    times_clear(&times);
    times = update(account, "0-1", 20 * SEC, 76 * SEC, 25 * SEC, 0);
    assert_time(&times.total, 16 * SEC, 5 * SEC, 19 * SEC, 0);
    times_clear(&times);
    sf_cpu_account_free(account);
}

static void test_unplaced_is_carried(void **state)
{
    SfCpuAccount *account = sf_cpu_account_new();
    SfCpuTimes times = update(account, "0", 10 * SEC, 0, 0, 0);

    times_clear(&times);
    times = update(account, "0", 11 * SEC, 2 * SEC, 1 * SEC, 1 * SEC);
    assert_int_equal(times.total.user_nsec + times.total.system_nsec, 1 * SEC);
    assert_int_equal(times.total.idle_nsec, 10 * SEC);
    times_clear(&times);
    times = update(account, "0", 15 * SEC, 2 * SEC, 1 * SEC, 1 * SEC);
    assert_time(&times.total, 2 * SEC, 1 * SEC, 12 * SEC, 0);
    times_clear(&times);

    /* At one instant nothing can be placed, and nothing is lost. */
    times = update(account, "0", 15 * SEC, 3 * SEC, 1 * SEC, 0);
    assert_time(&times.total, 2 * SEC, 1 * SEC, 12 * SEC, 0);
    times_clear(&times);
    times = update(account, "0", 16 * SEC, 3 * SEC, 1 * SEC, 0);
    assert_time(&times.total, 3 * SEC, 1 * SEC, 12 * SEC, 0);
    times_clear(&times);
    sf_cpu_account_free(account);
}

static void test_nice_is_part_of_user(void **state)
{
    SfCpuAccount *account = sf_cpu_account_new();
    SfCpuSample sample = {.age_nsec = 10 * SEC, .usage = {6 * SEC, 1 * SEC, 2 * SEC}};
    SfCpuSet visible = cpus("0");
    SfCpuTimes times;

    assert_int_equal(take(account, &sample, &visible, &times), 0);
    assert_time(&times.total, 4 * SEC, 1 * SEC, 3 * SEC, 0);
    assert_int_equal(times.total.nice_nsec, 2 * SEC);
    times_clear(&times);
    sf_cpu_account_free(account);
}

static void test_v1_goes_to_its_own_cpu(void **state)
{
    SfCpuAccount *account = sf_cpu_account_new();
    SfCpuUsageOne percpu[4] = {{0, 0, 0}, {1, 2 * SEC, 1 * SEC}, {2, 0, 0}, {3, 4 * SEC, 0}};

    /* CPUs 1 and 2 are shown; 3's four seconds fill 2 up to 1's level, then both. */
    SfCpuTimes times = update_v1(account, "1-2", 10 * SEC, percpu, 4);
    assert_time(&times.cpus[0], 2500 * MSEC, 1 * SEC, 6500 * MSEC, 0);
    assert_time(&times.cpus[1], 3500 * MSEC, 0, 6500 * MSEC, 0);
    assert_time(&times.total, 6 * SEC, 1 * SEC, 13 * SEC, 0);
    times_clear(&times);

    /* A CPU's own time beyond the interval finds room at its neighbour. */
    percpu[1].user_nsec += 3 * SEC;
    times = update_v1(account, "1-2", 12 * SEC, percpu, 4);
    assert_int_equal(times.cpus[0].user_nsec, 4500 * MSEC);
    assert_int_equal(times.cpus[1].user_nsec, 4500 * MSEC);
    assert_time(&times.total, 9 * SEC, 1 * SEC, 14 * SEC, 0);
    times_clear(&times);
    sf_cpu_account_free(account);
}

static void test_cpus_come_and_go(void **state)
{
    SfCpuAccount *account = sf_cpu_account_new();
    SfCpuTimes times = update(account, "0-1", 10 * SEC, 10 * SEC, 0, 0);

    times_clear(&times);
    /* CPU 1 was there when the interval began: it has its part of it, and keeps that in the total.
     */
    times = update(account, "0", 20 * SEC, 14 * SEC, 0, 0);
    assert_int_equal(times.count, 1);
    assert_time(&times.cpus[0], 7 * SEC, 0, 13 * SEC, 0);
    assert_time(&times.total, 14 * SEC, 0, 26 * SEC, 0);
    times_clear(&times);
    times = update(account, "0", 30 * SEC, 14 * SEC, 0, 0);
    assert_time(&times.total, 14 * SEC, 0, 36 * SEC, 0);
    times_clear(&times);

    /* CPU 2 starts at nothing; CPU 1 goes on where it was. */
    times = update(account, "0-2", 40 * SEC, 18 * SEC, 0, 0);
    assert_time(&times.cpus[0], 11 * SEC, 0, 29 * SEC, 0);
    assert_time(&times.cpus[1], 7 * SEC, 0, 13 * SEC, 0);
    assert_time(&times.cpus[2], 0, 0, 0, 0);
    times_clear(&times);
    times = update(account, "0-2", 50 * SEC, 24 * SEC, 0, 0);
    assert_time(&times.cpus[0], 13 * SEC, 0, 37 * SEC, 0);
    assert_time(&times.cpus[1], 9 * SEC, 0, 21 * SEC, 0);
    assert_time(&times.cpus[2], 2 * SEC, 0, 8 * SEC, 0);
    times_clear(&times);

    /* More than the old CPUs can have used was used on the new one. */
    times = update(account, "0-3", 60 * SEC, 64 * SEC, 0, 0);
    assert_time(&times.cpus[2], 12 * SEC, 0, 8 * SEC, 0);
    assert_time(&times.cpus[3], 10 * SEC, 0, 0, 0);
    times_clear(&times);
    sf_cpu_account_free(account);
}

/* What a CPU did before it came into sight, or while it was out of it, is not its own: it was given
 * to others. */
static void test_v1_cpus_come_and_go(void **state)
{
    SfCpuAccount *account = sf_cpu_account_new();
    SfCpuUsageOne percpu[2] = {{0, 0, 0}, {1, 6 * SEC, 0}};

    SfCpuTimes times = update_v1(account, "0", 10 * SEC, percpu, 2);
    assert_time(&times.cpus[0], 6 * SEC, 0, 4 * SEC, 0);
    times_clear(&times);
    percpu[1].user_nsec += 3 * SEC;
    times = update_v1(account, "0-1", 20 * SEC, percpu, 2);
    assert_time(&times.cpus[0], 9 * SEC, 0, 11 * SEC, 0);
    assert_time(&times.cpus[1], 0, 0, 0, 0);
    times_clear(&times);
    /* From here on it is. */
    percpu[1].user_nsec += 3 * SEC;
    times = update_v1(account, "0-1", 30 * SEC, percpu, 2);
    assert_time(&times.cpus[0], 9 * SEC, 0, 21 * SEC, 0);
    assert_time(&times.cpus[1], 3 * SEC, 0, 7 * SEC, 0);
    times_clear(&times);
    sf_cpu_account_free(account);
}

static void test_older_sample_changes_nothing(void **state)
{
    SfCpuAccount *account = sf_cpu_account_new();
    SfCpuTimes times = update(account, "0-1", 20 * SEC, 10 * SEC, 2 * SEC, 0);
    SfCpuTime before = times.total;

    times_clear(&times);
    times = update(account, "0-2", 10 * SEC, 30 * SEC, 1 * SEC, 99);
    assert_memory_equal(&times.total, &before, sizeof(before));
    assert_time(&times.cpus[2], 0, 0, 0, 0);
    times_clear(&times);
    times = update(account, "0-1", 20 * SEC, 10 * SEC, 2 * SEC, 0);
    assert_memory_equal(&times.total, &before, sizeof(before));
    times_clear(&times);
    sf_cpu_account_free(account);
}

static void test_decreasing_input(void **state)
{
    SfCpuAccount *account = sf_cpu_account_new();
    SfCpuTimes times = update(account, "0", 20 * SEC, 10 * SEC, 2 * SEC, 4 * SEC);

    times_clear(&times);
    times = update(account, "0", 21 * SEC, 9 * SEC, 0, 0);
    assert_time(&times.total, 10 * SEC, 2 * SEC, 5 * SEC, 4 * SEC);
    times_clear(&times);
    /* Recovered: only what is new counts. */
    times = update(account, "0", 22 * SEC, 10 * SEC + 1, 2 * SEC, 4 * SEC);
    assert_time(&times.total, 10 * SEC + 1, 2 * SEC, 6 * SEC - 1, 4 * SEC);
    times_clear(&times);
    sf_cpu_account_free(account);
}

static void test_extreme_values(void **state)
{
    SfCpuAccount *account = sf_cpu_account_new();
    SfCpuTimes times = update(account, "0-8191", UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX);

    assert_int_equal(times.total.user_nsec + times.total.system_nsec >= UINT64_MAX / 2, 1);
    times_clear(&times);
    times = update(account, "0-8191", UINT64_MAX, 0, 0, 0);
    times_clear(&times);
    sf_cpu_account_free(account);
    sf_cpu_account_free(NULL);
}

/* --- random samples ------------------------------------------------------------------------- */

#define MAX_CPUS 12

static uint64_t random_state;

/* xorshift64*: the same sequence everywhere. */
static uint64_t next_random(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 2685821657736338717ull;
}

static uint64_t below(uint64_t n)
{
    return next_random() % n;
}

typedef struct World {
    SfCpuAccount *account;
    bool v1, sampled, previously_visible[MAX_CPUS];
    uint64_t age_nsec;
    SfCpuUsageOne usage[MAX_CPUS]; /* what the cgroup really used */
    uint64_t nice_nsec;
    uint64_t throttled_nsec;
    uint64_t lost_nsec; /* discarded at the first sample */
    SfCpuTime last[MAX_CPUS], last_total;
} World;

static uint64_t busy(const SfCpuTime *time)
{
    return time->user_nsec + time->nice_nsec + time->system_nsec;
}

static void assert_not_less(const SfCpuTime *now, const SfCpuTime *before)
{
    assert_true(now->user_nsec >= before->user_nsec);
    assert_true(now->nice_nsec >= before->nice_nsec);
    assert_true(now->system_nsec >= before->system_nsec);
    assert_true(now->idle_nsec >= before->idle_nsec);
    assert_true(now->steal_nsec >= before->steal_nsec);
}

static void add(SfCpuTime *sum, const SfCpuTime *time)
{
    sum->user_nsec += time->user_nsec;
    sum->nice_nsec += time->nice_nsec;
    sum->system_nsec += time->system_nsec;
    sum->idle_nsec += time->idle_nsec;
    sum->steal_nsec += time->steal_nsec;
}

static void check(World *world, const SfCpuTimes *times, const SfCpuSet *visible, uint64_t elapsed,
                  bool taken)
{
    SfCpuTime sum = {0};
    unsigned at = 0;

    assert_not_less(&times->total, &world->last_total);
    for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++) {
        SfCpuTime *last = &world->last[cpu];
        if (!sf_cpuset_has(visible, cpu)) {
            world->previously_visible[cpu] = taken ? false : world->previously_visible[cpu];
            continue;
        }
        const SfCpuTime *time = &times->cpus[at++];
        assert_int_equal(time->cpu, cpu);
        assert_not_less(time, last);
        uint64_t delta = busy(time) + time->steal_nsec - busy(last) - last->steal_nsec;
        uint64_t idle = time->idle_nsec - last->idle_nsec;
        assert_true(busy(time) + time->steal_nsec + time->idle_nsec <= world->age_nsec);
        if (world->previously_visible[cpu] || (!world->sampled && taken))
            assert_int_equal(delta + idle, taken ? elapsed : 0);
        else
            assert_true(delta <= elapsed);
        *last = *time;
        if (taken)
            world->previously_visible[cpu] = true;
    }
    assert_int_equal(at, times->count);
    world->last_total = times->total;
    /* CPUs out of sight had a last part of the interval nobody saw: the total is at least what was
     * seen. */
    for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++)
        add(&sum, &world->last[cpu]);
    assert_not_less(&times->total, &sum);
}

/* All CPUs in sight: every part is seen, so the sum must be exact to the nanosecond. */
static void check_sum(World *world)
{
    SfCpuSet all = {0};
    SfCpuSample sample = {.age_nsec = 0};
    SfCpuTimes times;
    SfCpuTime sum = {0};

    for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++)
        sf_cpuset_add(&all, cpu);
    if (world->age_nsec == 0)
        return;
    assert_int_equal(take(world->account, &sample, &all, &times), 0);
    for (unsigned i = 0; i < times.count; i++) {
        add(&sum, &times.cpus[i]);
        world->last[i] = times.cpus[i];
    }
    assert_int_equal(sum.user_nsec, times.total.user_nsec);
    assert_int_equal(sum.nice_nsec, times.total.nice_nsec);
    assert_int_equal(sum.system_nsec, times.total.system_nsec);
    assert_int_equal(sum.idle_nsec, times.total.idle_nsec);
    assert_int_equal(sum.steal_nsec, times.total.steal_nsec);
    times_clear(&times);
}

static uint64_t used(const World *world, SfCpuUsage *ret_usage)
{
    SfCpuUsage usage = {0};

    for (unsigned i = 0; i < MAX_CPUS; i++) {
        usage.user_nsec += world->usage[i].user_nsec;
        usage.system_nsec += world->usage[i].system_nsec;
    }
    usage.nice_nsec = world->nice_nsec;
    *ret_usage = usage;
    return usage.user_nsec + usage.system_nsec;
}

static void advance_world(World *world, uint64_t elapsed)
{
    /* More than one second a second at times: the kernel's figures come in lumps. */
    uint64_t most = elapsed + (below(4) == 0 ? below(20 * MSEC) : 0);

    world->age_nsec += elapsed;
    for (unsigned i = 0; i < MAX_CPUS && most > 0; i++) {
        if (below(3) == 0)
            continue;
        uint64_t time = below(8) == 0 ? most : below(most);
        uint64_t user = below(time + 1);
        world->usage[i].user_nsec += user;
        world->usage[i].system_nsec += time - user;
        if (!world->v1)
            world->nice_nsec += below(user + 1);
    }
    if (most > 0 && below(2) == 0)
        world->throttled_nsec += below(4 * most);
}

static void step(World *world)
{
    static const uint64_t lengths[] = {1, 1000, MSEC, 10 * MSEC, SEC, 3600 * SEC};
    uint64_t elapsed = below(10) == 0 ? 0 : below(lengths[below(6)]);
    bool older = world->sampled && below(20) == 0;
    SfCpuSet visible = {0};
    SfCpuUsageOne percpu[MAX_CPUS];
    SfCpuTimes times;

    if (older)
        elapsed = 0;
    advance_world(world, elapsed);
    for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++) {
        bool keep = world->sampled && below(10) != 0;
        if (keep ? world->previously_visible[cpu] : below(2) == 0)
            sf_cpuset_add(&visible, cpu);
    }
    if (sf_cpuset_empty(&visible))
        sf_cpuset_add(&visible, (unsigned)below(MAX_CPUS));

    SfCpuSample sample = {.age_nsec = world->age_nsec, .throttled_nsec = world->throttled_nsec};
    (void)used(world, &sample.usage);
    memcpy(percpu, world->usage, sizeof(percpu));
    if (older) {
        sample.age_nsec -= 1 + below(world->age_nsec);
        sample.usage.user_nsec += below(SEC);
    } else if (world->sampled && below(20) == 0) { /* a glitch */
        sample.usage.user_nsec -= below(sample.usage.user_nsec + 1);
        sample.usage.system_nsec -= below(sample.usage.system_nsec + 1);
        sample.throttled_nsec /= 2;
        percpu[0].user_nsec /= 2;
    }
    if (world->v1 && below(20) != 0) {
        sample.percpu = percpu;
        sample.percpu_count = MAX_CPUS;
    }
    assert_int_equal(take(world->account, &sample, &visible, &times), 0);
    /* The first interval began with the container. */
    check(world, &times, &visible, world->sampled ? elapsed : world->age_nsec, !older);
    if (!world->sampled) {
        uint64_t room = world->age_nsec * times.count, all = used(world, &sample.usage);
        world->lost_nsec = sf_sub_sat(all, room);
        assert_int_equal(busy(&times.total), all - world->lost_nsec);
    }
    world->sampled = true;
    times_clear(&times);
    check_sum(world);
}

static void run_world(uint64_t seed, bool v1)
{
    World world = {.account = sf_cpu_account_new(), .v1 = v1};
    SfCpuUsage usage;

    random_state = seed * 0x9e3779b97f4a7c15ull + 1;
    for (unsigned i = 0; i < MAX_CPUS; i++)
        world.usage[i].cpu = i;
    if (seed % 2 == 0)
        advance_world(&world, below(100 * SEC) + 1);
    if (seed % 3 == 0) /* attached late: the cgroup is older than init */
        world.usage[3].user_nsec += 5000 * SEC;
    for (unsigned i = 0; i < 500; i++) {
        step(&world);
        assert_true(busy(&world.last_total) <= used(&world, &usage) - world.lost_nsec);
    }

    /* Left alone, all time finds a place: the parts sum to the cgroup's exactly. */
    for (unsigned i = 0; i < 3; i++) {
        world.age_nsec += 1000000 * SEC;
        SfCpuSample sample = {.age_nsec = world.age_nsec, .throttled_nsec = world.throttled_nsec};
        SfCpuSet visible = cpus("0-11");
        SfCpuTimes times;
        uint64_t all = used(&world, &sample.usage);
        assert_int_equal(take(world.account, &sample, &visible, &times), 0);
        if (i == 2) {
            assert_int_equal(busy(&times.total), all - world.lost_nsec);
            if (world.lost_nsec == 0) {
                assert_int_equal(times.total.system_nsec, sample.usage.system_nsec);
                assert_int_equal(times.total.nice_nsec, sample.usage.nice_nsec);
            }
        }
        times_clear(&times);
    }
    sf_cpu_account_free(world.account);
}

static void test_random_v2(void **state)
{
    for (uint64_t seed = 1; seed <= 20; seed++)
        run_world(seed, false);
}

static void test_random_v1(void **state)
{
    for (uint64_t seed = 101; seed <= 120; seed++)
        run_world(seed, true);
}

/* Another process goes on with what was saved: the next sample gives what it would have given. */
static void test_save_and_restore(void **state)
{
    SfCpuAccount *account = sf_cpu_account_new(), *next = sf_cpu_account_new();
    SF_CLEANUP_TEXT SfText text = SF_TEXT_INIT;
    SfCpuTimes times = update(account, "4-5", 10 * SEC, 3 * SEC, 1 * SEC, 2 * SEC);

    times_clear(&times);
    sf_cpu_account_save(account, &text);
    sf_text_puts(&text, "behind");
    SfSlice rest = sf_slice(text.data, text.len);
    assert_int_equal(sf_cpu_account_restore(next, &rest), 0);
    assert_int_equal(rest.len, 6);
    times = update(account, "4-6", 12 * SEC, 5 * SEC, 2 * SEC, 2 * SEC);
    SfCpuTimes again = update(next, "4-6", 12 * SEC, 5 * SEC, 2 * SEC, 2 * SEC);
    assert_int_equal(times.count, again.count);
    assert_memory_equal(&times.total, &again.total, sizeof(times.total));
    assert_memory_equal(times.cpus, again.cpus, times.count * sizeof(times.cpus[0]));
    times_clear(&times);
    times_clear(&again);

    /* Cut off, or of another build: refused, and nothing is changed. */
    for (size_t len = 0; len + 6 < text.len; len++) {
        rest = sf_slice(text.data, len);
        assert_int_equal(sf_cpu_account_restore(next, &rest), -EBADMSG);
    }
    text.data[0] ^= 1;
    rest = sf_slice(text.data, text.len);
    assert_int_equal(sf_cpu_account_restore(next, &rest), -EBADMSG);
    again = update(next, "4-6", 12 * SEC, 5 * SEC, 2 * SEC, 2 * SEC);
    assert_int_equal(again.count, 3);
    times_clear(&again);
    sf_cpu_account_free(account);
    sf_cpu_account_free(next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_save_and_restore),
        cmocka_unit_test(test_two_loops_under_quota),
        cmocka_unit_test(test_steal_takes_only_what_is_left),
        cmocka_unit_test(test_first_sample_discards_surplus),
        cmocka_unit_test(test_unplaced_is_carried),
        cmocka_unit_test(test_nice_is_part_of_user),
        cmocka_unit_test(test_v1_goes_to_its_own_cpu),
        cmocka_unit_test(test_cpus_come_and_go),
        cmocka_unit_test(test_v1_cpus_come_and_go),
        cmocka_unit_test(test_older_sample_changes_nothing),
        cmocka_unit_test(test_decreasing_input),
        cmocka_unit_test(test_extreme_values),
        cmocka_unit_test(test_random_v2),
        cmocka_unit_test(test_random_v1),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
