/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spreads a cgroup's CPU time over the CPUs its container sees. Arithmetic on samples only: it
 * reads nothing and knows no clock. It must never let a counter of its output decrease, whatever
 * comes in.
 *
 * The time between two samples is an interval. Its members are the CPUs that were visible when it
 * began (in the first interval, which began with the container: those visible now). Every member
 * gains exactly the length of the interval, as user, nice, system, steal or idle time. A CPU that
 * came into sight during the interval starts at nothing, and takes only what the members have no
 * room for. A CPU that went out of sight keeps what it has, and that stays in the total, as the
 * kernel keeps the time of offline CPUs in its own total line (fs/proc/stat.c, show_stat()).
 */

#include "daemon/container/cpu_account.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/number.h"

typedef unsigned __int128 Wide; /* elapsed x CPUs passes 2^64 on large hosts */

typedef enum Role {
    ROLE_NONE,     /* not in this interval: its counters stand still */
    ROLE_MEMBER,   /* gains the interval's length */
    ROLE_NEWCOMER, /* takes what found no room at the members */
} Role;

/* A CPU that is or was visible. */
typedef struct Cpu {
    SfCpuTime time;
    bool visible;       /* at the last sample */
    Role role;          /* in the interval being placed */
    uint64_t given;     /* busy and steal time of the interval so far: never above its length */
    uint64_t share;     /* result of pour() */
    uint64_t seen_user; /* v1: the CPU's own counters at the last sample */
    uint64_t seen_system;
    uint64_t seen_exact;
} Cpu;

/* Time without a place yet, by kind. */
typedef struct Pool {
    uint64_t user, nice, system;
} Pool;

/* What is remembered beside the CPUs; saved as it is. */
typedef struct Remembered {
    uint32_t sizes; /* of this and of a Cpu: another build's are others */
    bool sampled;
    uint64_t age_nsec; /* of the last sample */
    /* High-water marks of the input. A counter below its mark is a glitch of the kernel or a sample
     * that was overtaken by another thread's: it brings nothing, and no time is counted twice once
     * it recovers. */
    Pool seen;
    uint64_t seen_throttled;
    uint64_t seen_exact;
    Pool carried; /* what found no room so far */
    SfCpuTime total;
    unsigned count; /* of CPUs */
} Remembered;

struct SfCpuAccount {
    pthread_mutex_t lock; /* protects everything below */
    Remembered r;
    Cpu *cpus; /* owned; ascending numbers */
};

SfCpuAccount *sf_cpu_account_new(void)
{
    SfCpuAccount *account = calloc(1, sizeof(*account));

    if (account != NULL && pthread_mutex_init(&account->lock, NULL) != 0) {
        free(account);
        return NULL;
    }
    return account;
}

void sf_cpu_account_free(SfCpuAccount *account)
{
    if (account == NULL)
        return;
    (void)pthread_mutex_destroy(&account->lock); /* fails only when held: nobody has it any more */
    free(account->cpus);
    free(account);
}

static uint64_t pool_sum(const Pool *pool)
{
    return sf_add_sat(pool->user, sf_add_sat(pool->nice, pool->system));
}

static uint64_t scale(uint64_t value, uint64_t numerator, uint64_t denominator)
{
    return denominator > 0 ? (uint64_t)((Wide)value * numerator / denominator) : 0;
}

/* Advances a high-water mark and gives by how much. */
static uint64_t advance(uint64_t *mark, uint64_t value)
{
    uint64_t delta = sf_sub_sat(value, *mark);

    *mark += delta;
    return delta;
}

static void give(SfCpuAccount *account, Cpu *cpu, const Pool *amount)
{
    cpu->time.user_nsec = sf_add_sat(cpu->time.user_nsec, amount->user);
    cpu->time.nice_nsec = sf_add_sat(cpu->time.nice_nsec, amount->nice);
    cpu->time.system_nsec = sf_add_sat(cpu->time.system_nsec, amount->system);
    account->r.total.user_nsec = sf_add_sat(account->r.total.user_nsec, amount->user);
    account->r.total.nice_nsec = sf_add_sat(account->r.total.nice_nsec, amount->nice);
    account->r.total.system_nsec = sf_add_sat(account->r.total.system_nsec, amount->system);
    cpu->given += pool_sum(amount);
}

/* Moves `amount` (at most what the pool holds) from the pool to a CPU, each kind in proportion.
 * What is left of amount after rounding a kind down fits the kinds that are left, so the pool comes
 * out even to the nanosecond. */
static void give_from_pool(SfCpuAccount *account, Pool *pool, Cpu *cpu, uint64_t amount)
{
    uint64_t rest = pool_sum(pool);
    Pool part;

    part.user = scale(amount, pool->user, rest);
    amount -= part.user;
    rest -= pool->user;
    part.nice = scale(amount, pool->nice, rest);
    part.system = amount - part.nice;
    pool->user -= part.user;
    pool->nice -= part.nice;
    pool->system -= part.system;
    give(account, cpu, &part);
}

/* Water-filling: raises the least loaded CPUs of a role to one common level, at most `elapsed`,
 * until `amount` is used up. Sets each one's share. */
static void pour(SfCpuAccount *account, Role role, uint64_t elapsed, uint64_t amount)
{
    uint64_t level = UINT64_MAX, rest = 0;
    unsigned n = 0, before;

    /* The level falls as CPUs that are above it leave the sum; the lowest one never leaves. */
    do {
        Wide sum = amount;
        before = n;
        n = 0;
        for (unsigned i = 0; i < account->r.count; i++) {
            const Cpu *cpu = &account->cpus[i];
            if (cpu->role == role && cpu->given <= level) {
                sum += cpu->given;
                n++;
            }
        }
        if (n == 0)
            break;
        level = sum / n > UINT64_MAX ? UINT64_MAX : (uint64_t)(sum / n);
        rest = (uint64_t)(sum % n);
    } while (n != before);
    if (level >= elapsed) {
        level = elapsed;
        rest = 0;
    }
    for (unsigned i = 0; i < account->r.count; i++) {
        Cpu *cpu = &account->cpus[i];
        cpu->share = 0;
        if (cpu->role != role || cpu->given > level)
            continue;
        cpu->share = level - cpu->given;
        if (rest > 0) {
            cpu->share++;
            rest--;
        }
    }
}

static void spread_busy(SfCpuAccount *account, Role role, uint64_t elapsed, Pool *pool)
{
    uint64_t amount = pool_sum(pool);

    if (amount == 0)
        return;
    pour(account, role, elapsed, amount);
    for (unsigned i = 0; i < account->r.count; i++) {
        Cpu *cpu = &account->cpus[i];
        if (cpu->role == role && cpu->share > 0)
            give_from_pool(account, pool, cpu, cpu->share);
    }
}

static void spread_steal(SfCpuAccount *account, uint64_t elapsed, uint64_t amount)
{
    if (amount == 0)
        return;
    pour(account, ROLE_MEMBER, elapsed, amount);
    for (unsigned i = 0; i < account->r.count; i++) {
        Cpu *cpu = &account->cpus[i];
        if (cpu->role != ROLE_MEMBER)
            continue;
        cpu->given += cpu->share;
        cpu->time.steal_nsec = sf_add_sat(cpu->time.steal_nsec, cpu->share);
        account->r.total.steal_nsec = sf_add_sat(account->r.total.steal_nsec, cpu->share);
    }
}

static void fill_idle(SfCpuAccount *account, uint64_t elapsed)
{
    for (unsigned i = 0; i < account->r.count; i++) {
        Cpu *cpu = &account->cpus[i];
        if (cpu->role != ROLE_MEMBER)
            continue;
        uint64_t idle = elapsed - cpu->given;
        cpu->time.idle_nsec = sf_add_sat(cpu->time.idle_nsec, idle);
        account->r.total.idle_nsec = sf_add_sat(account->r.total.idle_nsec, idle);
    }
}

static int compare_number(const void *number, const void *usage)
{
    unsigned a = *(const unsigned *)number, b = ((const SfCpuUsageOne *)usage)->cpu;

    return a < b ? -1 : a > b;
}

/* v1 says where the time was spent: that comes first. What goes beyond the interval's length (the
 * kernel brings a running task's time in at ticks) or beyond the total stays in the pool. */
static void place_own(SfCpuAccount *account, const SfCpuSample *sample, uint64_t elapsed,
                      Pool *pool)
{
    for (unsigned i = 0; i < account->r.count && sample->percpu_count > 0; i++) {
        Cpu *cpu = &account->cpus[i];
        const SfCpuUsageOne *own = bsearch(&cpu->time.cpu, sample->percpu, sample->percpu_count,
                                           sizeof(*own), compare_number);
        if (own == NULL || cpu->role == ROLE_NONE)
            continue;
        Pool part = {.user = advance(&cpu->seen_user, own->user_nsec),
                     .system = advance(&cpu->seen_system, own->system_nsec)};
        if (own->exact_nsec > 0)
            sf_cpu_usage_settle(advance(&cpu->seen_exact, own->exact_nsec), &part.user,
                                &part.system);
        /* For a newcomer the marks are of a time long past, or of none: they only start here. */
        if (cpu->role != ROLE_MEMBER)
            continue;
        part.user = sf_min_u64(part.user, pool->user);
        part.system = sf_min_u64(part.system, pool->system);
        uint64_t sum = pool_sum(&part);
        if (sum > elapsed) {
            part.user = scale(part.user, elapsed, sum);
            part.system = sf_min_u64(part.system, elapsed - part.user);
        }
        pool->user -= part.user;
        pool->system -= part.system;
        give(account, cpu, &part);
    }
}

static void take_sample(SfCpuAccount *account, const SfCpuSample *sample)
{
    uint64_t elapsed = sample->age_nsec - account->r.age_nsec;
    Pool pool = account->r.carried;

    /* On v2 nice time is part of the user time, in /proc/stat it is not. */
    uint64_t plain_user = sf_sub_sat(sample->usage.user_nsec, sample->usage.nice_nsec);
    Pool used = {.user = advance(&account->r.seen.user, plain_user),
                 .nice = advance(&account->r.seen.nice, sample->usage.nice_nsec),
                 .system = advance(&account->r.seen.system, sample->usage.system_nsec)};
    /* The interval's own proportion, so that neither part can go back. */
    if (sample->exact_nsec > 0)
        sf_cpu_usage_settle(advance(&account->r.seen_exact, sample->exact_nsec), &used.user,
                            &used.system);
    pool.user = sf_add_sat(pool.user, used.user);
    pool.nice = sf_add_sat(pool.nice, used.nice);
    pool.system = sf_add_sat(pool.system, used.system);
    uint64_t throttled = advance(&account->r.seen_throttled, sample->throttled_nsec);

    for (unsigned i = 0; i < account->r.count; i++)
        account->cpus[i].given = 0;
    place_own(account, sample, elapsed, &pool);
    spread_busy(account, ROLE_MEMBER, elapsed, &pool);
    spread_busy(account, ROLE_NEWCOMER, elapsed, &pool);
    spread_steal(account, elapsed, throttled);
    fill_idle(account, elapsed);

    /* A cgroup older than the container's init has used time before the container was: that is
     * nobody's here. */
    account->r.carried = account->r.sampled ? pool : (Pool){0};
    account->r.age_nsec = sample->age_nsec;
    account->r.sampled = true;
}

/* Makes room for the CPUs seen for the first time; keeps the order. Changes nothing on error. */
static int admit(SfCpuAccount *account, const SfCpuSet *visible)
{
    SfCpuSet all = *visible;

    for (unsigned i = 0; i < account->r.count; i++)
        sf_cpuset_add(&all, account->cpus[i].time.cpu);
    unsigned count = sf_cpuset_count(&all);
    if (count == account->r.count)
        return 0;

    Cpu *cpus = calloc(count, sizeof(*cpus));
    if (cpus == NULL)
        return -ENOMEM;
    unsigned from = 0, to = 0;
    sf_cpuset_foreach (number, &all) {
        if (from < account->r.count && account->cpus[from].time.cpu == (unsigned)number)
            cpus[to] = account->cpus[from++];
        else
            cpus[to].time.cpu = (unsigned)number;
        to++;
    }
    free(account->cpus);
    account->cpus = cpus;
    account->r.count = count;
    return 0;
}

static void assign_roles(SfCpuAccount *account, const SfCpuSet *visible)
{
    for (unsigned i = 0; i < account->r.count; i++) {
        Cpu *cpu = &account->cpus[i];
        bool now = sf_cpuset_has(visible, cpu->time.cpu);
        if (account->r.sampled ? cpu->visible : now)
            cpu->role = ROLE_MEMBER;
        else
            cpu->role = now ? ROLE_NEWCOMER : ROLE_NONE;
        cpu->visible = now;
    }
}

/* The memory has room for all. */
static void copy_times(const SfCpuAccount *account, const SfCpuSet *visible, SfText *memory,
                       SfCpuTimes *times)
{
    SfCpuTime *cpus = (SfCpuTime *)(void *)memory->data;

    *times = (SfCpuTimes){.total = account->r.total, .cpus = cpus, .age_nsec = account->r.age_nsec};
    for (unsigned i = 0; i < account->r.count; i++) {
        if (sf_cpuset_has(visible, account->cpus[i].time.cpu))
            cpus[times->count++] = account->cpus[i].time;
    }
    sf_text_added(memory, times->count * sizeof(*cpus));
}

int sf_cpu_account_update(SfCpuAccount *account, const SfCpuSample *sample, const SfCpuSet *visible,
                          SfText *memory, SfCpuTimes *ret_times)
{
    SfCpuTimes times = {0};

    sf_text_reset(memory);
    if (!sf_text_room(memory, (sf_cpuset_count(visible) + 1u) * sizeof(*times.cpus)))
        return memory->error;
    pthread_mutex_lock(&account->lock);
    int r = admit(account, visible);
    if (r == 0) {
        if (!account->r.sampled || sample->age_nsec >= account->r.age_nsec) {
            assign_roles(account, visible);
            take_sample(account, sample);
        }
        copy_times(account, visible, memory, &times);
    }
    pthread_mutex_unlock(&account->lock);
    if (r < 0)
        return r;
    *ret_times = times;
    return 0;
}

#define SIZES ((uint32_t)(sizeof(Remembered) << 16 | sizeof(Cpu)))

void sf_cpu_account_save(SfCpuAccount *account, SfText *text)
{
    pthread_mutex_lock(&account->lock);
    account->r.sizes = SIZES;
    sf_text_append(text, (const char *)&account->r, sizeof(account->r));
    if (account->r.count > 0)
        sf_text_append(text, (const char *)account->cpus, account->r.count * sizeof(Cpu));
    pthread_mutex_unlock(&account->lock);
}

int sf_cpu_account_restore(SfCpuAccount *account, SfSlice *rest)
{
    Remembered saved;

    if (rest->len < sizeof(saved))
        return -EBADMSG;
    memcpy(&saved, rest->data, sizeof(saved));
    size_t size = saved.count * sizeof(Cpu);
    if (saved.sizes != SIZES || saved.count > SF_CPUSET_MAX || rest->len - sizeof(saved) < size)
        return -EBADMSG;
    Cpu *cpus = calloc(saved.count + 1u, sizeof(*cpus));
    if (cpus == NULL)
        return -ENOMEM;
    memcpy(cpus, rest->data + sizeof(saved), size);
    pthread_mutex_lock(&account->lock);
    Cpu *old = account->cpus;
    account->r = saved;
    account->cpus = cpus;
    pthread_mutex_unlock(&account->lock);
    free(old);
    rest->data += sizeof(saved) + size;
    rest->len -= sizeof(saved) + size;
    return 0;
}
