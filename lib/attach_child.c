/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The system calls that bind a view's files in a container. This runs in a child cloned from a
 * process that may have threads: only system calls, no allocation, no stdio, no locks
 * (signal-safety(7)).
 *
 * The mounts are taken in the namespace the view is in and moved in the container's: that works
 * whether or not the view was mounted before the container's namespace was cut off. Paths in the
 * container are the container's to choose; they are resolved below its root without following any
 * link, and what was found is what is mounted on, by fd.
 */

#include "lib/attach_child.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

/* Mounts stacked on one file; more are not ours to dig through. */
#define MAX_STACKED 16
/* What fs.nr_open lets a process have, where nobody has raised it. */
#define FDS_MOST (1u << 20)

/* Linux has no more CPUs (CONFIG_NR_CPUS of all architectures). glibc's sets of that size are made
 * by malloc(3). */
#define MASK_CPUS 8192

typedef struct CpuMask {
    cpu_set_t sets[MASK_CPUS / CPU_SETSIZE];
    bool known;
} CpuMask;

static int open_resolved(int dir_fd, const char *path, uint64_t flags, uint64_t resolve)
{
    struct open_how how = {
        .flags = flags | O_PATH | O_CLOEXEC,
        .resolve = resolve | RESOLVE_NO_MAGICLINKS,
    };
    /* -EAGAIN: a rename or mount somewhere on the machine raced with the ".." check, openat2(2). */
    for (int attempt = 0;; attempt++) {
        int fd = (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
        if (fd >= 0)
            return fd;
        if (errno != EINTR && (errno != EAGAIN || attempt == MAX_STACKED))
            return -errno;
    }
}

static int open_beneath(int dir_fd, const char *path, uint64_t flags)
{
    return open_resolved(dir_fd, path, flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

/* The attributes the kernel has: a FUSE server that hangs is not asked. */
static int stat_cached(int dir_fd, const char *path, struct statx *ret_stx)
{
    int flags = AT_STATX_DONT_SYNC | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
    if (path[0] == '\0')
        flags |= AT_EMPTY_PATH;
    return statx(dir_fd, path, flags, STATX_TYPE, ret_stx) < 0 ? -errno : 0;
}

static dev_t stx_dev(const struct statx *stx)
{
    return makedev(stx->stx_dev_major, stx->stx_dev_minor);
}

int sf_attach_view_dev(const char *view, dev_t *ret_dev)
{
    struct statx stx;
    int r = stat_cached(AT_FDCWD, view, &stx);
    if (r == -ENOENT || r == -ENOTDIR)
        return -ESTALE;
    if (r < 0)
        return r;
    if (!(stx.stx_attributes & STATX_ATTR_MOUNT_ROOT))
        return -ESTALE;
    *ret_dev = stx_dev(&stx);
    return 0;
}

/* A mount of the view's file, read-only unless it is to be written to, that belongs to no
 * propagation group: unmounting the view on the host or in the container leaves the other alone. */
static int take_file(SfAttachTarget *target)
{
    SF_CLEANUP_FD int fd = open_tree(AT_FDCWD, target->source,
                                     OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
    if (fd < 0)
        return -errno;
    struct mount_attr attr = {
        .attr_set = (target->writable ? 0 : MOUNT_ATTR_RDONLY) | MOUNT_ATTR_NOSUID |
                    MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
        .propagation = MS_PRIVATE,
    };
    if (mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        return -errno;
    target->tree_fd = sf_steal_fd(&fd);
    return 0;
}

/* The directory of a cgroup in the container. Not all have it, some have a tmpfs or nothing there,
 * and controllers mounted together are reached by links ("cpu" to "cpu,cpuacct"). Where a link
 * leads does not matter: only files of cgroups are mounted on. */
static int open_cgroup(int root_fd, const SfAttachTarget *target)
{
    SF_CLEANUP_FD int fd = open_resolved(root_fd, target->directory, O_DIRECTORY, RESOLVE_IN_ROOT);
    if (fd < 0)
        return fd == -ELOOP || fd == -ENOTDIR || fd == -EACCES ? -ENOENT : fd;
    struct statfs fs;
    if (fstatfs(fd, &fs) < 0)
        return -errno;
    if ((unsigned)fs.f_type != CGROUP_SUPER_MAGIC && (unsigned)fs.f_type != CGROUP2_SUPER_MAGIC)
        return -ENOENT;
    return sf_steal_fd(&fd);
}

/* The directory of a target, which must be on the kernel's own file system. */
static int open_directory(int root_fd, const SfAttachTarget *target)
{
    if (target->fs_magic == 0)
        return open_cgroup(root_fd, target);
    SF_CLEANUP_FD int fd = open_beneath(root_fd, target->directory, O_DIRECTORY);
    if (fd < 0)
        return fd;
    struct statfs fs;
    if (fstatfs(fd, &fs) < 0)
        return -errno;
    if ((unsigned)fs.f_type != target->fs_magic)
        return -EXDEV;
    return sf_steal_fd(&fd);
}

/* By name in a directory that is held: a path through /proc would need a procfs of our own pid
 * namespace, which the container's is not. */
static int unmount_name(int dir_fd, const char *name)
{
    if (fchdir(dir_fd) < 0)
        return -errno;
    return umount2(name, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 ? -errno : 0;
}

/* Of either mount: which one a file was bound from is what was said when it was bound. */
static bool is_of_view(const struct statx *stx, const SfAttachReport *report)
{
    dev_t dev = stx_dev(stx);

    return dev == report->view_dev || (report->constants_dev && dev == report->constants_dev);
}

/* What is mounted over a file of the directory: 0 nothing, 1 /dev/null (how runtimes mask a file),
 * 2 a FUSE mount without a server, -EALREADY the view that is given, -EBUSY anything else. */
static int overmount_kind(int file_fd, int dir_fd, const SfAttachReport *view)
{
    struct statx file, dir;
    int r = stat_cached(file_fd, "", &file);
    if (r == 0)
        r = stat_cached(dir_fd, "", &dir);
    if (r < 0)
        return r;
    if (stx_dev(&file) == stx_dev(&dir))
        return 0;
    if (S_ISCHR(file.stx_mode) && file.stx_rdev_major == 1 && file.stx_rdev_minor == 3)
        return 1;
    if (view && is_of_view(&file, view))
        return -EALREADY;
    struct statfs fs;
    if (fstatfs(file_fd, &fs) < 0 &&
        (errno == ENOTCONN || errno == ECONNABORTED || errno == ECONNREFUSED))
        return 2;
    return -EBUSY;
}

/* fd of the file to mount over; -ENOENT when there is none, -EALREADY when it is the view's (NULL:
 * of no matter). */
static int open_file(int dir_fd, const char *name, const SfAttachReport *view)
{
    for (unsigned i = 0; i < MAX_STACKED; i++) {
        SF_CLEANUP_FD int fd = open_beneath(dir_fd, name, 0);
        if (fd < 0)
            return fd;
        int kind = overmount_kind(fd, dir_fd, view);
        if (kind == 0)
            return sf_steal_fd(&fd);
        if (kind == 1)
            return -ENOENT;
        if (kind < 0)
            return kind;
        int r = unmount_name(dir_fd, name);
        if (r < 0)
            return r;
    }
    return -EBUSY;
}

/* The directory of the target before, which mostly is the next one's too. */
typedef struct HeldDirectory {
    const char *path;
    int fd; /* or the error for which it could not be opened */
} HeldDirectory;

static int hold_directory(HeldDirectory *held, int root_fd, const SfAttachTarget *target)
{
    if (strcmp(held->path, target->directory) != 0) {
        (void)sf_close(held->fd);
        held->fd = open_directory(root_fd, target);
        held->path = target->directory;
    }
    return held->fd;
}

static int bind_one(int dir_fd, SfAttachTarget *target, bool again, SfAttachReport *report)
{
    report->step = SF_ATTACH_OPEN_TARGET;
    if (dir_fd == -ENOENT)
        return 0;
    if (dir_fd < 0)
        return dir_fd;
    SF_CLEANUP_FD int file_fd = open_file(dir_fd, target->name, again ? report : NULL);
    if (file_fd == -ENOENT || file_fd == -EALREADY)
        return 0;
    if (file_fd < 0)
        return file_fd;
    report->step = SF_ATTACH_MOVE;
    if (move_mount(target->tree_fd, "", file_fd, "",
                   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return -errno;
    target->bound = true;
    report->count++;
    return 0;
}

/* Unmounts the view's mounts on a target, and nothing else; returns how many. */
static int unbind_one(int root_fd, const SfAttachTarget *target, const SfAttachReport *report)
{
    SF_CLEANUP_FD int dir_fd = open_directory(root_fd, target);
    /* The container has put something of its own over the directory: nothing of ours is in reach.
     */
    if (dir_fd == -ENOENT || dir_fd == -ENOTDIR || dir_fd == -ELOOP || dir_fd == -EXDEV)
        return 0;
    if (dir_fd < 0)
        return dir_fd;
    int count = 0;
    for (; count < MAX_STACKED; count++) {
        SF_CLEANUP_FD int file_fd = open_beneath(dir_fd, target->name, 0);
        if (file_fd < 0)
            return file_fd == -ENOENT ? count : file_fd;
        struct statx stx;
        int r = stat_cached(file_fd, "", &stx);
        if (r < 0)
            return r;
        if (!is_of_view(&stx, report))
            break;
        r = unmount_name(dir_fd, target->name);
        if (r < 0)
            return r;
    }
    return count;
}

static int enter(int ns_fd)
{
    return setns(ns_fd, CLONE_NEWNS) < 0 ? -errno : 0;
}

/* A name of the view that the kernel does not know yet is asked for, and answered on the CPU that
 * it was asked for on. We would then be woken on another one if that is idle, and the next question
 * would have to follow us there: a wake-up across CPUs, twice for each name, costs more than all
 * else here. Slower where that may not be. */
static void stay_on_this_cpu(CpuMask *ret_former)
{
    CpuMask own = {0};
    int cpu = sched_getcpu();

    ret_former->known = sched_getaffinity(0, sizeof(ret_former->sets), ret_former->sets) == 0;
    if (!ret_former->known || cpu < 0)
        return;
    CPU_SET_S((size_t)cpu, sizeof(own.sets), own.sets);
    (void)sched_setaffinity(0, sizeof(own.sets), own.sets);
}

static void go_anywhere(const CpuMask *former)
{
    if (former->known)
        (void)sched_setaffinity(0, sizeof(former->sets), former->sets);
}

static int take_all(const SfAttachPlan *plan, SfAttachReport *report)
{
    CpuMask former;
    int r = 0;

    report->step = SF_ATTACH_TAKE_FILE;
    stay_on_this_cpu(&former);
    for (unsigned i = 0; i < plan->target_count && r == 0; i++) {
        report->file = i;
        r = take_file(&plan->targets[i]);
    }
    go_anywhere(&former);
    if (r == 0)
        report->file = plan->target_count;
    return r;
}

static int bind_all(const SfAttachPlan *plan, int root_fd, SfAttachReport *report)
{
    int r = 0;
    HeldDirectory held = {.path = "", .fd = -1};
    for (unsigned i = 0; i < plan->target_count && r == 0; i++) {
        SfAttachTarget *target = &plan->targets[i];
        report->file = i;
        r = bind_one(hold_directory(&held, root_fd, target), target, plan->spec->again, report);
    }
    (void)sf_close(held.fd);
    if (r == 0) {
        report->file = plan->target_count;
        return 0;
    }
    for (unsigned i = plan->target_count; i-- > 0;)
        if (plan->targets[i].bound)
            /* the first error is the one to report; sf_detach() would meet the same again */
            (void)unbind_one(root_fd, &plan->targets[i], report);
    report->count = 0;
    return r;
}

static int unbind_all(const SfAttachPlan *plan, int root_fd, SfAttachReport *report)
{
    int first = 0;
    report->step = SF_ATTACH_UNMOUNT;
    report->file = plan->target_count;
    for (unsigned i = 0; i < plan->target_count; i++) {
        int r = unbind_one(root_fd, &plan->targets[i], report);
        if (r >= 0) {
            report->count += (unsigned)r;
        } else if (first == 0) {
            first = r;
            report->file = i;
        }
    }
    return first;
}

static int work(const SfAttachPlan *plan, SfAttachReport *report)
{
    const SfAttachSpec *spec = plan->spec;
    int r = 0;
    if (spec->source_ns_fd >= 0) {
        report->step = SF_ATTACH_ENTER_SOURCE;
        r = enter(spec->source_ns_fd);
    }
    if (r == 0) {
        report->step = SF_ATTACH_FIND_VIEW;
        r = sf_attach_view_dev(spec->view, &report->view_dev);
        if (r == 0 && spec->constants)
            r = sf_attach_view_dev(spec->constants, &report->constants_dev);
        if (r == -ESTALE && report->view_dev && plan->detach)
            r = 0; /* what was bound from there cannot be told any more; the rest can */
    }
    if (r == 0 && !plan->detach)
        r = take_all(plan, report);
    if (r < 0)
        return r;

    report->step = SF_ATTACH_ENTER_TARGET;
    r = enter(spec->target_ns_fd);
    if (r < 0)
        return r;
    report->step = SF_ATTACH_OPEN_ROOT;
    int root_fd = spec->root_fd;
    if (root_fd < 0)
        root_fd = open(spec->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return -errno;
    return plan->detach ? unbind_all(plan, root_fd, report) : bind_all(plan, root_fd, report);
}

/* Without close_range(2) (kept from us by a seccomp filter) one by one, as far as there may be any.
 */
static void close_all(unsigned first, unsigned last)
{
    struct rlimit limit;

    if (first > last || close_range(first, last, 0) == 0)
        return;
    bool limited = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < FDS_MOST;
    unsigned end = limited ? (unsigned)limit.rlim_cur : FDS_MOST;
    for (unsigned fd = first; fd <= last && fd < end; fd++)
        (void)close((int)fd); /* most are not open */
}

/* All others are closed. The numbers are in any order; -1 stands for none. */
static void keep_only(const int *fds, unsigned count)
{
    unsigned first = 0, next = 0;

    while (next <= INT_MAX) {
        next = UINT_MAX;
        for (unsigned i = 0; i < count; i++) {
            if (fds[i] >= 0 && (unsigned)fds[i] >= first && (unsigned)fds[i] < next)
                next = (unsigned)fds[i];
        }
        if (next > first)
            close_all(first, next <= INT_MAX ? next - 1 : UINT_MAX);
        first = next + 1;
    }
}

void sf_attach_child(const SfAttachPlan *plan, int report_fd)
{
    const SfAttachSpec *spec = plan->spec;
    const int needed[] = {report_fd, spec->source_ns_fd, spec->target_ns_fd, spec->root_fd};

    /* Nobody would undo what a child does whose caller was killed. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* cannot fail for a valid signal */
    /* A child that waits for a FUSE server outlives even that. If the caller is that server, its
     * locks and connections must not live on with the child: no other could take its place, and
     * answer. */
    keep_only(needed, sizeof(needed) / sizeof(needed[0]));
    SfAttachReport report = {.step = SF_ATTACH_PREPARE, .file = plan->target_count};
    report.error = work(plan, &report);
    ssize_t n;
    do
        n = write(report_fd, &report, sizeof(report));
    while (n < 0 && errno == EINTR);
    _exit(n == (ssize_t)sizeof(report) ? 0 : 1);
}
