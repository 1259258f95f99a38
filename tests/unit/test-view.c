/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file tree of a view over a small fake host: which files there are, by policy and by what the
 * host has; attributes, listing, open files and what is counted of them.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/view/view.h"

static const char *const files[][2] = {
    {"proc/meminfo",
     "MemTotal:        8000000 kB\nMemFree:         4000000 kB\nMemAvailable:    5000000 kB\n"},
    {"proc/uptime", "100.00 100.00\n"},
    {"proc/self/mountinfo", ""},
    {"proc/100/stat", "100 (a b) c) S 1 100 100 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 500 0 0\n"},
    {"proc/100/status", "Name:\ta\nNSpid:\t100\t1\n"},
    {"proc/100/cgroup", "0::/\n"},
    {"proc/100/uid_map", "         0     100000      65536\n"},
    {"proc/100/gid_map", "         0     200000      65536\n"},
    {"sys/devices/system/cpu/online", "0-3\n"},
    {"sys/devices/system/cpu/present", "0-3\n"},
    {"sys/devices/system/cpu/possible", "0-7\n"},
    {"sys/devices/system/cpu/offline", "4-7\n"},
    {"sys/devices/system/cpu/isolated", "1,5\n"},
    {"sys/devices/system/cpu/cpu0/topology/core_cpus", "00000033\n"},
    {"sys/devices/system/cpu/cpu3/cache/index0/shared_cpu_list", "3,7\n"},
    {"sys/devices/system/cpu/cpu3/thermal_throttle/core_throttle_count", "9\n"},
    {"sys/devices/system/cpu/cpu4/topology/core_cpus", "00000033\n"},
};
static const char *const links[] = {"mnt", "pid", "user", "time", "cgroup", "net", "ipc", "uts"};

typedef struct Fixture {
    char root[64];
    SfHost *host;
    SfCgroups *cgroups;
} Fixture;

static uint64_t boottime_nsec = 10ull * 1000000000;

static uint64_t fixed_clock(void *data)
{
    return boottime_nsec;
}

static void write_root(const char *root)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = g_strdup_printf("%s/%s", root, files[i][0]);
        g_autofree char *directory = g_path_get_dirname(path);
        assert_int_equal(g_mkdir_with_parents(directory, 0755), 0);
        assert_true(g_file_set_contents(path, files[i][1], -1, NULL));
    }
    for (unsigned i = 0; i < 2 * G_N_ELEMENTS(links); i++) {
        const char *kind = links[i % G_N_ELEMENTS(links)],
                   *who = i < G_N_ELEMENTS(links) ? "100" : "self";
        g_autofree char *directory = g_strdup_printf("%s/proc/%s/ns", root, who);
        g_autofree char *path = g_strdup_printf("%s/%s", directory, kind);
        g_autofree char *target =
            g_strdup_printf("%s:[402653%u]", kind, 1000 + (unsigned)(i % G_N_ELEMENTS(links)));
        assert_int_equal(g_mkdir_with_parents(directory, 0755), 0);
        assert_int_equal(symlink(target, path), 0);
    }
    g_autofree char *secret = g_strdup_printf("%s/proc/meminfo", root);
    assert_int_equal(chmod(secret, 0400), 0);
    g_autofree char *link = g_strdup_printf("%s/sys/devices/system/cpu/cpu0/subsystem", root);
    assert_int_equal(symlink("../../../../bus/cpu", link), 0);
    g_autofree char *crash = g_strdup_printf("%s/sys/devices/system/cpu/cpu0/crash_notes", root);
    assert_true(g_file_set_contents(crash, "1f00\n", -1, NULL));
    assert_int_equal(chmod(crash, 0400), 0);
}

static int setup(void **state)
{
    Fixture *f = g_new0(Fixture, 1);

    (void)g_strlcpy(f->root, "/tmp/sysfsd-view-XXXXXX", sizeof(f->root));
    assert_non_null(g_mkdtemp(f->root));
    write_root(f->root);
    SfHostOptions options = {
        .root = f->root, .page_bytes = 4096, .ticks_per_sec = 100, .boottime_nsec = fixed_clock};
    assert_int_equal(sf_host_open(&options, &f->host), 0);
    assert_int_equal(sf_cgroups_open(f->host, &f->cgroups), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    Fixture *f = *state;
    g_autofree char *command = g_strdup_printf("rm -rf %s", f->root);

    sf_cgroups_free(f->cgroups);
    sf_host_free(f->host);
    assert_int_equal(system(command), 0);
    g_free(f);
    return 0;
}

static SfView *new_view_in(Fixture *f, SfKeep *keep, const char *views)
{
    SfPolicy policy;
    SfContainer *container;
    SfView *view;
    char error[200];

    sf_policy_init(&policy);
    if (views)
        assert_int_equal(sf_policy_apply(&policy, "io.sysfsd.views", views, error, sizeof(error)),
                         0);
    int pidfd = -1;
    assert_int_equal(sf_process_pidfd(getpid(), &pidfd), 0);
    SfContainerSpec spec = {
        .id = "c", .init_pid = 100, .pidfd = pidfd, .policy = &policy, .keep = keep};
    assert_int_equal(sf_container_new(f->host, f->cgroups, &spec, &container), 0);
    (void)close(pidfd);
    assert_int_equal(sf_view_new(container, &view), 0);
    sf_container_unref(container);
    return view;
}

static SfView *new_view(Fixture *f, const char *views)
{
    return new_view_in(f, NULL, views);
}

static uint64_t inode_of(SfView *view, const char *path, struct stat *st)
{
    g_auto(GStrv) names = g_strsplit(path, "/", -1);
    uint64_t inode = SF_VIEW_ROOT;

    for (unsigned i = 0; names[i]; i++) {
        bool constant;
        if (sf_view_lookup(view, inode, names[i], st, &constant) < 0)
            return 0;
        inode = st->st_ino;
    }
    return inode;
}

static void test_files_are_those_of_host_and_policy(void **state)
{
    struct stat st;
    SfView *view = new_view(*state, NULL);

    assert_true(inode_of(view, "proc/meminfo", &st) != 0);
    assert_true(inode_of(view, "sys/devices/system/cpu/online", &st) != 0);
    assert_int_equal(inode_of(view, "proc/swaps", &st), 0); /* the fake kernel has none */
    sf_view_unref(view);

    view = new_view(*state, "-/sys,-/proc/uptime");
    assert_true(inode_of(view, "proc/meminfo", &st) != 0);
    assert_int_equal(inode_of(view, "proc/uptime", &st), 0);
    assert_int_equal(inode_of(view, "sys", &st), 0); /* an empty directory is not there */
    assert_int_equal(sf_view_file_count(view), 1);
    sf_view_unref(view);
}

static void test_attributes_are_the_hosts_and_the_containers(void **state)
{
    struct stat st;
    bool constant;
    SfView *view = new_view(*state, NULL);

    assert_true(inode_of(view, "proc/meminfo", &st) != 0);
    assert_int_equal(st.st_mode, S_IFREG | 0400); /* 0400 stays 0400 */
    assert_int_equal(st.st_uid, 100000);
    assert_int_equal(st.st_gid, 200000);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(sf_view_getattr(view, SF_VIEW_ROOT, &st, &constant), 0);
    assert_int_equal(st.st_mode, S_IFDIR | 0555);
    assert_int_equal(st.st_nlink, 4); /* proc and sys */
    assert_int_equal(sf_view_getattr(view, 0, &st, &constant), -ENOENT);
    assert_int_equal(sf_view_getattr(view, UINT64_MAX, &st, &constant), -ENOENT);
    sf_view_unref(view);
}

static int compare_strings(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of a directory with a blank after each, sorted. */
static char *list(SfView *view, uint64_t inode)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    GString *joined = g_string_new(NULL);
    SfViewHandle *handle;
    SfViewEntry entry;
    SfSlice rest;

    assert_int_equal(sf_view_open_directory(view, inode, 0, &handle), 0);
    assert_int_equal(sf_view_read_directory(view, handle, 0, 0, &rest), 0);
    while (sf_view_next_entry(&rest, &entry))
        g_ptr_array_add(names, (char *)entry.name);
    g_ptr_array_sort(names, compare_strings);
    for (unsigned i = 0; i < names->len; i++)
        g_string_append_printf(joined, "%s ", (const char *)names->pdata[i]);
    sf_view_release(view, handle);
    return g_string_free(joined, FALSE);
}

static char *read_all(SfView *view, const char *path)
{
    struct stat st;
    SfViewHandle *handle;
    SfSlice slice;

    if (sf_view_open(view, inode_of(view, path, &st), O_RDONLY, 0, &handle) < 0)
        return NULL;
    assert_int_equal(sf_view_read(view, handle, 0, SIZE_MAX, false, 0, &slice), 0);
    char *text = g_strndup(slice.data, slice.len);
    sf_view_release(view, handle);
    return text;
}

static void test_listing(void **state)
{
    struct stat st;
    SfViewHandle *handle;
    SfViewEntry entry;
    SfSlice rest;
    SfView *view = new_view(*state, "-/sys/devices/system/cpu,+/sys/devices/system/cpu/online");
    uint64_t directory = inode_of(view, "sys/devices/system/cpu", &st);

    assert_int_equal(st.st_mode, S_IFDIR | 0555);
    g_autofree char *names = list(view, directory);
    assert_string_equal(names, ". .. online ");
    assert_int_equal(sf_view_open_directory(view, inode_of(view, "proc/uptime", &st), 0, &handle),
                     -ENOTDIR);
    /* lseek(2) can ask for any place. */
    assert_int_equal(sf_view_open_directory(view, directory, 0, &handle), 0);
    assert_int_equal(sf_view_read_directory(view, handle, 2, 0, &rest), 0);
    assert_true(sf_view_next_entry(&rest, &entry));
    assert_string_equal(entry.name, "online");
    assert_int_equal(sf_view_read_directory(view, handle, UINT64_MAX, 0, &rest), 0);
    assert_false(sf_view_next_entry(&rest, &entry));
    sf_view_release(view, handle);
    sf_view_unref(view);
}

static void test_host_directory(void **state)
{
    struct stat st;
    bool constant;
    char target[64];
    SfViewHandle *handle;
    SfView *view = new_view(*state, NULL);
    uint64_t directory = inode_of(view, "sys/devices/system/cpu", &st);

    /* CPU 4 is not online: the container has 0-3. */
    g_autofree char *names = list(view, directory);
    assert_string_equal(names, ". .. cpu0 cpu3 isolated offline online possible present ");
    g_autofree char *isolated = read_all(view, "sys/devices/system/cpu/isolated");
    assert_string_equal(isolated, "1\n");
    g_autofree char *siblings = read_all(view, "sys/devices/system/cpu/cpu0/topology/core_cpus");
    assert_string_equal(siblings, "00000003\n");
    g_autofree char *possible = read_all(view, "sys/devices/system/cpu/possible");
    assert_string_equal(possible, "0-7\n");

    uint64_t cpu0 = inode_of(view, "sys/devices/system/cpu/cpu0", &st);
    assert_true(cpu0 >= SF_VIEW_BELOW);
    assert_int_equal(st.st_uid, 100000);
    assert_int_equal(sf_view_lookup(view, directory, "cpu0", &st, &constant), 0);
    assert_int_equal(st.st_ino, cpu0);
    assert_false(constant); /* the quota may take it away */
    assert_int_equal(sf_view_lookup(view, directory, "cpu4", &st, &constant), -ENOENT);
    assert_false(constant);
    assert_int_equal(sf_view_lookup(view, cpu0, "topology", &st, &constant), 0);
    assert_true(constant);
    assert_int_equal(sf_view_lookup(view, cpu0, "nothing", &st, &constant), -ENOENT);
    assert_int_equal(sf_view_lookup(view, cpu0, "../cpu4", &st, &constant), -ENOENT);

    uint64_t link = inode_of(view, "sys/devices/system/cpu/cpu0/subsystem", &st);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(sf_view_read_link(view, link, target, sizeof(target)), 0);
    assert_string_equal(target, "../../../../bus/cpu");
    assert_int_equal(sf_view_read_link(view, link, target, 5), -ENAMETOOLONG);
    assert_int_equal(sf_view_read_link(view, cpu0, target, sizeof(target)), -EINVAL);
    assert_int_equal(sf_view_open(view, link, O_RDONLY, 0, &handle), -ELOOP);
    assert_int_equal(sf_view_open(view, cpu0, O_RDONLY, 0, &handle), -EISDIR);
    uint64_t crash = inode_of(view, "sys/devices/system/cpu/cpu0/crash_notes", &st);
    assert_int_equal(st.st_mode, S_IFREG | 0400);
    assert_int_equal(sf_view_open(view, crash, O_RDONLY, 0, &handle),
                     -EACCES); /* the host root's */
    assert_int_equal(inode_of(view, "sys/devices/system/cpu/cpu3/thermal_throttle", &st), 0);
    sf_view_unref(view);
}

/* What policy takes out of the view below a directory is the host's, as if nothing were bound. */
static void test_policy_below_a_directory(void **state)
{
    struct stat st;
    SfView *view =
        new_view(*state, "-/sys/devices/system/cpu/offline,-/sys/devices/system/cpu/cpu4");

    g_autofree char *offline = read_all(view, "sys/devices/system/cpu/offline");
    assert_string_equal(offline, "4-7\n");
    assert_true(inode_of(view, "sys/devices/system/cpu/offline", &st) >= SF_VIEW_BELOW);
    g_autofree char *siblings = read_all(view, "sys/devices/system/cpu/cpu4/topology/core_cpus");
    assert_string_equal(siblings, "00000033\n");
    sf_view_unref(view);
}

/* Inodes of another view, or that no view has. */
static void test_inodes_from_elsewhere(void **state)
{
    struct stat st;
    bool constant;
    SfView *all = new_view(*state, NULL);
    SfView *none = new_view(*state, "-/sys");
    uint64_t inode = inode_of(all, "sys/devices/system/cpu/cpu0", &st);

    assert_int_equal(sf_view_getattr(all, inode, &st, &constant), 0);
    assert_int_equal(sf_view_getattr(none, inode, &st, &constant), -ENOENT);
    assert_int_equal(sf_view_getattr(all, SF_VIEW_BELOW + (1u << 20), &st, &constant), -ENOENT);
    sf_view_unref(all);
    sf_view_unref(none);
}

static void test_what_is_bound(void **state)
{
    SfView *view = new_view(*state, "-/proc");
    SfViewFileInfo info;
    unsigned covered = 0, directories = 0;

    for (unsigned i = 0; i < sf_view_file_count(view); i++) {
        sf_view_file_info(view, i, &info);
        covered += info.covered;
        directories += info.directory;
        assert_true(info.directory != info.covered);
    }
    assert_int_equal(covered, 3);
    assert_int_equal(directories, 1);
    sf_view_unref(view);
}

static void test_open_read_count(void **state)
{
    struct stat st;
    SfViewHandle *handle;
    SfViewFileInfo info;
    SfView *view = new_view(*state, "-/proc,-/sys,+/proc/uptime");
    uint64_t inode = inode_of(view, "proc/uptime", &st);

    assert_int_equal(sf_view_open(view, inode, O_RDWR, 0, &handle), -EACCES);
    assert_int_equal(sf_view_open(view, inode, O_RDONLY | O_TRUNC, 0, &handle), -EACCES);
    assert_int_equal(sf_view_open(view, SF_VIEW_ROOT, O_RDONLY, 0, &handle), -EISDIR);
    assert_int_equal(sf_view_open(view, 999999, O_RDONLY, 0, &handle), -ENOENT);
    assert_int_equal(sf_view_open(view, inode, O_RDONLY, 0, &handle), 0);
    /* started at tick 500 of 100 a second, now is 10 s after boot */
    SfSlice slice;
    assert_int_equal(sf_view_read(view, handle, 0, 100, false, 0, &slice), 0);
    assert_memory_equal(slice.data, "5.00 ", 5);
    assert_int_equal(sf_view_read(view, handle, 2, 3, false, 0, &slice), 0);
    assert_memory_equal(slice.data, "00 ", 3);
    assert_int_equal(slice.len, 3);
    assert_int_equal(sf_view_read(view, handle, UINT64_MAX, 3, false, 0, &slice), 0);
    assert_int_equal(slice.len, 0);
    /* Back at the beginning: a new text; but the page cache gets the one there is. */
    assert_int_equal(sf_view_read(view, handle, 0, 3, true, 0, &slice), 0);
    assert_int_equal(sf_view_total_opens(view), 1);
    assert_int_equal(sf_view_read(view, handle, 0, 3, false, 0, &slice), 0);
    assert_int_equal(sf_view_total_opens(view), 2);
    assert_int_equal(sf_view_open_handles(view), 1);
    sf_view_release(view, handle);
    assert_int_equal(sf_view_open_handles(view), 0);

    sf_view_file_info(view, 0, &info);
    assert_string_equal(info.path, "/proc/uptime");
    assert_int_equal(info.opens, 2);
    assert_true(sf_view_latency_usec(&info, 0.5) >= 1);
    assert_int_equal(sf_view_open(view, inode, O_RDONLY, 0, &handle), 0);
    sf_view_unref(view); /* frees what is still open: its RELEASE may never come */
}

/* Opens one file until that is refused, or `most` times; how often. */
static unsigned open_many(SfView *view, const char *path, unsigned most)
{
    SfViewHandle *handle;
    struct stat st;
    uint64_t inode = inode_of(view, path, &st);
    unsigned count = 0;
    int r = 0;

    while (count < most && (r = sf_view_open(view, inode, O_RDONLY, 0, &handle)) >= 0)
        count++;
    assert_true(r >= 0 || r == -ENFILE);
    return count;
}

static void end_view(SfView *view)
{
    sf_view_end(view);
    (void)sf_view_unref(view);
}

static uint64_t add_state(SfKeep *keep, const char *text, size_t len)
{
    SfKeepNew entry = {.owner = 1, .kind = SF_KEEP_KIND_STATE};
    uint64_t id;

    assert_int_equal(sf_keep_add(keep, &entry, text, len, &id), 0);
    return id;
}

/* One view that opens all it can leaves the others room, and all of them leave some for what is not
 * open. */
static void test_shares_of_entries(void **state)
{
    SfKeep *keep;

    assert_int_equal(sf_keep_open(-1, &keep), 0);
    sf_keep_limit(keep, 1024, SF_KEEP_HEAP_BYTES);
    SfView *greedy = new_view_in(*state, keep, NULL), *second = new_view_in(*state, keep, NULL),
           *third = new_view_in(*state, keep, NULL);
    unsigned kept = sf_keep_count(keep); /* of the containers, if anything is */
    assert_int_equal(open_many(greedy, "proc/uptime", 5000), 513 - kept);
    assert_int_equal(open_many(second, "proc/uptime", 5000), SF_VIEW_FAIR_HANDLES);
    assert_int_equal(open_many(third, "proc/uptime", 5000), 1024 - 128 - 513 - 256);
    /* Nor does a text in the pages. */
    SfViewOpened opened;
    SfView *shares = new_view_in(*state, keep, NULL);
    struct stat st;
    sf_view_share(shares);
    assert_true(sf_view_shares(shares));
    uint64_t inode = inode_of(shares, "proc/uptime", &st);
    assert_int_equal(sf_view_open_shared(shares, inode, O_RDONLY, 1, 0, &opened), -ENFILE);
    for (unsigned i = sf_keep_count(keep); i < 1024; i++)
        (void)add_state(keep, "s", 1);
    end_view(second); /* what it had is there for those that have little */
    assert_int_equal(open_many(greedy, "proc/uptime", 5000), 0);
    assert_int_equal(sf_view_open_shared(shares, inode, O_RDONLY, 1, 0, &opened), 0);
    assert_true(opened.store);
    sf_view_release(shares, opened.handle);
    end_view(shares);
    assert_int_equal(open_many(third, "proc/uptime", 100), 100);
    end_view(greedy);
    end_view(third);
    sf_keep_close(keep);
}

/* The same of the memory of texts; each of these takes 1 MiB. */
static void test_shares_of_bytes(void **state)
{
    static char text[(1 << 20) - 64];
    static const char name[] = "sys/devices/system/cpu/large";
    Fixture *f = *state;
    g_autofree char *path = g_build_filename(f->root, name, NULL);
    SfView *views[5];
    SfKeep *keep;

    memset(text, 'x', sizeof(text));
    assert_true(g_file_set_contents(path, text, sizeof(text), NULL));
    assert_int_equal(sf_keep_open(-1, &keep), 0);
    sf_keep_limit(keep, SF_KEEP_ENTRIES_MAX, 16 << 20);
    for (unsigned i = 0; i < G_N_ELEMENTS(views); i++)
        views[i] = new_view_in(f, keep, NULL);
    assert_int_equal(open_many(views[0], name, 20), 8); /* the name is kept, too: half is used */
    for (unsigned i = 1; i < 4; i++)
        assert_int_equal(open_many(views[i], name, 20), 2);
    assert_int_equal(open_many(views[4], name, 20), 0);
    (void)add_state(keep, text, sizeof(text));
    for (unsigned i = 0; i < G_N_ELEMENTS(views); i++)
        end_view(views[i]);
    sf_keep_close(keep);
}

static SfViewOpened open_shared(SfView *view, uint64_t inode)
{
    SfViewOpened opened;

    assert_int_equal(sf_view_open_shared(view, inode, O_RDONLY, 1, 0, &opened), 0);
    return opened;
}

/* True when the text was to be stored. */
static bool read_once(SfView *view, uint64_t inode)
{
    SfViewOpened opened = open_shared(view, inode);

    assert_true(opened.paged);
    sf_view_release(view, opened.handle);
    return opened.store;
}

/* A text is stored where the pages may have another one. */
static void test_text_in_pages(void **state)
{
    SfKeep *keep;
    struct stat st;

    assert_int_equal(sf_keep_open(-1, &keep), 0);
    SfView *view = new_view_in(*state, keep, NULL);
    sf_view_share(view);
    uint64_t meminfo = inode_of(view, "proc/meminfo", &st);
    uint64_t uptime = inode_of(view, "proc/uptime", &st);

    /* Their first sizes may be on their way to the kernel for a while. */
    for (unsigned i = 0; i < 2; i++) {
        assert_true(read_once(view, meminfo));
        assert_true(read_once(view, uptime));
    }
    g_usleep(1100000);
    assert_true(read_once(view, meminfo));
    assert_false(read_once(view, meminfo));
    assert_false(read_once(view, meminfo));
    /* Another one that was open at the same time can have filled them. */
    SfViewOpened first = open_shared(view, meminfo), second = open_shared(view, meminfo);
    assert_true(first.paged && !first.store);
    assert_false(second.paged || second.store);
    sf_view_release(view, first.handle);
    sf_view_release(view, second.handle);
    assert_true(read_once(view, meminfo));
    assert_false(read_once(view, meminfo));
    /* It is not known whether this one could be stored. */
    first = open_shared(view, meminfo);
    sf_view_abandon(first.handle);
    second = open_shared(view, meminfo);
    assert_false(second.paged);
    sf_view_release(view, second.handle);
    assert_true(read_once(view, uptime));
    assert_false(read_once(view, uptime));
    boottime_nsec += 10000000;
    assert_true(read_once(view, uptime));
    assert_false(read_once(view, uptime));
    end_view(view);
    sf_keep_close(keep);
}

static void test_latency_classes(void **state)
{
    SfViewFileInfo info = {.latency = {[0] = 50, [3] = 49, [10] = 1}};

    assert_int_equal(sf_view_latency_usec(&info, 0.5), 1);
    assert_int_equal(sf_view_latency_usec(&info, 0.99), 8);
    assert_int_equal(sf_view_latency_usec(&info, 1.0), 1024);
    assert_int_equal(sf_view_latency_usec(&(SfViewFileInfo){0}, 0.5), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_files_are_those_of_host_and_policy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attributes_are_the_hosts_and_the_containers, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_listing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_host_directory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_policy_below_a_directory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_inodes_from_elsewhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_read_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shares_of_entries, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shares_of_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_text_in_pages, setup, teardown),
        cmocka_unit_test(test_latency_classes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
