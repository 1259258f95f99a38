/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One deadline for several blocking steps, on the monotonic clock.
 */

#include <limits.h>
#include <stdint.h>
#include <time.h>

/* Milliseconds of CLOCK_MONOTONIC. */
static inline int64_t sf_monotonic_msec(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline int64_t sf_deadline_after(int timeout_msec)
{
    return sf_monotonic_msec() + timeout_msec;
}

/* Milliseconds left, 0 when it has passed: fit for poll(2). */
static inline int sf_deadline_left(int64_t deadline_msec)
{
    int64_t left = deadline_msec - sf_monotonic_msec();
    if (left <= 0)
        return 0;
    return left > INT_MAX ? INT_MAX : (int)left;
}
