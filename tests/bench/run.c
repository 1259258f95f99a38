/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sysfsd-bench run ROUNDS NAME:DAEMON:PID... -- PROGRAM ARGUMENT...: runs the program, its output
 * thrown away, in the container of each PID, in turn; and prints for each, with tabs between:
 *   name p50 p90 p99 largest mean program-CPU daemon-CPU
 * in nanoseconds. The time is from fork to the end of the program.
 *
 * sysfsd-bench resume DAEMON PATH MSEC: kills DAEMON, reads PATH again and again, and prints how
 * long the longest read of the next MSEC took.
 */

#include "tests/bench/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define USAGE "run ROUNDS NAME:DAEMON:PID... -- PROGRAM ARGUMENT..."
#define MAX_TARGETS 8
#define MAX_ROUNDS 10000

typedef struct Target {
    char *name;
    pid_t daemon, pid;
    uint64_t *times;
    uint64_t program_nsec, daemon_nsec;
} Target;

/* Written by the process that is in the container. */
typedef struct Run {
    char **argv;
    uint64_t wall_nsec, cpu_nsec;
    int failed;
} Run;

static uint64_t nsec_of(const struct timeval *time)
{
    return (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_usec * 1000u;
}

static void run_body(void *data)
{
    Run *run = data;
    struct rusage usage;
    int status, null = open("/dev/null", O_RDWR);

    for (int fd = 0; fd < 3; fd++)
        (void)dup2(null, fd);
    uint64_t begin = bench_now_nsec();
    pid_t pid = fork();
    if (pid == 0) {
        (void)execvp(run->argv[0], run->argv);
        _exit(127);
    }
    run->failed = pid < 0 || wait4(pid, &status, 0, &usage) < 0 || status != 0;
    run->wall_nsec = bench_now_nsec() - begin;
    run->cpu_nsec = nsec_of(&usage.ru_utime) + nsec_of(&usage.ru_stime);
}

static void run_target(Target *target, Run *run, uint64_t round)
{
    bench_sleep_nsec(1000000);
    uint64_t daemon = bench_process_nsec(target->daemon);
    pid_t pid = bench_enter(target->pid, run_body, run);
    int status;
    if (waitpid(pid, &status, 0) < 0 || status != 0)
        bench_die("running %s", run->argv[0]);
    errno = 0;
    if (run->failed)
        bench_die("%s failed", run->argv[0]);
    bench_sleep_nsec(1000000);
    target->times[round] = run->wall_nsec;
    target->program_nsec += run->cpu_nsec;
    target->daemon_nsec += bench_process_nsec(target->daemon) - daemon;
}

static unsigned parse(char **argv, Target *targets, uint64_t rounds)
{
    unsigned count = 0;

    for (; argv[count] && strcmp(argv[count], "--") != 0; count++) {
        char *rest = argv[count];
        if (count == MAX_TARGETS)
            bench_usage(USAGE);
        Target *target = &targets[count];
        target->name = strsep(&rest, ":");
        char *daemon = strsep(&rest, ":");
        if (!rest)
            bench_usage(USAGE);
        target->daemon = (pid_t)bench_number(daemon, INT32_MAX);
        target->pid = (pid_t)bench_number(rest, INT32_MAX);
        target->times = bench_alloc(rounds, sizeof(uint64_t));
    }
    if (!argv[count] || !argv[count + 1])
        bench_usage(USAGE);
    return count;
}

int bench_run(int argc, char **argv)
{
    Target targets[MAX_TARGETS] = {0};

    if (argc < 5)
        bench_usage(USAGE);
    uint64_t rounds = bench_number(argv[1], MAX_ROUNDS);
    unsigned count = parse(argv + 2, targets, rounds);
    Run *run = mmap(NULL, sizeof(*run), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (run == MAP_FAILED || rounds == 0)
        bench_usage(USAGE);
    run->argv = argv + 3 + count;
    for (uint64_t round = 0; round < rounds; round++)
        for (unsigned i = 0; i < count; i++)
            run_target(&targets[(i + round) % count], run, round);
    for (unsigned i = 0; i < count; i++) {
        (void)printf("%s", targets[i].name);
        bench_print_times(targets[i].times, rounds);
        (void)printf("\t%llu\t%llu\n", (unsigned long long)(targets[i].program_nsec / rounds),
                     (unsigned long long)(targets[i].daemon_nsec / rounds));
        free(targets[i].times);
    }
    return 0;
}

static void read_once(const char *path)
{
    char buffer[65536];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        bench_die("%s", path);
    while ((n = read(fd, buffer, sizeof(buffer))) > 0)
        ;
    if (n < 0)
        bench_die("%s", path);
    (void)close(fd);
}

int bench_resume(int argc, char **argv)
{
    uint64_t longest = 0;

    if (argc != 4)
        bench_usage("resume DAEMON PATH MSEC");
    pid_t daemon = (pid_t)bench_number(argv[1], INT32_MAX);
    read_once(argv[2]);
    if (kill(daemon, SIGKILL) < 0)
        bench_die("process %d", (int)daemon);
    uint64_t begin = bench_now_nsec(), end = begin + bench_number(argv[3], 600000) * 1000000u;
    for (uint64_t now = begin; now < end;) {
        uint64_t before = now;
        read_once(argv[2]);
        now = bench_now_nsec();
        if (now - before > longest)
            longest = now - before;
    }
    (void)printf("%llu\n", (unsigned long long)longest);
    return 0;
}
