/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory and swap of containers: limits at every level of v1 and v2, limits above the host's size
 * and below use, swap that is limited, forbidden or not accounted, controllers that are not
 * enabled.
 */

#include "daemon/container/container.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/container-world.h"

static void test_v2_memory(void **state)
{
    World world;

    v2_world(&world);
    world_open(&world);
    SfContainer *container = make(&world, SF_CPU_POLICY_QUOTA);
    SfContainerMemory memory = get_memory(container);
    assert_int_equal(memory.host_total_bytes, 8 * GIB);
    assert_int_equal(memory.limit.value, 256 * MIB);
    assert_string_equal(sf_cgroup_path(memory.limit.by), "/slice/pod/c1");
    assert_int_equal(memory.usage_bytes, 100 * MIB);
    assert_int_equal(memory.free_bytes, 156 * MIB);
    assert_int_equal(memory.available_bytes, (156 + 8 + 4 + 1) * MIB);
    assert_int_equal(memory.swap_limit.value, 128 * MIB);
    assert_string_equal(sf_cgroup_path(memory.swap_limit.by), "/slice/pod/c1");
    assert_int_equal(memory.swap_used_bytes, 1 * MIB);

    /* The parent's limit is lower now: it holds, and what its other children use is not free. */
    cg(&world, "slice/pod/memory.max", "209715200\n");
    cg(&world, "slice/pod/memory.current", "188743680\n");
    memory = get_memory(container);
    assert_int_equal(memory.limit.value, 200 * MIB);
    assert_string_equal(sf_cgroup_path(memory.limit.by), "/slice/pod");
    assert_int_equal(memory.free_bytes, 20 * MIB);

    /* The parent limits more loosely, but is nearly full. */
    cg(&world, "slice/pod/memory.max", "1073741824\n");
    cg(&world, "slice/pod/memory.current", "1063256064\n");
    memory = get_memory(container);
    assert_int_equal(memory.limit.value, 256 * MIB);
    assert_int_equal(memory.free_bytes, 10 * MIB);

    /* Lowered below use. */
    cg(&world, "slice/pod/c1/memory.max", "52428800\n");
    memory = get_memory(container);
    assert_int_equal(memory.limit.value, 50 * MIB);
    assert_int_equal(memory.free_bytes, 0);
    assert_int_equal(memory.usage_bytes, 50 * MIB);
    assert_int_equal(memory.available_bytes, 13 * MIB);

    /* The host's own shortage is the container's. */
    put(&world, "proc/meminfo",
        "MemTotal:        8388608 kB\nMemFree:            4096 kB\nMemAvailable:       5120 kB\n"
        "SwapTotal:             0 kB\nSwapFree:              0 kB\n");
    pass(&world, SEC);
    memory = get_memory(container);
    assert_int_equal(memory.available_bytes, 5 * MIB);
    assert_int_equal(memory.swap_limit.value, 0); /* no swap on the host */
    assert_null(memory.swap_limit.by);
    assert_int_equal(memory.swap_used_bytes, 0);
    sf_container_unref(container);
    world_end(&world);
}

static void test_v2_unlimited(void **state)
{
    World world;

    v2_world(&world);
    cg(&world, "slice/pod/memory.max", "max\n");
    cg(&world, "slice/pod/c1/memory.max", "8589934592\n"); /* as much as the host has */
    cg(&world, "slice/pod/c1/memory.swap.max", "max\n");
    cg(&world, "slice/pod/c1/cpu.max", "max 100000\n");
    world_open(&world);
    SfContainer *container = make(&world, SF_CPU_POLICY_QUOTA);
    SfContainerMemory memory = get_memory(container);
    assert_false(memory.limited);
    assert_int_equal(memory.limit.value, 8 * GIB);
    assert_int_equal(memory.free_bytes, 4 * GIB);
    assert_int_equal(memory.available_bytes, 4 * GIB + 13 * MIB);
    assert_int_equal(memory.swap_limit.value, 2 * GIB); /* the host's */
    assert_null(memory.swap_limit.by);
    assert_int_equal(memory.swap_used_bytes, 1 * MIB);

    SfContainerQuota quota;
    assert_int_equal(sf_container_quota(container, &quota), 0);
    assert_true(quota.quota.quota_usec == SF_UNLIMITED);
    assert_null(quota.by);
    assert_cpus(container, "4-7");
    sf_container_unref(container);
    world_end(&world);
}

/* A limit that the host's size keeps anyway is none, however little the cgroup has left below it.
 */
static void test_limit_of_host_size_is_none(void **state)
{
    World world;

    v2_world(&world);
    cg(&world, "slice/pod/memory.max", "8589934592\n");
    cg(&world, "slice/pod/memory.current", "8585740288\n");
    world_open(&world);
    SfContainer *container = make(&world, SF_CPU_POLICY_QUOTA);
    SfContainerMemory memory = get_memory(container);
    assert_int_equal(memory.limit.value, 256 * MIB);
    assert_int_equal(memory.free_bytes, 156 * MIB);

    /* Statistics are flushed late and may say more than is in use: still not more than there is. */
    cg(&world, "slice/pod/c1/memory.stat", "inactive_file 209715200\nactive_file 104857600\n");
    memory = get_memory(container);
    assert_int_equal(memory.available_bytes, 256 * MIB);
    sf_container_unref(container);
    world_end(&world);
}

static void test_v2_swap(void **state)
{
    World world;

    v2_world(&world);
    cg(&world, "slice/pod/memory.swap.max", "67108864\n");
    world_open(&world);
    SfContainer *container = make(&world, SF_CPU_POLICY_QUOTA);
    SfContainerMemory memory = get_memory(container);
    assert_int_equal(memory.swap_limit.value, 64 * MIB);
    assert_string_equal(sf_cgroup_path(memory.swap_limit.by), "/slice/pod");

    cg(&world, "slice/pod/c1/memory.swap.max", "0\n"); /* may not swap; did before */
    memory = get_memory(container);
    assert_int_equal(memory.swap_limit.value, 0);
    assert_string_equal(sf_cgroup_path(memory.swap_limit.by), "/slice/pod/c1");
    assert_int_equal(memory.swap_used_bytes, 0);
    sf_container_unref(container);

    /* Swap is not accounted: nothing keeps the container from the host's. */
    tree_remove(&world.tree, "sys/fs/cgroup/slice/pod/memory.swap.max");
    tree_remove(&world.tree, "sys/fs/cgroup/slice/pod/c1/memory.swap.max");
    tree_remove(&world.tree, "sys/fs/cgroup/slice/pod/c1/memory.swap.current");
    container = make(&world, SF_CPU_POLICY_QUOTA);
    memory = get_memory(container);
    assert_int_equal(memory.swap_limit.value, 2 * GIB);
    assert_null(memory.swap_limit.by);
    assert_int_equal(memory.swap_used_bytes, 0);
    sf_container_unref(container);
    world_end(&world);
}

static void test_v2_controller_not_enabled(void **state)
{
    World world;

    v2_world(&world);
    tree_remove(&world.tree, "sys/fs/cgroup/slice/pod/c1/memory.max");
    tree_remove(&world.tree, "sys/fs/cgroup/slice/pod/c1/memory.current");
    tree_remove(&world.tree, "sys/fs/cgroup/slice/pod/c1/memory.stat");
    tree_remove(&world.tree, "sys/fs/cgroup/slice/pod/c1/memory.swap.max");
    tree_remove(&world.tree, "sys/fs/cgroup/slice/pod/c1/memory.swap.current");
    tree_remove(&world.tree, "sys/fs/cgroup/slice/pod/c1/cpu.max");
    tree_remove(&world.tree, "sys/fs/cgroup/slice/pod/c1/cpuset.cpus.effective");
    cg(&world, "slice/cpu.max", "250000 100000\n");
    world_open(&world);
    SfContainer *container = make(&world, SF_CPU_POLICY_QUOTA);

    /* Its pages are the parent's. */
    SfContainerMemory memory = get_memory(container);
    assert_int_equal(memory.limit.value, 1 * GIB);
    assert_int_equal(memory.usage_bytes, 512 * MIB);
    assert_int_equal(memory.free_bytes, 512 * MIB);
    assert_int_equal(memory.stat.present, 0);
    assert_int_equal(memory.available_bytes, 512 * MIB);
    assert_cpus(container, "0-2"); /* the top's set, the grandparent's quota of 2.5 */

    /* Nowhere above either. */
    tree_remove(&world.tree, "sys/fs/cgroup/slice/pod/memory.current");
    tree_remove(&world.tree, "sys/fs/cgroup/slice/memory.current");
    sf_container_unref(container);
    container = make(&world, SF_CPU_POLICY_QUOTA);
    assert_int_equal(sf_container_memory(container, &memory), -ENODATA);
    sf_container_unref(container);
    world_end(&world);
}

static void test_v1_memory(void **state)
{
    World world;

    v1_world(&world);
    world_open(&world);
    SfContainer *container = make(&world, SF_CPU_POLICY_QUOTA);
    SfContainerMemory memory = get_memory(container);
    assert_int_equal(memory.limit.value, 256 * MIB);
    assert_string_equal(sf_cgroup_path(memory.limit.by), "/pod/c1");
    assert_int_equal(memory.free_bytes, 156 * MIB);
    assert_int_equal(memory.available_bytes, 168 * MIB);
    assert_int_equal(memory.stat.bytes[SF_MEMORY_FILE], 20 * MIB); /* with what is below */
    /* memsw 384 MiB - 256 MiB; swappiness 0 does not matter. */
    assert_int_equal(memory.swap_limit.value, 128 * MIB);
    assert_string_equal(sf_cgroup_path(memory.swap_limit.by), "/pod/c1");
    assert_int_equal(memory.swap_used_bytes, 2 * MIB);

    /* No limit of its own: the pod's 1.25 GiB of both and 1 GiB of memory. */
    cg(&world, "memory/pod/c1/memory.memsw.limit_in_bytes", "9223372036854771712\n");
    cg(&world, "memory/pod/c1/memory.limit_in_bytes", "9223372036854771712\n");
    memory = get_memory(container);
    assert_int_equal(memory.limit.value, 1 * GIB);
    assert_string_equal(sf_cgroup_path(memory.limit.by), "/pod");
    assert_int_equal(memory.free_bytes, 512 * MIB);
    assert_int_equal(memory.swap_limit.value, 256 * MIB);
    assert_string_equal(sf_cgroup_path(memory.swap_limit.by), "/pod");

    /* limit(both) - limit(memory), each over the hierarchy. */
    cg(&world, "memory/pod/c1/memory.limit_in_bytes", "268435456\n");
    memory = get_memory(container);
    assert_int_equal(memory.swap_limit.value, 1 * GIB);

    /* As much of both as memory: no swap. Between two reads even less. */
    cg(&world, "memory/pod/c1/memory.memsw.limit_in_bytes", "268435456\n");
    memory = get_memory(container);
    assert_int_equal(memory.swap_limit.value, 0);
    cg(&world, "memory/pod/c1/memory.memsw.limit_in_bytes", "134217728\n");
    memory = get_memory(container);
    assert_int_equal(memory.swap_limit.value, 0);
    assert_int_equal(memory.swap_used_bytes, 0);

    /* Unlimited, and capped by what the host has. */
    cg(&world, "memory/pod/memory.memsw.limit_in_bytes", "9223372036854771712\n");
    cg(&world, "memory/pod/c1/memory.memsw.limit_in_bytes", "9223372036854771712\n");
    memory = get_memory(container);
    assert_int_equal(memory.swap_limit.value, 2 * GIB);
    assert_null(memory.swap_limit.by);
    sf_container_unref(container);
    world_end(&world);
}

/* memory.limit above the host's memory: what memory cannot take, up to the sum, is swap. */
static void test_v1_limit_above_host(void **state)
{
    World world;

    v1_world(&world);
    cg(&world, "memory/pod/memory.limit_in_bytes", "9223372036854771712\n");
    cg(&world, "memory/pod/memory.memsw.limit_in_bytes", "9223372036854771712\n");
    cg(&world, "memory/pod/c1/memory.limit_in_bytes", "9126805504\n");       /* 8.5 GiB */
    cg(&world, "memory/pod/c1/memory.memsw.limit_in_bytes", "9663676416\n"); /* 9 GiB */
    world_open(&world);
    SfContainer *container = make(&world, SF_CPU_POLICY_QUOTA);
    SfContainerMemory memory = get_memory(container);
    assert_false(memory.limited);
    assert_int_equal(memory.free_bytes, 4 * GIB);
    assert_int_equal(memory.swap_limit.value, 1 * GIB);
    sf_container_unref(container);
    world_end(&world);
}

static void test_v1_no_swap_accounting(void **state)
{
    World world;

    v1_world(&world);
    tree_remove(&world.tree, "sys/fs/cgroup/memory/memory.memsw.limit_in_bytes");
    tree_remove(&world.tree, "sys/fs/cgroup/memory/pod/memory.memsw.limit_in_bytes");
    tree_remove(&world.tree, "sys/fs/cgroup/memory/pod/c1/memory.memsw.limit_in_bytes");
    tree_remove(&world.tree, "sys/fs/cgroup/memory/pod/c1/memory.memsw.usage_in_bytes");
    world_open(&world);
    SfContainer *container = make(&world, SF_CPU_POLICY_QUOTA);
    SfContainerMemory memory = get_memory(container);
    assert_int_equal(memory.swap_limit.value, 2 * GIB);
    assert_int_equal(memory.swap_used_bytes, 0);
    sf_container_unref(container);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v2_memory),
        cmocka_unit_test(test_v2_unlimited),
        cmocka_unit_test(test_limit_of_host_size_is_none),
        cmocka_unit_test(test_v2_swap),
        cmocka_unit_test(test_v2_controller_not_enabled),
        cmocka_unit_test(test_v1_memory),
        cmocka_unit_test(test_v1_limit_above_host),
        cmocka_unit_test(test_v1_no_swap_accounting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
