/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/bench-world.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "tests/golden/captured_root.h"

static uint64_t world_clock(void *data)
{
    const BenchWorld *world = data;
    struct timespec now = {0};

    if (world->fixed_nsec > 0)
        return world->fixed_nsec + world->passed_nsec;
    (void)clock_gettime(CLOCK_BOOTTIME, &now); /* cannot fail for this clock */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec + world->passed_nsec;
}

static bool write_file(const char *directory, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(directory, name, NULL);
    SF_CLEANUP_FD int fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static void copy_from_parent(const char *directory, const char *name)
{
    g_autofree char *parent = g_path_get_dirname(directory);
    g_autofree char *path = g_build_filename(parent, name, NULL);
    g_autofree char *text = NULL;

    if (g_file_get_contents(path, &text, NULL, NULL))
        (void)write_file(directory, name, text); /* only v1's cpuset needs it */
}

/* A cgroup below a hierarchy's top, with the limits that this hierarchy knows, and the process in
 * it. False where that is not permitted. */
static bool make_cgroup(BenchWorld *world, const char *top, unsigned number)
{
    char name[64], pid[16];

    (void)g_snprintf(name, sizeof(name), "sysfsd-render-%d-%u", getpid(), number);
    (void)g_snprintf(pid, sizeof(pid), "%d", world->inits[number]);
    char *path = g_build_filename(top, name, NULL);
    if (world->cgroup_count == WORLD_PATHS_MAX || mkdir(path, 0755) < 0) {
        g_free(path);
        return false;
    }
    world->cgroup_paths[world->cgroup_count++] = path;
    copy_from_parent(path, "cpuset.cpus");
    copy_from_parent(path, "cpuset.mems");
    /* One of each pair is there, or none. */
    (void)write_file(path, "memory.limit_in_bytes", "268435456");
    (void)write_file(path, "memory.max", "268435456");
    (void)write_file(path, "cpu.cfs_quota_us", "150000");
    (void)write_file(path, "cpu.max", "150000 100000");
    return write_file(path, "cgroup.procs", pid);
}

static bool make_cgroups(BenchWorld *world, unsigned number)
{
    g_autofree char *text = NULL;
    SfCgroupMount mount;
    gsize len;
    bool made = true;

    if (!g_file_get_contents("/proc/self/mountinfo", &text, &len, NULL))
        return false;
    SfSlice rest = sf_slice(text, len);
    while (made && sf_cgroup_mount_next(&rest, &mount) > 0) {
        made = make_cgroup(world, mount.mount_point, number);
        sf_cgroup_mount_clear(&mount);
    }
    return made;
}

static pid_t start_init(void)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;)
        (void)pause();
}

static int make_real(BenchWorld *world)
{
    for (unsigned i = 0; i < WORLD_CONTAINERS; i++) {
        SfContainerSpec spec = {.id = i == 0 ? "render-a" : "render-b", .pidfd = -1};
        world->inits[i] = start_init();
        if (world->inits[i] < 0)
            return -errno;
        if (!make_cgroups(world, i))
            return -EPERM;
        spec.init_pid = world->inits[i];
        int r = sf_container_new(world->host, world->cgroups, &spec, &world->containers[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

static int make_captured(BenchWorld *world, const char *scenario, pid_t init_pid)
{
    SF_CLEANUP_FD int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);

    for (unsigned i = 0; i < WORLD_CONTAINERS; i++) {
        SfContainerSpec spec = {
            .id = i == 0 ? "render-a" : "render-b", .init_pid = init_pid, .pidfd = pidfd};
        int r = sf_container_new(world->host, world->cgroups, &spec, &world->containers[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool read_scenario(BenchWorld *world, const char *scenario, SfHostOptions *options,
                          pid_t *ret_init_pid)
{
    g_autofree char *path = g_build_filename(scenario, "scenario.ini", NULL);
    g_autofree char *tree = g_build_filename(scenario, "root", NULL);
    g_autoptr(GKeyFile) ini = g_key_file_new();

    if (!g_key_file_load_from_file(ini, path, G_KEY_FILE_NONE, NULL))
        return false;
    *ret_init_pid = (pid_t)g_key_file_get_integer(ini, "scenario", "init_pid", NULL);
    world->fixed_nsec = g_key_file_get_uint64(ini, "scenario", "boottime_nsec", NULL);
    options->page_bytes = g_key_file_get_uint64(ini, "scenario", "page_bytes", NULL);
    options->ticks_per_sec = g_key_file_get_uint64(ini, "scenario", "ticks_per_sec", NULL);
    world->captured = captured_root_new(tree, NULL);
    options->root = world->captured;
    return world->captured != NULL;
}

int bench_world_open(BenchWorld *world, const char *scenario)
{
    SfHostOptions options = {.boottime_nsec = world_clock, .clock_data = world};
    pid_t init_pid = 0;

    *world = (BenchWorld){0};
    int r = scenario && !read_scenario(world, scenario, &options, &init_pid) ? -EINVAL : 0;
    if (r == 0)
        r = sf_host_open(&options, &world->host);
    if (r == 0)
        r = sf_cgroups_open(world->host, &world->cgroups);
    if (r == 0)
        r = scenario ? make_captured(world, scenario, init_pid) : make_real(world);
    if (r < 0)
        bench_world_close(world);
    return r;
}

void bench_world_close(BenchWorld *world)
{
    for (unsigned i = 0; i < WORLD_CONTAINERS; i++) {
        sf_container_unref(world->containers[i]);
        if (world->inits[i] > 0) {
            (void)kill(world->inits[i], SIGKILL); /* ours, and not waited for yet */
            (void)waitpid(world->inits[i], NULL, 0);
        }
    }
    sf_cgroups_free(world->cgroups);
    sf_host_free(world->host);
    captured_root_free(world->captured);
    while (world->cgroup_count > 0) {
        char *path = world->cgroup_paths[--world->cgroup_count];
        if (rmdir(path) < 0)
            (void)fprintf(stderr, "%s: %s\n", path, g_strerror(errno));
        g_free(path);
    }
}
