/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the tests of daemon/control share: a made-up v2 host in which real child processes live, a
 * runtime directory, and a mounting backend that only writes down what it is asked. Include after
 * cmocka.h.
 */

#include <dirent.h>
#include <errno.h>
#include <glib.h>
#include <limits.h>
#include <signal.h>
#include <sys/wait.h>

#include "daemon/control/registry.h"
#include "tests/unit/source-tree.h"

#define SEC 1000000000ull

typedef struct ControlWorld {
    Tree tree; /* the host */
    Tree runtime;
    uint64_t now_nsec;
    SfHost *host;
    SfCgroups *cgroups;
    SfRegistry *registry;
    GPtrArray *mounts;    /* FakeMount, owned; of SF_MOUNT_VIEW */
    GPtrArray *constants; /* likewise, of SF_MOUNT_CONSTANTS */
    GPtrArray *stale;     /* mount points given to unmount_stale, owned */
    unsigned recalls;     /* of constants */
    int mount_error;      /* what mounting answers */
    GArray *children;     /* pid_t */
} ControlWorld;

typedef struct FakeMount {
    char *path;
    SfView *view;
} FakeMount;

static inline void free_mount(void *data)
{
    FakeMount *mount = data;

    sf_view_unref(mount->view);
    g_free(mount->path);
    g_free(mount);
}

static inline int fake_mount(void *data, SfView *view, SfViewMount kind, const char *mount_point,
                             void **ret_mount)
{
    ControlWorld *world = data;

    if (world->mount_error)
        return world->mount_error;
    assert_true(g_file_test(mount_point, G_FILE_TEST_IS_DIR));
    FakeMount *mount = g_new0(FakeMount, 1);
    mount->path = g_strdup(mount_point);
    mount->view = sf_view_ref(view);
    g_ptr_array_add(kind == SF_MOUNT_VIEW ? world->mounts : world->constants, mount);
    *ret_mount = mount;
    return 0;
}

static inline void fake_unmount(void *data, void *mount)
{
    ControlWorld *world = data;

    assert_true(g_ptr_array_remove(world->mounts, mount) ||
                g_ptr_array_remove(world->constants, mount));
}

static inline void fake_leave(void *data, void *mount)
{
    fake_unmount(data, mount);
}

static inline int fake_unmount_stale(void *data, const char *mount_point)
{
    ControlWorld *world = data;

    g_ptr_array_add(world->stale, g_strdup(mount_point));
    return 1;
}

static inline void fake_recall(void *data, void *mount)
{
    ControlWorld *world = data;

    assert_true(g_ptr_array_find(world->constants, mount, NULL));
    world->recalls++;
}

static inline uint64_t fake_requests(void *data)
{
    return 7;
}

static inline unsigned fake_workers(void *data)
{
    return 3;
}

static inline uint64_t world_clock(void *data)
{
    return ((ControlWorld *)data)->now_nsec;
}

static inline void put(ControlWorld *world, const char *text, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static inline void put(ControlWorld *world, const char *text, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    g_autofree char *path = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    tree_write(&world->tree, path, text);
}

static inline void put_namespaces(ControlWorld *world, const char *process, unsigned mnt)
{
    static const char *const kinds[] = {"mnt",    "pid", "user", "time",
                                        "cgroup", "net", "ipc",  "uts"};

    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *path = g_strdup_printf("proc/%s/ns/%s", process, kinds[i]);
        g_autofree char *directory = g_path_get_dirname(path);
        g_autofree char *target = g_strdup_printf("%s:[%u]", kinds[i], i ? 4026531840u + i : mnt);
        tree_mkdir(&world->tree, directory);
        tree_symlink(&world->tree, path, target);
    }
}

/* A process that the made-up host knows: in a cgroup ("/a/b", made when it is not there) and a
 * mount namespace. */
static inline pid_t start_process(ControlWorld *world, const char *cgroup, unsigned mnt)
{
    int closed[2];
    char byte;

    assert_int_equal(pipe(closed), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close_range(STDERR_FILENO + 1, UINT_MAX, 0); /* the registry's lock, for one */
        (void)pause();
        _exit(0);
    }
    /* Ends when the child has closed all of ours: the lock would be held by both. */
    (void)close(closed[1]);
    assert_int_equal(read(closed[0], &byte, 1), 0);
    (void)close(closed[0]);
    g_array_append_val(world->children, pid);
    g_autofree char *number = g_strdup_printf("%d", (int)pid);
    g_autofree char *stat = g_strdup_printf(
        "%d (a ) b) S 1 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 10000 0 0\n", (int)pid);
    g_autofree char *membership = g_strdup_printf("0::%s\n", cgroup);
    put(world, stat, "proc/%d/stat", (int)pid);
    put(world, "Name:\tx\nNSpid:\t100\t1\n", "proc/%d/status", (int)pid);
    put(world, membership, "proc/%d/cgroup", (int)pid);
    put(world, "         0     100000      65536\n", "proc/%d/uid_map", (int)pid);
    put(world, "         0     200000      65536\n", "proc/%d/gid_map", (int)pid);
    put_namespaces(world, number, mnt);
    put(world, "268435456\n", "sys/fs/cgroup%s/memory.max", cgroup);
    put(world, "104857600\n", "sys/fs/cgroup%s/memory.current", cgroup);
    put(world, "anon 4096\n", "sys/fs/cgroup%s/memory.stat", cgroup);
    put(world, "150000 100000\n", "sys/fs/cgroup%s/cpu.max", cgroup);
    return pid;
}

static inline void end_process(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static inline SfRegistryOptions world_options(ControlWorld *world)
{
    return (SfRegistryOptions){.runtime_dir = world->runtime.root,
                               .host = world->host,
                               .cgroups = world->cgroups,
                               .backend = {.mount_view = fake_mount,
                                           .unmount_view = fake_unmount,
                                           .unmount_stale = fake_unmount_stale,
                                           .leave_view = fake_leave,
                                           .recall = fake_recall,
                                           .requests = fake_requests,
                                           .workers = fake_workers,
                                           .data = world}};
}

static inline int world_open_registry(ControlWorld *world)
{
    SfRegistryOptions options = world_options(world);
    pid_t other;

    return sf_registry_new(&options, &world->registry, &other);
}

/* Everything but the registry. */
static inline void world_begin(ControlWorld *world)
{
    assert_non_null(sf_keep_default()); /* its fd is there before any is counted */
    *world = (ControlWorld){.now_nsec = 160 * SEC};
    tree_init(&world->tree);
    tree_init(&world->runtime);
    world->mounts = g_ptr_array_new_with_free_func(free_mount);
    world->constants = g_ptr_array_new_with_free_func(free_mount);
    world->stale = g_ptr_array_new_with_free_func(g_free);
    world->children = g_array_new(FALSE, FALSE, sizeof(pid_t));
    put(world, "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "proc/self/mountinfo");
    put(world, "MemTotal:        8388608 kB\nMemFree:         4194304 kB\n", "proc/meminfo");
    put(world, "0d6a2f3e-5a4b-4c1d-9e8f-102030405060\n", "proc/sys/kernel/random/boot_id");
    put(world, "cpuset cpu io memory pids\n", "sys/fs/cgroup/cgroup.controllers");
    put(world, "0-7\n", "sys/fs/cgroup/cpuset.cpus.effective");
    put(world, "0-7\n", "sys/devices/system/cpu/online");
    put_namespaces(world, "self", 4026531840u);

    SfHostOptions options = {.root = world->tree.root,
                             .page_bytes = 4096,
                             .ticks_per_sec = 100,
                             .boottime_nsec = world_clock,
                             .clock_data = world};
    assert_int_equal(sf_host_open(&options, &world->host), 0);
    assert_int_equal(sf_cgroups_open(world->host, &world->cgroups), 0);
}

static inline void world_end(ControlWorld *world)
{
    unsigned nodes, fds;

    sf_registry_free(world->registry);
    assert_int_equal(world->mounts->len, 0);
    assert_int_equal(world->constants->len, 0);
    sf_cgroups_counts(world->cgroups, &nodes, &fds);
    assert_int_equal(nodes, 0); /* every container gave its cgroups back */
    assert_int_equal(fds, 0);
    for (unsigned i = 0; i < world->children->len; i++) {
        pid_t pid = g_array_index(world->children, pid_t, i);
        (void)kill(pid, SIGKILL); /* some have been ended by their test */
        (void)waitpid(pid, NULL, 0);
    }
    g_array_unref(world->children);
    g_ptr_array_unref(world->mounts);
    g_ptr_array_unref(world->constants);
    g_ptr_array_unref(world->stale);
    sf_cgroups_free(world->cgroups);
    sf_host_free(world->host);
    tree_clear(&world->tree);
    tree_clear(&world->runtime);
}

/* Runs the main loop until a condition holds, at most 2 s. */
#define run_until(condition)                                                                       \
    do {                                                                                           \
        int64_t end_ = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;                               \
        while (!(condition) && g_get_monotonic_time() < end_) {                                    \
            if (!g_main_context_iteration(NULL, FALSE))                                            \
                g_usleep(1000);                                                                    \
        }                                                                                          \
        assert_true(condition);                                                                    \
    } while (0)

static inline void run_for(unsigned msec)
{
    int64_t end = g_get_monotonic_time() + (int64_t)msec * 1000;

    while (g_get_monotonic_time() < end) {
        if (!g_main_context_iteration(NULL, FALSE))
            g_usleep(1000);
    }
}

static inline unsigned entries_of(const char *path)
{
    unsigned count = 0;
    DIR *dir = opendir(path);

    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    (void)closedir(dir);
    return count;
}

static inline bool runtime_has(const ControlWorld *world, const char *path)
{
    g_autofree char *full = g_build_filename(world->runtime.root, path, NULL);

    return g_file_test(full, G_FILE_TEST_EXISTS);
}

static inline unsigned runtime_count(const ControlWorld *world, const char *path)
{
    g_autofree char *full = g_build_filename(world->runtime.root, path, NULL);

    return entries_of(full);
}

static inline unsigned open_fds(void)
{
    return entries_of("/proc/self/fd");
}
