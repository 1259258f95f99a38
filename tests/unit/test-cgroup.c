/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Hierarchies and nodes over directory trees that stand for v1, v2 and hybrid hosts: which
 * hierarchy answers, how nodes are shared and let go, what a cgroup that was removed or made again
 * does, and that kept fds stay within their limit.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sys/resource.h>

#include "daemon/source/cgroup.h"
#include "source-tree.h"

static SfMembership membership(const char *text, int expected)
{
    SfSlice rest = sf_slice_str(text);
    SfMembership result = {0};

    assert_int_equal(sf_membership_next(&rest, &result), expected);
    return result;
}

static void test_membership(void **state)
{
    SfMembership result = membership("0::/a/b\n", 1);
    assert_true(sf_slice_eq(result.controllers, ""));
    assert_true(sf_slice_eq(result.path, "/a/b"));
    assert_false(result.deleted);

    result = membership("4:cpu,cpuacct:/kubepods:x:y", 1);
    assert_true(sf_slice_eq(result.controllers, "cpu,cpuacct"));
    assert_true(sf_slice_eq(result.path, "/kubepods:x:y"));

    result = membership("0::/a (deleted)\n", 1);
    assert_true(result.deleted);
    assert_true(sf_slice_eq(result.path, "/a"));
    result = membership("1:name=systemd:/ (deleted)\n", 1);
    assert_true(sf_slice_eq(result.path, "/"));

    (void)membership("", 0);
    static const char *const BAD[] = {
        "\n", "0", "0:", "0:cpu", "0:cpu:", "0:cpu:a", "x:cpu:/", ":cpu:/", "-1::/"};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        (void)membership(BAD[i], -EINVAL);
}

#define MOUNTS_OTHER                                                                               \
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"                                      \
    "23 22 0:21 / /proc rw shared:2 master:1 - proc proc rw\n"

static void test_mount_line(void **state)
{
    SfSlice rest = sf_slice_str(
        MOUNTS_OTHER "31 22 0:28 /docker\\040x /sys/fs/cgroup/a\\134b\\011\\012 rw shared:9 - "
                     "cgroup cgroup rw,cpu,cpuacct\n"
                     "32 22 0:29 / /sys/fs/cgroup/none rw -  - cgroup  rw,memory\n"
                     "33 22 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate");
    SfCgroupMount mount = {0};

    assert_int_equal(sf_cgroup_mount_next(&rest, &mount), 1);
    assert_int_equal(mount.version, 1);
    assert_string_equal(mount.root, "/docker x");
    assert_string_equal(mount.mount_point, "/sys/fs/cgroup/a\\b\t\n");
    assert_string_equal(mount.super_options, "rw,cpu,cpuacct");
    sf_cgroup_mount_clear(&mount);
    assert_null(mount.root);
    /* "-  -": an odd line; its type is "-", so it is passed over. */
    assert_int_equal(sf_cgroup_mount_next(&rest, &mount), 1);
    assert_int_equal(mount.version, 2);
    assert_string_equal(mount.super_options, "rw,nsdelegate");
    sf_cgroup_mount_clear(&mount);
    assert_int_equal(sf_cgroup_mount_next(&rest, &mount), 0);

    /* A mount without a source prints nothing for it. */
    rest = sf_slice_str("32 22 0:29 / /cg rw - cgroup  rw,memory\n");
    assert_int_equal(sf_cgroup_mount_next(&rest, &mount), 1);
    assert_string_equal(mount.super_options, "rw,memory");
    sf_cgroup_mount_clear(&mount);

    /* A backslash that begins no octal number stands for itself. */
    rest = sf_slice_str("32 22 0:29 / /\\9\\04\\ rw - cgroup c rw,memory\n");
    assert_int_equal(sf_cgroup_mount_next(&rest, &mount), 1);
    assert_string_equal(mount.mount_point, "/\\9\\04\\");
    sf_cgroup_mount_clear(&mount);

    static const char *const BAD[] = {"\n", "31 22 0:28 / /x\n", "31 22 0:28 / /x rw shared:1\n",
                                      "31 22 0:28 / /x rw -\n", "31 22 0:28 / /x rw - cgroup\n"};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        rest = sf_slice_str(BAD[i]);
        assert_int_equal(sf_cgroup_mount_next(&rest, &mount), -EINVAL);
    }
}

typedef struct Fixture {
    Tree tree;
    SfHost *host;
    SfCgroups *cgroups;
} Fixture;

static int setup(void **state)
{
    Fixture *fixture = calloc(1, sizeof(*fixture));

    if (!fixture)
        return -1;
    tree_init(&fixture->tree);
    tree_mkdir(&fixture->tree, "proc/self");
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    Fixture *fixture = *state;
    unsigned nodes = 0, fds = 0;

    if (fixture->cgroups)
        sf_cgroups_counts(fixture->cgroups, &nodes, &fds);
    sf_cgroups_free(fixture->cgroups);
    sf_host_free(fixture->host);
    tree_clear(&fixture->tree);
    free(fixture);
    return nodes == 0 && fds == 0 ? 0 : -1; /* a test that leaks a node fails */
}

static void open_fixture(Fixture *fixture)
{
    assert_int_equal(sf_host_open(&(SfHostOptions){.root = fixture->tree.root}, &fixture->host), 0);
    assert_int_equal(sf_cgroups_open(fixture->host, &fixture->cgroups), 0);
}

#define CG "sys/fs/cgroup"
#define V2_MOUNT "40 22 0:40 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n"

static void make_v2(Fixture *fixture)
{
    tree_write(&fixture->tree, "proc/self/mountinfo", MOUNTS_OTHER V2_MOUNT);
    tree_write(&fixture->tree, CG "/cgroup.controllers", "cpuset cpu io memory pids\n");
    tree_write(&fixture->tree, CG "/a/memory.max", "max\n");
    tree_write(&fixture->tree, CG "/a/b/memory.max", "4096\n");
    tree_mkdir(&fixture->tree, CG "/a/c");
    tree_mkdir(&fixture->tree, CG "/a/b/init.scope");
    tree_mkdir(&fixture->tree, CG "/init.scope");
}

static void make_hybrid(Fixture *fixture)
{
    tree_write(&fixture->tree, "proc/self/mountinfo",
               MOUNTS_OTHER
               "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
               "34 31 0:31 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio\n"
               "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
               "36 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
               "37 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
               "38 31 0:39 / /sys/fs/cgroup/gone rw - cgroup cgroup rw,freezer\n");
    tree_write(&fixture->tree, CG "/unified/cgroup.controllers", "hugetlb pids memory\n");
    tree_mkdir(&fixture->tree, CG "/unified/box");
    tree_mkdir(&fixture->tree, CG "/cpu,cpuacct/box");
    tree_mkdir(&fixture->tree, CG "/blkio");
    tree_mkdir(&fixture->tree, CG "/memory/box/init.scope");
    tree_mkdir(&fixture->tree, CG "/systemd/box/init.scope");
    tree_write(&fixture->tree, "proc/5/cgroup",
               "9:name=systemd:/box/init.scope\n8:cpu,cpuacct:/box\n4:memory:/box/init.scope\n"
               "3:blkio:/\n0::/box\n");
}

static void test_layouts(void **state)
{
    Fixture *fixture = *state;

    make_v2(fixture);
    open_fixture(fixture);
    assert_string_equal(sf_cgroups_layout(fixture->cgroups), "v2");
    assert_int_equal(sf_cgroups_version(fixture->cgroups, SF_CONTROLLER_MEMORY), 2);
    assert_int_equal(sf_cgroups_version(fixture->cgroups, SF_CONTROLLER_CPUACCT), 2);
    assert_int_equal(sf_cgroups_version(fixture->cgroups, SF_CONTROLLER_FREEZER), 2);
    assert_int_equal(sf_cgroups_version(fixture->cgroups, SF_CONTROLLER_HUGETLB), 0);
    assert_int_equal(sf_cgroups_version(fixture->cgroups, SF_CONTROLLER_SYSTEMD), 0);
    assert_int_equal(sf_cgroups_version(fixture->cgroups, SF_CONTROLLER_UNIFIED), 2);
}

static int of_process(SfCgroups *cgroups, SfController controller, pid_t pid, SfCgroup **ret_node)
{
    SF_CLEANUP_FREE char *text = NULL;
    size_t len;
    int r = sf_cgroups_read_memberships(cgroups, pid, &text, &len);

    return r < 0 ? r : sf_cgroup_of(cgroups, controller, sf_slice(text, len), ret_node);
}

static void test_hybrid(void **state)
{
    Fixture *fixture = *state;

    make_hybrid(fixture);
    open_fixture(fixture);
    SfCgroups *cgroups = fixture->cgroups;
    assert_string_equal(sf_cgroups_layout(cgroups), "hybrid");
    assert_int_equal(sf_cgroups_version(cgroups, SF_CONTROLLER_CPU), 1);
    assert_int_equal(sf_cgroups_version(cgroups, SF_CONTROLLER_CPUACCT), 1);
    assert_int_equal(sf_cgroups_version(cgroups, SF_CONTROLLER_IO), 1);
    assert_int_equal(sf_cgroups_version(cgroups, SF_CONTROLLER_MEMORY), 1); /* v1 mount wins */
    assert_int_equal(sf_cgroups_version(cgroups, SF_CONTROLLER_HUGETLB), 2);
    assert_int_equal(sf_cgroups_version(cgroups, SF_CONTROLLER_PIDS), 2);
    assert_int_equal(sf_cgroups_version(cgroups, SF_CONTROLLER_SYSTEMD), 1);
    assert_int_equal(sf_cgroups_version(cgroups, SF_CONTROLLER_CPUSET), 0);
    assert_int_equal(sf_cgroups_version(cgroups, SF_CONTROLLER_FREEZER), 2); /* mount not there */

    static const struct {
        SfController controller;
        int result;
        const char *path;
    } CASES[] = {
        {SF_CONTROLLER_CPU, 0, "/box"},     {SF_CONTROLLER_CPUACCT, 0, "/box"},
        {SF_CONTROLLER_MEMORY, 0, "/box"},  {SF_CONTROLLER_SYSTEMD, 0, "/box"},
        {SF_CONTROLLER_IO, 0, "/"},         {SF_CONTROLLER_UNIFIED, 0, "/box"},
        {SF_CONTROLLER_HUGETLB, 0, "/box"}, {SF_CONTROLLER_CPUSET, -ENODATA, NULL},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        SfCgroup *node = NULL;
        assert_int_equal(of_process(cgroups, CASES[i].controller, 5, &node), CASES[i].result);
        if (node)
            assert_string_equal(sf_cgroup_path(node), CASES[i].path);
        assert_null(sf_cgroup_unref(node));
    }
}

static void test_no_cgroups(void **state)
{
    Fixture *fixture = *state;
    SfCgroup *node = NULL;

    open_fixture(fixture); /* not even mountinfo */
    assert_string_equal(sf_cgroups_layout(fixture->cgroups), "none");
    assert_int_equal(
        sf_cgroup_of(fixture->cgroups, SF_CONTROLLER_CPU, sf_slice_str("0::/\n"), &node), -ENODATA);
    assert_int_equal(sf_cgroup_at(fixture->cgroups, SF_CONTROLLER_UNIFIED, "/", &node), -ENODATA);
    assert_null(node);
}

static void test_bad_mountinfo(void **state)
{
    Fixture *fixture = *state;

    tree_write(&fixture->tree, "proc/self/mountinfo", MOUNTS_OTHER "half a line");
    assert_int_equal(sf_host_open(&(SfHostOptions){.root = fixture->tree.root}, &fixture->host), 0);
    assert_int_equal(sf_cgroups_open(fixture->host, &fixture->cgroups), -EINVAL);
    assert_null(fixture->cgroups);
}

static int of_pid(Fixture *fixture, const char *text, char *path, size_t size)
{
    SfCgroup *node = NULL;

    tree_write(&fixture->tree, "proc/6/cgroup", text);
    int r = of_process(fixture->cgroups, SF_CONTROLLER_MEMORY, 6, &node);
    if (r == 0)
        (void)snprintf(path, size, "%s", sf_cgroup_path(node));
    sf_cgroup_unref(node);
    return r;
}

static void test_of_pid_paths(void **state)
{
    Fixture *fixture = *state;
    char path[256] = "";

    make_v2(fixture);
    tree_mkdir(&fixture->tree, CG "/my-init.scope");
    open_fixture(fixture);
    assert_int_equal(of_pid(fixture, "0::/a/b\n", path, sizeof(path)), 0);
    assert_string_equal(path, "/a/b");
    assert_int_equal(of_pid(fixture, "0::/a/b/init.scope\n", path, sizeof(path)), 0);
    assert_string_equal(path, "/a/b");
    assert_int_equal(of_pid(fixture, "0::/\n", path, sizeof(path)), 0);
    assert_string_equal(path, "/");
    /* The host's own init.scope is nobody's container root. */
    assert_int_equal(of_pid(fixture, "0::/init.scope\n", path, sizeof(path)), 0);
    assert_string_equal(path, "/init.scope");
    assert_int_equal(of_pid(fixture, "0::/my-init.scope\n", path, sizeof(path)), 0);
    assert_string_equal(path, "/my-init.scope");

    assert_int_equal(of_pid(fixture, "0::/../x\n", path, sizeof(path)), -ENOENT);
    assert_int_equal(of_pid(fixture, "0::/..\n", path, sizeof(path)), -ENOENT);
    assert_int_equal(of_pid(fixture, "0::/a/../../x\n", path, sizeof(path)), -ENOENT);
    assert_int_equal(of_pid(fixture, "0::/none\n", path, sizeof(path)), -ENOENT);
    assert_int_equal(of_pid(fixture, "0::/a (deleted)\n", path, sizeof(path)), -ENOENT);
    assert_int_equal(of_pid(fixture, "garbage\n", path, sizeof(path)), -EINVAL);
    assert_int_equal(of_pid(fixture, "3:memory:/a\n", path, sizeof(path)), -ENODATA);

    SfCgroup *node = NULL;
    assert_int_equal(of_process(fixture->cgroups, SF_CONTROLLER_MEMORY, 999, &node), -ESRCH);
}

static void test_symlink(void **state)
{
    Fixture *fixture = *state;
    SfCgroup *node = NULL;

    make_v2(fixture);
    tree_symlink(&fixture->tree, CG "/link", "a");
    open_fixture(fixture);
    assert_true(sf_cgroup_at(fixture->cgroups, SF_CONTROLLER_MEMORY, "/link/b", &node) < 0);
    assert_null(node);
}

static void test_mount_root(void **state)
{
    Fixture *fixture = *state;
    SfCgroup *node = NULL;

    /* The daemon sees only a part: it runs in a container itself. */
    make_v2(fixture);
    tree_write(&fixture->tree, "proc/self/mountinfo",
               "40 22 0:40 /docker/x /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    open_fixture(fixture);
    assert_int_equal(sf_cgroup_at(fixture->cgroups, SF_CONTROLLER_MEMORY, "/docker/x/a/b", &node),
                     0);
    assert_string_equal(sf_cgroup_path(node), "/docker/x/a/b");
    SfCgroup *top = sf_cgroup_parent(sf_cgroup_parent(node));
    assert_true(sf_cgroup_is_top(top));
    assert_string_equal(sf_cgroup_path(top), "/docker/x");

    char expected[256];
    tree_path(&fixture->tree, CG "/a/b", expected, sizeof(expected));
    SF_CLEANUP_FREE char *path = sf_cgroup_host_path(node);
    assert_string_equal(path, expected);
    sf_cgroup_unref(node);

    static const char *const BAD[] = {"/docker", "/docker/xy", "/",           "/a/b",
                                      "",        "docker/x",   "/docker/x/.."};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        assert_int_equal(sf_cgroup_at(fixture->cgroups, SF_CONTROLLER_MEMORY, BAD[i], &node),
                         -ENOENT);
}

static void test_best_mount(void **state)
{
    Fixture *fixture = *state;
    SfCgroup *node = NULL;

    /* Three mounts of one hierarchy: a part, the whole, again the whole. The second counts. */
    make_v2(fixture);
    tree_write(&fixture->tree, "proc/self/mountinfo",
               "39 22 0:40 /a /mnt/part rw - cgroup2 cgroup2 rw\n" V2_MOUNT
               "41 22 0:40 / /mnt/second rw - cgroup2 cgroup2 rw\n");
    tree_mkdir(&fixture->tree, "mnt/part");
    tree_mkdir(&fixture->tree, "mnt/second");
    open_fixture(fixture);
    assert_int_equal(sf_cgroup_at(fixture->cgroups, SF_CONTROLLER_UNIFIED, "/a", &node), 0);
    char expected[256];
    tree_path(&fixture->tree, CG "/a", expected, sizeof(expected));
    SF_CLEANUP_FREE char *path = sf_cgroup_host_path(node);
    assert_string_equal(path, expected);
    sf_cgroup_unref(node);
}

static unsigned count_nodes(const Fixture *fixture)
{
    unsigned nodes, fds;

    sf_cgroups_counts(fixture->cgroups, &nodes, &fds);
    return nodes;
}

static unsigned count_fds(const Fixture *fixture)
{
    unsigned nodes, fds;

    sf_cgroups_counts(fixture->cgroups, &nodes, &fds);
    return fds;
}

static SfCgroup *node_at(const Fixture *fixture, const char *path)
{
    SfCgroup *node = NULL;

    assert_int_equal(sf_cgroup_at(fixture->cgroups, SF_CONTROLLER_MEMORY, path, &node), 0);
    return node;
}

static void test_sharing(void **state)
{
    Fixture *fixture = *state;

    make_v2(fixture);
    open_fixture(fixture);
    SfCgroup *b = node_at(fixture, "/a/b"), *c = node_at(fixture, "/a/c");
    assert_int_equal(count_nodes(fixture), 4);
    assert_ptr_equal(sf_cgroup_parent(b), sf_cgroup_parent(c));
    assert_string_equal(sf_cgroup_path(sf_cgroup_parent(b)), "/a");
    assert_false(sf_cgroup_is_top(sf_cgroup_parent(b)));
    assert_true(sf_cgroup_is_top(sf_cgroup_parent(sf_cgroup_parent(b))));
    assert_null(sf_cgroup_parent(sf_cgroup_parent(sf_cgroup_parent(b))));
    assert_int_equal(sf_cgroup_version_of(b), 2);
    assert_true(sf_cgroup_dir_fd(b) >= 0);

    SfCgroup *again = node_at(fixture, "/a/b");
    assert_ptr_equal(again, b);
    SfCgroup *unified = NULL; /* all v2 controllers have the same nodes */
    assert_int_equal(sf_cgroup_at(fixture->cgroups, SF_CONTROLLER_UNIFIED, "/a/b", &unified), 0);
    assert_ptr_equal(unified, b);
    sf_cgroup_unref(unified);
    sf_cgroup_unref(again);
    assert_int_equal(count_nodes(fixture), 4);
    sf_cgroup_unref(b);
    assert_int_equal(count_nodes(fixture), 3);
    assert_ptr_equal(sf_cgroup_ref(c), c);
    sf_cgroup_unref(c);
    sf_cgroup_unref(c);
    assert_int_equal(count_nodes(fixture), 0);
    assert_null(sf_cgroup_unref(NULL));
}

static void test_contains(void **state)
{
    Fixture *fixture = *state;

    make_v2(fixture);
    open_fixture(fixture);
    SfCgroup *a = node_at(fixture, "/a"), *top = node_at(fixture, "/");
    assert_true(sf_cgroup_contains(a, sf_slice_str("/a")));
    assert_true(sf_cgroup_contains(a, sf_slice_str("/a/b/c")));
    assert_false(sf_cgroup_contains(a, sf_slice_str("/ab")));
    assert_false(sf_cgroup_contains(a, sf_slice_str("/")));
    assert_false(sf_cgroup_contains(a, sf_slice_str("/a/../b")));
    assert_false(sf_cgroup_contains(a, sf_slice_str("")));
    assert_true(sf_cgroup_contains(top, sf_slice_str("/")));
    assert_true(sf_cgroup_contains(top, sf_slice_str("/x")));
    sf_cgroup_unref(a);
    sf_cgroup_unref(top);
}

static void test_read(void **state)
{
    Fixture *fixture = *state;
    char text[64];
    size_t len;
    char *owned = NULL;

    make_v2(fixture);
    open_fixture(fixture);
    SfCgroup *b = node_at(fixture, "/a/b");
    assert_int_equal(sf_cgroup_read(b, SF_CGROUP_MEMORY_MAX, text, sizeof(text), &len), 0);
    assert_string_equal(text, "4096\n");
    assert_int_equal(len, 5);
    assert_int_equal(count_fds(fixture), 1);
    tree_write(&fixture->tree, CG "/a/b/memory.max", "8192\n");
    assert_int_equal(sf_cgroup_read(b, SF_CGROUP_MEMORY_MAX, text, sizeof(text), &len), 0);
    assert_string_equal(text, "8192\n");
    assert_int_equal(count_fds(fixture), 1);
    assert_int_equal(sf_cgroup_read(b, SF_CGROUP_MEMORY_MAX, text, 5, &len), -EFBIG);
    assert_int_equal(sf_cgroup_read(b, SF_CGROUP_MEMORY_MAX, text, 6, &len), 0);
    assert_int_equal(sf_cgroup_read(b, SF_CGROUP_MEMORY_MAX, text, 0, &len), -EFBIG);
    /* Not there, and of v1 only. */
    assert_int_equal(sf_cgroup_read(b, SF_CGROUP_PIDS_MAX, text, sizeof(text), &len), -ENODATA);
    assert_int_equal(sf_cgroup_read(b, SF_CGROUP_CPUACCT_ALL, text, sizeof(text), &len), -ENODATA);

    char big[20001];
    memset(big, 'x', 20000);
    big[20000] = '\0';
    tree_write(&fixture->tree, CG "/a/b/memory.stat", big);
    assert_int_equal(sf_cgroup_read_alloc(b, SF_CGROUP_MEMORY_STAT, &owned, &len), 0);
    assert_int_equal(len, 20000);
    assert_string_equal(owned, big);
    free(owned);
    tree_write(&fixture->tree, CG "/a/b/cgroup.threads", "1\n2\n");
    assert_int_equal(sf_cgroup_read_alloc(b, SF_CGROUP_THREADS, &owned, &len), 0);
    assert_string_equal(owned, "1\n2\n");
    free(owned);
    assert_int_equal(count_fds(fixture), 2); /* threads is opened for each read */
    sf_cgroup_unref(b);
    assert_int_equal(count_fds(fixture), 0);
}

static void test_removed(void **state)
{
    Fixture *fixture = *state;
    char text[64];
    size_t len;

    make_v2(fixture);
    open_fixture(fixture);
    SfCgroup *old = node_at(fixture, "/a/b");
    assert_int_equal(sf_cgroup_read(old, SF_CGROUP_PIDS_MAX, text, sizeof(text), &len), -ENODATA);
    tree_remove(&fixture->tree, CG "/a/b");
    assert_int_equal(sf_cgroup_read(old, SF_CGROUP_PIDS_MAX, text, sizeof(text), &len), -ENODEV);

    /* Made again under the same name: a container restarted. It must not get the dead node. */
    tree_write(&fixture->tree, CG "/a/b/memory.max", "12288\n");
    SfCgroup *new = node_at(fixture, "/a/b");
    assert_ptr_not_equal(new, old);
    assert_int_equal(sf_cgroup_read(new, SF_CGROUP_MEMORY_MAX, text, sizeof(text), &len), 0);
    assert_string_equal(text, "12288\n");
    assert_int_equal(count_nodes(fixture), 4);
    sf_cgroup_unref(old); /* must not take the new one off the table */
    SfCgroup *again = node_at(fixture, "/a/b");
    assert_ptr_equal(again, new);
    sf_cgroup_unref(again);
    sf_cgroup_unref(new);
}

static void test_fd_limit(void **state)
{
    static const struct {
        SfCgroupFile file;
        const char *path;
    } FILES[] = {
        {SF_CGROUP_MEMORY_MAX, CG "/a/b/memory.max"},
        {SF_CGROUP_MEMORY_CURRENT, CG "/a/b/memory.current"},
        {SF_CGROUP_MEMORY_STAT, CG "/a/b/memory.stat"},
        {SF_CGROUP_SWAP_MAX, CG "/a/b/memory.swap.max"},
        {SF_CGROUP_SWAP_CURRENT, CG "/a/b/memory.swap.current"},
        {SF_CGROUP_CPU_MAX, CG "/a/b/cpu.max"},
        {SF_CGROUP_CPU_STAT, CG "/a/b/cpu.stat"},
        {SF_CGROUP_CPUSET_CPUS, CG "/a/b/cpuset.cpus.effective"},
        {SF_CGROUP_CPUSET_MEMS, CG "/a/b/cpuset.mems.effective"},
        {SF_CGROUP_PIDS_MAX, CG "/a/b/pids.max"},
    };
    const size_t count = sizeof(FILES) / sizeof(FILES[0]);
    Fixture *fixture = *state;
    struct rlimit saved, low;
    char text[256];
    size_t len;

    make_v2(fixture);
    for (size_t i = 0; i < count; i++)
        tree_write(&fixture->tree, FILES[i].path, FILES[i].path);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &saved), 0);
    low = saved;
    low.rlim_cur = 32; /* eight kept */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    open_fixture(fixture);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &saved), 0);

    SfCgroup *b = node_at(fixture, "/a/b");
    for (size_t i = 0; i < 3 * count; i++) {
        assert_int_equal(sf_cgroup_read(b, FILES[i % count].file, text, sizeof(text), &len), 0);
        assert_string_equal(text, FILES[i % count].path);
    }
    assert_int_equal(count_fds(fixture), 8);
    sf_cgroup_unref(b);
    assert_int_equal(count_fds(fixture), 0);
}

static void *use_nodes(void *data)
{
    Fixture *fixture = data;
    intptr_t failed = 0;

    for (unsigned i = 0; i < 1000; i++) {
        SfCgroup *node = NULL;
        char text[64];
        size_t len;
        if (sf_cgroup_at(fixture->cgroups, SF_CONTROLLER_MEMORY, i % 2 ? "/a/b" : "/a/c", &node) <
            0) {
            failed++;
            continue;
        }
        int r = sf_cgroup_read(node, SF_CGROUP_MEMORY_MAX, text, sizeof(text), &len);
        if (i % 2 ? r != 0 || strcmp(text, "4096\n") != 0 : r != -ENODATA)
            failed++;
        sf_cgroup_unref(node);
    }
    return (void *)failed;
}

static void test_threads(void **state)
{
    Fixture *fixture = *state;
    pthread_t threads[4];

    make_v2(fixture);
    open_fixture(fixture);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_nodes, fixture), 0);
    for (unsigned i = 0; i < 4; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_int_equal(count_nodes(fixture), 0);
    assert_int_equal(count_fds(fixture), 0);
}

static void test_names(void **state)
{
    assert_string_equal(sf_controller_name(SF_CONTROLLER_MEMORY), "memory");
    assert_string_equal(sf_controller_name(SF_CONTROLLER_IO), "io");
    assert_string_equal(sf_controller_name(SF_CONTROLLER_SYSTEMD), "name=systemd");
    for (unsigned i = 0; i < SF_CONTROLLER_COUNT; i++) {
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(sf_controller_name((SfController)i),
                                    sf_controller_name((SfController)j));
    }
}

#define TREE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_membership),
        cmocka_unit_test(test_mount_line),
        cmocka_unit_test(test_names),
        TREE_TEST(test_layouts),
        TREE_TEST(test_hybrid),
        TREE_TEST(test_no_cgroups),
        TREE_TEST(test_bad_mountinfo),
        TREE_TEST(test_of_pid_paths),
        TREE_TEST(test_symlink),
        TREE_TEST(test_mount_root),
        TREE_TEST(test_best_mount),
        TREE_TEST(test_sharing),
        TREE_TEST(test_contains),
        TREE_TEST(test_read),
        TREE_TEST(test_removed),
        TREE_TEST(test_fd_limit),
        TREE_TEST(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
