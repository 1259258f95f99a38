/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of containers in the registry: what a registration makes, that a failing step takes all
 * of it back, each way to end, what a dead daemon left, and which container a name means.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/resource.h>

#include "daemon/control/watch.h"
#include "tests/unit/control-world.h"

static int add(ControlWorld *world, const char *id, pid_t pid, const char *annotations,
               SfControlError *error)
{
    json_t *object = annotations ? json_loads(annotations, 0, NULL) : NULL;
    SfRegistration registration = {
        .id = id, .pid = pid, .pidfd = -1, .bundle = "/bundles/x", .annotations = object};
    SfEntry *entry = NULL;

    int r = sf_registry_register(world->registry, &registration, &entry, error);
    if (r == 0 && entry)
        assert_string_equal(entry->id, id);
    json_decref(object);
    return r < 0 ? r : entry ? 1 : 0;
}

static void assert_add(ControlWorld *world, const char *id, pid_t pid)
{
    SfControlError error = {0};

    int r = add(world, id, pid, NULL, &error);
    if (r < 0)
        fail_msg("%s", json_string_value(json_object_get(error.details, "message")));
    assert_int_equal(r, 1);
}

static void assert_refused(ControlWorld *world, const char *id, pid_t pid, const char *annotations,
                           const char *name, const char *word)
{
    SfControlError error = {0};
    unsigned before = sf_registry_count(world->registry), mounts = world->mounts->len,
             constants = world->constants->len;

    assert_int_equal(add(world, id, pid, annotations, &error), -1);
    assert_string_equal(error.name, name);
    assert_non_null(strstr(json_string_value(json_object_get(error.details, "message")), word));
    sf_control_error_clear(&error);
    assert_int_equal(sf_registry_count(world->registry), before);
    assert_int_equal(world->mounts->len, mounts);
    assert_int_equal(world->constants->len, constants);
}

static int setup(void **state)
{
    ControlWorld *world = g_new0(ControlWorld, 1);

    world_begin(world);
    assert_int_equal(world_open_registry(world), 0);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    world_end(*state);
    g_free(*state);
    return 0;
}

static void test_register_and_unregister(void **state)
{
    ControlWorld *world = *state;
    pid_t pid = start_process(world, "/c1", 1);
    unsigned fds = open_fds();

    assert_add(world, "c1", pid);
    FakeMount *mount = world->mounts->pdata[0];
    g_autofree char *path = g_build_filename(world->runtime.root, "views", "c1", NULL);
    assert_string_equal(mount->path, path);
    FakeMount *constants = world->constants->pdata[0];
    g_autofree char *other = g_build_filename(world->runtime.root, "constants", "c1", NULL);
    assert_string_equal(constants->path, other);
    assert_ptr_equal(constants->view, mount->view);
    assert_true(runtime_has(world, "containers/c1.json"));
    assert_int_equal(sf_registry_count(world->registry), 1);
    assert_true(sf_registry_unregister(world->registry, "c1", "test"));
    assert_false(sf_registry_unregister(world->registry, "c1", "test"));
    assert_int_equal(world->mounts->len, 0);
    assert_int_equal(world->constants->len, 0);
    assert_int_equal(runtime_count(world, "containers"), 0);
    assert_int_equal(runtime_count(world, "views"), 0);
    assert_int_equal(runtime_count(world, "constants"), 0);
    assert_int_equal(sf_registry_count(world->registry), 0);
    assert_int_equal(open_fds(), fds);
}

static void test_bad_input_changes_nothing(void **state)
{
    ControlWorld *world = *state;
    pid_t pid = start_process(world, "/c1", 1);

    assert_refused(world, "../x", pid, NULL, "InvalidParameter", "../x");
    assert_refused(world, "", pid, NULL, "InvalidParameter", "ID");
    assert_refused(world, "c1", pid, "{\"io.sysfsd.colour\": \"red\"}", "InvalidParameter",
                   "io.sysfsd.colour");
    assert_refused(world, "c1", pid, "{\"io.sysfsd.cpu\": \"many\"}", "InvalidParameter", "many");
    assert_refused(world, "c1", pid, "{\"io.sysfsd.cpu\": 1}", "InvalidParameter", "io.sysfsd.cpu");
    assert_refused(world, "c1", pid, "{\"io.sysfsd.views\": \"-/proc,+/proc/statt\"}",
                   "InvalidParameter", "io.sysfsd.views=+/proc/statt");
    /* A directory is bound as a whole: nothing below it can be left out alone. */
    assert_refused(world, "c1", pid, "{\"io.sysfsd.views\": \"-/sys/devices/system/cpu/cpu0\"}",
                   "InvalidParameter", "cpu0");
    assert_add(world, "c1", pid);
    assert_refused(world, "c1", pid, NULL, "AlreadyRegistered", "c1");
    pid_t gone = start_process(world, "/c2", 2);
    end_process(gone);
    assert_refused(world, "c2", gone, NULL, "Failed", "No such process");
    assert_int_equal(runtime_count(world, "views"), 1);
    assert_int_equal(runtime_count(world, "containers"), 1);
}

static void test_failing_step_is_undone(void **state)
{
    ControlWorld *world = *state;
    pid_t pid = start_process(world, "/c1", 1);
    unsigned fds = open_fds();

    world->mount_error = -ENODEV;
    assert_refused(world, "c1", pid, NULL, "Failed", "No such device");
    assert_int_equal(runtime_count(world, "views"), 0);
    assert_int_equal(runtime_count(world, "containers"), 0);

    /* The mount point is taken by a file: not ours, it stays. */
    world->mount_error = 0;
    tree_write(&world->runtime, "views/c1", "");
    assert_refused(world, "c1", pid, NULL, "Failed", "File exists");
    assert_true(runtime_has(world, "views/c1"));
    tree_remove(&world->runtime, "views/c1");

    /* The last step fails: a directory stands where the record goes. */
    tree_mkdir(&world->runtime, "containers/c1.json");
    assert_refused(world, "c1", pid, NULL, "Failed", "containers/c1.json");
    assert_int_equal(runtime_count(world, "views"), 0);
    tree_remove(&world->runtime, "containers/c1.json");
    assert_int_equal(runtime_count(world, "containers"), 0);
    assert_int_equal(open_fds(), fds);
    /* Nothing of the failed ones still waits for the end of init. */
    end_process(pid);
    run_for(20);
}

static int fake_mount_fd(void *data, void *mount)
{
    return STDERR_FILENO;
}

/* data: what it says to connections of constants, the second of each view. */
static int fake_hold(void *data, const char *name, int fd)
{
    return g_str_has_prefix(name, SF_FD_NAME_CONSTANTS) ? *(int *)data : 0;
}

static unsigned fake_drops;

static void fake_drop(void *data, const char *name)
{
    fake_drops++;
}

/* A view that cannot be held is not made; one for which nobody is there to hold it is. */
static void test_full_store(void **state)
{
    ControlWorld *world = *state;
    pid_t pid = start_process(world, "/c1", 1), other;
    SfRegistryOptions options = world_options(world);
    static int answer; /* the registry is freed after this */

    sf_registry_free(g_steal_pointer(&world->registry));
    options.backend.mount_fd = fake_mount_fd;
    options.store = (SfFdStore){.hold = fake_hold, .drop = fake_drop, .data = &answer};
    assert_int_equal(sf_registry_new(&options, &world->registry, &other), 0);
    fake_drops = 0;
    answer = -ENOSPC;
    assert_refused(world, "c1", pid, NULL, "Failed", "128 KiB");
    answer = -ENFILE;
    assert_refused(world, "c1", pid, NULL, "Failed", "FileDescriptorStoreMax");
    assert_int_equal(fake_drops, 2); /* of its views' connections, which were held */
    assert_int_equal(runtime_count(world, "views"), 0);
    assert_int_equal(runtime_count(world, "constants"), 0);
    assert_int_equal(runtime_count(world, "containers"), 0);
    answer = -ENOTCONN;
    assert_add(world, "c1", pid);
}

static void test_policy(void **state)
{
    ControlWorld *world = *state;
    pid_t pid = start_process(world, "/c1", 1);
    SfControlError error = {0};
    SfPolicy defaults;

    sf_policy_init(&defaults);
    defaults.cpu = SF_CPU_POLICY_CPUSET;
    sf_registry_configure(world->registry, &defaults, 2);
    assert_int_equal(add(world, "c0", pid, "{\"io.sysfsd.enable\": \"false\"}", &error), 0);
    assert_int_equal(runtime_count(world, "views"), 0);
    assert_add(world, "c1", pid);
    assert_int_equal(
        add(world, "c2", pid, "{\"io.sysfsd.cpu\": \"host\", \"other\": \"x\"}", &error), 1);
    SfEntry *entry = sf_registry_resolve(world->registry, "c1", &error);
    assert_int_equal(sf_container_policy(entry->container)->cpu, SF_CPU_POLICY_CPUSET);
    entry = sf_registry_resolve(world->registry, "c2", &error);
    assert_int_equal(sf_container_policy(entry->container)->cpu, SF_CPU_POLICY_HOST);
    assert_refused(world, "c3", pid, NULL, "Failed", "max-containers");
}

static void test_end_of_init(void **state)
{
    ControlWorld *world = *state;
    pid_t first = start_process(world, "/c1", 1), second = start_process(world, "/c2", 2);

    assert_add(world, "c1", first);
    assert_add(world, "c2", second);
    end_process(first);
    run_until(sf_registry_count(world->registry) == 1);
    assert_false(runtime_has(world, "views/c1"));
    assert_false(runtime_has(world, "containers/c1.json"));
    assert_true(runtime_has(world, "containers/c2.json"));
    assert_false(sf_registry_unregister(world->registry, "c1", "test"));
}

static void test_removal_of_the_cgroup(void **state)
{
    ControlWorld *world = *state;
    pid_t first = start_process(world, "/slice/c1", 1),
          second = start_process(world, "/slice/c2", 2);

    assert_add(world, "c1", first);
    assert_add(world, "c2", second);
    tree_mkdir(&world->tree, "sys/fs/cgroup/slice/c3");
    tree_remove(&world->tree, "sys/fs/cgroup/slice/c3");
    run_for(20);
    assert_int_equal(sf_registry_count(world->registry), 2);
    tree_remove(&world->tree, "sys/fs/cgroup/slice/c1");
    run_until(sf_registry_count(world->registry) == 1);
    assert_true(runtime_has(world, "containers/c2.json"));
    tree_remove(&world->tree, "sys/fs/cgroup/slice/c2");
    run_until(sf_registry_count(world->registry) == 0);
}

/* The event of an older cgroup of the name must not end the container that is in the new one. */
static void test_cgroup_of_the_same_name(void **state)
{
    ControlWorld *world = *state;
    pid_t first = start_process(world, "/slice/c1", 1),
          other = start_process(world, "/slice/c2", 2);

    assert_add(world, "c1", first);
    assert_add(world, "c2", other); /* keeps the watch on /slice */
    assert_true(sf_registry_unregister(world->registry, "c1", "test"));
    tree_remove(&world->tree, "sys/fs/cgroup/slice/c1");
    pid_t second = start_process(world, "/slice/c1", 3);
    assert_add(world, "c1", second);
    run_for(50);
    assert_int_equal(sf_registry_count(world->registry), 2);
}

/* Limits of the container and of the cgroups above it. */
static void test_limits_change(void **state)
{
    ControlWorld *world = *state;
    pid_t first = start_process(world, "/slice/c1", 1),
          other = start_process(world, "/slice/c2", 2);

    put(world, "max 100000\n", "sys/fs/cgroup/slice/cpu.max");
    assert_add(world, "c1", first);
    assert_add(world, "c2", other);
    tree_write(&world->tree, "sys/fs/cgroup/slice/c1/cpu.max", "50000 100000\n");
    run_until(world->recalls == 1);
    run_for(50);
    tree_write(&world->tree, "sys/fs/cgroup/slice/cpu.max", "50000 100000\n");
    run_until(world->recalls == 3); /* both */
    tree_write(&world->tree, "sys/fs/cgroup/slice/c1/memory.max", "33554432\n");
    run_for(50);
    assert_int_equal(world->recalls, 3);

    /* However often it is written, now and then; and at the end. */
    for (unsigned i = 0; i < 100; i++) {
        tree_write(&world->tree, "sys/fs/cgroup/slice/c1/cpu.max", "60000 100000\n");
        run_for(1);
    }
    run_for(50);
    assert_true(world->recalls > 4 && world->recalls < 60);

    unsigned before = world->recalls;
    tree_write(&world->tree, "sys/fs/cgroup/slice/c1/cpu.max", "70000 100000\n");
    tree_write(&world->tree, "sys/fs/cgroup/slice/cpu.max", "max 100000\n");
    assert_true(sf_registry_unregister(world->registry, "c1", "test")); /* with one that is due */
    run_until(world->recalls == before + 1);
    run_for(50);
    assert_int_equal(world->recalls, before + 1);
}

static void never(void *data)
{
    fail_msg("a watch that was refused reported");
}

static void test_cgroup_gone_before_the_watch(void **state)
{
    static const SfCgroupEvents events = {never, never};
    ControlWorld *world = *state;
    SfCgroupWatcher *watcher;
    SfCgroup *cgroup, *top;
    unsigned watch;

    tree_mkdir(&world->tree, "sys/fs/cgroup/slice/c1");
    assert_int_equal(sf_cgroup_watcher_new(&events, &watcher), 0);
    assert_int_equal(sf_cgroup_at(world->cgroups, SF_CONTROLLER_UNIFIED, "/", &top), 0);
    assert_int_equal(sf_cgroup_watch_add(watcher, top, NULL, &watch), -ENOTSUP);
    sf_cgroup_unref(top);
    assert_int_equal(sf_cgroup_at(world->cgroups, SF_CONTROLLER_UNIFIED, "/slice/c1", &cgroup), 0);
    tree_remove(&world->tree, "sys/fs/cgroup/slice/c1");
    assert_int_equal(sf_cgroup_watch_add(watcher, cgroup, NULL, &watch), -ENODEV);
    tree_remove(&world->tree, "sys/fs/cgroup/slice");
    assert_int_equal(sf_cgroup_watch_add(watcher, cgroup, NULL, &watch), -ENODEV);
    run_for(20);
    sf_cgroup_watcher_free(watcher);
    sf_cgroup_unref(cgroup);
}

static void test_leftovers(void **state)
{
    ControlWorld *world = *state;
    g_autofree char *view = g_build_filename(world->runtime.root, "views", "old", NULL);
    g_autofree char *constants = g_build_filename(world->runtime.root, "constants", "half", NULL);

    sf_registry_free(g_steal_pointer(&world->registry));
    tree_mkdir(&world->runtime, "views/old");
    tree_mkdir(&world->runtime, "constants/half");
    tree_write(&world->runtime, "containers/old.json",
               "{\"version\": 1, \"id\": \"old\", \"pid\": 5, \"cgroups\": {}}");
    tree_write(&world->runtime, "containers/cut.json", "{\"version\": 1, \"id\": \"cu");
    tree_write(&world->runtime, "containers/strange", "x");
    assert_int_equal(world_open_registry(world), 0);
    assert_int_equal(world->stale->len, 4); /* each ID in both places */
    assert_string_equal(world->stale->pdata[0], view);
    assert_string_equal(world->stale->pdata[3], constants);
    assert_int_equal(runtime_count(world, "views"), 0);
    assert_int_equal(runtime_count(world, "constants"), 0);
    assert_int_equal(runtime_count(world, "containers"), 0);
}

static void test_runtime_directory_is_one_daemons(void **state)
{
    ControlWorld *world = *state;
    SfRegistryOptions options = world_options(world);
    SfRegistry *second;
    unsigned fds = open_fds();
    pid_t other;

    assert_int_equal(sf_registry_new(&options, &second, &other), -EWOULDBLOCK);
    assert_int_equal(other, getpid());
    sf_registry_free(g_steal_pointer(&world->registry));
    assert_int_equal(chmod(world->runtime.root, 0777), 0);
    assert_int_equal(sf_registry_new(&options, &second, &other), -EPERM);
    assert_int_equal(chmod(world->runtime.root, 0755), 0);
    assert_int_equal(world_open_registry(world), 0);
    assert_int_equal(open_fds(), fds);
}

static void assert_means(ControlWorld *world, const char *name, const char *id)
{
    SfControlError error = {0};
    SfEntry *entry = sf_registry_resolve(world->registry, name, &error);

    if (id) {
        assert_non_null(entry);
        assert_string_equal(entry->id, id);
    } else {
        assert_null(entry);
        assert_string_equal(error.name, "NoSuchContainer");
        sf_control_error_clear(&error);
    }
}

static void test_names(void **state)
{
    ControlWorld *world = *state;
    SfControlError error = {0};

    assert_add(world, "web", start_process(world, "/c1", 1));
    assert_add(world, "web-2", start_process(world, "/c2", 2));
    assert_add(world, "db", start_process(world, "/c3", 3));
    assert_means(world, "web", "web"); /* exact wins over being a prefix */
    assert_means(world, "web-", "web-2");
    assert_means(world, "d", "db");
    assert_means(world, "", NULL);
    assert_means(world, "x", NULL);
    assert_null(sf_registry_resolve(world->registry, "we", &error));
    assert_string_equal(error.name, "NotUnique");
    json_t *candidates = json_object_get(error.details, "candidates");
    assert_int_equal(json_array_size(candidates), 2);
    assert_string_equal(json_string_value(json_array_get(candidates, 0)), "web");
    sf_control_error_clear(&error);
}

static void assert_pid_means(ControlWorld *world, pid_t pid, const char *id)
{
    g_autofree char *name = g_strdup_printf("pid:%d", (int)pid);

    assert_means(world, name, id);
}

static void test_processes(void **state)
{
    ControlWorld *world = *state;
    pid_t outer = start_process(world, "/a", 1), inner = start_process(world, "/a/b", 2);
    SfControlError error = {0};

    assert_add(world, "0-outer", outer);
    assert_add(world, "1-inner", inner);
    assert_pid_means(world, outer, "0-outer");
    assert_pid_means(world, inner, "1-inner");
    assert_pid_means(world, start_process(world, "/a/x", 7), "0-outer");
    assert_pid_means(world, start_process(world, "/a/b/c", 7), "1-inner");     /* not the outer */
    assert_pid_means(world, start_process(world, "/elsewhere", 1), "0-outer"); /* namespace */
    assert_pid_means(world, start_process(world, "/ab", 7), NULL);
    assert_means(world, "pid:2147483647", NULL);
    assert_null(sf_registry_resolve(world->registry, "pid:0", &error));
    assert_string_equal(error.name, "InvalidParameter");
    sf_control_error_clear(&error);
}

static void test_many_come_and_go(void **state)
{
    ControlWorld *world = *state;
    pid_t pid = start_process(world, "/slice/c", 1);
    char id[32];

    assert_add(world, "first", pid); /* makes what stays: stdio buffers, GLib's sources */
    assert_true(sf_registry_unregister(world->registry, "first", "test"));
    unsigned fds = open_fds();
    for (unsigned i = 0; i < 500; i++) {
        (void)snprintf(id, sizeof(id), "c%u", i);
        assert_add(world, id, pid);
    }
    assert_int_equal(sf_registry_count(world->registry), 500);
    assert_int_equal(runtime_count(world, "views"), 500);
    end_process(pid);
    run_until(sf_registry_count(world->registry) == 0);
    assert_int_equal(world->mounts->len, 0);
    assert_int_equal(runtime_count(world, "views"), 0);
    assert_int_equal(runtime_count(world, "containers"), 0);
    assert_int_equal(open_fds(), fds);
}

static void test_stop_ends_all(void **state)
{
    ControlWorld *world = *state;
    pid_t pid = start_process(world, "/c1", 1);

    assert_add(world, "c1", pid);
    assert_add(world, "c2", pid);
    sf_registry_free(g_steal_pointer(&world->registry));
    assert_int_equal(world->mounts->len, 0);
    assert_int_equal(runtime_count(world, "views"), 0);
    assert_int_equal(runtime_count(world, "containers"), 0);
}

/* The daemon fails, and another one begins. */
static void replace_registry(ControlWorld *world)
{
    sf_registry_leave(world->registry);
    sf_registry_free(g_steal_pointer(&world->registry));
    assert_int_equal(world->mounts->len, 0);
    assert_int_equal(world_open_registry(world), 0);
    sf_registry_settle(world->registry);
}

/* What cannot be taken up now is tried again, and left as it is meanwhile. */
static void test_no_memory_at_the_start(void **state)
{
    ControlWorld *world = *state;
    pid_t pid = start_process(world, "/c1", 1), other = start_process(world, "/c2", 2);

    assert_add(world, "c1", pid);
    assert_add(world, "c2", other);
    replace_registry(world);
    assert_int_equal(sf_registry_count(world->registry), 2);
    assert_int_equal(sf_registry_waiting(world->registry), 0);

    world->mount_error = -ENOMEM;
    replace_registry(world);
    assert_int_equal(sf_registry_count(world->registry), 0);
    assert_int_equal(sf_registry_waiting(world->registry), 2);
    run_for(350); /* tried again and again */
    assert_int_equal(sf_registry_waiting(world->registry), 2);
    assert_int_equal(runtime_count(world, "containers"), 2);
    assert_int_equal(runtime_count(world, "views"), 2);
    assert_refused(world, "c1", pid, NULL, "Failed", "taken up");
    SfControlError error = {0};
    assert_null(sf_registry_resolve(world->registry, "c1", &error));
    assert_string_equal(error.name, "Failed");
    sf_control_error_clear(&error);

    /* Another daemon does not change that. */
    replace_registry(world);
    assert_int_equal(sf_registry_waiting(world->registry), 2);
    assert_int_equal(runtime_count(world, "containers"), 2);
    world->mount_error = 0;
    run_until(sf_registry_count(world->registry) == 2);
    assert_int_equal(sf_registry_waiting(world->registry), 0);
    assert_int_equal(world->mounts->len, 2);
    assert_refused(world, "c1", pid, NULL, "AlreadyRegistered", "c1");
}

/* One that waits can end as any other. */
static void test_end_of_one_that_waits(void **state)
{
    ControlWorld *world = *state;
    pid_t first = start_process(world, "/c1", 1), second = start_process(world, "/c2", 2),
          third = start_process(world, "/c3", 3);

    assert_add(world, "c1", first);
    assert_add(world, "c2", second);
    assert_add(world, "c3", third);
    world->mount_error = -ENFILE;
    replace_registry(world);
    assert_int_equal(sf_registry_waiting(world->registry), 3);
    end_process(first);
    run_until(sf_registry_waiting(world->registry) == 2);
    assert_false(runtime_has(world, "containers/c1.json"));
    assert_false(runtime_has(world, "views/c1"));
    assert_true(sf_registry_unregister(world->registry, "c2", "test"));
    assert_false(sf_registry_unregister(world->registry, "c2", "test"));
    assert_false(runtime_has(world, "containers/c2.json"));
    /* The daemon stops for good. */
    sf_registry_free(g_steal_pointer(&world->registry));
    assert_int_equal(runtime_count(world, "containers"), 0);
    assert_int_equal(runtime_count(world, "views"), 0);
}

/* No more files than there are: not even a record can be read. */
static void test_no_files_at_the_start(void **state)
{
    ControlWorld *world = *state;
    pid_t pid = start_process(world, "/c1", 1), other;
    struct rlimit limit, few;
    SfRegistryOptions options = world_options(world);

    assert_add(world, "c1", pid);
    sf_registry_leave(world->registry);
    sf_registry_free(g_steal_pointer(&world->registry));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    few = limit;
    bool waited = false;
    /* At first it does not start, then it cannot take up the container, then all is well. */
    for (few.rlim_cur = open_fds(); few.rlim_cur < 300; few.rlim_cur++) {
        SfRegistry *registry;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        int r = sf_registry_new(&options, &registry, &other);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_true(runtime_has(world, "containers/c1.json"));
        assert_true(runtime_has(world, "views/c1"));
        if (r == -EWOULDBLOCK) { /* a child of the one before has not ended yet, nor its lock */
            few.rlim_cur--;
            g_usleep(10000);
            continue;
        }
        if (r < 0) {
            assert_int_equal(r, -EMFILE);
            continue;
        }
        unsigned waiting = sf_registry_waiting(registry);
        assert_int_equal(waiting + sf_registry_count(registry), 1);
        sf_registry_settle(registry);
        run_until(sf_registry_count(registry) == 1);
        sf_registry_leave(registry);
        sf_registry_free(registry);
        if (waiting == 0)
            break;
        waited = true;
    }
    assert_true(waited);
    assert_int_equal(world_open_registry(world), 0);
    assert_int_equal(sf_registry_count(world->registry), 1);
}

static char last_warning[512];

static GLogWriterOutput keep_warning(GLogLevelFlags level, const GLogField *fields, gsize count,
                                     gpointer data)
{
    for (gsize i = 0; i < count; i++) {
        if ((level & G_LOG_LEVEL_WARNING) && strcmp(fields[i].key, "MESSAGE") == 0)
            (void)g_strlcpy(last_warning, fields[i].value, sizeof(last_warning));
    }
    return G_LOG_WRITER_HANDLED;
}

/* A daemon in a cgroup namespace of its own cannot see the container's. */
static void test_cgroup_out_of_sight(void **state)
{
    ControlWorld *world = *state;
    pid_t pid = start_process(world, "/c1", 1);

    last_warning[0] = '\0';
    assert_add(world, "c1", pid);
    assert_string_equal(last_warning, "");
    pid = start_process(world, "/c2", 2);
    put(world, "0::/../c2\n", "proc/%d/cgroup", (int)pid);
    assert_add(world, "c2", pid);
    assert_non_null(strstr(last_warning, ": memory cpu cpuset, container=c2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_register_and_unregister, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_input_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_store, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failing_step_is_undone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_policy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_of_init, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_memory_at_the_start, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_of_one_that_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_files_at_the_start, setup, teardown),
        cmocka_unit_test_setup_teardown(test_removal_of_the_cgroup, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cgroup_of_the_same_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits_change, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cgroup_gone_before_the_watch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cgroup_out_of_sight, setup, teardown),
        cmocka_unit_test_setup_teardown(test_leftovers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_runtime_directory_is_one_daemons, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_processes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_come_and_go, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_ends_all, setup, teardown),
    };

    g_log_set_writer_func(keep_warning, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
