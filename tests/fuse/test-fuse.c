/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data plane on the real kernel: views of a live process, mounted, read, flooded, unmounted
 * under readers. Needs root and /dev/fuse (exit 77 without). Everything is made below one temporary
 * directory and taken away again.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "daemon/fuse/server.h"

/* One more than the pthread keys a process has: one libfuse session a connection would fail here.
 */
#define MANY 1100

typedef struct Fixture {
    SfHost *host;
    SfCgroups *cgroups;
    SfServer *server;
    SfContainer *container;
    SfView *view;
    pid_t init;
    char top[64];
} Fixture;

static SfContainer *new_container(Fixture *f, const char *id)
{
    SfPolicy policy;
    SfContainer *container = NULL;

    sf_policy_init(&policy);
    SfContainerSpec spec = {.id = id, .init_pid = f->init, .pidfd = -1, .policy = &policy};
    assert_int_equal(sf_container_new(f->host, f->cgroups, &spec, &container), 0);
    return container;
}

static int setup(void **state)
{
    Fixture *f = g_new0(Fixture, 1);
    SfHostOptions options = {0};

    f->init = fork();
    if (f->init == 0) {
        /* A failing test must not leave it, nor the pipe that somebody reads our output from. */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close(STDOUT_FILENO);
        (void)close(STDERR_FILENO);
        (void)pause();
        _exit(0);
    }
    (void)snprintf(f->top, sizeof(f->top), "/tmp/sysfsd-fuse-XXXXXX");
    assert_non_null(mkdtemp(f->top));
    assert_int_equal(sf_host_open(&options, &f->host), 0);
    assert_int_equal(sf_cgroups_open(f->host, &f->cgroups), 0);
    assert_int_equal(sf_server_new(NULL, &f->server), 0);
    f->container = new_container(f, "fuse-test");
    assert_int_equal(sf_view_new(f->container, &f->view), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    Fixture *f = *state;

    assert_int_equal(sf_server_connections(f->server), 0);
    sf_server_free(f->server);
    sf_view_unref(f->view);
    sf_container_unref(f->container);
    sf_cgroups_free(f->cgroups);
    sf_host_free(f->host);
    (void)kill(f->init, SIGKILL);
    (void)waitpid(f->init, NULL, 0);
    assert_int_equal(rmdir(f->top), 0);
    g_free(f);
    return 0;
}

static char *mount_view(Fixture *f, const char *name, SfConnection **ret_connection)
{
    char *path = g_strdup_printf("%s/%s", f->top, name);

    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(sf_server_mount(f->server, f->view, SF_MOUNT_VIEW, path, ret_connection), 0);
    return path;
}

static void unmount_view(Fixture *f, SfConnection *connection, char *path)
{
    sf_server_unmount(f->server, connection);
    assert_int_equal(rmdir(path), 0); /* EBUSY were it still mounted */
    g_free(path);
}

static char *read_file(const char *directory, const char *name, size_t chunk)
{
    g_autofree char *path = g_strdup_printf("%s/%s", directory, name);
    GString *text = g_string_new(NULL);
    char buffer[65536];
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        g_string_free(text, TRUE);
        return NULL;
    }
    while ((n = read(fd, buffer, MIN(chunk, sizeof(buffer)))) > 0)
        g_string_append_len(text, buffer, n);
    if (n < 0)
        g_string_truncate(text, 0);
    (void)close(fd);
    return g_string_free(text, FALSE);
}

/* Files without a header, of what this container may have none of. */
static bool may_be_empty(const char *path)
{
    static const char *const names[] = {"/proc/buddyinfo", "/proc/diskstats", "/proc/zoneinfo"};

    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        if (strcmp(path, names[i]) == 0)
            return true;
    }
    return false;
}

static void test_every_file_reads(void **state)
{
    Fixture *f = *state;
    SfConnection *connection;
    char *top = mount_view(f, "view", &connection);

    assert_true(sf_view_file_count(f->view) >= 9);
    for (unsigned i = 0; i < sf_view_file_count(f->view); i++) {
        SfViewFileInfo info;
        sf_view_file_info(f->view, i, &info);
        if (info.directory)
            continue;
        g_autofree char *text = read_file(top, info.path, 65536);
        assert_non_null(text);
        if (!may_be_empty(info.path)) {
            assert_true(strlen(text) > 0);
            assert_true(text[strlen(text) - 1] == '\n');
        }
        sf_view_file_info(f->view, i, &info);
        assert_int_equal(info.opens, 1);
        assert_int_equal(info.errors, 0);
    }
    g_autofree char *cpuinfo = read_file(top, "proc/cpuinfo", 65536);
    g_autofree char *bytewise = read_file(top, "proc/cpuinfo", 7);
    assert_int_equal(strlen(cpuinfo), strlen(bytewise));
    unmount_view(f, connection, top);
}

/* The same names and types as the host's, whose CPUs are all visible; every file that may be read
 * can be. */
static unsigned compare_trees(const char *host, const char *view)
{
    g_autoptr(GDir) directory = g_dir_open(host, 0, NULL);
    unsigned files = 0;

    assert_non_null(directory);
    for (const char *name; (name = g_dir_read_name(directory));) {
        g_autofree char *real = g_build_filename(host, name, NULL);
        g_autofree char *ours = g_build_filename(view, name, NULL);
        struct stat st, host_st;
        if (strcmp(name, "thermal_throttle") == 0)
            continue;
        assert_int_equal(lstat(real, &host_st), 0);
        assert_int_equal(lstat(ours, &st), 0);
        assert_int_equal(st.st_mode, host_st.st_mode);
        if (S_ISDIR(st.st_mode))
            files += compare_trees(real, ours);
        if (!S_ISREG(st.st_mode) || !(st.st_mode & S_IROTH))
            continue;
        g_autofree char *host_text = read_file(host, name, 65536);
        g_autofree char *text = read_file(view, name, 65536);
        if ((text && *text) != (host_text && *host_text)) /* some open, and cannot be read */
            fail_msg("%s: readable on the host or in the view alone", real);
        files++;
    }
    return files;
}

static void test_host_directory(void **state)
{
    Fixture *f = *state;
    SfConnection *connection;
    char *top = mount_view(f, "view", &connection);
    g_autofree char *cpus = g_strdup_printf("%s/sys/devices/system/cpu", top);
    g_autofree char *link = g_strdup_printf("%s/cpu0/subsystem", cpus);
    char *argv[] = {(char *)"ls", (char *)"-lR", cpus, NULL};
    char target[256] = "";
    int status;

    assert_true(compare_trees("/sys/devices/system/cpu", cpus) > 20);
    assert_true(readlink(link, target, sizeof(target) - 1) > 0);
    assert_string_equal(target, "../../../../bus/cpu");
    assert_true(g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL,
                             NULL, NULL, NULL, NULL, &status, NULL));
    assert_int_equal(status, 0);
    /* A directory's place is any number. */
    SF_CLEANUP_FD int fd = open(cpus, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char entries[4096];
    for (unsigned bit = 0; bit < 63; bit++) {
        assert_true(lseek(fd, (off_t)(1ull << bit) + 1, SEEK_SET) >= 0);
        assert_true(getdents64(fd, entries, sizeof(entries)) >= 0);
    }
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_true(getdents64(fd, entries, sizeof(entries)) > 0);
    unmount_view(f, connection, top);
}

static void test_attributes(void **state)
{
    Fixture *f = *state;
    SfConnection *connection;
    struct stat st, host;
    char *top = mount_view(f, "view", &connection);
    g_autofree char *file = g_strdup_printf("%s/proc/meminfo", top);
    g_autofree char *directory = g_strdup_printf("%s/sys/devices/system/cpu", top);
    g_autofree char *missing = g_strdup_printf("%s/proc/nothing", top);

    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(stat("/proc/meminfo", &host), 0);
    assert_int_equal(st.st_mode, host.st_mode);
    assert_int_equal(st.st_size,
                     0); /* as procfs has it; then the text's, which sendfile(2) wants */
    g_autofree char *text = read_file(top, "proc/meminfo", 65536);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_size, strlen(text));
    assert_int_equal(st.st_uid, 0);
    assert_int_equal(open(file, O_WRONLY | O_CLOEXEC), -1);
    assert_int_equal(errno, EACCES);
    assert_int_equal(chmod(file, 0666), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(stat(missing, &st), -1);
    assert_int_equal(errno, ENOENT);

    unsigned names = 0;
    DIR *dir = opendir(directory);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        names += strcmp(entry->d_name, "online") == 0 || strcmp(entry->d_name, "present") == 0 ||
                 strcmp(entry->d_name, "offline") == 0;
    (void)closedir(dir);
    assert_int_equal(names, 3);
    unmount_view(f, connection, top);
}

/* As seq_file: a reader that rewinds gets a new text, one that goes on gets the rest of the one it
 * has begun. */
static void test_rewinding_reader(void **state)
{
    Fixture *f = *state;
    SfConnection *connection;
    char first[4096], rest[4096], again[4096];
    char *top = mount_view(f, "view", &connection);
    g_autofree char *file = g_strdup_printf("%s/proc/uptime", top);

    int fd = open(file, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    g_usleep(50000); /* uptime has two decimals */
    ssize_t n = pread(fd, first, sizeof(first), 0);
    assert_true(n > 4);
    g_usleep(50000);
    assert_int_equal(pread(fd, rest, sizeof(rest), 2), n - 2);
    assert_memory_equal(first + 2, rest, (size_t)n - 2);
    assert_int_equal(pread(fd, rest, sizeof(rest), n), 0);
    ssize_t m = pread(fd, again, sizeof(again), 0);
    assert_true(m > 4);
    assert_true(m != n || memcmp(first, again, (size_t)n) != 0);
    (void)close(fd);
    unmount_view(f, connection, top);
}

/* busybox's cat. The kernel goes by the file's size here, and keeps pages: each time the whole
 * text, and a new one. */
static void test_sendfile(void **state)
{
    Fixture *f = *state;
    SfConnection *connection;
    char *top = mount_view(f, "view", &connection);
    g_autofree char *uptime = g_strdup_printf("%s/proc/uptime", top);
    g_autofree char *cpuinfo = g_strdup_printf("%s/proc/cpuinfo", top);
    char before[65536] = "", text[65536];

    for (unsigned i = 0; i < 40; i++) {
        const char *path = i % 2 ? cpuinfo : uptime;
        int fds[2];
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        ssize_t n = sendfile(fds[1], fd, NULL, 1 << 24);
        assert_true(n > 0);
        assert_int_equal(read(fds[0], text, sizeof(text)), n);
        assert_int_equal(text[n - 1], '\n');
        g_autofree char *whole = read_file(top, i % 2 ? "proc/cpuinfo" : "proc/stat", 65536);
        if (i % 2)
            assert_int_equal(strlen(whole), n);
        else
            assert_true(memcmp(text, before, (size_t)n) != 0);
        if (!(i % 2))
            memcpy(before, text, (size_t)n);
        (void)close(fd);
        (void)close(fds[0]);
        (void)close(fds[1]);
        g_usleep(15000);
    }
    unmount_view(f, connection, top);
}

static void test_many_connections(void **state)
{
    Fixture *f = *state;
    SfConnection **connections = g_new0(SfConnection *, MANY);
    char **paths = g_new0(char *, MANY);

    for (unsigned i = 0; i < MANY; i++) {
        g_autofree char *name = g_strdup_printf("m%u", i);
        paths[i] = mount_view(f, name, &connections[i]);
    }
    assert_int_equal(sf_server_connections(f->server), MANY);
    for (unsigned i = 0; i < MANY; i++) {
        g_autofree char *text = read_file(paths[i], "proc/meminfo", 65536);
        assert_non_null(text);
        assert_true(g_str_has_prefix(text, "MemTotal:"));
    }
    for (unsigned i = 0; i < MANY; i++)
        unmount_view(f, connections[i], paths[i]);
    g_free(connections);
    g_free(paths);
}

typedef struct Reader {
    pthread_t thread;
    const char *top;
    _Atomic bool *stop;
    unsigned reads, wrong;
} Reader;

static void *run_reader(void *data)
{
    static const char *const files[] = {"proc/meminfo", "proc/stat", "proc/uptime", "proc/loadavg"};
    Reader *reader = data;

    for (unsigned i = 0; !atomic_load(reader->stop); i++) {
        g_autofree char *text = read_file(reader->top, files[i % G_N_ELEMENTS(files)], 512);
        size_t len = text ? strlen(text) : 0;
        reader->wrong += len == 0 || text[len - 1] != '\n';
        reader->reads++;
    }
    return NULL;
}

static void test_readers_and_mounts_side_by_side(void **state)
{
    Fixture *f = *state;
    SfConnection *connection;
    Reader readers[6];
    _Atomic bool stop = false;
    char *top = mount_view(f, "view", &connection);

    for (unsigned i = 0; i < G_N_ELEMENTS(readers); i++) {
        readers[i] = (Reader){.top = top, .stop = &stop};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, run_reader, &readers[i]), 0);
    }
    for (unsigned i = 0; i < 100; i++) {
        SfConnection *other;
        SfView *view;
        g_autofree char *path = g_strdup_printf("%s/other", f->top);
        assert_int_equal(sf_view_new(f->container, &view), 0);
        assert_int_equal(mkdir(path, 0755), 0);
        assert_int_equal(sf_server_mount(f->server, view, SF_MOUNT_VIEW, path, &other), 0);
        g_autofree char *text = read_file(path, "proc/loadavg", 100);
        assert_non_null(text);
        sf_server_unmount(f->server, other);
        assert_int_equal(rmdir(path), 0);
        sf_view_unref(view); /* with the file whose RELEASE the unmount has cut off */
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < G_N_ELEMENTS(readers); i++) {
        (void)pthread_join(readers[i].thread, NULL);
        assert_true(readers[i].reads > 0);
        assert_int_equal(readers[i].wrong, 0);
    }
    /* RELEASE comes after close(2) has returned. */
    for (unsigned i = 0; i < 200 && sf_view_open_handles(f->view) > 0; i++)
        g_usleep(10000);
    assert_int_equal(sf_view_open_handles(f->view), 0);
    unmount_view(f, connection, top);
}

/* Unmounted under readers: they get an error, nobody hangs, and what they held open is freed with
 * the view. */
static void *read_until_error(void *data)
{
    for (;;) {
        g_autofree char *text = read_file(data, "proc/stat", 64);
        if (!text)
            return NULL;
    }
}

static void test_unmount_under_readers(void **state)
{
    Fixture *f = *state;
    SfConnection *connection;
    pthread_t threads[4];
    char *top = mount_view(f, "view", &connection);
    g_autofree char *file = g_strdup_printf("%s/proc/meminfo", top);
    int held = open(file, O_RDONLY | O_CLOEXEC);
    char byte;

    assert_true(held >= 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_until_error, top), 0);
    g_usleep(20000);
    sf_server_unmount(f->server, connection);
    for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(read(held, &byte, 1), -1);
    assert_int_equal(errno, ENOTCONN);
    (void)close(held);
    assert_int_equal(rmdir(top), 0);
    g_free(top);
    /* The handle's RELEASE can never come: the view frees it when it goes (a leak checker sees
     * otherwise). */
    assert_true(sf_view_open_handles(f->view) >= 1);
    sf_view_unref(f->view);
    assert_int_equal(sf_view_new(f->container, &f->view), 0);
}

static void test_open_files_are_bounded(void **state)
{
    Fixture *f = *state;
    SfViewHandle **handles = g_new0(SfViewHandle *, SF_VIEW_MAX_HANDLES);
    struct stat st;
    bool constant;
    SfViewHandle *one_more;

    assert_int_equal(sf_view_lookup(f->view, SF_VIEW_ROOT, "proc", &st, &constant), 0);
    assert_int_equal(sf_view_lookup(f->view, st.st_ino, "uptime", &st, &constant), 0);
    for (unsigned i = 0; i < SF_VIEW_MAX_HANDLES; i++)
        assert_int_equal(sf_view_open(f->view, st.st_ino, O_RDONLY, 0, &handles[i]), 0);
    assert_int_equal(sf_view_open(f->view, st.st_ino, O_RDONLY, 0, &one_more), -ENFILE);
    for (unsigned i = 0; i < SF_VIEW_MAX_HANDLES; i++)
        sf_view_release(f->view, handles[i]);
    assert_int_equal(sf_view_open(f->view, st.st_ino, O_RDONLY, 0, &one_more), 0);
    sf_view_release(f->view, one_more);
    g_free(handles);
}

/* Somebody else unmounts, or aborts: the worker must not spin on the dead fd. */
static void test_unmounted_by_somebody_else(void **state)
{
    Fixture *f = *state;
    SfConnection *connection;
    char *top = mount_view(f, "view", &connection);
    struct timespec before, after;

    assert_int_equal(umount2(top, MNT_DETACH), 0);
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    g_usleep(300000);
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    assert_true((after.tv_sec - before.tv_sec) * 1000000000ll + after.tv_nsec - before.tv_nsec <
                50000000);
    unmount_view(f, connection, top);
}

static void test_stale_mounts_go(void **state)
{
    Fixture *f = *state;
    SfConnection *connection;
    char *top = mount_view(f, "view", &connection);

    assert_int_equal(sf_server_unmount_stale(top), 1);
    assert_int_equal(sf_server_unmount_stale(top), 0);
    unmount_view(f, connection, top);
    assert_int_equal(sf_server_unmount_stale("/tmp/no/such/directory"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_file_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_host_directory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attributes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rewinding_reader, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sendfile, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_connections, setup, teardown),
        cmocka_unit_test_setup_teardown(test_readers_and_mounts_side_by_side, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unmount_under_readers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_files_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unmounted_by_somebody_else, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stale_mounts_go, setup, teardown),
    };

    if (geteuid() != 0 || access("/dev/fuse", R_OK | W_OK) < 0) {
        (void)fprintf(stderr, "skipped: needs root and /dev/fuse\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
