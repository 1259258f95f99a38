/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * libsysfsd: gives a container its views of /proc and /sys, and takes them away. Plain C; no
 * threads, no global state; every call that enters another namespace does so in a short-lived child
 * process, so the caller's namespaces, working directory, signals and open files are as before when
 * a function returns. All functions need CAP_SYS_ADMIN, CAP_SYS_CHROOT and CAP_SYS_PTRACE in the
 * host's user namespace and are called in the host's mount namespace, but where said otherwise.
 * Errors are negative errno.
 */

#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SYSFSD_DEFAULT_RUNTIME_DIR "/run/sysfsd"
#define SYSFSD_DEFAULT_TIMEOUT_MSEC 5000

/* One annotation of the container ("io.sysfsd.cpu", "cpuset"). */
struct sysfsd_annotation {
    const char *key;
    const char *value;
};

/*
 * What to attach. Set size to sizeof(struct sysfsd_attach_args) and everything not used to 0.
 * - runtime_dir: the daemon's runtime directory; NULL: SYSFSD_DEFAULT_RUNTIME_DIR.
 * - id: the container's ID, 1-128 bytes of [A-Za-z0-9_.-], not "." or ".."; required.
 * - pid: a process of the container, in the caller's pid namespace (/proc may be that of a parent
 *   namespace, as in an OCI createContainer hook); the view lives as long as the process.
 * - rootfs: NULL: the container has pivoted, its root is /proc/PID/root. Else the absolute path of
 *   its root file system as seen in its mount namespace (an OCI hook before pivot_root).
 * - bundle: the OCI bundle directory, for people; may be NULL.
 * - annotations, annotation_count: borrowed during the call; keys that do not begin with io.sysfsd.
 *   are ignored.
 * - timeout_msec: for everything together; 0: SYSFSD_DEFAULT_TIMEOUT_MSEC.
 */
struct sysfsd_attach_args {
    size_t size;
    const char *runtime_dir;
    const char *id;
    pid_t pid;
    const char *rootfs;
    const char *bundle;
    const struct sysfsd_annotation *annotations;
    size_t annotation_count;
    int timeout_msec;
};

/*
 * Registers the container and binds each file of its view over the file of that name inside; a file
 * the container does not have is passed over. Either everything is attached or, on error, nothing
 * and the container is not registered. Called in the host's mount namespace, or in the container's
 * before pivot_root, with rootfs; leaves the caller in its own.
 * - ret_attached: number of files bound, 0 when policy gives the container no view; may be NULL.
 * - error, error_size: one line for people on failure; may be NULL, 0.
 *
 * Errors:
 * - -EINVAL: arguments, annotations, or a process that is in the host's own mount namespace
 * - -ENOENT, -ECONNREFUSED: no daemon; -EPERM: the socket is not root's; -EACCES: not allowed
 * - -ECONNRESET, -EBADMSG, -EPROTO: what answers is not sysfsd, or it died
 * - -ESRCH: no such process; -EEXIST: the id is registered already
 * - -ELOOP: a symbolic link stands where /proc or /sys should be; -EXDEV: a foreign file system
 * - -EBUSY: something else is mounted over a file
 * - -ENOTSUP: the container shares its /proc mount with the host, or the kernel refuses a step
 * - -ETIMEDOUT: not done in time
 * - other errno of the system call that failed
 */
int sysfsd_attach(const struct sysfsd_attach_args *args, unsigned *ret_attached, char *error,
                  size_t error_size);

/*
 * Takes the view of `id` away: if its process `pid` still lives (0: unknown or gone) unbinds its
 * files inside first; then unregisters. An ID that is not registered is success (0): detach is
 * idempotent.
 */
int sysfsd_detach(const char *runtime_dir, const char *id, pid_t pid, int timeout_msec, char *error,
                  size_t error_size);

/*
 * Whether a daemon answers on runtime_dir (NULL: the default): 0, or -ENOENT, -ECONNREFUSED,
 * -ETIMEDOUT, -EACCES, -EPERM, -EPROTO. timeout_msec as above. Needs no capability but to open the
 * socket.
 */
int sysfsd_ping(const char *runtime_dir, int timeout_msec);

#ifdef __cplusplus
}
#endif
