/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The host's own /proc and /sys and what is read from them for all containers together. It hands
 * out text as the kernel printed it; making sense of it is the parsers' work. It never mounts
 * anything where others could see it and writes nothing.
 */

#include "daemon/source/host.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

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

    /* The fd of each text between two reads; -1 while one is using it. A reader owns what it
     * exchanged out. */
    atomic_int text_fds[SF_HOST_TEXT_COUNT];

    pthread_mutex_t lock;
    SfSharedText *texts[SF_HOST_TEXT_COUNT]; /* protected by lock */
};

static const struct {
    bool in_sys;
    const char *path;
} HOST_TEXTS[SF_HOST_TEXT_COUNT] = {
    [SF_HOST_MEMINFO] = {false, "meminfo"},
    [SF_HOST_STAT] = {false, "stat"},
    [SF_HOST_CPUINFO] = {false, "cpuinfo"},
    [SF_HOST_LOADAVG] = {false, "loadavg"},
    [SF_HOST_SWAPS] = {false, "swaps"},
    [SF_HOST_VMSTAT] = {false, "vmstat"},
    [SF_HOST_DISKSTATS] = {false, "diskstats"},
    [SF_HOST_PARTITIONS] = {false, "partitions"},
    [SF_HOST_INTERRUPTS] = {false, "interrupts"},
    [SF_HOST_SOFTIRQS] = {false, "softirqs"},
    [SF_HOST_SCHEDSTAT] = {false, "schedstat"},
    [SF_HOST_PAGETYPEINFO] = {false, "pagetypeinfo"},
    [SF_HOST_SLABINFO] = {false, "slabinfo"},
    [SF_HOST_CPU_ONLINE] = {true, "devices/system/cpu/online"},
    [SF_HOST_CPU_POSSIBLE] = {true, "devices/system/cpu/possible"},
    [SF_HOST_HUGE_PAGE_BYTES] = {true, "kernel/mm/transparent_hugepage/hpage_pmd_size"},
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
        atomic_init(&host->text_fds[i], -1);
    (void)pthread_mutex_init(&host->lock,
                             NULL); /* cannot fail without attributes (pthread_mutex_init(3)) */
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
    for (unsigned i = 0; i < SF_HOST_TEXT_COUNT; i++) {
        (void)sf_close(atomic_load(&host->text_fds[i]));
        sf_shared_text_unref(host->texts[i]);
    }
    (void)sf_close(host->sys_fd);
    (void)sf_close(host->proc_fd);
    (void)sf_close(host->root_fd);
    (void)pthread_mutex_destroy(&host->lock); /* nobody can hold it: the host is being freed */
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

static SfSharedText *text_ref(SfSharedText *text)
{
    __atomic_add_fetch(&text->refs, 1, __ATOMIC_RELAXED);
    return text;
}

SfSharedText *sf_shared_text_unref(SfSharedText *text)
{
    if (text && __atomic_sub_fetch(&text->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        free(text->data);
        free(text);
    }
    return NULL;
}

/*
 * Takes the kept fd of a text out of its slot, or opens one. Kept because /proc/stat allocates its
 * whole buffer at open (fs/proc/stat.c stat_open); taken out because two readers of one seq_file of
 * several records would tear each other's text (fs/seq_file.c starts anew at offset 0).
 */
static int text_fd_take(SfHost *host, SfHostText which)
{
    int fd = atomic_exchange(&host->text_fds[which], -1);
    if (fd >= 0)
        return fd;

    int dir_fd = HOST_TEXTS[which].in_sys ? host->sys_fd : host->proc_fd;
    if (dir_fd < 0)
        return -ENOENT;
    fd = openat(dir_fd, HOST_TEXTS[which].path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static void text_fd_give_back(SfHost *host, SfHostText which, int fd)
{
    int expected = -1;

    if (!atomic_compare_exchange_strong(&host->text_fds[which], &expected, fd))
        (void)sf_close(fd);
}

static int text_read(SfHost *host, SfHostText which, SfSharedText **ret_text)
{
    /* Before the read: the text is at least as new as its stamp says. */
    uint64_t now = sf_host_boottime_nsec(host);
    SF_CLEANUP_FD int fd = text_fd_take(host, which);
    if (fd < 0)
        return fd;

    SF_CLEANUP_FREE char *data = NULL;
    size_t len;
    int r = sf_read_alloc_fd(fd, SF_TEXT_MAX, &data, &len);
    if (r < 0)
        return r;
    text_fd_give_back(host, which, sf_steal_fd(&fd));

    SfSharedText *text = malloc(sizeof(*text));
    if (!text)
        return -ENOMEM;
    *text = (SfSharedText){sf_steal_ptr(&data), len, now, 1};
    *ret_text = text;
    return 0;
}

static bool text_fresh(const SfSharedText *text, uint64_t now)
{
    /* A test's clock may go back; such a text is not trusted. */
    return text && now >= text->read_at_nsec &&
           now - text->read_at_nsec <= SF_HOST_TEXT_MAX_AGE_NSEC;
}

int sf_host_text(SfHost *host, SfHostText which, SfSharedText **ret_text)
{
    uint64_t now = sf_host_boottime_nsec(host);

    pthread_mutex_lock(&host->lock);
    if (text_fresh(host->texts[which], now)) {
        *ret_text = text_ref(host->texts[which]);
        pthread_mutex_unlock(&host->lock);
        return 0;
    }
    pthread_mutex_unlock(&host->lock);

    /* Several workers may come here at once; each reads for itself, which no more than the worker
     * pool can. */
    SfSharedText *text = NULL;
    int r = text_read(host, which, &text);
    if (r < 0)
        return r;

    SfSharedText *replaced = text_ref(text);
    pthread_mutex_lock(&host->lock);
    if (!host->texts[which] || host->texts[which]->read_at_nsec <= text->read_at_nsec ||
        host->texts[which]->read_at_nsec > now + SF_HOST_TEXT_MAX_AGE_NSEC) {
        SfSharedText *old = host->texts[which];
        host->texts[which] = replaced;
        replaced = old;
    }
    pthread_mutex_unlock(&host->lock);

    sf_shared_text_unref(replaced);
    *ret_text = text;
    return 0;
}

static int host_cpus(SfHost *host, SfHostText which, SfCpuSet *ret_set)
{
    SfSharedText *text = NULL;
    int r = sf_host_text(host, which, &text);
    if (r == -ENOENT) {
        /* No sysfs, or a kernel without SMP: there is one CPU and its number is 0. */
        sf_cpuset_clear(ret_set);
        sf_cpuset_add(ret_set, 0);
        return 0;
    }
    if (r < 0)
        return r;
    r = sf_cpuset_parse_list(text->data, text->len, ret_set);
    sf_shared_text_unref(text);
    return r;
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

int sf_host_file_read(const SfHost *host, const char *path, char **ret_text, size_t *ret_len)
{
    int dir_fd;
    const char *rest;

    int r = sf_host_resolve(host, path, &dir_fd, &rest);
    if (r < 0)
        return r;
    return sf_read_alloc_at(dir_fd, rest, SF_TEXT_MAX, ret_text, ret_len);
}
