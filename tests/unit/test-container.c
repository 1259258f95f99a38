/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers over made-up hosts: identity, cgroups on v1, v2 and hybrid, CPUs under quotas of every
 * level and policy, CPU times, tasks, and processes that end while they are looked at.
 */

#include "daemon/container/container.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/wait.h>

#include "tests/unit/container-world.h"

static void test_identity(void **state)
{
    World world;

    v2_world(&world);
    world_open(&world);
    SfContainer *container = make(&world, SF_CPU_POLICY_QUOTA);
    assert_string_equal(sf_container_id(container), "c1");
    assert_string_equal(sf_container_bundle(container), "/bundles/c1");
    assert_int_equal(sf_container_init_pid(container), INIT_PID);
    assert_true(sf_container_pidfd(container) >= 0 && sf_container_pidfd(container) != world.pidfd);
    assert_int_equal(sf_container_start_ticks(container), 10000);
    assert_int_equal(sf_container_registered_nsec(container), 160 * SEC);
    assert_int_equal(sf_container_age_nsec(container), 60 * SEC);
    assert_int_equal(sf_container_root_uid(container), 100000);
    assert_int_equal(sf_container_root_gid(container), 200000);
    assert_int_equal(sf_container_namespaces(container)->pid, 4026531841u);
    assert_false(sf_container_has_time_namespace(container));
    assert_int_equal(sf_container_policy(container)->cpu, SF_CPU_POLICY_QUOTA);
    assert_ptr_equal(sf_container_host(container), world.host);
    assert_string_equal(sf_cgroup_path(sf_container_cgroup(container, SF_CONTROLLER_MEMORY)),
                        "/slice/pod/c1");
    assert_null(sf_container_cgroup(container, SF_CONTROLLER_SYSTEMD));
    assert_string_equal(sf_cgroup_path(sf_container_task_cgroup(container)), "/slice/pod/c1");

    world.now_nsec = 50 * SEC; /* a clock before the start */
    assert_int_equal(sf_container_age_nsec(container), 0);

    assert_ptr_equal(sf_container_ref(container), container);
    assert_null(sf_container_unref(container));
    assert_string_equal(sf_container_id(container), "c1");
    assert_null(sf_container_unref(container));
    assert_null(sf_container_unref(NULL));
    world_end(&world);
}

static void test_time_namespace(void **state)
{
    World world;

    v2_world(&world);
    tree_remove(&world.tree, "proc/42/ns");
    put_namespaces(&world, "42", 4026532999u);
    world_open(&world);
    SfContainer *container = make(&world, SF_CPU_POLICY_QUOTA);
    assert_true(sf_container_has_time_namespace(container));
    sf_container_unref(container);

    /* A kernel without time namespaces has no link: nothing to differ. */
    tree_remove(&world.tree, "proc/42/ns/time");
    tree_remove(&world.tree, "proc/self/ns/time");
    container = make(&world, SF_CPU_POLICY_QUOTA);
    assert_false(sf_container_has_time_namespace(container));
    sf_container_unref(container);
    world_end(&world);
}

static void assert_new_fails(World *world, const SfContainerSpec *spec, int expected)
{
    SfContainer *container = NULL;

    assert_int_equal(sf_container_new(world->host, world->cgroups, spec, &container), expected);
    assert_null(container);
}

static void test_refused(void **state)
{
    World world;
    SfPolicy policy;

    v2_world(&world);
    world_open(&world);
    sf_policy_init(&policy);
    SfContainerSpec spec = {
        .id = "../x", .init_pid = INIT_PID, .pidfd = world.pidfd, .policy = &policy};
    assert_new_fails(&world, &spec, -EINVAL);
    spec.id = "ok";
    spec.init_pid = 0;
    assert_new_fails(&world, &spec, -EINVAL);
    spec.init_pid = -1;
    assert_new_fails(&world, &spec, -EINVAL);
    spec.init_pid = 43; /* no such directory */
    assert_new_fails(&world, &spec, -ESRCH);
    spec.init_pid = INIT_PID;
    spec.start_ticks = 1; /* of a record: the number is another process's by now */
    assert_new_fails(&world, &spec, -ESRCH);
    spec.start_ticks = 0;
    spec.pidfd = 9999;
    assert_new_fails(&world, &spec, -EBADF);
    world_end(&world);
}

/* The pid's files can still, or again, be read: they are another's once the process has ended. */
static void test_ended_process(void **state)
{
    World world;
    SfPolicy policy;

    v2_world(&world);
    world_open(&world);
    sf_policy_init(&policy);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(0);
    int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    assert_true(pidfd >= 0);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    SfContainerSpec spec = {.id = "c1", .init_pid = INIT_PID, .pidfd = pidfd, .policy = &policy};
    assert_new_fails(&world, &spec, -ESRCH); /* a zombie */
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_new_fails(&world, &spec, -ESRCH); /* reaped */
    spec.init_pid = child;                   /* and by its own number, whatever the files' error */
    spec.pidfd = pidfd;
    assert_new_fails(&world, &spec, -ESRCH);
    (void)sf_close(pidfd);
    world_end(&world);
}

static void test_no_cgroup_of_its_own(void **state)
{
    World world;
    SfContainerMemory memory;
    SfContainerQuota quota;
    SfCpuUsage usage;
    SF_CLEANUP_TEXT SfText cpus = SF_TEXT_INIT;
    SfCpuTimes times;
    SfTaskCount count;
    uint64_t load[3];

    v2_world(&world);
    put(&world, "proc/42/cgroup", "0::/\n");
    cg(&world, "memory.stat", "anon 1\n");
    world_open(&world);
    SfContainer *container = make(&world, SF_CPU_POLICY_QUOTA);
    assert_int_equal(sf_container_memory(container, &memory), -ENODATA);
    assert_int_equal(sf_container_cpu_usage(container, &usage), -ENODATA);
    assert_int_equal(sf_container_cpu_times(container, &cpus, &times), -ENODATA);
    assert_int_equal(sf_container_tasks(container, &count), -ENODATA);
    assert_int_equal(sf_container_load(container, load), -ENODATA);
    assert_int_equal(sf_container_quota(container, &quota), 0);
    assert_cpus(container, "0-7");
    sf_container_unref(container);
    world_end(&world);

    /* A host without any cgroups. */
    world_begin(&world);
    put(&world, "proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
    put(&world, "proc/42/cgroup", "");
    world_open(&world);
    container = make(&world, SF_CPU_POLICY_QUOTA);
    assert_int_equal(sf_container_memory(container, &memory), -ENODATA);
    assert_int_equal(sf_container_cpu_times(container, &cpus, &times), -ENODATA);
    assert_int_equal(sf_container_quota(container, &quota), 0);
    assert_null(sf_container_task_cgroup(container));
    assert_cpus(container, "0-7");
    sf_container_unref(container);
    world_end(&world);
}

static void test_quota_and_policy(void **state)
{
    World world;
    SfContainerQuota quota;

    v2_world(&world);
    world_open(&world);
    SfContainer *container = make(&world, SF_CPU_POLICY_QUOTA);
    assert_int_equal(sf_container_quota(container, &quota), 0);
    assert_int_equal(quota.quota.quota_usec, 150000);
    assert_string_equal(sf_cgroup_path(quota.by), "/slice/pod/c1");
    assert_cpus(container, "4-5");

    /* 60000/20000 is more than 150000/100000, though the number is smaller; 29000/20000 is less. */
    cg(&world, "slice/pod/cpu.max", "60000 20000\n");
    assert_cpus(container, "4-5");
    cg(&world, "slice/pod/cpu.max", "19000 20000\n");
    assert_int_equal(sf_container_quota(container, &quota), 0);
    assert_int_equal(quota.quota.period_usec, 20000);
    assert_string_equal(sf_cgroup_path(quota.by), "/slice/pod");
    assert_cpus(container, "4");
    cg(&world, "slice/pod/cpu.max", "1000 1000000\n");
    assert_cpus(container, "4"); /* at least one */
    cg(&world, "slice/pod/cpu.max", "max 100000\n");

    cg(&world, "slice/pod/c1/cpu.max", "200000 100000\n");
    assert_cpus(container, "4-5"); /* two exactly */
    cg(&world, "slice/pod/c1/cpu.max", "200001 100000\n");
    assert_cpus(container, "4-6");
    cg(&world, "slice/pod/c1/cpu.max", "18446744073709551614 1\n");
    assert_cpus(container, "4-7");
    cg(&world, "slice/pod/c1/cpu.max", "0 100000\n"); /* no kernel takes it */
    assert_cpus(container, "4");
    cg(&world, "slice/pod/c1/cpu.max", "150000 100000\n");

    /* CPUs that went offline are not shown, unless none would be left. */
    put(&world, "sys/devices/system/cpu/online", "0-4,6-7\n");
    pass(&world, SEC);
    assert_cpus(container, "4,6");
    put(&world, "sys/devices/system/cpu/online", "1-3\n");
    pass(&world, SEC);
    assert_cpus(container, "1-2");
    put(&world, "sys/devices/system/cpu/online", "0-7\n");
    pass(&world, SEC);
    cg(&world, "slice/pod/c1/cpuset.cpus.effective", "\n");
    assert_cpus(container, "0-1");
    cg(&world, "slice/pod/c1/cpuset.cpus.effective", "4-7\n");
    sf_container_unref(container);

    container = make(&world, SF_CPU_POLICY_CPUSET);
    assert_cpus(container, "4-7");
    sf_container_unref(container);
    container = make(&world, SF_CPU_POLICY_HOST);
    assert_cpus(container, "0-7");
    sf_container_unref(container);
    world_end(&world);
}

static void test_v2_cpu_times(void **state)
{
    World world;
    SF_CLEANUP_TEXT SfText cpus = SF_TEXT_INIT;
    SfCpuTimes times;

    v2_world(&world);
    world_open(&world);
    SfContainer *container = make(&world, SF_CPU_POLICY_QUOTA);
    assert_int_equal(sf_container_cpu_times(container, &cpus, &times), 0);
    assert_int_equal(times.count, 2);
    assert_int_equal(times.cpus[0].cpu, 4);
    assert_int_equal(times.total.user_nsec, 12 * SEC);
    assert_int_equal(times.total.system_nsec, 3 * SEC);
    assert_int_equal(times.total.idle_nsec, 105 * SEC); /* 2 x 60 s - 15 s */

    pass(&world, 10 * SEC);
    cg(&world, "slice/pod/c1/cpu.stat",
       "usage_usec 30000000\nuser_usec 27000000\nsystem_usec 3000000\nthrottled_usec 5000000\n");
    assert_int_equal(sf_container_cpu_times(container, &cpus, &times), 0);
    assert_int_equal(times.total.user_nsec, 27 * SEC);
    assert_int_equal(times.total.steal_nsec, 5 * SEC);
    assert_int_equal(times.total.idle_nsec, 105 * SEC);

    SfCpuUsage usage;
    assert_int_equal(sf_container_cpu_usage(container, &usage), 0);
    assert_int_equal(usage.user_nsec, 27 * SEC);
    sf_container_unref(container);
    world_end(&world);
}

static void test_tasks_are_kept_a_moment(void **state)
{
    World world;
    SfTaskCount count;

    v2_world(&world);
    put_task(&world, 50, 'R', 7);
    put_task(&world, 51, 'D', 9);
    cg(&world, "slice/pod/c1/deep/er/cgroup.threads", "50\n51\n");
    world_open(&world);
    SfContainer *container = make(&world, SF_CPU_POLICY_QUOTA);
    assert_int_equal(sf_container_tasks(container, &count), 0);
    assert_int_equal(count.total, 3);
    assert_int_equal(count.running, 1);
    assert_int_equal(count.uninterruptible, 1);
    assert_int_equal(count.highest_pid, 51);
    assert_int_equal(count.highest_inner_pid, 9);

    cg(&world, "slice/pod/c1/deep/er/cgroup.threads", "50\n");
    pass(&world, SF_TASK_COUNT_MAX_AGE_NSEC - 1);
    assert_int_equal(sf_container_tasks(container, &count), 0);
    assert_int_equal(count.total, 3);
    pass(&world, 1);
    assert_int_equal(sf_container_tasks(container, &count), 0);
    assert_int_equal(count.total, 2);
    assert_int_equal(count.highest_inner_pid, 7);

    /* A count that takes half a second is not made for every read. */
    pass(&world, SF_TASK_COUNT_MAX_AGE_NSEC);
    world.look_nsec = SEC / 2;
    assert_int_equal(sf_container_tasks(container, &count), 0);
    world.look_nsec = 0;
    cg(&world, "slice/pod/c1/deep/er/cgroup.threads", "50\n51\n");
    pass(&world, 3 * SEC);
    assert_int_equal(sf_container_tasks(container, &count), 0);
    assert_int_equal(count.total, 2);
    pass(&world, 2 * SEC);
    assert_int_equal(sf_container_tasks(container, &count), 0);
    assert_int_equal(count.total, 3);
    sf_container_unref(container);
    world_end(&world);
}

static void test_load_by_reads(void **state)
{
    World world;
    uint64_t load[3];

    v2_world(&world);
    put_task(&world, 50, 'R', 7);
    put_task(&world, 51, 'D', 9);
    cg(&world, "slice/pod/c1/cgroup.threads", "50\n51\n");
    world_open(&world);
    SfContainer *container = make(&world, SF_CPU_POLICY_QUOTA);
    assert_int_equal(sf_container_load(container, load), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(load[i], 2 << 11); /* the first read seeds */
    cg(&world, "slice/pod/c1/cgroup.threads", "");
    pass(&world, 4 * SEC);
    assert_int_equal(sf_container_load(container, load), 0);
    assert_int_equal(load[0], 2 << 11);
    pass(&world, 1 * SEC);
    assert_int_equal(sf_container_load(container, load), 0);
    assert_int_equal(load[0], 2 * 1884);
    assert_int_equal(load[1], 2 * 2014);
    assert_int_equal(load[2], 2 * 2037);
    sf_container_unref(container);
    world_end(&world);
}

static void test_v1_cpu(void **state)
{
    World world;
    SfContainerQuota quota;
    SF_CLEANUP_TEXT SfText cpus = SF_TEXT_INIT;
    SfCpuTimes times;

    v1_world(&world);
    world_open(&world);
    SfContainer *container = make(&world, SF_CPU_POLICY_CPUSET);
    assert_cpus(container, "1-3");
    assert_int_equal(sf_container_quota(container, &quota), 0);
    assert_int_equal(quota.quota.quota_usec, 50000);
    assert_string_equal(sf_cgroup_path(quota.by), "/pod");
    assert_int_equal(sf_container_cpu_times(container, &cpus, &times), 0);
    assert_int_equal(times.count, 3);
    /* CPU 0 is not shown: its 1.5 s fill up the idlest. */
    assert_int_equal(times.cpus[0].user_nsec, 2 * SEC);
    assert_int_equal(times.cpus[1].user_nsec + times.cpus[1].system_nsec, 1500 * MSEC);
    assert_int_equal(times.cpus[2].system_nsec, 4 * SEC);
    assert_int_equal(times.total.user_nsec, 3 * SEC);
    assert_int_equal(times.total.system_nsec, 4500 * MSEC);
    assert_int_equal(times.total.idle_nsec, 180 * SEC - 7500 * MSEC);
    sf_container_unref(container);

    container = make(&world, SF_CPU_POLICY_QUOTA);
    assert_cpus(container, "1");
    sf_container_unref(container);

    /* Before 4.8 there is no usage_all; the sum of ticks is spread. */
    tree_remove(&world.tree, "sys/fs/cgroup/cpu/pod/c1/cpuacct.usage_all");
    cg(&world, "cpu/pod/c1/cpuacct.stat", "user 300\nsystem 100\n");
    container = make(&world, SF_CPU_POLICY_CPUSET);
    assert_int_equal(sf_container_cpu_times(container, &cpus, &times), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(times.cpus[i].user_nsec, 1 * SEC);
    assert_int_equal(times.total.system_nsec, 1 * SEC);
    sf_container_unref(container);
    world_end(&world);
}

static const char *task_path(World *world)
{
    static char path[128];
    SfContainer *container = make(world, SF_CPU_POLICY_QUOTA);
    SfCgroup *cgroup = sf_container_task_cgroup(container);

    (void)snprintf(path, sizeof(path), "%u:%s", cgroup != NULL ? sf_cgroup_version_of(cgroup) : 0,
                   cgroup != NULL ? sf_cgroup_path(cgroup) : "");
    sf_container_unref(container);
    return path;
}

static void test_hybrid(void **state)
{
    World world;
    char mounts[1024];

    v1_world(&world);
    (void)snprintf(mounts, sizeof(mounts),
                   "30 24 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n%s", V1_MOUNTS);
    put(&world, "proc/self/mountinfo", mounts);
    cg(&world, "unified/cgroup.controllers", "\n");
    cg(&world, "unified/pod/c1/cgroup.threads", "42\n");
    cg(&world, "unified/engine.service/cgroup.threads", "1\n42\n");
    world_open(&world);

    /* systemd puts a scope into every tree. */
    put(&world, "proc/42/cgroup", "3:memory:/pod/c1\n2:cpuset:/\n1:cpu,cpuacct:/\n0::/pod/c1\n");
    assert_string_equal(task_path(&world), "2:/pod/c1");
    /* The unified tree knows nothing of it. */
    put(&world, "proc/42/cgroup", "3:memory:/pod/c1\n2:cpuset:/\n1:cpu,cpuacct:/\n0::/\n");
    assert_string_equal(task_path(&world), "1:/pod/c1");
    /* The engine's own cgroup, with all its containers. */
    put(&world, "proc/42/cgroup",
        "3:memory:/pod/c1\n2:cpuset:/pod/c1\n1:cpu,cpuacct:/\n0::/engine.service\n");
    assert_string_equal(task_path(&world), "1:/pod/c1");
    /* In no v1 hierarchy. */
    put(&world, "proc/42/cgroup", "3:memory:/\n2:cpuset:/\n1:cpu,cpuacct:/\n0::/pod/c1\n");
    assert_string_equal(task_path(&world), "2:/pod/c1");
    put(&world, "proc/42/cgroup", "3:memory:/\n2:cpuset:/\n1:cpu,cpuacct:/\n0::/\n");
    assert_string_equal(task_path(&world), "0:");

    /* Each controller is answered by its own hierarchy; the top of one is not the container's. */
    put(&world, "proc/42/cgroup",
        "3:memory:/pod/c1\n2:cpuset:/pod/c1\n1:cpu,cpuacct:/\n0::/pod/c1\n");
    SfContainer *container = make(&world, SF_CPU_POLICY_QUOTA);
    SfContainerMemory memory;
    SF_CLEANUP_TEXT SfText cpus = SF_TEXT_INIT;
    SfCpuTimes times;
    assert_int_equal(get_memory(container).limit.value, 256 * MIB);
    assert_int_equal(sf_container_cpu_times(container, &cpus, &times), -ENODATA);
    assert_cpus(container, "1-3");
    sf_container_unref(container);
    put(&world, "proc/42/cgroup", "3:memory:/\n2:cpuset:/\n1:cpu,cpuacct:/pod/c1\n0::/\n");
    container = make(&world, SF_CPU_POLICY_QUOTA);
    assert_int_equal(sf_container_memory(container, &memory), -ENODATA);
    assert_cpus(container, "0"); /* the pod's half a CPU of all */
    sf_container_unref(container);
    world_end(&world);
}

static void test_from_record(void **state)
{
    World world;
    SfPolicy policy;
    SfContainer *container = NULL;
    const char *paths[SF_CONTROLLER_COUNT] = {0};

    v1_world(&world);
    /* init moved on since; what the record does not name comes from init, what is gone is none. */
    put(&world, "proc/42/cgroup",
        "3:memory:/pod/c1/sub\n2:cpuset:/pod/c1\n1:cpu,cpuacct:/pod/c1/sub\n");
    paths[SF_CONTROLLER_MEMORY] = "/pod/c1";
    paths[SF_CONTROLLER_CPU] = "/pod/gone";
    world_open(&world);
    sf_policy_init(&policy);
    SfContainerSpec spec = {.id = "c1",
                            .init_pid = INIT_PID,
                            .pidfd = world.pidfd,
                            .policy = &policy,
                            .cgroup_paths = paths};
    assert_int_equal(sf_container_new(world.host, world.cgroups, &spec, &container), 0);
    assert_null(sf_container_bundle(container));
    assert_string_equal(sf_cgroup_path(sf_container_cgroup(container, SF_CONTROLLER_MEMORY)),
                        "/pod/c1");
    assert_null(sf_container_cgroup(container, SF_CONTROLLER_CPU));
    assert_string_equal(sf_cgroup_path(sf_container_cgroup(container, SF_CONTROLLER_CPUSET)),
                        "/pod/c1");
    assert_int_equal(get_memory(container).limit.value, 256 * MIB);
    sf_container_unref(container);
    world_end(&world);
}

/* The cgroup is removed under a reader: an error, not somebody's numbers. */
static void test_removed(void **state)
{
    World world;
    SfContainerMemory memory;
    SF_CLEANUP_TEXT SfText cpus = SF_TEXT_INIT;
    SfCpuTimes times;

    v2_world(&world);
    world_open(&world);
    SfContainer *container = make(&world, SF_CPU_POLICY_QUOTA);
    tree_remove(&world.tree, "sys/fs/cgroup/slice/pod/c1");
    assert_int_equal(sf_container_memory(container, &memory), -ENODEV);
    assert_int_equal(sf_container_cpu_times(container, &cpus, &times), -ENODEV);
    sf_container_unref(container);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_time_namespace),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_ended_process),
        cmocka_unit_test(test_no_cgroup_of_its_own),
        cmocka_unit_test(test_quota_and_policy),
        cmocka_unit_test(test_v2_cpu_times),
        cmocka_unit_test(test_tasks_are_kept_a_moment),
        cmocka_unit_test(test_load_by_reads),
        cmocka_unit_test(test_v1_cpu),
        cmocka_unit_test(test_hybrid),
        cmocka_unit_test(test_from_record),
        cmocka_unit_test(test_removed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
