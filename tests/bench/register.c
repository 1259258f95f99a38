/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What registering costs. All times are nanoseconds; a line of times is "p50 p90 p99 largest mean"
 * after a name, with tabs between.
 *
 * sysfsd-bench register RUNTIME_DIR PREFIX FIRST PID...: has the daemon register the processes as
 *   PREFIX<FIRST>, PREFIX<FIRST + 1>, ... without binding anything, and prints how long each took.
 * sysfsd-bench hook HOOK CTL ID PID STATE COUNT RUNTIME_DIR...: COUNT times, with each daemon in
 *   turn, runs the hook with the file STATE as input, from its start to its end; detaches again
 * with sysfs-ctl, not timed; and registers and unregisters the same process by the socket alone,
 * which is the daemon's part of it. Prints "files", a tab and how many were bound, then for each
 * daemon lines that begin with its number.
 */

#include "tests/bench/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/client.h"

#define TIMEOUT_MSEC 20000
#define MAX_COUNT 100000
#define MAX_DAEMONS 4

extern char **environ;

static uint64_t call(const char *runtime_dir, const char *method, json_t *parameters, int fd)
{
    SfReply reply = {0};
    char name[128];

    (void)snprintf(name, sizeof(name), "%s.%s", SF_CONTROL_INTERFACE, method);
    uint64_t begin = bench_now_nsec();
    int r = sf_client_call(runtime_dir, name, parameters, fd, TIMEOUT_MSEC, &reply);
    uint64_t nsec = bench_now_nsec() - begin;
    errno = r < 0 ? -r : 0;
    if (r < 0 || reply.error)
        bench_die("%s: %s", method, r < 0 ? "call" : (reply.message ? reply.message : reply.error));
    sf_reply_clear(&reply);
    json_decref(parameters);
    return nsec;
}

static uint64_t register_one(const char *runtime_dir, const char *id, pid_t pid)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    json_t *parameters = json_pack("{s:s, s:i}", "id", id, "pid", (int)pid);

    if (pidfd < 0 || !parameters)
        bench_die("process %d", (int)pid);
    uint64_t nsec = call(runtime_dir, "Register", parameters, pidfd);
    (void)close(pidfd);
    return nsec;
}

int bench_register(int argc, char **argv)
{
    char id[128];

    if (argc < 5)
        bench_usage("register RUNTIME_DIR PREFIX FIRST PID...");
    uint64_t first = bench_number(argv[3], MAX_COUNT);
    for (int i = 4; i < argc; i++) {
        (void)snprintf(id, sizeof(id), "%s%llu", argv[2],
                       (unsigned long long)first + (unsigned)i - 4);
        uint64_t nsec = register_one(argv[1], id, (pid_t)bench_number(argv[i], INT32_MAX));
        (void)printf("%llu\n", (unsigned long long)nsec);
    }
    return 0;
}

/* From before the process is made until it has ended. */
static uint64_t run_tool(const char *const *argv, const char *input)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status;

    errno = posix_spawn_file_actions_init(&actions);
    if (errno == 0)
        errno = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, input, O_RDONLY, 0);
    if (errno == 0)
        errno = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (errno)
        bench_die("posix_spawn");
    uint64_t begin = bench_now_nsec();
    errno = posix_spawn(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
    if (errno || waitpid(pid, &status, 0) < 0)
        bench_die("%s", argv[0]);
    uint64_t nsec = bench_now_nsec() - begin;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        bench_die("%s failed", argv[0]);
    (void)posix_spawn_file_actions_destroy(&actions);
    return nsec;
}

/* Files of views that are bound in the process's mount namespace. It is a copy of the host's, with
 * whole views too, whose root is "/"; those go when somebody removes the directory below them. */
static unsigned count_bound(pid_t pid)
{
    char path[64], line[4096];
    unsigned count = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        bench_die("%s", path);
    while (fgets(line, sizeof(line), file))
        count += strstr(line, " - fuse.sysfsd ") && !strstr(line, " / /");
    (void)fclose(file);
    return count;
}

/* Times of one daemon. */
typedef struct Registering {
    const char *runtime_dir;
    uint64_t *hook, *registering, *unregistering;
} Registering;

static void print_registering(unsigned number, const Registering *daemon, uint64_t count)
{
    (void)printf("%u\thook", number);
    bench_print_times(daemon->hook, count);
    (void)printf("\n%u\tregister", number);
    bench_print_times(daemon->registering, count);
    (void)printf("\n%u\tunregister", number);
    bench_print_times(daemon->unregistering, count);
    (void)printf("\n");
}

int bench_hook(int argc, char **argv)
{
    Registering daemons[MAX_DAEMONS];
    unsigned bound = 0, daemon_count = argc > 7 ? (unsigned)argc - 7 : 0;

    if (daemon_count < 1 || daemon_count > MAX_DAEMONS)
        bench_usage("hook HOOK CTL ID PID STATE COUNT RUNTIME_DIR...");
    const char *id = argv[3];
    pid_t pid = (pid_t)bench_number(argv[4], INT32_MAX);
    uint64_t count = bench_number(argv[6], MAX_COUNT);
    for (unsigned d = 0; d < daemon_count; d++)
        daemons[d] = (Registering){argv[7 + d], bench_alloc(count, sizeof(uint64_t)),
                                   bench_alloc(count, sizeof(uint64_t)),
                                   bench_alloc(count, sizeof(uint64_t))};
    for (uint64_t i = 0; i < count; i++) {
        for (unsigned turn = 0; turn < daemon_count; turn++) {
            Registering *daemon = &daemons[(turn + i) % daemon_count];
            const char *runtime_dir = daemon->runtime_dir;
            const char *const hook[] = {argv[1],      "--runtime-dir", runtime_dir,
                                        "--required", "createRuntime", NULL};
            const char *const detach[] = {argv[2], "--runtime-dir", runtime_dir, "detach", id,
                                          NULL};
            daemon->hook[i] = run_tool(hook, argv[5]);
            bound = count_bound(pid);
            errno = 0;
            if (bound == 0)
                bench_die("the hook has bound nothing");
            (void)run_tool(detach, "/dev/null");
            errno = 0;
            if (count_bound(pid) != 0)
                bench_die("detaching has left some of %u files bound", bound);
            daemon->registering[i] = register_one(runtime_dir, id, pid);
            daemon->unregistering[i] =
                call(runtime_dir, "Unregister", json_pack("{s:s}", "id", id), -1);
        }
    }
    (void)printf("files\t%u\n", bound);
    for (unsigned d = 0; d < daemon_count; d++)
        print_registering(d, &daemons[d], count);
    return 0;
}
