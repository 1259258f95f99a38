/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sysfsd-bench COMMAND ARGUMENT...: what of the benchmark has to be exact. scripts/bench is what a
 * person calls.
 */

#include "tests/bench/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/number.h"

void bench_usage(const char *text)
{
    (void)fprintf(stderr, "usage: sysfsd-bench %s\n", text);
    exit(2);
}

uint64_t bench_number(const char *text, uint64_t max)
{
    uint64_t value;

    if (sf_slice_u64(sf_slice_str(text), &value) < 0 || value > max) {
        (void)fprintf(stderr, "sysfsd-bench: %s is not a number of at most %llu\n", text,
                      (unsigned long long)max);
        exit(2);
    }
    return value;
}

void bench_sleep_nsec(uint64_t nsec)
{
    struct timespec time = {(time_t)(nsec / 1000000000u), (long)(nsec % 1000000000u)};

    while (nsec && clock_nanosleep(CLOCK_MONOTONIC, 0, &time, &time) == EINTR)
        ;
}

uint64_t bench_process_nsec(pid_t pid)
{
    clockid_t clock;

    if (pid == 0)
        return 0;
    int r = clock_getcpuclockid(pid, &clock);
    if (r) {
        errno = r;
        bench_die("process %d", (int)pid);
    }
    return bench_clock_nsec(clock);
}

/* Of a line of /proc/PID/cgroup: the directory, if it is of the bench. */
static bool cgroup_directory(char *line, char *ret_path, size_t size)
{
    char *controllers = strchr(line, ':');
    char *path = controllers ? strchr(controllers + 1, ':') : NULL;

    if (!path || !strstr(path, BENCH_CGROUP))
        return false;
    *path++ = '\0';
    controllers++;
    path[strcspn(path, "\n")] = '\0';
    if (strncmp(controllers, "name=", 5) == 0)
        controllers += 5;
    (void)snprintf(ret_path, size, "/sys/fs/cgroup/%s%s/cgroup.procs", controllers, path);
    return true;
}

static void join_cgroups(pid_t target)
{
    char name[64], line[4096], path[4300];

    (void)snprintf(name, sizeof(name), "/proc/%d/cgroup", (int)target);
    FILE *file = fopen(name, "re");
    if (!file)
        bench_die("%s", name);
    while (fgets(line, sizeof(line), file)) {
        if (!cgroup_directory(line, path, sizeof(path)))
            continue;
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, "0", 1) != 1)
            bench_die("%s", path);
        (void)close(fd);
    }
    (void)fclose(file);
}

static volatile pid_t inside_pid;

static void end_inside(int number)
{
    (void)number;
    if (inside_pid > 0)
        (void)kill(inside_pid, SIGKILL);
}

/*
 * Between container and parent: a process cannot enter a pid namespace, its children can. It ends
 * after its child, whatever its parent does: the container's init cannot end before somebody has
 * waited for all that is in its namespace (pid_namespaces(7)).
 */
static void middle(pid_t target, void (*body)(void *), void *data)
{
    int pidfd = (int)syscall(SYS_pidfd_open, target, 0);
    int status = 0;

    join_cgroups(target);
    if (pidfd < 0 || setns(pidfd, CLONE_NEWPID | CLONE_NEWNS) < 0 || chdir("/") < 0)
        bench_die("entering the container of process %d", (int)target);
    (void)close(pidfd);
    inside_pid = fork();
    if (inside_pid < 0)
        bench_die("fork");
    if (inside_pid == 0) {
        (void)signal(SIGTERM, SIG_DFL);
        (void)signal(SIGINT, SIG_DFL);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        body(data);
        _exit(0);
    }
    while (waitpid(inside_pid, &status, 0) < 0 && errno == EINTR)
        ;
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

pid_t bench_enter(pid_t target, void (*body)(void *), void *data)
{
    pid_t child = fork();

    if (child < 0)
        bench_die("fork");
    if (child == 0) {
        (void)signal(SIGINT, SIG_IGN);
        (void)signal(SIGTERM, end_inside);
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        middle(target, body, data);
    }
    return child;
}

void bench_print_times(uint64_t *values, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += values[i];
    for (unsigned i = 0; i < 3; i++)
        (void)printf("\t%llu", (unsigned long long)bench_percentile(values, count,
                                                                    (unsigned[]){50, 90, 99}[i]));
    (void)printf("\t%llu\t%llu", (unsigned long long)(count ? values[count - 1] : 0),
                 (unsigned long long)(count ? sum / count : 0));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } COMMANDS[] = {
        {"hold", bench_hold}, {"read", bench_read}, {"register", bench_register},
        {"hook", bench_hook}, {"run", bench_run},   {"resume", bench_resume},
    };

    for (size_t i = 0; argc > 1 && i < sizeof(COMMANDS) / sizeof(COMMANDS[0]); i++)
        if (strcmp(argv[1], COMMANDS[i].name) == 0)
            return COMMANDS[i].run(argc - 1, argv + 1);
    bench_usage("hold|read|register|hook|run|resume ARGUMENT...");
}
