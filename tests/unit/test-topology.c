/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What sysfs says of NUMA nodes and shared clocks.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "daemon/source/topology.h"
#include "source-tree.h"

static void test_node_total(void **state)
{
    static const char good[] = "\nNode 3 MemTotal:       16304824 kB\nNode 3 MemFree: 1 kB\n";
    static const char *const bad[] = {"", "Node 3 MemFree: 1 kB\n", "MemTotal: 1 kB\n",
                                      "Node 3 MemTotal: x kB\n", "Node 3 MemTotal:\n"};
    uint64_t kb = 7;

    assert_int_equal(sf_node_meminfo_total(good, strlen(good), &kb), 0);
    assert_int_equal(kb, 16304824);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(sf_node_meminfo_total(bad[i], strlen(bad[i]), &kb), -EINVAL);
}

static void test_words(void **state)
{
    SfCpuSet cpus;

    assert_int_equal(sf_cpu_words_parse("0 64 8191 \n", 11, &cpus), 0);
    assert_int_equal(sf_cpuset_count(&cpus), 3);
    assert_true(sf_cpuset_has(&cpus, 8191));
    assert_int_equal(sf_cpu_words_parse("\n", 1, &cpus), 0);
    assert_true(sf_cpuset_empty(&cpus));
    assert_int_equal(sf_cpu_words_parse("0-3\n", 4, &cpus), -EINVAL);
    assert_int_equal(sf_cpu_words_parse("8192\n", 5, &cpus), -ERANGE);
}

static void test_files(void **state)
{
    Tree tree;
    SfHost *host;
    SfCpuSet set;
    uint64_t kb;

    tree_init(&tree);
    tree_mkdir(&tree, "proc");
    SfHostOptions options = {.root = tree.root, .page_bytes = 4096, .ticks_per_sec = 100};
    tree_write(&tree, "sys/devices/system/node/online", "0,2\n");
    tree_write(&tree, "sys/devices/system/node/has_memory", "2\n");
    tree_write(&tree, "sys/devices/system/node/node2/cpulist", "4-7\n");
    tree_write(&tree, "sys/devices/system/node/node2/meminfo", "Node 2 MemTotal:  4096 kB\n");
    tree_write(&tree, "sys/devices/system/cpu/cpufreq/policy4/related_cpus", "4 6\n");
    assert_int_equal(sf_host_open(&options, &host), 0);
    assert_int_equal(sf_host_nodes(host, SF_NODES_ONLINE, &set), 0);
    assert_int_equal(sf_cpuset_count(&set), 2);
    assert_int_equal(sf_host_nodes(host, SF_NODES_WITH_MEMORY, &set), 0);
    assert_int_equal(sf_cpuset_count(&set), 1);
    assert_int_equal(sf_host_node_cpus(host, 2, &set), 0);
    assert_int_equal(sf_cpuset_count(&set), 4);
    assert_int_equal(sf_host_node_cpus(host, 0, &set), -ENOENT);
    assert_int_equal(sf_host_node_total_kb(host, 2, &kb), 0);
    assert_int_equal(kb, 4096);
    assert_int_equal(sf_host_node_total_kb(host, 1, &kb), -ENOENT);
    assert_int_equal(sf_host_cpufreq_cpus(host, 4, &set), 0);
    assert_int_equal(sf_cpuset_count(&set), 2);
    assert_int_equal(sf_host_cpufreq_cpus(host, 5, &set), -ENOENT);
    sf_host_free(host);
    tree_clear(&tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_node_total),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
