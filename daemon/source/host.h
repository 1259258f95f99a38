/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The host as data: its own /proc and /sys, opened before anything is mounted over them, its clocks
 * and constants, and the host-wide texts shared by all containers for a moment. A test makes one
 * over a captured directory tree with a clock that stands still. Thread-safe; no lock is held over
 * a read.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "lib/base/cpuset.h"
#include "lib/base/number.h"
#include "lib/base/text.h"

typedef struct SfHost SfHost;

/* A host-wide text is at most this old when a container is answered from it; */
#define SF_HOST_TEXT_MAX_AGE_NSEC (10u * 1000 * 1000)
/* this where only what hardly ever changes is taken from it: which lines and columns there are,
 * when the host booted. Who reads once a second then hardly ever pays for the host's whole text. */
#define SF_HOST_SHAPE_MAX_AGE_NSEC (UINT64_C(5) * 1000 * 1000 * 1000)

/* The texts that are read once for all containers. */
typedef enum SfHostText {
    SF_HOST_MEMINFO,
    SF_HOST_STAT,
    SF_HOST_CPUINFO,
    SF_HOST_LOADAVG,
    SF_HOST_SWAPS,
    SF_HOST_VMSTAT,
    SF_HOST_DISKSTATS,
    SF_HOST_PARTITIONS,
    SF_HOST_INTERRUPTS,
    SF_HOST_SOFTIRQS,
    SF_HOST_SCHEDSTAT,
    SF_HOST_PAGETYPEINFO,
    SF_HOST_SLABINFO,
    SF_HOST_CPU_ONLINE,      /* sys/devices/system/cpu/online */
    SF_HOST_CPU_POSSIBLE,    /* sys/devices/system/cpu/possible */
    SF_HOST_HUGE_PAGE_BYTES, /* sys/kernel/mm/transparent_hugepage/hpage_pmd_size */
    SF_HOST_TEXT_COUNT
} SfHostText;

typedef struct SfHostOptions {
    const char *root;       /* NULL: "/"; proc, sys and sys/fs/cgroup are found below it */
    uint64_t page_bytes;    /* 0: sysconf(_SC_PAGESIZE) */
    uint64_t ticks_per_sec; /* 0: sysconf(_SC_CLK_TCK) */
    uint64_t (*boottime_nsec)(void *data); /* NULL: CLOCK_BOOTTIME */
    void *clock_data;
} SfHostOptions;

/* Opens the host. On the real root ("/") /proc and /sys are taken as open_tree(OPEN_TREE_CLONE)
 * copies without what is mounted below them, so that a later mount over one of their files is never
 * seen; where that is not permitted (no CAP_SYS_ADMIN) plain directory fds serve. Negative errno;
 * -ENOENT when there is no proc, -EMEDIUMTYPE when the real root's is no procfs. *ret_host is owned
 * by the caller. */
int sf_host_open(const SfHostOptions *options, SfHost **ret_host) SF_WARN_UNUSED;
void sf_host_free(SfHost *host);

/* Borrowed directory fds, valid as long as the host. sys is -1 when the tree has none; root is "/"
 * or the test's tree. */
int sf_host_proc_fd(const SfHost *host);
int sf_host_sys_fd(const SfHost *host);
int sf_host_root_fd(const SfHost *host);
/* The tree's path without a trailing '/': "" for the real root. To build paths that the host can
 * use. */
const char *sf_host_root_path(const SfHost *host);
uint64_t sf_host_page_bytes(const SfHost *host);
uint64_t sf_host_ticks_per_sec(const SfHost *host);
/* Nanoseconds since the host booted (CLOCK_BOOTTIME), or the test's clock. */
uint64_t sf_host_boottime_nsec(const SfHost *host);

/* What is made of a text once for all containers: at each reading of it, into memory that is used
 * again. Must be constant, and the same for all who ask for one text. */
typedef struct SfDerivation {
    size_t size; /* of what is made; all zero at first */
    /* *made is what an earlier text left there. What it then holds may borrow from the text. 0, or
     * negative errno, which all who ask for it get. */
    int (*make)(const char *text, size_t len, void *made);
    void (*clear)(void *made); /* frees what it holds; NULL: nothing */
} SfDerivation;

/* A refcounted text that is not older than its kind may be (SF_HOST_TEXT_MAX_AGE_NSEC, or for
 * SF_HOST_STAT, _VMSTAT, _SWAPS and _HUGE_PAGE_BYTES SF_HOST_SHAPE_MAX_AGE_NSEC). It never changes
 * while somebody holds it. Release with sf_shared_text_unref(). */
typedef struct SfSharedText {
    const char *data; /* NUL-terminated */
    size_t len;
    uint64_t read_at_nsec; /* boot time of the read */
    const void *derived;   /* by sf_host_derived(); else NULL */
} SfSharedText;

/* Taken without a lock while it is fresh. Who finds it too old reads it anew, one at a time for
 * each text: the others wait for that one read. */
int sf_host_text(SfHost *host, SfHostText which, SfSharedText **ret_text) SF_WARN_UNUSED;
/* The same with what the derivation made of it. */
int sf_host_derived(SfHost *host, SfHostText which, const SfDerivation *derivation,
                    SfSharedText **ret_text) SF_WARN_UNUSED;
SfSharedText *sf_shared_text_unref(SfSharedText *text);

/* sys/devices/system/cpu/online; where sysfs has none, CPU 0. -errno. */
int sf_host_online_cpus(SfHost *host, SfCpuSet *ret_set) SF_WARN_UNUSED;
int sf_host_possible_cpus(SfHost *host, SfCpuSet *ret_set) SF_WARN_UNUSED;

/* Mode bits and existence of the host's own file behind a view's path ("/proc/meminfo",
 * "/sys/..."): -ENOENT where this kernel has none. */
int sf_host_file_mode(const SfHost *host, const char *path, unsigned *ret_mode) SF_WARN_UNUSED;
/* The host's own text of such a file, at most SF_TEXT_MAX, in a text's memory. */
int sf_host_file_text(const SfHost *host, const char *path, SfText *text) SF_WARN_UNUSED;
/* The same in memory that the caller frees. For diff and tests, not for the read path. */
int sf_host_file_read(const SfHost *host, const char *path, char **ret_text,
                      size_t *ret_len) SF_WARN_UNUSED;

/* The host's trees behind a view's path (host_tree.c). Links are told, never followed at the
 * path's end; nothing that is mounted below is seen. */

/* lstat(2) of a view's path. -ENOENT, or negative errno. */
int sf_host_stat(const SfHost *host, const char *path, struct stat *ret_stat) SF_WARN_UNUSED;

/* Calls each(name, data) for every entry of a directory but "." and "..", in the file system's
 * order; name is borrowed for the call. -ENOTDIR, -ENOENT, or negative errno. */
int sf_host_list(const SfHost *host, const char *path, void (*each)(const char *name, void *data),
                 void *data) SF_WARN_UNUSED;

/* The text of a symbolic link, NUL-terminated. -EINVAL where there is none, -ENAMETOOLONG. */
int sf_host_read_link(const SfHost *host, const char *path, char *buffer,
                      size_t size) SF_WARN_UNUSED;
