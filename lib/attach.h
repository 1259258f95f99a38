/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Binds the files of a view over the files of the same name in a container, and takes them away
 * again. The mount system calls are made by a short-lived child that enters the namespaces; the
 * caller's are never changed. Needs Linux 5.12 (mount_setattr).
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/base/fd.h"

/* Files of one view; the mount fds of all are held at once. */
#define SF_ATTACH_MAX_FILES 256

typedef struct SfAttachSpec {
    const char *view; /* where the view is mounted, absolute, as seen in the source namespace */
    const char *constants; /* its other mount, for the files of `constant`; NULL: there is none */
    int source_ns_fd;      /* mount namespace the view is mounted in; -1: the caller's */
    int target_ns_fd;      /* the container's mount namespace */
    int root_fd; /* the container's root directory (O_PATH) from that namespace; -1: rootfs is
                    opened there */
    const char *rootfs;       /* absolute; used when root_fd is -1 */
    const char *const *paths; /* absolute, below /proc or /sys: there and below `view` */
    const bool *writable;     /* of each path: bound so that it can be written to; NULL: none is */
    const bool *constant;     /* of each path: bound from `constants`; NULL: none is */
    size_t path_count;
    bool again; /* what shows this view already is left as it is, instead of -EBUSY */
} SfAttachSpec;

typedef enum SfAttachStep {
    SF_ATTACH_PREPARE,      /* arguments, child process */
    SF_ATTACH_ENTER_SOURCE, /* setns(2) to where the view is */
    SF_ATTACH_FIND_VIEW,    /* the view is not mounted there */
    SF_ATTACH_TAKE_FILE,    /* open_tree(2), mount_setattr(2) */
    SF_ATTACH_ENTER_TARGET, /* setns(2) to the container */
    SF_ATTACH_OPEN_ROOT,    /* the container's root directory */
    SF_ATTACH_OPEN_TARGET,  /* the file to bind over */
    SF_ATTACH_MOVE,         /* move_mount(2) */
    SF_ATTACH_UNMOUNT,      /* umount2(2) */
    SF_ATTACH_WAIT,         /* the child did not end in time, or was killed */
    SF_ATTACH_ESCAPED,      /* the container shares its /proc or /sys mount with the host */
} SfAttachStep;

/* What became of it; the child hands it over by a pipe. */
typedef struct SfAttachReport {
    int error; /* 0 or negative errno */
    SfAttachStep step;
    unsigned file;  /* index in paths, where the step is about one; else path_count */
    unsigned count; /* files bound or unbound */
    dev_t view_dev, constants_dev; /* st_dev of both mounts; 0: not found yet, or there is none */
    /* A child that the kernel lets nobody end yet (0: none): the caller's to wait for, with __WALL,
     * before it tries again. */
    pid_t left;
} SfAttachReport;

/*
 * Binds every file. One that the container does not have, or that its runtime masked with
 * /dev/null, is passed over. On error nothing is left bound. A dead FUSE mount on a target
 * (-ENOTCONN) is taken away first.
 * - -ELOOP: a symbolic link stands in the target's path (below /sys/fs/cgroup some do by custom;
 *   there they are followed within the container's root)
 * - -EXDEV: what stands at /proc or /sys is not procfs or sysfs
 * - -EBUSY: something else is mounted over the target
 * - -ESTALE: the view is not mounted in the source namespace
 * - -ENOTSUP: binding would reach the host (SF_ATTACH_ESCAPED)
 * - -ETIMEDOUT: the child was killed half way, call sf_detach(). A child that hangs in an
 *   uninterruptible FUSE request is left behind.
 * - -EINVAL for the arguments, or the system call's errno
 */
int sf_attach(const SfAttachSpec *spec, int timeout_msec,
              SfAttachReport *ret_report) SF_WARN_UNUSED;

/* Unbinds the files at paths that are this view's (by st_dev) and no others; goes on after an error
 * and reports the first. */
int sf_detach(const SfAttachSpec *spec, int timeout_msec,
              SfAttachReport *ret_report) SF_WARN_UNUSED;

/* One line about a report with an error: what, which, why. */
void sf_attach_describe(const SfAttachSpec *spec, const SfAttachReport *report, char *buffer,
                        size_t size);

/* Whether path may be bound: absolute, below /proc/ or /sys/, without empty, "." or ".."
 * components, at most PATH_MAX - 1. */
int sf_attach_check_path(const char *path) SF_WARN_UNUSED;

/* Whether `view` is the root of a mount in the caller's namespace; asks no FUSE server. */
int sf_attach_view_visible(const char *view) SF_WARN_UNUSED;
