/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Reading the files of a node: which name a file has in which version, and the fds that are kept
 * between reads. It gives text as the kernel printed it, complete or not at all.
 */

#include "daemon/source/cgroup_internal.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "lib/base/io.h"
#include "lib/base/text.h"

typedef struct FileName {
    const char *v1, *v2; /* NULL: this version has no such file */
    /*
     * Printed record by record, so that reading it takes several read(2). Such a file is opened for
     * each read: two readers of one open file would get pieces of each other's text (fs/seq_file.c
     * keeps the records in the open file). All other files are one record: one pread(2) at 0 gives
     * all of it, whoever else reads.
     */
    bool records;
    /*
     * Not to be read at the top of all cgroups: v2 has no such file there (CFTYPE_NOT_ON_ROOT), and
     * looking for it would cost as much as reading it; v1 has it, and lets nobody write it.
     */
    bool not_at_root;
} FileName;

static const FileName FILES[SF_CGROUP_FILE_COUNT] = {
    [SF_CGROUP_MEMORY_MAX] = {"memory.limit_in_bytes", "memory.max", false, true},
    [SF_CGROUP_MEMORY_HIGH] = {NULL, "memory.high", false, true},
    [SF_CGROUP_MEMORY_CURRENT] = {"memory.usage_in_bytes", "memory.current", false},
    [SF_CGROUP_MEMORY_STAT] = {"memory.stat", "memory.stat", false},
    [SF_CGROUP_MEMORY_NUMA_STAT] = {"memory.numa_stat", "memory.numa_stat", false},
    [SF_CGROUP_SWAP_MAX] = {"memory.memsw.limit_in_bytes", "memory.swap.max", false, true},
    [SF_CGROUP_SWAP_CURRENT] = {"memory.memsw.usage_in_bytes", "memory.swap.current", false},
    [SF_CGROUP_SWAPPINESS] = {"memory.swappiness", NULL, false},
    [SF_CGROUP_KMEM_CURRENT] = {"memory.kmem.usage_in_bytes", NULL, false},
    [SF_CGROUP_CPU_MAX] = {"cpu.cfs_quota_us", "cpu.max", false, true},
    [SF_CGROUP_CPU_PERIOD] = {"cpu.cfs_period_us", NULL, false, true},
    [SF_CGROUP_CPU_STAT] = {"cpu.stat", "cpu.stat", false},
    [SF_CGROUP_CPUACCT_ALL] = {"cpuacct.usage_all", NULL, false},
    [SF_CGROUP_CPUACCT_PERCPU] = {"cpuacct.usage_percpu", NULL, false},
    [SF_CGROUP_CPUACCT_STAT] = {"cpuacct.stat", NULL, false},
    [SF_CGROUP_CPUSET_CPUS] = {"cpuset.effective_cpus", "cpuset.cpus.effective", false},
    [SF_CGROUP_CPUSET_MEMS] = {"cpuset.effective_mems", "cpuset.mems.effective", false},
    [SF_CGROUP_PIDS_MAX] = {"pids.max", "pids.max", false, true},
    [SF_CGROUP_PIDS_CURRENT] = {"pids.current", "pids.current", false, true},
    [SF_CGROUP_IO_BYTES] = {"blkio.throttle.io_service_bytes_recursive", "io.stat", false},
    [SF_CGROUP_IO_COUNTS] = {"blkio.throttle.io_serviced_recursive", NULL, false},
    [SF_CGROUP_CPU_PRESSURE] = {NULL, "cpu.pressure", false},
    [SF_CGROUP_MEMORY_PRESSURE] = {NULL, "memory.pressure", false},
    [SF_CGROUP_IO_PRESSURE] = {NULL, "io.pressure", false},
    [SF_CGROUP_IRQ_PRESSURE] = {NULL, "irq.pressure", false},
    [SF_CGROUP_SLABINFO] = {"memory.kmem.slabinfo", "memory.slabinfo", true},
    [SF_CGROUP_THREADS] = {"tasks", "cgroup.threads", true},
};

int sf_cgroup_absent(const SfCgroup *cgroup)
{
    struct stat st;

    /* kernfs keeps the link count of a removed directory, but looks nothing up in it any more; each
     * living cgroup has cgroup.procs in both versions. A captured tree need not have it. */
    if (fstat(cgroup->dir_fd, &st) < 0 || st.st_nlink == 0)
        return -ENODEV;
    if (cgroup->hierarchy->genuine && faccessat(cgroup->dir_fd, "cgroup.procs", F_OK, 0) < 0 &&
        errno == ENOENT)
        return -ENODEV;
    return -ENODATA;
}

static int map_error(const SfCgroup *cgroup, int error)
{
    switch (error) {
    case -ENOENT:
    case -ENODEV: /* kernfs: the file was removed, with its cgroup or with its controller alone */
        return sf_cgroup_absent(cgroup);
    case -EOPNOTSUPP:
        return -ENODATA;
    default:
        return error;
    }
}

static int open_name(const SfCgroup *cgroup, const char *name)
{
    int fd = openat(cgroup->dir_fd, name, O_RDONLY | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

/* Counts one fd more as kept, if it may be. */
static bool reserve_kept(SfCgroups *cgroups)
{
    if (atomic_fetch_add(&cgroups->kept_fds, 1) < cgroups->kept_fds_max)
        return true;
    atomic_fetch_sub(&cgroups->kept_fds, 1);
    return false;
}

/* An fd to read from. *ret_own is -1 when it is the node's, else the same fd, which the caller
 * closes. */
static int borrow_fd(SfCgroup *cgroup, SfCgroupFile file, const char *name, int *ret_own)
{
    int kept = atomic_load(&cgroup->fds[file]);
    if (kept >= 0) {
        *ret_own = -1;
        return kept;
    }

    int fd = open_name(cgroup, name);
    if (fd < 0)
        return fd;
    *ret_own = fd;
    if (!reserve_kept(cgroup->cgroups))
        return fd;
    int expected = -1;
    if (atomic_compare_exchange_strong(&cgroup->fds[file], &expected, fd))
        *ret_own = -1;
    else /* another thread was first; this read still uses its own */
        atomic_fetch_sub(&cgroup->cgroups->kept_fds, 1);
    return fd;
}

/*
 * A kept fd that says ENODEV: the controller was taken away from the cgroup, and perhaps given back
 * (v2 cgroup.subtree_control), which makes new files. The new one is put under the old number by
 * dup3(2), atomically for those who read from it just now; closing it would let the number become
 * something else under them.
 */
static int renew_fd(SfCgroup *cgroup, const char *name, int kept)
{
    SF_CLEANUP_FD int fd = open_name(cgroup, name);

    if (fd < 0)
        return fd;
    return dup3(fd, kept, O_CLOEXEC) < 0 ? -errno : 0;
}

/* Where a file's text goes: a buffer of the caller's, or a text that grows. */
typedef struct Target {
    char *buffer;
    size_t size;
    size_t *ret_len;
    SfText *text; /* NULL: the buffer */
} Target;

static int read_into(int fd, const Target *target)
{
    return target->text ? sf_read_text_fd(fd, true, target->text)
                        : sf_read_record_fd(fd, target->buffer, target->size, target->ret_len);
}

static int read_kept(SfCgroup *cgroup, SfCgroupFile file, const char *name, const Target *target)
{
    SF_CLEANUP_FD int own = -1;
    int fd = borrow_fd(cgroup, file, name, &own);
    if (fd < 0)
        return fd;

    int r = read_into(fd, target);
    if (r != -ENODEV || own >= 0)
        return r;
    r = renew_fd(cgroup, name, fd);
    return r < 0 ? r : read_into(fd, target);
}

/* NULL when there is no such file in this version, or at the top of all cgroups. */
static const char *file_name(const SfCgroup *cgroup, SfCgroupFile file)
{
    if (FILES[file].not_at_root && cgroup->is_root)
        return NULL;
    return cgroup->hierarchy->version == 2 ? FILES[file].v2 : FILES[file].v1;
}

int sf_cgroup_read_name(SfCgroup *cgroup, const char *name, char *buffer, size_t size,
                        size_t *ret_len)
{
    int r = sf_read_at(cgroup->dir_fd, name, buffer, size, ret_len);

    return r < 0 ? map_error(cgroup, r) : 0;
}

int sf_cgroup_read_huge(SfCgroup *cgroup, SfCgroupFile file, uint64_t page_kb, const char *name,
                        char *buffer, size_t size, size_t *ret_len)
{
    Target target = {.buffer = buffer, .size = size, .ret_len = ret_len};
    uint64_t kept_kb = 0;

    if (cgroup->is_root)
        return -ENODATA; /* not there: CFTYPE_NOT_ON_ROOT, in both versions */
    if (!atomic_compare_exchange_strong(&cgroup->cgroups->kept_page_kb, &kept_kb, page_kb) &&
        kept_kb != page_kb)
        return sf_cgroup_read_name(cgroup, name, buffer, size, ret_len);
    int r = read_kept(cgroup, file, name, &target);
    return r < 0 ? map_error(cgroup, r) : 0;
}

int sf_cgroup_read(SfCgroup *cgroup, SfCgroupFile file, char *buffer, size_t size, size_t *ret_len)
{
    const char *name = file_name(cgroup, file);

    if (!name)
        return -ENODATA;
    if (FILES[file].records)
        return sf_cgroup_read_name(cgroup, name, buffer, size, ret_len);
    Target target = {.buffer = buffer, .size = size, .ret_len = ret_len};
    int r = read_kept(cgroup, file, name, &target);
    return r < 0 ? map_error(cgroup, r) : 0;
}

int sf_cgroup_read_text(SfCgroup *cgroup, SfCgroupFile file, SfText *text)
{
    const char *name = file_name(cgroup, file);
    Target target = {.text = text};

    sf_text_reset(text);
    if (!name)
        return -ENODATA;
    int r = FILES[file].records ? sf_read_text_at(cgroup->dir_fd, name, false, text)
                                : read_kept(cgroup, file, name, &target);
    return r < 0 ? map_error(cgroup, r) : 0;
}

int sf_cgroup_read_alloc(SfCgroup *cgroup, SfCgroupFile file, char **ret_text, size_t *ret_len)
{
    SF_CLEANUP_TEXT SfText text = SF_TEXT_INIT;

    int r = sf_cgroup_read_text(cgroup, file, &text);
    if (r < 0)
        return r;
    *ret_len = text.len;
    *ret_text = sf_steal_ptr(&text.data); /* there also when it is empty */
    return 0;
}

/* A number of 20 digits or "max", and a newline. */
#define LIMIT_SIZE 32

int sf_cgroup_read_limit(SfCgroup *cgroup, SfCgroupFile file, uint64_t *ret_value)
{
    char text[LIMIT_SIZE];
    uint64_t value;
    size_t len;

    int r = sf_cgroup_read(cgroup, file, text, sizeof(text), &len);
    if (r == 0)
        r = sf_slice_limit(sf_slice(text, len), &value);
    if (r < 0)
        return r;
    if (cgroup->hierarchy->version == 1 && value >= SF_CGROUP_V1_UNLIMITED)
        value = SF_UNLIMITED;
    *ret_value = value;
    return 0;
}

int sf_cgroup_open(SfCgroup *cgroup, SfCgroupFile file)
{
    const char *name = file_name(cgroup, file);

    if (!name)
        return -ENODATA;
    int fd = openat(cgroup->dir_fd, name, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    return fd < 0 ? map_error(cgroup, -errno) : fd;
}

void sf_cgroup_close_files(SfCgroup *cgroup)
{
    for (unsigned i = 0; i < SF_CGROUP_FILE_COUNT; i++) {
        int fd = atomic_exchange(&cgroup->fds[i], -1);
        if (fd < 0)
            continue;
        (void)sf_close(fd);
        atomic_fetch_sub(&cgroup->cgroups->kept_fds, 1);
    }
}
