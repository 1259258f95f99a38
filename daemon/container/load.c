/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's load average arithmetic, and the thread that keeps the averages of containers going
 * whose load is being read. It counts no tasks itself and holds no lock while they are counted.
 */

#include "daemon/container/container_private.h"

#include <stdlib.h>
#include <time.h>

#include "lib/base/thread.h"

#define NSEC_PER_SEC 1000000000ull
/* The thread wakes this long after the instant the averages stand for, so that the interval has
 * ended whatever the rounding of clocks. */
#define SLACK_NSEC (1000ull * 1000)
/* More tasks than any kernel runs (PID_MAX_LIMIT is 2^22); keeps the products below 2^64. */
#define ACTIVE_MAX (1ull << 32)

/* 1/exp(5s/1min), 1/exp(5s/5min), 1/exp(5s/15min) as fixed point: include/linux/sched/loadavg.h */
static const uint64_t exponents[3] = {1884, 2014, 2037};

/* calc_load(): rounds up while the load rises, so that it reaches what it rises to. */
static uint64_t calc_load(uint64_t load, uint64_t exponent, uint64_t active)
{
    uint64_t next = load * exponent + active * (SF_LOAD_FIXED_1 - exponent);

    if (active >= load)
        next += SF_LOAD_FIXED_1 - 1;
    return next / SF_LOAD_FIXED_1;
}

/* fixed_power_int(): x^n by squaring, each step rounded. */
static uint64_t fixed_power(uint64_t x, uint64_t n)
{
    uint64_t result = SF_LOAD_FIXED_1;

    for (; n > 0; n >>= 1) {
        if (n & 1)
            result = (result * x + SF_LOAD_FIXED_1 / 2) >> SF_LOAD_FSHIFT;
        x = (x * x + SF_LOAD_FIXED_1 / 2) >> SF_LOAD_FSHIFT;
    }
    return result;
}

/* Averages stand for multiples of the interval on the boot clock, one grid for all containers as
 * the kernel has one for all CPUs: the sampler wakes once an interval, not once a container. */
void sf_load_update(SfLoad *load, uint64_t active, uint64_t now_nsec)
{
    uint64_t fixed = sf_min_u64(active, ACTIVE_MAX) * SF_LOAD_FIXED_1;

    if (load->sampled_nsec == 0) {
        for (unsigned i = 0; i < 3; i++)
            load->averages[i] = fixed;
        load->sampled_nsec = now_nsec - now_nsec % SF_LOAD_INTERVAL_NSEC;
        if (load->sampled_nsec == 0) /* in the host's first interval; 0 would mean never */
            load->sampled_nsec = 1;
        return;
    }
    uint64_t n = sf_sub_sat(now_nsec, load->sampled_nsec) / SF_LOAD_INTERVAL_NSEC;
    if (n == 0)
        return;
    /* calc_load_n() */
    for (unsigned i = 0; i < 3; i++)
        load->averages[i] = calc_load(load->averages[i], fixed_power(exponents[i], n), fixed);
    load->sampled_nsec += n * SF_LOAD_INTERVAL_NSEC;
}

bool sf_load_wanted(const SfLoad *load, uint64_t now_nsec)
{
    return load->read_nsec != 0 && sf_sub_sat(now_nsec, load->read_nsec) < SF_LOAD_IDLE_NSEC;
}

struct SfLoadSampler {
    gatomicrefcount refs;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* with lock: followed is no longer empty, or stopping */
    GPtrArray *followed;    /* protected by lock: SfContainer *, a reference each */
    bool stopping;          /* protected by lock */
};

/* Set once at start, read when a container is made: docs and tests need no sampler to be passed
 * through every layer. */
static SfLoadSampler *_Atomic default_sampler;

void sf_load_sampler_set_default(SfLoadSampler *sampler)
{
    atomic_store(&default_sampler, sampler);
}

SfLoadSampler *sf_load_sampler_ref_default(void)
{
    SfLoadSampler *sampler = atomic_load(&default_sampler);

    if (sampler != NULL)
        g_atomic_ref_count_inc(&sampler->refs);
    return sampler;
}

SfLoadSampler *sf_load_sampler_unref(SfLoadSampler *sampler)
{
    if (sampler == NULL || !g_atomic_ref_count_dec(&sampler->refs))
        return NULL;
    g_ptr_array_unref(sampler->followed);
    (void)pthread_cond_destroy(&sampler->changed); /* nobody waits: the thread has ended */
    (void)pthread_mutex_destroy(&sampler->lock);
    free(sampler);
    return NULL;
}

/* The end of the running interval as pthread_cond_timedwait() wants it. Containers know the boot
 * clock only; how far its next multiple is away is the same on the monotonic clock unless the
 * machine sleeps, and then there is nothing to count. */
static struct timespec next_deadline(const SfContainer *container)
{
    uint64_t left_nsec = SF_LOAD_INTERVAL_NSEC -
                         sf_host_boottime_nsec(container->host) % SF_LOAD_INTERVAL_NSEC +
                         SLACK_NSEC;
    struct timespec deadline;

    (void)clock_gettime(CLOCK_MONOTONIC, &deadline); /* cannot fail with this clock */
    left_nsec += (uint64_t)deadline.tv_nsec;
    deadline.tv_sec += (time_t)(left_nsec / NSEC_PER_SEC);
    deadline.tv_nsec = (long)(left_nsec % NSEC_PER_SEC);
    return deadline;
}

/* Under the lock. The flag falls before the question is asked: a reader that comes between either
 * is seen by the question, or sees the flag down and comes here itself. */
static void drop_unwanted(SfLoadSampler *sampler)
{
    for (guint i = sampler->followed->len; i-- > 0;) {
        SfContainer *container = g_ptr_array_index(sampler->followed, i);
        atomic_store(&container->followed, false);
        if (sf_container_load_wanted(container))
            atomic_store(&container->followed, true);
        else
            sf_container_unref(g_ptr_array_remove_index_fast(sampler->followed, i));
    }
}

/* Takes a container out of the list, under the lock. The reference it had is the caller's to drop
 * after unlocking, as the last one closes files. */
static SfContainer *take_out(SfLoadSampler *sampler, SfContainer *container)
{
    if (!g_ptr_array_remove_fast(sampler->followed, container))
        return NULL;
    atomic_store(&container->followed, false);
    return container;
}

static void drop_container(void *data)
{
    sf_container_unref(data);
}

/* Samples all that are followed now. Each is held by a reference of its own, so that one that is
 * forgotten meanwhile lives until its count is done. */
static void sample_all(SfLoadSampler *sampler)
{
    g_autoptr(GPtrArray) batch = g_ptr_array_new_full(sampler->followed->len, drop_container);

    for (guint i = 0; i < sampler->followed->len; i++)
        g_ptr_array_add(batch, sf_container_ref(g_ptr_array_index(sampler->followed, i)));
    pthread_mutex_unlock(&sampler->lock);

    for (guint i = 0; i < batch->len; i++)
        sf_container_load_sample(g_ptr_array_index(batch, i));
    g_ptr_array_set_size(batch, 0);
    pthread_mutex_lock(&sampler->lock);
}

static void *sampler_main(void *data)
{
    SfLoadSampler *sampler = data;

    pthread_mutex_lock(&sampler->lock);
    while (!sampler->stopping) {
        if (sampler->followed->len == 0) {
            pthread_cond_wait(&sampler->changed, &sampler->lock);
            continue;
        }
        struct timespec deadline = next_deadline(g_ptr_array_index(sampler->followed, 0));
        int r = 0;
        while (!sampler->stopping && sampler->followed->len > 0 && r == 0)
            r = pthread_cond_timedwait(&sampler->changed, &sampler->lock, &deadline);
        if (r == ETIMEDOUT && !sampler->stopping) {
            drop_unwanted(sampler);
            sample_all(sampler);
        }
    }
    pthread_mutex_unlock(&sampler->lock);
    return NULL;
}

SfLoadSampler *sf_load_sampler_new(void)
{
    pthread_condattr_t attributes;
    SfLoadSampler *sampler = calloc(1, sizeof(*sampler));

    if (sampler == NULL)
        return NULL;
    g_atomic_ref_count_init(&sampler->refs);
    sampler->followed = g_ptr_array_new();
    (void)pthread_mutex_init(&sampler->lock, NULL); /* glibc's neither allocate nor fail */
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&sampler->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    if (sf_thread_start("sysfsd-load", sampler_main, sampler, &sampler->thread) < 0)
        return sf_load_sampler_unref(sampler);
    return sampler;
}

void sf_load_sampler_free(SfLoadSampler *sampler)
{
    if (sampler == NULL)
        return;
    SfLoadSampler *self = sampler;
    (void)atomic_compare_exchange_strong(&default_sampler, &self, NULL); /* another's stays */
    pthread_mutex_lock(&sampler->lock);
    sampler->stopping = true;
    pthread_cond_signal(&sampler->changed);
    pthread_mutex_unlock(&sampler->lock);
    (void)pthread_join(sampler->thread, NULL); /* ours and joined once */

    /* Nothing is added any more: follow() looks at stopping. */
    for (guint i = 0; i < sampler->followed->len; i++)
        sf_container_unref(g_ptr_array_index(sampler->followed, i));
    g_ptr_array_set_size(sampler->followed, 0);
    sf_load_sampler_unref(sampler);
}

void sf_load_sampler_follow(SfLoadSampler *sampler, SfContainer *container)
{
    pthread_mutex_lock(&sampler->lock);
    if (!sampler->stopping && !container->forgotten && !atomic_load(&container->followed)) {
        g_ptr_array_add(sampler->followed, sf_container_ref(container));
        atomic_store(&container->followed, true);
        if (sampler->followed->len == 1)
            pthread_cond_signal(&sampler->changed);
    }
    pthread_mutex_unlock(&sampler->lock);
}

void sf_load_sampler_forget(SfLoadSampler *sampler, SfContainer *container)
{
    if (sampler == NULL)
        return;
    pthread_mutex_lock(&sampler->lock);
    container->forgotten = true;
    SfContainer *taken = take_out(sampler, container);
    pthread_mutex_unlock(&sampler->lock);
    sf_container_unref(taken);
}
