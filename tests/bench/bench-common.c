/* SPDX-License-Identifier: Apache-2.0 */
/* What sysfsd-bench and round-trip share. */

#include "tests/bench/bench.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void bench_die(const char *format, ...)
{
    int error = errno;
    va_list args;

    (void)fprintf(stderr, "%s: ", program_invocation_short_name);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fprintf(stderr, "%s%s\n", error ? ": " : "", error ? strerror(error) : "");
    exit(1);
}

void *bench_alloc(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);

    if (!memory)
        bench_die("memory");
    return memory;
}

uint64_t bench_clock_nsec(clockid_t clock)
{
    struct timespec now;

    if (clock_gettime(clock, &now) < 0)
        return 0;
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t bench_now_nsec(void)
{
    return bench_clock_nsec(CLOCK_MONOTONIC);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

uint64_t bench_percentile(uint64_t *values, size_t count, unsigned percent)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof(*values), compare);
    return values[count * percent / 100];
}

uint64_t bench_clock_cost(void)
{
    uint64_t costs[101];

    for (unsigned i = 0; i < 101; i++) {
        uint64_t begin = bench_clock_nsec(CLOCK_THREAD_CPUTIME_ID);
        (void)bench_now_nsec();
        (void)bench_now_nsec();
        costs[i] = bench_clock_nsec(CLOCK_THREAD_CPUTIME_ID) - begin;
    }
    return bench_percentile(costs, 101, 50);
}
