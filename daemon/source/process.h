/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What is read of one process of the host: /proc/PID/{stat,status,cgroup,uid_map,gid_map,ns/}.
 * Split in pure parsers and their bounded reads. Nothing here trusts a process's name: it may hold
 * spaces, ')' and newlines.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/source/host.h"

typedef struct SfPidStat {
    char state; /* 'R', 'S', 'D', ... (proc(5)) */
    pid_t ppid;
    uint64_t num_threads;
    uint64_t start_ticks; /* field 22: clock ticks after boot, of the boot clock */
} SfPidStat;

/* Pure: /proc/PID/stat, fields counted from the last ')'. -EINVAL. */
int sf_pid_stat_parse(const char *text, size_t len, SfPidStat *ret_stat) SF_WARN_UNUSED;
/* -ESRCH when the process is gone. */
int sf_pid_stat_read(const SfHost *host, pid_t pid, SfPidStat *ret_stat) SF_WARN_UNUSED;

/* The CPU that a thread runs on, or ran on last. -ESRCH, -EINVAL. */
int sf_thread_cpu(const SfHost *host, pid_t tid, unsigned *ret_cpu) SF_WARN_UNUSED;
/* Where in its file a thread reads that waits in a read system call, any that takes an offset or
 * uses the file's own: 0 is the beginning. -ENODATA: it is in one that does not read (stat, open);
 * -EAGAIN: that cannot be seen; -EBUSY: not now, of a thread that is not about to wait within
 * 0.15 s, say. -ETIMEDOUT: somebody in its process keeps who looks waiting; each time costs a
 * process (read_apart.h). */
int sf_thread_read_offset(const SfHost *host, pid_t tid, uint64_t *ret_offset) SF_WARN_UNUSED;
/* Pure: /proc/PID/syscall. *ret_fd: -1 where the offset is an argument, else the file whose own
 * offset it is. Errors as above; -EBUSY: it does not wait. */
int sf_syscall_parse_read(const char *text, size_t len, int *ret_fd,
                          uint64_t *ret_offset) SF_WARN_UNUSED;

/* Pure: the last number of "NSpid:" in /proc/PID/status: the pid in its innermost namespace, and
 * how many levels there are. -ENODATA when the kernel prints none. */
int sf_pid_status_parse_nspid(const char *text, size_t len, pid_t *ret_inner_pid,
                              unsigned *ret_levels) SF_WARN_UNUSED;

/* Pure: a /proc/PID/uid_map or gid_map: the host ID of ID 0 inside. -ENODATA when 0 is not mapped,
 * -EINVAL. */
int sf_id_map_parse_root(const char *text, size_t len, uint32_t *ret_host_id) SF_WARN_UNUSED;
/* Reads both maps; a process without a user namespace of its own gives 0 and 0. */
int sf_process_root_ids(const SfHost *host, pid_t pid, uid_t *ret_uid,
                        gid_t *ret_gid) SF_WARN_UNUSED;

/* Inode numbers of /proc/PID/ns/...: two processes share a namespace when they are equal. 0: kernel
 * has no such kind. */
typedef struct SfNamespaces {
    uint64_t mnt, pid, user, time, cgroup, net, ipc, uts;
} SfNamespaces;
/* The first user namespace's on every kernel (PROC_USER_INIT_INO). */
#define SF_USER_NAMESPACE_INIT UINT64_C(0xEFFFFFFD)
/* pid 0 means the calling process. -ESRCH, -EACCES. */
int sf_process_namespaces(const SfHost *host, pid_t pid,
                          SfNamespaces *ret_namespaces) SF_WARN_UNUSED;
/* The calling process's namespace of one kind ("time"). -ENOENT: this kernel has no such kind. */
int sf_process_own_namespace(const SfHost *host, const char *kind,
                             uint64_t *ret_inode) SF_WARN_UNUSED;

/* A pidfd for pid, checked to be a thread group leader. -ESRCH, -EINVAL. The caller closes it. */
int sf_process_pidfd(pid_t pid, int *ret_pidfd) SF_WARN_UNUSED;
/* The pid a pidfd names in our pid namespace (/proc/self/fdinfo); -ESRCH when it has ended. */
int sf_pidfd_pid(int pidfd, pid_t *ret_pid) SF_WARN_UNUSED;
