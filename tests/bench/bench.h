/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the parts of sysfsd-bench share: clocks, going into a container, percentiles; what is in
 * bench-common.c is round-trip's, too. Each command is one function with main()'s arguments, the
 * command's name first; scripts/bench calls them and makes the tables.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Directories of cgroups whose path has this in it are the bench's own. */
#define BENCH_CGROUP "sysfsd-bench-"

int bench_hold(int argc, char **argv);
int bench_read(int argc, char **argv);
int bench_register(int argc, char **argv);
int bench_run(int argc, char **argv);
int bench_hook(int argc, char **argv);
int bench_resume(int argc, char **argv);

/* Prints one line with errno's text (when it is not 0) and exits with 1. */
void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void bench_usage(const char *text) __attribute__((noreturn));

uint64_t bench_number(const char *text, uint64_t max);
void *bench_alloc(size_t count, size_t size);

/* 0: that clock is of a process that has ended. */
uint64_t bench_clock_nsec(clockid_t clock);
uint64_t bench_now_nsec(void);
/* What two looks at the clock cost on the CPU clock of this thread, itself included. */
uint64_t bench_clock_cost(void);
void bench_sleep_nsec(uint64_t nsec);
/* All threads' CPU time of a process since its start, those that have ended included. 0 for pid 0.
 */
uint64_t bench_process_nsec(pid_t pid);

/* Forks; the child is in the pid and mount namespaces and in the bench's cgroups of target, runs
 * body, and exits. It dies with its parent. */
pid_t bench_enter(pid_t target, void (*body)(void *), void *data);

/* Sorts. percent of 100: 50 is the median. */
uint64_t bench_percentile(uint64_t *values, size_t count, unsigned percent);
/* p50, p90, p99, the largest and the mean, in nanoseconds, each after a tab. Sorts. */
void bench_print_times(uint64_t *values, size_t count);
