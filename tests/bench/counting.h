/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a piece of code costs beside time: heap allocations and locks, counted by standing in front
 * of the C library's functions, and system calls, counted by tracing a child.
 */

#include <stdbool.h>
#include <stdint.h>

/* False where a sanitizer owns the heap: nothing is counted then. */
bool counting_possible(void);

/* Allocations of this process so far: malloc, calloc, realloc and their kin. */
uint64_t counting_allocations(void);

/* Locks taken so far, and which: a set that holds at most COUNTING_LOCKS_MAX. */
#define COUNTING_LOCKS_MAX 256
typedef struct LockSet {
    const void *locks[COUNTING_LOCKS_MAX];
    unsigned count;
} LockSet;
uint64_t counting_locks(void);
/* From now on the locks that are taken go into *set; NULL: into none. */
void counting_collect_locks(LockSet *set);
unsigned counting_common_locks(const LockSet *a, const LockSet *b);

/* System calls that run(data) makes in a child of this process, in the second of two runs; -1 where
 * tracing is not permitted. */
int64_t counting_system_calls(void (*run)(void *data), void *data);
