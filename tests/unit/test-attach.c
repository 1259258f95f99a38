/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Attaching for real, in mount namespaces of the test's own (as root, or in a user namespace where
 * the kernel lets one be made): a tmpfs stands for the view, a sleeping child for the container.
 * Containers and FUSE are in tests/hook.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/fuse.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/attach.h"
#include "lib/deadline.h"

#define WORLD "/tmp"
#define VIEW WORLD "/view"
#define ROOTFS WORLD "/rootfs"
#define SKIPPED 77

static const char *const PATHS[] = {"/proc/uptime", "/proc/nonesuch", "/proc/meminfo",
                                    "/sys/devices/system/cpu/online"};
#define PATH_COUNT (sizeof(PATHS) / sizeof(PATHS[0]))

/* In the forked test process: a failed check ends it with its line number told. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition,        \
                          errno);                                                                  \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    CHECK(fd >= 0);
    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    CHECK(close(fd) == 0);
}

/* mkdir -p for a path below WORLD. */
static void make_directories(const char *path)
{
    char copy[PATH_MAX];
    (void)snprintf(copy, sizeof(copy), "%s", path);
    for (char *p = copy + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        CHECK(mkdir(copy, 0755) == 0 || errno == EEXIST);
        *p = '/';
    }
    CHECK(mkdir(copy, 0755) == 0 || errno == EEXIST);
}

/* A namespace of our own with an empty tmpfs on WORLD and a view in it. */
static void enter_world(unsigned long propagation)
{
    uid_t uid = getuid();
    gid_t gid = getgid();
    if (unshare(uid == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) < 0)
        _exit(SKIPPED);
    if (uid != 0) {
        char map[32];
        (void)snprintf(map, sizeof(map), "0 %u 1", uid);
        write_file("/proc/self/uid_map", map);
        write_file("/proc/self/setgroups", "deny");
        (void)snprintf(map, sizeof(map), "0 %u 1", gid);
        write_file("/proc/self/gid_map", map);
    }
    CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    CHECK(mount("world", WORLD, "tmpfs", 0, NULL) == 0);
    if (propagation)
        CHECK(mount(NULL, "/", NULL, MS_REC | propagation, NULL) == 0);
    CHECK(mkdir(VIEW, 0755) == 0);
    CHECK(mount("view", VIEW, "tmpfs", 0, NULL) == 0);
    make_directories(VIEW "/proc");
    make_directories(VIEW "/sys/devices/system/cpu");
    for (size_t i = 0; i < PATH_COUNT; i++) {
        char path[PATH_MAX];
        (void)snprintf(path, sizeof(path), VIEW "%s", PATHS[i]);
        write_file(path, "view\n");
    }
}

/* A process that has a mount namespace of its own. */
static pid_t start_container(void)
{
    int pipe_fds[2];
    CHECK(pipe(pipe_fds) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
        CHECK(unshare(CLONE_NEWNS) == 0);
        CHECK(write(pipe_fds[1], "", 1) == 1);
        for (;;)
            pause();
    }
    char byte;
    CHECK(read(pipe_fds[0], &byte, 1) == 1);
    CHECK(close(pipe_fds[0]) == 0 && close(pipe_fds[1]) == 0);
    return pid;
}

static int open_of(pid_t pid, const char *name, int flags)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    int fd = open(path, flags | O_CLOEXEC);
    CHECK(fd >= 0);
    return fd;
}

static SfAttachSpec spec_of(pid_t pid, const char *rootfs)
{
    return (SfAttachSpec){
        .view = VIEW,
        .source_ns_fd = -1,
        .target_ns_fd = open_of(pid, "ns/mnt", O_RDONLY),
        .root_fd = rootfs ? -1 : open_of(pid, "root", O_PATH | O_DIRECTORY),
        .rootfs = rootfs,
        .paths = PATHS,
        .path_count = PATH_COUNT,
    };
}

/* Whether a file, seen from a process's root (0: our own), is the view's. */
static bool shows_view(pid_t pid, const char *below, const char *path)
{
    char full[PATH_MAX], text[16] = "";
    if (pid > 0)
        (void)snprintf(full, sizeof(full), "/proc/%d/root%s%s", pid, below, path);
    else
        (void)snprintf(full, sizeof(full), "%s%s", below, path);
    int fd = open(full, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    CHECK(read(fd, text, sizeof(text) - 1) >= 0);
    CHECK(close(fd) == 0);
    return strcmp(text, "view\n") == 0;
}

static unsigned count_shown(pid_t pid, const char *below)
{
    unsigned count = 0;
    for (size_t i = 0; i < PATH_COUNT; i++)
        count += shows_view(pid, below, PATHS[i]);
    return count;
}

static void body_attach_and_detach(void)
{
    enter_world(0);
    pid_t pid = start_container();
    SfAttachSpec spec = spec_of(pid, NULL);
    SfAttachReport report;
    CHECK(sf_attach(&spec, 5000, &report) == 0);
    CHECK(report.count == PATH_COUNT - 1);
    CHECK(count_shown(pid, "") == PATH_COUNT - 1);
    CHECK(count_shown(0, "") == 0);
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/root/proc/uptime", pid);
    CHECK(open(path, O_WRONLY | O_CLOEXEC) < 0 && errno == EROFS);

    /* A second time is refused and takes nothing of the first away. */
    CHECK(sf_attach(&spec, 5000, &report) == -EBUSY);
    CHECK(report.step == SF_ATTACH_OPEN_TARGET && report.file == 0 && report.count == 0);
    CHECK(count_shown(pid, "") == PATH_COUNT - 1);

    CHECK(sf_detach(&spec, 5000, &report) == 0);
    CHECK(report.count == PATH_COUNT - 1);
    CHECK(count_shown(pid, "") == 0);
    CHECK(sf_detach(&spec, 5000, &report) == 0);
    CHECK(report.count == 0);
}

/* Who attached before was killed half way. */
static void body_again(void)
{
    enter_world(0);
    pid_t pid = start_container();
    SfAttachSpec spec = spec_of(pid, NULL);
    SfAttachReport report;
    spec.path_count = 2;
    CHECK(sf_attach(&spec, 5000, &report) == 0);
    unsigned first = report.count;
    CHECK(first > 0 && first < PATH_COUNT - 1);
    spec.path_count = PATH_COUNT;
    CHECK(sf_attach(&spec, 5000, &report) == -EBUSY);
    spec.again = true;
    CHECK(sf_attach(&spec, 5000, &report) == 0);
    CHECK(report.count == PATH_COUNT - 1 - first);
    CHECK(count_shown(pid, "") == PATH_COUNT - 1);
    CHECK(sf_attach(&spec, 5000, &report) == 0 && report.count == 0);
    CHECK(sf_detach(&spec, 5000, &report) == 0 && report.count == PATH_COUNT - 1);

    /* Others' are still not mounted over. */
    write_file(WORLD "/other", "other\n");
    CHECK(mount(WORLD "/other", "/proc/meminfo", NULL, MS_BIND, NULL) == 0);
    pid = start_container();
    spec = spec_of(pid, NULL);
    spec.again = true;
    CHECK(sf_attach(&spec, 5000, &report) == -EBUSY);
    CHECK(count_shown(pid, "") == 0);
}

static void body_detach_leaves_others(void)
{
    enter_world(0);
    write_file(WORLD "/other", "other\n");
    CHECK(mount(WORLD "/other", "/proc/meminfo", NULL, MS_BIND, NULL) == 0);
    pid_t pid = start_container();
    SfAttachSpec spec = spec_of(pid, NULL);
    SfAttachReport report;
    CHECK(sf_attach(&spec, 5000, &report) == -EBUSY);
    CHECK(report.file == 2);
    CHECK(count_shown(pid, "") == 0); /* uptime was attached before, and is back */
    CHECK(sf_detach(&spec, 5000, &report) == 0 && report.count == 0);
    char path[64], text[16] = "";
    (void)snprintf(path, sizeof(path), "/proc/%d/root/proc/meminfo", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) == 6);
    CHECK(strcmp(text, "other\n") == 0);
}

static void body_masked_file(void)
{
    enter_world(0);
    CHECK(mount("/dev/null", "/proc/meminfo", NULL, MS_BIND, NULL) == 0);
    pid_t pid = start_container();
    SfAttachSpec spec = spec_of(pid, NULL);
    SfAttachReport report;
    CHECK(sf_attach(&spec, 5000, &report) == 0);
    CHECK(report.count == PATH_COUNT - 2);
    CHECK(!shows_view(pid, "", "/proc/meminfo"));
}

/* Before pivot_root: the root file system is somewhere in the namespace. */
static void body_rootfs(void)
{
    enter_world(0);
    make_directories(ROOTFS "/proc");
    make_directories(ROOTFS "/sys");
    CHECK(symlink("rootfs", WORLD "/link") == 0);
    CHECK(mount("/proc", ROOTFS "/proc", NULL, MS_BIND, NULL) == 0);
    CHECK(mount("/sys", ROOTFS "/sys", NULL, MS_BIND | MS_REC, NULL) == 0);
    pid_t pid = start_container();
    SfAttachSpec spec = spec_of(pid, WORLD "/link"); /* the administrator's links are followed */
    SfAttachReport report;
    CHECK(sf_attach(&spec, 5000, &report) == 0);
    CHECK(report.count == PATH_COUNT - 1);
    CHECK(count_shown(pid, ROOTFS) == PATH_COUNT - 1);
    CHECK(count_shown(pid, "") == 0);
    CHECK(sf_detach(&spec, 5000, &report) == 0 && report.count == PATH_COUNT - 1);
    spec.rootfs = WORLD "/none";
    CHECK(sf_attach(&spec, 5000, &report) == -ENOENT && report.step == SF_ATTACH_OPEN_ROOT);
}

static void expect_refused(const char *root, int error, unsigned file)
{
    pid_t pid = start_container();
    SfAttachSpec spec = spec_of(pid, root);
    SfAttachReport report;
    CHECK(sf_attach(&spec, 5000, &report) == error);
    CHECK(report.step == SF_ATTACH_OPEN_TARGET && report.file == file);
    CHECK(count_shown(pid, root) == 0);
    CHECK(count_shown(pid, "") == 0);
    CHECK(kill(pid, SIGKILL) == 0);
}

static void body_hostile_rootfs(void)
{
    enter_world(0);
    make_directories(ROOTFS "/etc");
    write_file(ROOTFS "/etc/uptime", "mine\n");
    CHECK(symlink("/etc", ROOTFS "/proc") == 0);
    expect_refused(ROOTFS, -ELOOP, 0);
    CHECK(unlink(ROOTFS "/proc") == 0);
    CHECK(symlink("../../../proc", ROOTFS "/proc") == 0);
    expect_refused(ROOTFS, -ELOOP, 0);
    CHECK(unlink(ROOTFS "/proc") == 0);

    make_directories(ROOTFS "/proc");
    write_file(ROOTFS "/proc/uptime", "mine\n");
    expect_refused(ROOTFS, -EXDEV, 0);

    /* The last of four is bad: the others are taken back. */
    CHECK(mount("/proc", ROOTFS "/proc", NULL, MS_BIND, NULL) == 0);
    make_directories(ROOTFS "/sys/devices/system");
    CHECK(symlink("/etc", ROOTFS "/sys/devices/system/cpu") == 0);
    expect_refused(ROOTFS, -ELOOP, 3);
}

static void body_no_proc_at_all(void)
{
    enter_world(0);
    make_directories(ROOTFS);
    pid_t pid = start_container();
    SfAttachSpec spec = spec_of(pid, ROOTFS);
    SfAttachReport report;
    CHECK(sf_attach(&spec, 5000, &report) == 0);
    CHECK(report.count == 0);
}

/* The container shares the host's mounts both ways: the host must not get the view. */
static void body_shared_mounts(void)
{
    enter_world(MS_SHARED);
    pid_t pid = start_container();
    SfAttachSpec spec = spec_of(pid, NULL);
    SfAttachReport report;
    CHECK(sf_attach(&spec, 5000, &report) == -ENOTSUP);
    CHECK(report.step == SF_ATTACH_ESCAPED);
    CHECK(count_shown(0, "") == 0);
    CHECK(count_shown(pid, "") == 0);
}

static void body_view_in_another_namespace(void)
{
    pid_t pid = start_container();
    int pipe_fds[2];
    CHECK(pipe(pipe_fds) == 0);
    pid_t daemon_pid = fork();
    if (daemon_pid == 0) {
        CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
        enter_world(0);
        CHECK(write(pipe_fds[1], "", 1) == 1);
        pause();
    }
    char byte;
    CHECK(read(pipe_fds[0], &byte, 1) == 1);
    CHECK(sf_attach_view_visible(VIEW) == -ESTALE);
    SfAttachSpec spec = spec_of(pid, NULL);
    SfAttachReport report;
    CHECK(sf_attach(&spec, 5000, &report) == -ESTALE);
    CHECK(report.step == SF_ATTACH_FIND_VIEW);
    spec.source_ns_fd = open_of(daemon_pid, "ns/mnt", O_RDONLY);
    CHECK(sf_attach(&spec, 5000, &report) == 0);
    CHECK(count_shown(pid, "") == PATH_COUNT - 1);
    CHECK(sf_detach(&spec, 5000, &report) == 0 && report.count == PATH_COUNT - 1);
}

/* Mounts FUSE, without a server so far; returns the connection. */
static int mount_fuse(const char *where, const char *root_mode)
{
    char options[128];
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        _exit(SKIPPED);
    (void)snprintf(options, sizeof(options), "fd=%d,rootmode=%s,user_id=0,group_id=0", fd,
                   root_mode);
    if (mount("fuse", where, "fuse", 0, options) < 0)
        _exit(SKIPPED);
    return fd;
}

/* A server that takes every request and answers none but INIT: the kernel lets no signal end the
 * wait for a request that was taken. told_fd: who looks a name up is written there. */
static void serve_silently(int fd, int told_fd)
{
    CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    static _Alignas(struct fuse_in_header) char request[1u << 20];
    for (;;) {
        CHECK(read(fd, request, sizeof(request)) > 0);
        const struct fuse_in_header *in = (const struct fuse_in_header *)request;
        if (in->opcode == FUSE_LOOKUP)
            CHECK(write(told_fd, &in->pid, sizeof(in->pid)) == sizeof(in->pid));
        if (in->opcode != FUSE_INIT)
            continue;
        struct {
            struct fuse_out_header header;
            struct fuse_init_out init;
        } reply = {
            .header = {.len = sizeof(reply), .unique = in->unique},
            .init = {.major = FUSE_KERNEL_VERSION,
                     .minor = FUSE_KERNEL_MINOR_VERSION,
                     .max_write = 4096},
        };
        CHECK(write(fd, &reply, sizeof(reply)) == (ssize_t)sizeof(reply));
    }
}

/* ret_told_fd: the pids of who looks a name up are read there. */
static pid_t start_silent_server(int fd, int *ret_told_fd)
{
    int pipe_fds[2];
    CHECK(pipe2(pipe_fds, O_CLOEXEC) == 0);
    pid_t server = fork();
    CHECK(server >= 0);
    if (server == 0)
        serve_silently(fd, pipe_fds[1]);
    CHECK(close(fd) == 0 && close(pipe_fds[1]) == 0);
    *ret_told_fd = pipe_fds[0];
    return server;
}

static int64_t timed_attach(const SfAttachSpec *spec, int timeout_msec)
{
    SfAttachReport report;
    int64_t start = sf_monotonic_msec();
    CHECK(sf_attach(spec, timeout_msec, &report) == -ETIMEDOUT);
    CHECK(report.step == SF_ATTACH_WAIT);
    return sf_monotonic_msec() - start;
}

static void body_hanging_view(void)
{
    enter_world(0);
    pid_t pid = start_container();
    SfAttachSpec spec = spec_of(pid, NULL);
    int fd = mount_fuse(VIEW, "40000");
    int64_t took = timed_attach(&spec, 300);
    CHECK(took >= 290 && took < 2000);
    CHECK(waitpid(-1, NULL, WNOHANG | __WCLONE) < 0); /* killed and reaped */

    int told_fd;
    pid_t server = start_silent_server(fd, &told_fd);
    took = timed_attach(&spec, 300);
    CHECK(took >= 290 && took < 2000);
    CHECK(count_shown(pid, "") == 0);
    SfAttachReport report;
    CHECK(sf_detach(&spec, 5000, &report) == 0); /* asks the server nothing */
    CHECK(kill(server, SIGKILL) == 0);
}

/* A daemon that has many files and a lock, and attaches a view that does not answer. */
static pid_t start_attacher(const SfAttachSpec *spec, const char *lock)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid > 0)
        return pid;
    CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0);
    for (unsigned i = 0; i < 100; i++)
        CHECK(fcntl(fd, F_DUPFD_CLOEXEC, i % 2 ? 0 : 150) >= 0);
    SfAttachReport report;
    CHECK(sf_attach(spec, 60000, &report) < 0);
    _exit(0);
}

static unsigned count_fds(pid_t pid)
{
    char path[64];
    unsigned count = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    DIR *dir = opendir(path);
    CHECK(dir != NULL);
    for (const struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    CHECK(closedir(dir) == 0);
    return count;
}

/* Killed while its child waits for a reply: what the daemon held is free for the next one. */
static void body_killed_caller(void)
{
    enter_world(0);
    pid_t container = start_container();
    SfAttachSpec spec = spec_of(container, NULL);
    spec.source_ns_fd = open_of(getpid(), "ns/mnt", O_RDONLY);
    int told_fd;
    pid_t server = start_silent_server(mount_fuse(VIEW, "40000"), &told_fd);
    pid_t attacher = start_attacher(&spec, WORLD "/lock");
    uint32_t child;
    CHECK(read(told_fd, &child, sizeof(child)) == sizeof(child));
    CHECK(count_fds((pid_t)child) == 4); /* the report's, two namespaces, a root */

    CHECK(kill(attacher, SIGKILL) == 0 && waitpid(attacher, NULL, 0) == attacher);
    CHECK(count_fds((pid_t)child) == 4); /* it waits on */
    int fd = open(WORLD "/lock", O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0);
    CHECK(kill(server, SIGKILL) == 0 && waitpid(server, NULL, 0) == server);
}

/* The same where there is no close_range(2). */
static void body_killed_caller_filtered(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        _exit(SKIPPED);
    body_killed_caller();
}

/* What a daemon left that died is no obstacle. */
static void body_dead_view_is_replaced(void)
{
    enter_world(0);
    CHECK(close(mount_fuse("/proc/uptime", "100000")) == 0);
    CHECK(close(mount_fuse("/proc/uptime", "100000")) == 0);
    pid_t pid = start_container();
    SfAttachSpec spec = spec_of(pid, NULL);
    SfAttachReport report;
    CHECK(!shows_view(pid, "", "/proc/uptime"));
    CHECK(sf_attach(&spec, 5000, &report) == 0);
    CHECK(report.count == PATH_COUNT - 1);
    CHECK(shows_view(pid, "", "/proc/uptime"));
    CHECK(sf_detach(&spec, 5000, &report) == 0);
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/root/proc/uptime", pid);
    CHECK(access(path, R_OK) == 0);
}

static volatile sig_atomic_t signals_seen;
static void count_signal(int number)
{
    (void)number;
    signals_seen++;
}

/* A runtime that reaps all its children must not meet ours. */
static void body_caller_undisturbed(void)
{
    enter_world(0);
    pid_t pid = start_container();
    SfAttachSpec spec = spec_of(pid, NULL);
    SfAttachReport report;
    struct stat before, after;
    char cwd_before[PATH_MAX], cwd_after[PATH_MAX];
    CHECK(chdir("/usr") == 0 && getcwd(cwd_before, sizeof(cwd_before)));
    CHECK(stat("/proc/self/ns/mnt", &before) == 0);
    int next_fd = dup(0);
    CHECK(close(next_fd) == 0);
    CHECK(signal(SIGCHLD, count_signal) != SIG_ERR);
    CHECK(sf_attach(&spec, 5000, &report) == 0);
    CHECK(signals_seen == 0);
    CHECK(waitpid(-1, NULL, WNOHANG | __WALL) == 0); /* only the "container" is left, and lives */
    CHECK(stat("/proc/self/ns/mnt", &after) == 0 && before.st_ino == after.st_ino);
    CHECK(getcwd(cwd_after, sizeof(cwd_after)) && strcmp(cwd_before, cwd_after) == 0);
    CHECK(dup(0) == next_fd); /* no fd is left open */
    sigset_t mask;
    CHECK(sigprocmask(SIG_SETMASK, NULL, &mask) == 0 && sigismember(&mask, SIGTERM) == 0);
}

static void run_forked(void (*body)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        body();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
        skip(); /* neither root nor user namespaces */
    assert_int_equal(status, 0);
}

#define FORKED(name)                                                                               \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        run_forked(body_##name);                                                                   \
    }
FORKED(attach_and_detach)
FORKED(again)
FORKED(detach_leaves_others)
FORKED(masked_file)
FORKED(rootfs)
FORKED(hostile_rootfs)
FORKED(no_proc_at_all)
FORKED(shared_mounts)
FORKED(hanging_view)
FORKED(killed_caller)
FORKED(killed_caller_filtered)
FORKED(dead_view_is_replaced)
FORKED(caller_undisturbed)

static void test_view_in_another_namespace(void **state)
{
    if (getuid() != 0)
        skip(); /* needs two namespaces below one user namespace */
    run_forked(body_view_in_another_namespace);
}

static void test_check_path(void **state)
{
    assert_int_equal(sf_attach_check_path("/proc/meminfo"), 0);
    assert_int_equal(sf_attach_check_path("/sys/devices/system/cpu/online"), 0);
    assert_int_equal(sf_attach_check_path("/proc/..a"), 0);
    static const char *const bad[] = {
        "",         "/",        "/proc",       "/proc/",     "proc/x",  "/etc/passwd",
        "/procx/y", "/proc//x", "/proc/../x",  "/proc/x/..", "/proc/.", "/proc/./x",
        "/proc/x/", "/sys/",    "/sys/a/../b",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(sf_attach_check_path(bad[i]), -EINVAL);
    char longer[PATH_MAX + 1];
    memset(longer, 'x', sizeof(longer));
    memcpy(longer, "/proc/", 6);
    longer[PATH_MAX] = '\0';
    assert_int_equal(sf_attach_check_path(longer), -ENAMETOOLONG);
}

static void test_bad_arguments(void **state)
{
    static const char *const outside[] = {"/etc/passwd"};
    static const char *many[SF_ATTACH_MAX_FILES + 1];
    for (size_t i = 0; i <= SF_ATTACH_MAX_FILES; i++)
        many[i] = "/proc/x";
    const SfAttachSpec specs[] = {
        {.view = "view", .rootfs = "/", .root_fd = -1},
        {.view = "/v", .rootfs = "relative", .root_fd = -1},
        {.view = "/v", .root_fd = -1},
        {.view = "/v", .rootfs = "/", .root_fd = -1, .paths = outside, .path_count = 1},
        {.view = "/v",
         .rootfs = "/",
         .root_fd = -1,
         .paths = many,
         .path_count = SF_ATTACH_MAX_FILES + 1},
    };
    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        SfAttachReport report;
        assert_int_equal(sf_attach(&specs[i], 1000, &report), -EINVAL);
        assert_int_equal(report.step, SF_ATTACH_PREPARE);
        assert_int_equal(sf_detach(&specs[i], 1000, &report), -EINVAL);
    }
}

static void test_view_visible(void **state)
{
    assert_int_equal(sf_attach_view_visible("/proc"), 0);
    assert_int_equal(sf_attach_view_visible("/usr/bin"), -ESTALE);
    assert_int_equal(sf_attach_view_visible("/nonexistent/x"), -ESTALE);
}

static void test_describe(void **state)
{
    SfAttachSpec spec = {
        .view = "/run/v", .rootfs = "/r", .root_fd = -1, .paths = PATHS, .path_count = PATH_COUNT};
    SfAttachReport report = {.error = -ELOOP, .step = SF_ATTACH_OPEN_TARGET, .file = 2};
    char text[256];
    sf_attach_describe(&spec, &report, text, sizeof(text));
    assert_string_equal(
        text, "attach over /proc/meminfo: a symbolic link stands in this path in the container");
    report = (SfAttachReport){.error = -ENOENT, .step = SF_ATTACH_OPEN_ROOT, .file = PATH_COUNT};
    sf_attach_describe(&spec, &report, text, sizeof(text));
    assert_string_equal(text, "open the container's root /r: No such file or directory");
    report = (SfAttachReport){.error = -99999, .step = SF_ATTACH_WAIT, .file = PATH_COUNT};
    sf_attach_describe(&spec, &report, text, sizeof(text));
    assert_non_null(strstr(text, "unknown error"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_path),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_view_visible),
        cmocka_unit_test(test_describe),
        cmocka_unit_test(test_attach_and_detach),
        cmocka_unit_test(test_detach_leaves_others),
        cmocka_unit_test(test_masked_file),
        cmocka_unit_test(test_rootfs),
        cmocka_unit_test(test_hostile_rootfs),
        cmocka_unit_test(test_no_proc_at_all),
        cmocka_unit_test(test_shared_mounts),
        cmocka_unit_test(test_view_in_another_namespace),
        cmocka_unit_test(test_hanging_view),
        cmocka_unit_test(test_dead_view_is_replaced),
        cmocka_unit_test(test_caller_undisturbed),
        cmocka_unit_test(test_killed_caller),
        cmocka_unit_test(test_killed_caller_filtered),
        cmocka_unit_test(test_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
