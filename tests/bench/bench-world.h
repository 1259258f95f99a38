/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Containers to measure: two of them on the running host, each a sleeping process in cgroups of its
 * own with limits, or two views of one captured host (tests/golden/scenarios). Time can be let pass
 * without waiting for it.
 */

#include <stdint.h>

#include "daemon/container/container.h"

#define WORLD_CONTAINERS 2
#define WORLD_PATHS_MAX 32

typedef struct BenchWorld {
    SfHost *host;
    SfCgroups *cgroups;
    SfContainer *containers[WORLD_CONTAINERS];
    uint64_t passed_nsec; /* what the clock is ahead */
    uint64_t fixed_nsec;  /* of a captured host: where its clock stands; 0: it runs */
    char *captured;       /* owned: a copy of the captured tree */
    pid_t inits[WORLD_CONTAINERS];
    char *cgroup_paths[WORLD_PATHS_MAX]; /* owned: directories made */
    unsigned cgroup_count;
} BenchWorld;

/* scenario: a directory of tests/golden/scenarios; NULL: this host, which wants root. 0, or
 * negative errno with everything undone. */
int bench_world_open(BenchWorld *world, const char *scenario) SF_WARN_UNUSED;
void bench_world_close(BenchWorld *world);
