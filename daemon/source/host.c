/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The host's own /proc and /sys and what is read from them for all containers together. It hands
 * out text as the kernel printed it; making sense of it is the parsers' work. It never mounts
 * anything where others could see it and writes nothing.
 */

#include "daemon/source/host.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "daemon/source/host_cache.h"
#include "daemon/source/host_tree.h"
#include "lib/base/io.h"
#include "lib/base/text.h"

#define NSEC_PER_SEC UINT64_C(1000000000)

struct SfHost {
    char *root_path;
    int root_fd, proc_fd, sys_fd;
    uint64_t page_bytes, ticks_per_sec;
    uint64_t (*boottime_nsec)(void *data);
    void *clock_data;

    SfHostTextCache texts[SF_HOST_TEXT_COUNT];
};

static uint64_t clock_boottime(void *data)
{
    struct timespec now = {0};

    (void)data;
    (void)clock_gettime(
        CLOCK_BOOTTIME,
        &now); /* fails only for an unknown clock: this one is older than cgroup v2 */
    return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

/*
 * A directory of the tree, on the real root as a copy of its mount alone:
 * open_tree(OPEN_TREE_CLONE) without AT_RECURSIVE leaves out what is, or will be, mounted below.
 * Any failure of it (EPERM without CAP_SYS_ADMIN, EINVAL with mounts locked by a user namespace,
 * ENOSYS before 5.2) only costs that protection.
 */
static int open_top(int root_fd, const char *name, bool clone)
{
    if (clone) {
        int fd = open_tree(root_fd, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (fd >= 0)
            return fd;
    }
    int fd = openat(root_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static bool is_procfs(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

static uint64_t sysconf_or(int name, uint64_t fallback)
{
    long value = sysconf(name);

    return value > 0 ? (uint64_t)value : fallback;
}

static SfHost *host_new(const SfHostOptions *options)
{
    SfHost *host = calloc(1, sizeof(*host));

    if (!host)
        return NULL;
    host->root_fd = host->proc_fd = host->sys_fd = -1;
    host->page_bytes = options->page_bytes ? options->page_bytes : sysconf_or(_SC_PAGESIZE, 4096);
    host->ticks_per_sec =
        options->ticks_per_sec ? options->ticks_per_sec : sysconf_or(_SC_CLK_TCK, 100);
    host->boottime_nsec = options->boottime_nsec ? options->boottime_nsec : clock_boottime;
    host->clock_data = options->clock_data;
    for (unsigned i = 0; i < SF_HOST_TEXT_COUNT; i++)
        sf_host_cache_init(&host->texts[i]);
    return host;
}

static int host_open_tree(SfHost *host, const char *root)
{
    size_t len = strlen(root);

    while (len > 0 && root[len - 1] == '/')
        len--;
    host->root_path = strndup(root, len);
    if (!host->root_path)
        return -ENOMEM;

    host->root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (host->root_fd < 0)
        return -errno;

    bool real = len == 0;
    host->proc_fd = open_top(host->root_fd, "proc", real);
    if (host->proc_fd < 0)
        return host->proc_fd;
    if (real && !is_procfs(host->proc_fd))
        return -EMEDIUMTYPE;
    host->sys_fd = open_top(host->root_fd, "sys", real);
    if (host->sys_fd < 0 && host->sys_fd != -ENOENT)
        return host->sys_fd;
    if (host->sys_fd < 0)
        host->sys_fd = -1;
    return 0;
}

int sf_host_open(const SfHostOptions *options, SfHost **ret_host)
{
    static const SfHostOptions DEFAULTS = {0};

    if (!options)
        options = &DEFAULTS;
    SfHost *host = host_new(options);
    if (!host)
        return -ENOMEM;

    int r = host_open_tree(host, options->root ? options->root : "/");
    if (r < 0) {
        sf_host_free(host);
        return r;
    }
    *ret_host = host;
    return 0;
}

void sf_host_free(SfHost *host)
{
    if (!host)
        return;
    for (unsigned i = 0; i < SF_HOST_TEXT_COUNT; i++)
        sf_host_cache_clear(&host->texts[i]);
    (void)sf_close(host->sys_fd);
    (void)sf_close(host->proc_fd);
    (void)sf_close(host->root_fd);
    free(host->root_path);
    free(host);
}

int sf_host_proc_fd(const SfHost *host)
{
    return host->proc_fd;
}

int sf_host_sys_fd(const SfHost *host)
{
    return host->sys_fd;
}

int sf_host_root_fd(const SfHost *host)
{
    return host->root_fd;
}

const char *sf_host_root_path(const SfHost *host)
{
    return host->root_path;
}

uint64_t sf_host_page_bytes(const SfHost *host)
{
    return host->page_bytes;
}

uint64_t sf_host_ticks_per_sec(const SfHost *host)
{
    return host->ticks_per_sec;
}

uint64_t sf_host_boottime_nsec(const SfHost *host)
{
    return host->boottime_nsec(host->clock_data);
}

SfHostTextCache *sf_host_cache(SfHost *host, SfHostText which)
{
    return &host->texts[which];
}

static int make_cpus(const char *text, size_t len, void *made)
{
    return sf_cpuset_parse_list(text, len, made);
}

static int host_cpus(SfHost *host, SfHostText which, SfCpuSet *ret_set)
{
    static const SfDerivation CPUS = {.size = sizeof(SfCpuSet), .make = make_cpus};
    SfSharedText *text = NULL;

    int r = sf_host_derived(host, which, &CPUS, &text);
    if (r == -ENOENT) {
        /* No sysfs, or a kernel without SMP: there is one CPU and its number is 0. */
        sf_cpuset_clear(ret_set);
        sf_cpuset_add(ret_set, 0);
        return 0;
    }
    if (r < 0)
        return r;
    *ret_set = *(const SfCpuSet *)text->derived;
    sf_shared_text_unref(text);
    return 0;
}

int sf_host_online_cpus(SfHost *host, SfCpuSet *ret_set)
{
    return host_cpus(host, SF_HOST_CPU_ONLINE, ret_set);
}

int sf_host_possible_cpus(SfHost *host, SfCpuSet *ret_set)
{
    return host_cpus(host, SF_HOST_CPU_POSSIBLE, ret_set);
}

int sf_host_file_mode(const SfHost *host, const char *path, unsigned *ret_mode)
{
    int dir_fd;
    const char *rest;
    struct stat st;

    int r = sf_host_resolve(host, path, &dir_fd, &rest);
    if (r < 0)
        return r;
    if (fstatat(dir_fd, rest, &st, 0) < 0)
        return -errno;
    *ret_mode = st.st_mode & 07777;
    return 0;
}

int sf_host_file_text(const SfHost *host, const char *path, SfText *text)
{
    int dir_fd;
    const char *rest;

    int r = sf_host_resolve(host, path, &dir_fd, &rest);
    return r < 0 ? r : sf_read_text_at(dir_fd, rest, false, text);
}

int sf_host_file_read(const SfHost *host, const char *path, char **ret_text, size_t *ret_len)
{
    int dir_fd;
    const char *rest;

    int r = sf_host_resolve(host, path, &dir_fd, &rest);
    if (r < 0)
        return r;
    return sf_read_alloc_at(dir_fd, rest, SF_TEXT_MAX, ret_text, ret_len);
}
