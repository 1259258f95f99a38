/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The caller's side of attaching: copies the request into a plan that a child can work off without
 * allocating, runs the child under a deadline, and reads its report. No mount call is made here;
 * attach_child.c has them.
 */

#include "lib/attach.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "lib/attach_child.h"
#include "lib/deadline.h"

/* How long a killed child may take to go: it does not while it waits for a FUSE reply. */
#define KILL_WAIT_MSEC 200

int sf_attach_check_path(const char *path)
{
    if (strncmp(path, "/proc/", 6) != 0 && strncmp(path, "/sys/", 5) != 0)
        return -EINVAL;
    if (strlen(path) >= PATH_MAX)
        return -ENAMETOOLONG;
    for (const char *rest = path; *rest == '/';) {
        const char *component = rest + 1;
        rest = strchrnul(component, '/');
        size_t len = (size_t)(rest - component);
        if (len == 0 || (len == 1 && component[0] == '.') ||
            (len == 2 && component[0] == '.' && component[1] == '.'))
            return -EINVAL;
    }
    return 0;
}

int sf_attach_view_visible(const char *view)
{
    dev_t dev;
    return sf_attach_view_dev(view, &dev);
}

static void targets_free(SfAttachTarget *targets, size_t count)
{
    for (size_t i = 0; targets && i < count; i++) {
        free(targets[i].source);
        free(targets[i].directory);
    }
    free(targets);
}

static int target_init(SfAttachTarget *target, const SfAttachSpec *spec, const char *path)
{
    const char *view = target->constant ? spec->constants : spec->view;
    int r = sf_attach_check_path(path);
    if (r < 0)
        return r;
    target->tree_fd = -1;
    target->fs_magic = path[1] == 'p' ? PROC_SUPER_MAGIC : SYSFS_MAGIC;
    if (strncmp(path, "/sys/fs/cgroup/", 15) == 0)
        target->fs_magic = 0;
    target->directory = strdup(path + 1); /* relative to the container's root */
    if (!target->directory || asprintf(&target->source, "%s%s", view, path) < 0) {
        target->source = NULL; /* asprintf(3) leaves it undefined */
        return -ENOMEM;
    }
    char *slash = strrchr(target->directory, '/');
    *slash = '\0';
    target->name = slash + 1;
    return 0;
}

static int targets_new(const SfAttachSpec *spec, SfAttachTarget **ret_targets)
{
    if (spec->path_count > SF_ATTACH_MAX_FILES || spec->view[0] != '/' ||
        (spec->root_fd < 0 && (!spec->rootfs || spec->rootfs[0] != '/')))
        return -EINVAL;
    SfAttachTarget *targets = calloc(spec->path_count + 1, sizeof(*targets));
    if (!targets)
        return -ENOMEM;
    for (size_t i = 0; i < spec->path_count; i++) {
        targets[i].writable = spec->writable && spec->writable[i];
        targets[i].constant = spec->constants && spec->constant && spec->constant[i];
        int r = target_init(&targets[i], spec, spec->paths[i]);
        if (r < 0) {
            targets_free(targets, spec->path_count);
            return r;
        }
    }
    *ret_targets = targets;
    return 0;
}

/*
 * A child without an exit signal: the caller may be a runtime that has a SIGCHLD handler or reaps
 * all its children, and neither shall notice. Signals stay blocked in the child, so that no handler
 * of the caller runs there. Returns the pid, 0 in the child.
 */
static pid_t spawn(int *ret_pidfd)
{
    int pidfd = -1;
    struct clone_args args = {
        .flags = CLONE_PIDFD,
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
    };
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    if (pid < 0)
        return -errno;
    *ret_pidfd = pidfd;
    return pid;
}

static int wait_readable(int fd, int64_t deadline)
{
    for (;;) {
        struct pollfd pfd = {.fd = fd, .events = POLLIN};
        int n = poll(&pfd, 1, sf_deadline_left(deadline));
        if (n > 0)
            return 0;
        if (n == 0)
            return -ETIMEDOUT;
        if (errno != EINTR)
            return -errno;
    }
}

/* False: it is still there, and the caller's to wait for. */
static bool reap(int pidfd, pid_t pid, bool kill_it)
{
    if (kill_it)
        (void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0); /* it may have ended */
    if (wait_readable(pidfd, sf_deadline_after(KILL_WAIT_MSEC)) < 0)
        return false; /* in D state: it ends with its FUSE request */
    while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
        ;
    return true;
}

/* The child's report, which is shorter than PIPE_BUF and thus arrives whole or not at all. */
static int read_report(int fd, int64_t deadline, SfAttachReport *ret_report)
{
    int r = wait_readable(fd, deadline);
    if (r < 0)
        return r;
    SfAttachReport report;
    ssize_t n;
    do
        n = read(fd, &report, sizeof(report));
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof(report))
        return n < 0 ? -errno : -EIO; /* killed by somebody else */
    *ret_report = report;
    return 0;
}

static int run_child(const SfAttachPlan *plan, int timeout_msec, SfAttachReport *report)
{
    int64_t deadline = sf_deadline_after(timeout_msec);
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return -errno;
    SF_CLEANUP_FD int read_fd = pipe_fds[0];
    SF_CLEANUP_FD int write_fd = pipe_fds[1];
    SF_CLEANUP_FD int pidfd = -1;

    sigset_t all, saved;
    (void)sigfillset(&all); /* cannot fail on a valid pointer */
    int r = -pthread_sigmask(SIG_SETMASK, &all, &saved);
    if (r < 0)
        return r;
    pid_t pid = spawn(&pidfd);
    if (pid == 0)
        sf_attach_child(plan, write_fd);
    (void)pthread_sigmask(SIG_SETMASK, &saved, NULL); /* the mask was valid before */
    if (pid < 0)
        return pid;

    write_fd = sf_close(write_fd); /* so that the child's death ends the read */
    r = read_report(read_fd, deadline, report);
    report->left = reap(pidfd, pid, r < 0) ? 0 : pid;
    if (r < 0)
        report->step = SF_ATTACH_WAIT;
    return r;
}

static int run(const SfAttachSpec *spec, bool detach, int timeout_msec, SfAttachReport *report)
{
    *report = (SfAttachReport){.step = SF_ATTACH_PREPARE, .file = (unsigned)spec->path_count};
    SfAttachTarget *targets = NULL;
    int r = targets_new(spec, &targets);
    if (r == 0) {
        SfAttachPlan plan = {
            .spec = spec,
            .targets = targets,
            .target_count = (unsigned)spec->path_count,
            .detach = detach,
        };
        r = run_child(&plan, timeout_msec, report);
        targets_free(targets, spec->path_count);
    }
    if (r < 0)
        report->error = r;
    return report->error;
}

/*
 * A container may have the host's own /proc as a shared mount (a bind with rshared): then what is
 * moved there propagates, and the host would read the container's numbers.
 */
static bool reached_caller(const SfAttachSpec *spec, const SfAttachReport *report)
{
    for (size_t i = 0; i < spec->path_count; i++) {
        struct statx stx;
        if (statx(AT_FDCWD, spec->paths[i], AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC, 0, &stx) < 0)
            continue;
        dev_t dev = makedev(stx.stx_dev_major, stx.stx_dev_minor);
        if (dev == report->view_dev || (spec->constants && dev == report->constants_dev))
            return true;
    }
    return false;
}

int sf_attach(const SfAttachSpec *spec, int timeout_msec, SfAttachReport *ret_report)
{
    int64_t deadline = sf_deadline_after(timeout_msec);
    int r = run(spec, false, timeout_msec, ret_report);
    if (r < 0 || !reached_caller(spec, ret_report))
        return r;
    pid_t first = ret_report->left;
    SfAttachReport undo;
    int left = sf_deadline_left(deadline);
    r = sf_detach(spec, left > KILL_WAIT_MSEC ? left : KILL_WAIT_MSEC, &undo);
    *ret_report = (SfAttachReport){
        .error = r < 0 ? r : -ENOTSUP,
        .step = SF_ATTACH_ESCAPED,
        .file = (unsigned)spec->path_count,
        .left = undo.left ? undo.left : first,
    };
    return ret_report->error;
}

int sf_detach(const SfAttachSpec *spec, int timeout_msec, SfAttachReport *ret_report)
{
    return run(spec, true, timeout_msec, ret_report);
}

static const char *error_text(const SfAttachReport *report)
{
    switch (report->error) {
    case -ELOOP:
        return "a symbolic link stands in this path in the container";
    case -EXDEV:
        return "what stands there in the container is not the kernel's file system";
    case -EBUSY:
        return "something else is mounted over it in the container";
    case -ESTALE:
        return "no view is mounted there";
    case -ENOSYS:
        return "this kernel lacks the system call (Linux 5.12 or newer is needed)";
    default:
        return strerrordesc_np(-report->error);
    }
}

void sf_attach_describe(const SfAttachSpec *spec, const SfAttachReport *report, char *buffer,
                        size_t size)
{
    static const char *const steps[] = {
        [SF_ATTACH_PREPARE] = "prepare to attach",
        [SF_ATTACH_ENTER_SOURCE] = "enter the daemon's mount namespace for",
        [SF_ATTACH_FIND_VIEW] = "find the view",
        [SF_ATTACH_TAKE_FILE] = "take a mount of",
        [SF_ATTACH_ENTER_TARGET] = "enter the container's mount namespace for",
        [SF_ATTACH_OPEN_ROOT] = "open the container's root",
        [SF_ATTACH_OPEN_TARGET] = "attach over",
        [SF_ATTACH_MOVE] = "attach",
        [SF_ATTACH_UNMOUNT] = "unmount",
        [SF_ATTACH_WAIT] = "wait for the process that attaches",
        [SF_ATTACH_ESCAPED] = "attach",
    };
    if (report->step == SF_ATTACH_ESCAPED) {
        (void)snprintf(buffer, size,
                       "attach %s: the container shares its /proc or /sys mount with "
                       "the host (rshared), which would get the view too",
                       spec->view);
        return;
    }
    const char *object = spec->view;
    if (report->step == SF_ATTACH_OPEN_ROOT && spec->root_fd < 0)
        object = spec->rootfs;
    else if (report->file < spec->path_count)
        object = spec->paths[report->file];
    const char *why = error_text(report);
    (void)snprintf(buffer, size, "%s %s: %s", steps[report->step], object,
                   why ? why : "unknown error");
}
