/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watching for the removal of cgroups: plain directories stand for cgroups, inotify and the main
 * loop are real.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <inttypes.h>

#include "daemon/control/watch.h"
#include "tests/unit/control-world.h"

#define CGROUPS "sys/fs/cgroup"

typedef struct Place {
    ControlWorld world;
    SfCgroupWatcher *watcher;
    unsigned fds; /* open without any watch */
} Place;

/* What a watch is given: counts its reports, and may end another watch when it is reported. */
typedef struct Report {
    unsigned times;
    SfCgroupWatcher *watcher;
    unsigned ends;
} Report;

static void gone(void *data)
{
    Report *report = data;

    report->times++;
    if (report->watcher)
        sf_cgroup_watch_remove(report->watcher, report->ends);
}

static const SfCgroupEvents events = {gone, NULL};

static int setup(void **state)
{
    Place *place = g_new0(Place, 1);

    world_begin(&place->world);
    assert_int_equal(sf_cgroup_watcher_new(&events, &place->watcher), 0);
    place->fds = open_fds();
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    Place *place = *state;

    assert_int_equal(open_fds(), place->fds);
    sf_cgroup_watcher_free(place->watcher);
    world_end(&place->world);
    g_free(place);
    return 0;
}

static void make(Place *place, const char *cgroup)
{
    g_autofree char *path = g_strconcat(CGROUPS, cgroup, NULL);

    tree_mkdir(&place->world.tree, path);
}

static void take_away(Place *place, const char *cgroup)
{
    g_autofree char *path = g_strconcat(CGROUPS, cgroup, NULL);

    tree_remove(&place->world.tree, path);
}

static void move(Place *place, const char *from, const char *to)
{
    g_autofree char *old = g_strconcat(place->world.tree.root, "/" CGROUPS, from, NULL);
    g_autofree char *new = g_strconcat(place->world.tree.root, "/" CGROUPS, to, NULL);

    assert_int_equal(rename(old, new), 0);
}

static int try_watch(Place *place, const char *path, bool removed_before, Report *report,
                     unsigned *ret_watch)
{
    SfCgroup *cgroup;

    assert_int_equal(sf_cgroup_at(place->world.cgroups, SF_CONTROLLER_UNIFIED, path, &cgroup), 0);
    if (removed_before)
        take_away(place, path);
    int r = sf_cgroup_watch_add(place->watcher, cgroup, report, ret_watch);
    sf_cgroup_unref(cgroup);
    return r;
}

static unsigned watch(Place *place, const char *path, Report *report)
{
    unsigned number = 0;

    assert_int_equal(try_watch(place, path, false, report, &number), 0);
    assert_true(number > 0);
    return number;
}

/* Directories that the kernel watches for us. */
static unsigned kernel_watches(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fdinfo");

    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        g_autofree char *path = g_build_filename("/proc/self/fdinfo", entry->d_name, NULL);
        g_autofree char *text = NULL;
        if (!g_file_get_contents(path, &text, NULL, NULL))
            continue; /* ".", ".." and what opendir() opened */
        for (const char *at = text; (at = strstr(at, "inotify wd:")); at++)
            count++;
    }
    (void)closedir(dir);
    return count;
}

static void test_removal(void **state)
{
    Place *place = *state;
    Report a = {0}, a_again = {0}, b = {0}, below = {0};

    make(place, "/slice/a");
    make(place, "/slice/b/a"); /* the same name elsewhere */
    unsigned number = watch(place, "/slice/a", &a);
    (void)watch(place, "/slice/a", &a_again);
    (void)watch(place, "/slice/b", &b);
    unsigned last = watch(place, "/slice/b/a", &below);
    assert_int_equal(kernel_watches(), 2); /* one a parent, however many are in it */
    run_for(20);
    assert_int_equal(a.times + a_again.times + b.times + below.times, 0);
    take_away(place, "/slice/a");
    run_until(a.times > 0 && a_again.times > 0);
    sf_cgroup_watch_remove(place->watcher, number); /* it is over: nothing happens */
    assert_int_equal(b.times + below.times, 0);
    sf_cgroup_watch_remove(place->watcher, last);
    assert_int_equal(kernel_watches(), 1);
    take_away(place, "/slice/b");
    run_until(b.times > 0);
    run_for(20);
    assert_int_equal(a.times, 1);
    assert_int_equal(a_again.times, 1);
    assert_int_equal(b.times, 1);
    assert_int_equal(below.times, 0); /* nobody waits any more */
    assert_int_equal(kernel_watches(), 0);
    sf_cgroup_watch_remove(place->watcher, 0);
    sf_cgroup_watch_remove(place->watcher, 4711);
}

static void test_removed_before(void **state)
{
    Place *place = *state;
    Report report = {0}, sibling = {0};
    unsigned number = 4711;

    assert_int_equal(try_watch(place, "/", false, &report, &number), -ENOTSUP);
    make(place, "/slice/a");
    make(place, "/slice/b");
    assert_int_equal(try_watch(place, "/slice/a", true, &report, &number), -ENODEV);
    assert_int_equal(kernel_watches(), 0);
    /* The refused watch leaves the parent's alone. */
    make(place, "/slice/a");
    (void)watch(place, "/slice/b", &sibling);
    assert_int_equal(try_watch(place, "/slice/a", true, &report, &number), -ENODEV);
    take_away(place, "/slice/b");
    run_until(sibling.times == 1);
    assert_int_equal(number, 4711);
    assert_int_equal(report.times, 0);
}

/* When the event is looked at, another cgroup of the name stands there. */
static void test_name_taken_again(void **state)
{
    Place *place = *state;
    Report old = {0}, new = {0};

    make(place, "/slice/a");
    make(place, "/slice/next"); /* exists at the same time: has another inode */
    (void)watch(place, "/slice/a", &old);
    take_away(place, "/slice/a");
    move(place, "/slice/next", "/slice/a");
    unsigned number = watch(place, "/slice/a", &new);
    run_until(old.times == 1);
    run_for(20);
    assert_int_equal(new.times, 0); /* the old one's event says nothing about it */
    sf_cgroup_watch_remove(place->watcher, number);
}

/* A report may end watches that are next in the list. */
static void test_report_ends_another(void **state)
{
    Place *place = *state;
    Report other = {0}, first = {0};

    make(place, "/slice/a");
    first = (Report){.watcher = place->watcher};
    (void)watch(place, "/slice/a", &first);
    first.ends = watch(place, "/slice/a", &other);
    take_away(place, "/slice/a");
    run_until(first.times == 1);
    run_for(20);
    assert_int_equal(other.times, 0);
    assert_int_equal(kernel_watches(), 0);
}

/* The directory of the watch goes without a word about what was in it. */
static void test_parent_goes(void **state)
{
    Place *place = *state;
    Report report = {0};

    make(place, "/slice/a");
    (void)watch(place, "/slice/a", &report);
    move(place, "/slice/a", "/elsewhere");
    take_away(place, "/slice");
    run_until(report.times == 1);
    assert_int_equal(kernel_watches(), 0);
}

/* Past fs.inotify.max_queued_events the kernel drops events and says so once. */
static void test_overflow(void **state)
{
    Place *place = *state;
    Report lost = {0}, stays = {0};
    g_autofree char *text = NULL;

    if (!g_file_get_contents("/proc/sys/fs/inotify/max_queued_events", &text, NULL, NULL) ||
        strlen(text) > 6) {
        print_message("the queue is too long to be filled\n");
        skip();
    }
    uint64_t most = g_ascii_strtoull(text, NULL, 10);
    make(place, "/slice/a");
    make(place, "/slice/b");
    (void)watch(place, "/slice/a", &lost);
    unsigned number = watch(place, "/slice/b", &stays);
    g_autofree char *slice = g_strconcat(place->world.tree.root, "/" CGROUPS "/slice", NULL);
    SF_CLEANUP_FD int fd = open(slice, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    for (uint64_t i = 0; i < most + 10; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "%" PRIu64, i); /* equal events would become one */
        assert_int_equal(mknodat(fd, name, S_IFREG | 0600, 0), 0);
        assert_int_equal(unlinkat(fd, name, 0), 0);
    }
    take_away(place, "/slice/a");
    run_until(lost.times == 1);
    assert_int_equal(stays.times, 0);
    sf_cgroup_watch_remove(place->watcher, number);
}

static void test_many(void **state)
{
    Place *place = *state;
    Report reports[300] = {0};
    unsigned total = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(reports); i++) {
        g_autofree char *path = g_strdup_printf("/slice/c%u", i);
        make(place, path);
        (void)watch(place, path, &reports[i]);
    }
    assert_int_equal(kernel_watches(), 1);
    take_away(place, "/slice");
    run_for(100);
    for (unsigned i = 0; i < G_N_ELEMENTS(reports); i++)
        total += reports[i].times == 1;
    assert_int_equal(total, G_N_ELEMENTS(reports));
    assert_int_equal(kernel_watches(), 0);
}

static void test_freed_with_watches(void **state)
{
    Place *place = *state;
    Report report = {0};

    make(place, "/slice/a");
    make(place, "/slice/b");
    (void)watch(place, "/slice/a", &report);
    (void)watch(place, "/slice/b", &report);
    take_away(place, "/slice/a"); /* and with an event that was not read */
    sf_cgroup_watcher_free(place->watcher);
    run_for(20);
    assert_int_equal(report.times, 0);
    assert_int_equal(sf_cgroup_watcher_new(&events, &place->watcher), 0);
    sf_cgroup_watcher_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_removal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_removed_before, setup, teardown),
        cmocka_unit_test_setup_teardown(test_name_taken_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_report_ends_another, setup, teardown),
        cmocka_unit_test_setup_teardown(test_parent_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_overflow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_freed_with_watches, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
