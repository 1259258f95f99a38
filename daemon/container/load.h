/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Load averages per container with the kernel's constants (kernel/sched/loadavg.c), and the one
 * thread that samples them: every 5 s, only containers whose load was read in the last 10 minutes;
 * with none it sleeps without a wake-up.
 */

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/fd.h"

#define SF_LOAD_FSHIFT 11
#define SF_LOAD_FIXED_1 (1u << SF_LOAD_FSHIFT)
#define SF_LOAD_INTERVAL_NSEC (5ull * 1000 * 1000 * 1000)
#define SF_LOAD_IDLE_NSEC (600ull * 1000 * 1000 * 1000)

typedef struct SfLoad {
    uint64_t averages[3];  /* fixed point, 1, 5 and 15 minutes */
    uint64_t sampled_nsec; /* boot time the averages stand for; 0: never */
    uint64_t read_nsec;    /* boot time of the last read */
} SfLoad;

/* Pure: brings the averages to now_nsec with `active` tasks seen now. First time: all three are
 * seeded with `active`. Missed intervals are caught up in closed form (calc_load_n). */
void sf_load_update(SfLoad *load, uint64_t active, uint64_t now_nsec);
/* Pure: whether the sampler has still to follow it. */
bool sf_load_wanted(const SfLoad *load, uint64_t now_nsec);

typedef struct SfLoadSampler SfLoadSampler;
struct SfContainer;
/* One for the daemon. sf_container_load() registers the container with it (holding a reference
 * until it is no longer wanted). */
SfLoadSampler *sf_load_sampler_new(void);
/* Stops the thread and drops what it follows. Containers that report to it may outlive it. */
void sf_load_sampler_free(SfLoadSampler *sampler);
/* Containers made later report to this sampler; NULL: loads are brought up to date by reads alone
 * (tests). Set once at start. */
void sf_load_sampler_set_default(SfLoadSampler *sampler);
/* Forgets a container that ended, for good: a late read does not make it followed again. */
void sf_load_sampler_forget(SfLoadSampler *sampler, struct SfContainer *container);
