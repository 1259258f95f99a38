/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Spreads a cgroup's CPU time over the CPUs its container sees so that /proc/stat is what a machine
 * with those CPUs would print: no counter decreases, the parts sum to the cgroup's time exactly, no
 * CPU is busier than time has passed. Time used on CPUs that are not shown (a quota shows fewer
 * than the cpuset has), or of which only the total is known (v2), goes to CPUs with room. What
 * finds no room at this instant is carried to the next. CPUs that are no longer visible keep their
 * time in the total; cpu_account.c tells to whom the time between two samples belongs.
 */

#include <pthread.h>
#include <stdint.h>

#include "daemon/source/cgroup_cpu.h"
#include "lib/base/cpuset.h"
#include "lib/base/text.h"

typedef struct SfCpuTime {
    unsigned cpu; /* host number; in a total: unused */
    uint64_t user_nsec, nice_nsec, system_nsec, idle_nsec, steal_nsec;
} SfCpuTime;

typedef struct SfCpuTimes {
    SfCpuTime total;
    const SfCpuTime *cpus; /* visible CPUs in ascending order; borrowed */
    unsigned count;
    uint64_t age_nsec; /* the container's, when these were the times */
} SfCpuTimes;

typedef struct SfCpuSample {
    uint64_t age_nsec;           /* since the container's start; never decreases by itself */
    SfCpuUsage usage;            /* the cgroup's total */
    uint64_t exact_nsec;         /* v1: what usage should be in sum and is not; 0: it is */
    uint64_t throttled_nsec;     /* 0 when not known */
    const SfCpuUsageOne *percpu; /* v1: where the time was spent; NULL on v2 */
    unsigned percpu_count;
} SfCpuSample;

typedef struct SfCpuAccount SfCpuAccount;
SfCpuAccount *sf_cpu_account_new(void); /* NULL: no memory */
void sf_cpu_account_free(SfCpuAccount *account);
/* Takes a sample in (an older one than the last changes nothing) and gives the times of the visible
 * CPUs, which are put into memory: the caller's, emptied first. Thread-safe: the lock is held over
 * arithmetic only. -ENOMEM, -EFBIG. */
int sf_cpu_account_update(SfCpuAccount *account, const SfCpuSample *sample, const SfCpuSet *visible,
                          SfText *memory, SfCpuTimes *ret_times) SF_WARN_UNUSED;

/* Appends all that is remembered, in a form of this build's own. */
void sf_cpu_account_save(SfCpuAccount *account, SfText *text);
/* Takes it off *rest, in place of what a new account remembers: -EBADMSG when it is of another
 * form, -ENOMEM; the account is then as it was. */
int sf_cpu_account_restore(SfCpuAccount *account, SfSlice *rest) SF_WARN_UNUSED;
