/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sysfsd-bench hold NAME [--cgroup DIR]... [--quota USEC] [--lxcfs DIR] [--file PATH]...: makes
 * containers without an engine: a process in pid and mount namespaces of its own, with its own
 * /proc, in a cgroup NAME<number> below each DIR, of 256 MiB. --lxcfs: each file that is there
 * below DIR is bound over the container's. Each line of input is how many more; their pids are
 * printed, a line each, then an empty line. All are taken away when the input ends. What is mounted
 * after the start is not seen in the containers: thousands of views in thousands of namespaces
 * would be millions of mounts.
 */

#include "tests/bench/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define USAGE "hold NAME [--cgroup DIR]... [--quota USEC] [--lxcfs DIR] [--file PATH]..."
#define MAX_CONTAINERS 16384
#define MAX_CGROUPS 16
#define MAX_FILES 64
#define PATH_BYTES 4096

typedef struct Hold {
    const char *name, *lxcfs;
    const char *cgroups[MAX_CGROUPS], *files[MAX_FILES];
    unsigned cgroup_count, file_count;
    uint64_t quota_usec;
} Hold;

/* A file that this kernel or hierarchy does not have is passed over. */
static void write_text(const char *directory, const char *name, const char *text)
{
    char path[PATH_BYTES];

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return;
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        bench_die("%s: %s", path, text);
    (void)close(fd);
}

static void cgroup_path(const Hold *hold, unsigned cgroup, uint64_t number, char *ret_path)
{
    (void)snprintf(ret_path, PATH_BYTES / 2, "%s/%s%llu", hold->cgroups[cgroup], hold->name,
                   (unsigned long long)number);
}

static void make_cgroups(const Hold *hold, uint64_t number)
{
    char path[PATH_BYTES / 2], quota[64];

    for (unsigned i = 0; i < hold->cgroup_count; i++) {
        cgroup_path(hold, i, number, path);
        if (mkdir(path, 0755) < 0)
            bench_die("%s", path);
        write_text(path, "memory.limit_in_bytes", "268435456");
        write_text(path, "memory.max", "268435456");
        (void)snprintf(quota, sizeof(quota), "%llu 100000", (unsigned long long)hold->quota_usec);
        write_text(path, "cpu.max", quota);
        quota[strcspn(quota, " ")] = '\0';
        write_text(path, "cpu.cfs_quota_us", quota);
    }
}

static void bind_lxcfs(const Hold *hold)
{
    char source[PATH_BYTES];

    for (unsigned i = 0; hold->lxcfs && i < hold->file_count; i++) {
        (void)snprintf(source, sizeof(source), "%s%s", hold->lxcfs, hold->files[i]);
        if (access(source, F_OK) == 0 && mount(source, hold->files[i], NULL, MS_BIND, NULL) < 0)
            bench_die("binding %s", source);
    }
}

/* The container's init. */
static void container(const Hold *hold, uint64_t number, int ready_fd)
{
    char path[PATH_BYTES / 2];

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (unsigned i = 0; i < hold->cgroup_count; i++) {
        cgroup_path(hold, i, number, path);
        write_text(path, "cgroup.procs", "0");
    }
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        bench_die("mounting /proc");
    bind_lxcfs(hold);
    if (write(ready_fd, "", 1) != 1)
        bench_die("pipe");
    for (unsigned fd = 0; fd < 3; fd++)
        (void)close((int)fd);
    for (;;)
        (void)pause();
}

static void take_away(const Hold *hold, const pid_t *pids, uint64_t count)
{
    char path[PATH_BYTES / 2];

    for (uint64_t i = 0; i < count; i++)
        if (pids[i] > 0)
            (void)kill(pids[i], SIGKILL);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        ;
    for (uint64_t number = 0; number < count; number++) {
        for (unsigned i = 0; i < hold->cgroup_count; i++) {
            cgroup_path(hold, i, number, path);
            /* Readers that were told to end may need a moment. */
            for (unsigned try = 0; rmdir(path) < 0 && errno == EBUSY && try < 200; try++)
                bench_sleep_nsec(10000000);
        }
    }
}

static void parse(int argc, char **argv, Hold *hold)
{
    for (int i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--cgroup") == 0 && hold->cgroup_count < MAX_CGROUPS)
            hold->cgroups[hold->cgroup_count++] = argv[i + 1];
        else if (strcmp(argv[i], "--file") == 0 && hold->file_count < MAX_FILES)
            hold->files[hold->file_count++] = argv[i + 1];
        else if (strcmp(argv[i], "--lxcfs") == 0)
            hold->lxcfs = argv[i + 1];
        else if (strcmp(argv[i], "--quota") == 0)
            hold->quota_usec = bench_number(argv[i + 1], 1000000000);
        else
            bench_usage(USAGE);
    }
}

static int make(const Hold *hold, pid_t *pids, uint64_t first, uint64_t count)
{
    int ready[2];
    char byte;
    uint64_t ready_count = 0;

    if (pipe2(ready, O_CLOEXEC) < 0)
        bench_die("pipe");
    for (uint64_t i = first; i < first + count; i++) {
        make_cgroups(hold, i);
        pids[i] =
            (pid_t)syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, NULL, NULL, NULL, NULL);
        if (pids[i] == 0)
            container(hold, i, ready[1]);
        if (pids[i] < 0)
            break;
    }
    (void)close(ready[1]);
    while (ready_count < count && read(ready[0], &byte, 1) == 1)
        ready_count++;
    (void)close(ready[0]);
    return ready_count == count ? 0 : -1;
}

int bench_hold(int argc, char **argv)
{
    Hold hold = {.quota_usec = 100000};
    uint64_t count = 0;
    char line[64];

    if (argc < 2 || argc % 2)
        bench_usage(USAGE);
    parse(argc, argv, &hold);
    hold.name = argv[1];
    pid_t *pids = bench_alloc(MAX_CONTAINERS, sizeof(*pids));
    /* Ctrl-C reaches all; whoever started this closes our input then. */
    (void)signal(SIGINT, SIG_IGN);
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        bench_die("mount namespace");
    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        uint64_t more = bench_number(line, MAX_CONTAINERS - count);
        int r = make(&hold, pids, count, more);
        count += more;
        if (r < 0)
            break;
        for (uint64_t i = count - more; i < count; i++)
            (void)printf("%d\n", (int)pids[i]);
        (void)printf("\n");
        (void)fflush(stdout);
    }
    take_away(&hold, pids, count);
    free(pids);
    return 0;
}
