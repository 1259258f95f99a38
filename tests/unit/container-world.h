/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Made-up hosts with one container on them, /slice/pod/c1 on v2 and /pod/c1 on v1, whose files a
 * test changes between answers as a running host changes them. Include after cmocka.h.
 */

#include <stdint.h>
#include <sys/syscall.h>

#include "daemon/container/container.h"
#include "tests/unit/source-tree.h"

#define MIB (1024ull * 1024)
#define GIB (1024 * MIB)
#define SEC 1000000000ull
#define MSEC 1000000ull
#define INIT_PID 42

typedef struct World {
    Tree tree;
    uint64_t now_nsec;
    uint64_t look_nsec; /* what passes from one look at the clock to the next */
    SfHost *host;
    SfCgroups *cgroups;
    int pidfd; /* of this process, for which the made-up one stands */
} World;

static inline uint64_t test_clock(void *data)
{
    World *world = data;
    uint64_t now_nsec = world->now_nsec;

    world->now_nsec += world->look_nsec;
    return now_nsec;
}

static inline void put(World *world, const char *path, const char *text)
{
    tree_write(&world->tree, path, text);
}

/* A file below sys/fs/cgroup. */
static inline void cg(World *world, const char *path, const char *text)
{
    char full[512];

    (void)snprintf(full, sizeof(full), "sys/fs/cgroup/%s", path);
    put(world, full, text);
}

static inline void put_namespaces(World *world, const char *process, unsigned time)
{
    static const char *const kinds[] = {"mnt",    "pid", "user", "time",
                                        "cgroup", "net", "ipc",  "uts"};
    char path[128], target[64];

    (void)snprintf(path, sizeof(path), "proc/%s/ns", process);
    tree_mkdir(&world->tree, path);
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        unsigned number = strcmp(kinds[i], "time") == 0 ? time : 4026531840u + i;
        (void)snprintf(path, sizeof(path), "proc/%s/ns/%s", process, kinds[i]);
        (void)snprintf(target, sizeof(target), "%s:[%u]", kinds[i], number);
        tree_symlink(&world->tree, path, target);
    }
}

/* A task with a state; init started 100 s after boot. */
static inline void put_task(World *world, int tid, char state, int inner_pid)
{
    char path[64], text[256];

    (void)snprintf(path, sizeof(path), "proc/%d/stat", tid);
    (void)snprintf(text, sizeof(text),
                   "%d (a ) b) %c 1 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 10000 0 0\n", tid,
                   state);
    put(world, path, text);
    (void)snprintf(path, sizeof(path), "proc/%d/status", tid);
    (void)snprintf(text, sizeof(text), "Name:\tx\nNSpid:\t%d\t%d\n", tid, inner_pid);
    put(world, path, text);
}

static inline void world_begin(World *world)
{
    *world = (World){.now_nsec = 160 * SEC};
    tree_init(&world->tree);
    world->pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    assert_true(world->pidfd >= 0);
    put(world, "proc/meminfo",
        "MemTotal:        8388608 kB\nMemFree:         4194304 kB\nMemAvailable:    6291456 kB\n"
        "SwapTotal:       2097152 kB\nSwapFree:        1048576 kB\n");
    put(world, "sys/devices/system/cpu/online", "0-7\n");
    put_task(world, INIT_PID, 'S', 1);
    put(world, "proc/42/uid_map", "         0     100000      65536\n");
    put(world, "proc/42/gid_map", "         0     200000      65536\n");
    put_namespaces(world, "42", 4026531900u);
    put_namespaces(world, "self", 4026531900u);
}

static inline void world_open(World *world)
{
    SfHostOptions options = {.root = world->tree.root,
                             .page_bytes = 4096,
                             .ticks_per_sec = 100,
                             .boottime_nsec = test_clock,
                             .clock_data = world};

    assert_int_equal(sf_host_open(&options, &world->host), 0);
    assert_int_equal(sf_cgroups_open(world->host, &world->cgroups), 0);
}

static inline void world_end(World *world)
{
    unsigned nodes, fds;

    sf_cgroups_counts(world->cgroups, &nodes, &fds);
    assert_int_equal(nodes, 0); /* every container gave its cgroups back */
    assert_int_equal(fds, 0);
    sf_cgroups_free(world->cgroups);
    sf_host_free(world->host);
    (void)sf_close(world->pidfd);
    tree_clear(&world->tree);
}

static inline SfContainer *make(World *world, SfCpuPolicy cpu)
{
    SfPolicy policy;
    SfContainer *container = NULL;
    SfContainerSpec spec = {.id = "c1",
                            .init_pid = INIT_PID,
                            .pidfd = world->pidfd,
                            .bundle = "/bundles/c1",
                            .policy = &policy};

    sf_policy_init(&policy);
    policy.cpu = cpu;
    assert_int_equal(sf_container_new(world->host, world->cgroups, &spec, &container), 0);
    return container;
}

/* Time passes beyond what host texts and task counts may be old. */
static inline void pass(World *world, uint64_t nsec)
{
    world->now_nsec += nsec;
}

static inline void v2_world(World *world)
{
    world_begin(world);
    put(world, "proc/self/mountinfo",
        "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
    put(world, "proc/42/cgroup", "0::/slice/pod/c1/init.scope\n");
    cg(world, "cgroup.controllers", "cpuset cpu io memory hugetlb pids\n");
    cg(world, "cpu.stat", "usage_usec 9\nuser_usec 9\nsystem_usec 9\n");
    cg(world, "cpuset.cpus.effective", "0-7\n");
    cg(world, "slice/memory.max", "max\n");
    cg(world, "slice/memory.current", "3221225472\n");
    cg(world, "slice/cpu.max", "max 100000\n");
    cg(world, "slice/pod/memory.max", "1073741824\n");
    cg(world, "slice/pod/memory.current", "536870912\n");
    cg(world, "slice/pod/memory.swap.max", "max\n");
    cg(world, "slice/pod/cpu.max", "max 100000\n");
    cg(world, "slice/pod/c1/memory.max", "268435456\n");
    cg(world, "slice/pod/c1/memory.current", "104857600\n");
    cg(world, "slice/pod/c1/memory.stat",
       "anon 41943040\nfile 20971520\ninactive_file 8388608\nactive_file 4194304\n"
       "slab_reclaimable 1048576\nslab_unreclaimable 1048576\n");
    cg(world, "slice/pod/c1/memory.swap.max", "134217728\n");
    cg(world, "slice/pod/c1/memory.swap.current", "1048576\n");
    cg(world, "slice/pod/c1/cpu.max", "150000 100000\n");
    cg(world, "slice/pod/c1/cpu.stat",
       "usage_usec 15000000\nuser_usec 12000000\nsystem_usec 3000000\nthrottled_usec 0\n");
    cg(world, "slice/pod/c1/cpuset.cpus.effective", "4-7\n");
    cg(world, "slice/pod/c1/cgroup.threads", "");
    cg(world, "slice/pod/c1/init.scope/cgroup.threads", "42\n");
}

static inline void v1_files(World *world)
{
    cg(world, "memory/memory.limit_in_bytes", "9223372036854771712\n");
    cg(world, "memory/memory.usage_in_bytes", "5368709120\n");
    cg(world, "memory/memory.stat", "total_cache 1\n");
    cg(world, "memory/memory.memsw.limit_in_bytes", "9223372036854771712\n");
    cg(world, "memory/pod/memory.limit_in_bytes", "1073741824\n");
    cg(world, "memory/pod/memory.usage_in_bytes", "536870912\n");
    cg(world, "memory/pod/memory.memsw.limit_in_bytes", "1342177280\n");
    cg(world, "memory/pod/memory.memsw.usage_in_bytes", "536870912\n");
    cg(world, "memory/pod/c1/memory.limit_in_bytes", "268435456\n");
    cg(world, "memory/pod/c1/memory.usage_in_bytes", "104857600\n");
    cg(world, "memory/pod/c1/memory.stat",
       "cache 1\nactive_file 1\ntotal_cache 20971520\ntotal_rss 41943040\n"
       "total_inactive_file 8388608\ntotal_active_file 4194304\n");
    cg(world, "memory/pod/c1/memory.memsw.limit_in_bytes", "402653184\n");
    cg(world, "memory/pod/c1/memory.memsw.usage_in_bytes", "106954752\n");
    cg(world, "memory/pod/c1/memory.swappiness", "0\n");
    cg(world, "cpu/pod/cpu.cfs_quota_us", "50000\n");
    cg(world, "cpu/pod/cpu.cfs_period_us", "100000\n");
    cg(world, "cpu/pod/c1/cpu.cfs_quota_us", "-1\n");
    cg(world, "cpu/pod/c1/cpu.cfs_period_us", "100000\n");
    cg(world, "cpu/pod/c1/cpu.stat", "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n");
    cg(world, "cpu/pod/c1/cpuacct.usage_all",
       "cpu user system\n0 1000000000 500000000\n1 2000000000 0\n2 0 0\n3 0 4000000000\n");
    cg(world, "cpuset/pod/c1/cpuset.effective_cpus", "1-3\n");
    cg(world, "cpu/pod/c1/tasks", "42\n");
    cg(world, "memory/pod/c1/tasks", "42\n");
}

static const char V1_MOUNTS[] =
    "31 24 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
    "32 24 0:28 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
    "33 24 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";

static inline void v1_world(World *world)
{
    world_begin(world);
    put(world, "proc/self/mountinfo", V1_MOUNTS);
    put(world, "proc/42/cgroup", "3:memory:/pod/c1\n2:cpuset:/pod/c1\n1:cpu,cpuacct:/pod/c1\n");
    v1_files(world);
}

static inline void assert_cpus(SfContainer *container, const char *list)
{
    char text[128];
    SfCpuSet cpus;

    assert_int_equal(sf_container_visible_cpus(container, &cpus), 0);
    assert_true(sf_cpuset_format_list(&cpus, text, sizeof(text)) >= 0);
    assert_string_equal(text, list);
}

/* What holds of every answer. */
static inline SfContainerMemory get_memory(SfContainer *container)
{
    SfContainerMemory memory;

    assert_int_equal(sf_container_memory(container, &memory), 0);
    assert_true(memory.limit.value <= memory.host_total_bytes);
    assert_true(memory.free_bytes <= memory.limit.value);
    assert_true(memory.available_bytes <= memory.limit.value);
    assert_true(memory.usage_bytes <= memory.limit.value);
    assert_true(memory.swap_used_bytes <= memory.swap_limit.value);
    assert_int_equal(memory.limited, memory.limit.by != NULL);
    return memory;
}
