/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What is asked of one process of the host. Every read is relative to the host's own proc; no
 * namespace is entered and nothing is signalled. A pid may be another process's a moment later: who
 * needs certainty holds a pidfd, or compares start times.
 */

#include "daemon/source/process.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "daemon/source/read_apart.h"
#include "lib/base/io.h"

/* 52 numbers of at most 20 digits and a name of at most 64 bytes (fs/proc/array.c do_task_stat). */
#define PID_STAT_SIZE 2048
/* The kernel takes at most 340 extents of 3 numbers (UID_GID_MAP_MAX_EXTENTS). */
#define ID_MAP_SIZE 16384
/* How long a thread may take to come to wait: a cgroup that has used up its quota stands still for
 * a period, which is 100 ms most often. */
#define RUNNING_NSEC 150000000L
#define PAUSE_LEAST_NSEC 50000L
#define PAUSE_MOST_NSEC 5000000L

static int path_of(pid_t pid, const char *file, char *buffer, size_t size)
{
    int n = pid == 0 ? snprintf(buffer, size, "self/%s", file)
                     : snprintf(buffer, size, "%d/%s", pid, file);

    return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* A process that ends between open and read gives ESRCH, one that ended before it ENOENT. */
static int gone(int error)
{
    return error == -ENOENT ? -ESRCH : error;
}

static int read_file(const SfHost *host, pid_t pid, const char *file, char *buffer, size_t size,
                     size_t *ret_len)
{
    char path[64];
    int r = path_of(pid, file, path, sizeof(path));

    return r < 0 ? r : sf_read_at(sf_host_proc_fd(host), path, buffer, size, ret_len);
}

/* The same of a file that the kernel prints as one piece: stat, syscall, fdinfo. */
static int read_record(const SfHost *host, pid_t pid, const char *file, char *buffer, size_t size,
                       size_t *ret_len)
{
    char path[64];
    int r = path_of(pid, file, path, sizeof(path));

    return r < 0 ? r : sf_read_record_at(sf_host_proc_fd(host), path, buffer, size, ret_len);
}

static bool process_exists(const SfHost *host, pid_t pid)
{
    char path[64];

    return path_of(pid, ".", path, sizeof(path)) == 0 &&
           faccessat(sf_host_proc_fd(host), path, F_OK, 0) == 0;
}

static int parse_pid(SfSlice word, pid_t *ret_pid)
{
    uint64_t value;

    if (sf_slice_u64(word, &value) < 0 || value > INT_MAX)
        return -EINVAL;
    *ret_pid = (pid_t)value;
    return 0;
}

int sf_pid_stat_parse(const char *text, size_t len, SfPidStat *ret_stat)
{
    static const unsigned numbers[] = {3, 4, 20, 22}; /* state, parent, threads, start */
    SfSlice words[sizeof(numbers) / sizeof(numbers[0])];
    SfPidStat stat = {0};

    if (sf_slice_stat_fields(sf_slice(text, len), numbers, sizeof(numbers) / sizeof(numbers[0]),
                             words) < 0 ||
        words[0].len != 1 || parse_pid(words[1], &stat.ppid) < 0 ||
        sf_slice_u64(words[2], &stat.num_threads) < 0 ||
        sf_slice_u64(words[3], &stat.start_ticks) < 0)
        return -EINVAL;
    stat.state = words[0].data[0];
    *ret_stat = stat;
    return 0;
}

int sf_pid_stat_read(const SfHost *host, pid_t pid, SfPidStat *ret_stat)
{
    char text[PID_STAT_SIZE];
    size_t len;

    int r = read_record(host, pid, "stat", text, sizeof(text), &len);
    if (r < 0)
        return gone(r);
    return sf_pid_stat_parse(text, len, ret_stat);
}

int sf_thread_cpu(const SfHost *host, pid_t tid, unsigned *ret_cpu)
{
    char text[PID_STAT_SIZE], file[32];
    size_t len;
    SfSlice word = sf_slice("", 0);
    uint64_t value;

    /* /proc/TID/stat sums up all threads of the process, of which there may be thousands. */
    int n = snprintf(file, sizeof(file), "task/%d/stat", (int)tid);
    if (n < 0 || (size_t)n >= sizeof(file))
        return -EINVAL;
    int r = read_record(host, tid, file, text, sizeof(text), &len);
    if (r < 0)
        return gone(r);
    if (sf_slice_stat_field(sf_slice(text, len), 39, &word) < 0) /* the CPU it ran on last */
        return -EINVAL;
    if (sf_slice_u64(word, &value) < 0 || value > INT_MAX)
        return -EINVAL;
    *ret_cpu = (unsigned)value;
    return 0;
}

/* A word of /proc/PID/syscall: "0x" and hexadecimal digits (fs/proc/base.c, proc_pid_syscall). */
static bool parse_argument(SfSlice word, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (word.len < 3 || word.len > 18 || word.data[0] != '0' || word.data[1] != 'x')
        return false;
    for (size_t i = 2; i < word.len; i++) {
        char c = word.data[i];
        if (c >= '0' && c <= '9')
            value = value << 4 | (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (unsigned)(c - 'a' + 10);
        else
            return false;
    }
    *ret_value = value;
    return true;
}

/* Those that ask for a file's attributes and do not read. */
static bool only_looks(uint64_t number)
{
    switch (number) {
#ifdef SYS_stat
    case SYS_stat:
    case SYS_lstat:
    case SYS_access:
    case SYS_open:
#endif
#ifdef SYS_newfstatat
    case SYS_newfstatat:
#endif
    case SYS_fstat:
    case SYS_statx:
    case SYS_faccessat:
    case SYS_faccessat2:
    case SYS_openat:
    case SYS_openat2:
    case SYS_lseek:
        return true;
    default:
        return false;
    }
}

/* System calls by our own numbers: what a program of another ABI (32 bits) does is not seen. */
int sf_syscall_parse_read(const char *text, size_t len, int *ret_fd, uint64_t *ret_offset)
{
    SfSlice rest = sf_slice_trim(sf_slice(text, len)), word;
    uint64_t number, arguments[6];

    if (!sf_slice_next_word(&rest, &word) || sf_slice_u64(word, &number) < 0)
        return sf_slice_eq(sf_slice_trim(sf_slice(text, len)), "running")
                   ? -EBUSY
                   : -EAGAIN; /* "-1" and no arguments */
    for (unsigned i = 0; i < 6; i++) {
        if (!sf_slice_next_word(&rest, &word) || !parse_argument(word, &arguments[i]))
            return -EAGAIN;
    }
    switch (number) {
    case SYS_pread64:
    case SYS_preadv:
        *ret_fd = -1;
        *ret_offset = arguments[3];
        return 0;
    case SYS_read:
    case SYS_readv:
        *ret_fd = (int)arguments[0];
        return 0;
    case SYS_preadv2: /* -1: the file's own */
        *ret_fd = arguments[3] == UINT64_MAX ? (int)arguments[0] : -1;
        *ret_offset = arguments[3];
        return 0;
    default:
        return only_looks(number) ? -ENODATA : -EAGAIN;
    }
}

/* The offset of one of the thread's files. Another thread may have put another file in its place
 * meanwhile, an epoll set, say: the kernel prints those under the lock with which it is held while
 * one asks its files for events (fs/eventpoll.c, ep_show_fdinfo), which can be files of ours. */
static int file_offset(const SfHost *host, pid_t tid, int fd, uint64_t *ret_offset)
{
    char file[32], path[64], text[SF_READ_APART_MAX];
    size_t len;
    SfSlice rest, line;

    (void)snprintf(file, sizeof(file), "fdinfo/%d", fd); /* always fits */
    int r = path_of(tid, file, path, sizeof(path));
    if (r < 0)
        return -EAGAIN;
    SF_CLEANUP_FD int info_fd =
        openat(sf_host_proc_fd(host), path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (info_fd < 0) /* ENOENT: another thread has closed it */
        return errno == EACCES || errno == EPERM ? -EAGAIN : -EBUSY;
    r = sf_read_apart(host, info_fd, text, &len);
    if (r < 0)
        return r == -ETIMEDOUT || r == -EAGAIN ? r : -EBUSY;
    rest = sf_slice(text, len);
    while (sf_slice_next_line(&rest, &line)) {
        if (sf_slice_starts(line, "pos:") &&
            sf_slice_u64(sf_slice_trim(sf_slice(line.data + 4, line.len - 4)), ret_offset) == 0)
            return 0;
    }
    return -EAGAIN;
}

/* The system call of a thread that waits. One that has just asked us may not have come to wait yet:
 * it runs on another CPU, or others have taken its own. */
static int waiting_read(const SfHost *host, pid_t tid, int *ret_fd, uint64_t *ret_offset)
{
    struct timespec pause = {.tv_nsec = PAUSE_LEAST_NSEC};
    char text[512];
    size_t len;

    for (long waited = 0;; waited += pause.tv_nsec) {
        if (read_record(host, tid, "syscall", text, sizeof(text), &len) < 0)
            return -EAGAIN; /* not in our pid namespace, or a kernel without the file */
        int r = sf_syscall_parse_read(text, len, ret_fd, ret_offset);
        if (r != -EBUSY)
            return r;
        if (waited >= RUNNING_NSEC)
            return -EBUSY;
        if (waited >= 2 * pause.tv_nsec && pause.tv_nsec < PAUSE_MOST_NSEC)
            pause.tv_nsec *= 2;
        (void)nanosleep(&pause, NULL); /* shorter when interrupted: asked again all the same */
    }
}

int sf_thread_read_offset(const SfHost *host, pid_t tid, uint64_t *ret_offset)
{
    int fd;

    if (tid <= 0)
        return -EAGAIN;
    int r = waiting_read(host, tid, &fd, ret_offset);
    if (r < 0 || fd < 0)
        return r;
    return file_offset(host, tid, fd, ret_offset);
}

int sf_pid_status_parse_nspid(const char *text, size_t len, pid_t *ret_inner_pid,
                              unsigned *ret_levels)
{
    SfSlice rest = sf_slice(text, len);
    SfSlice line, word;

    /* A newline in the process's name is printed as "\n" (seq_escape_str), so a line that starts so
     * is the kernel's. */
    while (sf_slice_next_line(&rest, &line)) {
        if (!sf_slice_starts(line, "NSpid:"))
            continue;
        pid_t pid = 0;
        unsigned levels = 0;
        line = sf_slice(line.data + 6, line.len - 6);
        for (; sf_slice_next_word(&line, &word); levels++) {
            int r = parse_pid(word, &pid);
            if (r < 0)
                return r;
        }
        if (levels == 0)
            return -EINVAL;
        *ret_inner_pid = pid;
        *ret_levels = levels;
        return 0;
    }
    return -ENODATA;
}

static int parse_u32(SfSlice *rest, uint32_t *ret_value)
{
    SfSlice word;
    uint64_t value;

    if (!sf_slice_next_word(rest, &word) || sf_slice_u64(word, &value) < 0 || value > UINT32_MAX)
        return -EINVAL;
    *ret_value = (uint32_t)value;
    return 0;
}

int sf_id_map_parse_root(const char *text, size_t len, uint32_t *ret_host_id)
{
    SfSlice rest = sf_slice(text, len);
    SfSlice line, word;
    uint32_t host_id = UINT32_MAX;

    while (sf_slice_next_line(&rest, &line)) {
        uint32_t inside, outside, count;

        if (parse_u32(&line, &inside) < 0 || parse_u32(&line, &outside) < 0 ||
            parse_u32(&line, &count) < 0 || sf_slice_next_word(&line, &word))
            return -EINVAL;
        if (inside == 0 && count > 0)
            host_id = outside;
    }
    /* (uid_t)-1 is what the kernel prints for an outer ID that the reader's namespace does not
     * have. */
    if (host_id == UINT32_MAX)
        return -ENODATA;
    *ret_host_id = host_id;
    return 0;
}

static int read_root_id(const SfHost *host, pid_t pid, const char *file, uint32_t *ret_id)
{
    char text[ID_MAP_SIZE];
    size_t len;

    int r = read_file(host, pid, file, text, sizeof(text), &len);
    if (r == -ENOENT && process_exists(host, pid)) {
        *ret_id =
            0; /* a kernel without CONFIG_USER_NS has no such file and only one user namespace */
        return 0;
    }
    if (r < 0)
        return gone(r);
    return sf_id_map_parse_root(text, len, ret_id);
}

int sf_process_root_ids(const SfHost *host, pid_t pid, uid_t *ret_uid, gid_t *ret_gid)
{
    uint32_t uid, gid;

    int r = read_root_id(host, pid, "uid_map", &uid);
    if (r < 0)
        return r;
    r = read_root_id(host, pid, "gid_map", &gid);
    if (r < 0)
        return r;
    *ret_uid = uid;
    *ret_gid = gid;
    return 0;
}

/* "mnt:[4026531841]": the number names the namespace (namespaces(7)). */
static int parse_ns_link(SfSlice link, uint64_t *ret_inode)
{
    SfSlice kind;

    if (!sf_slice_next_field(&link, ':', &kind) || link.len < 3 || link.data[0] != '[' ||
        link.data[link.len - 1] != ']')
        return -EINVAL;
    return sf_slice_u64(sf_slice(link.data + 1, link.len - 2), ret_inode) < 0 ? -EINVAL : 0;
}

static int read_ns(const SfHost *host, pid_t pid, const char *kind, uint64_t *ret_inode)
{
    char path[64], file[16], link[64];

    int n = snprintf(file, sizeof(file), "ns/%s", kind);
    if (n < 0 || (size_t)n >= sizeof(file))
        return -ENAMETOOLONG;
    int r = path_of(pid, file, path, sizeof(path));
    if (r < 0)
        return r;

    ssize_t len = readlinkat(sf_host_proc_fd(host), path, link, sizeof(link));
    if (len < 0)
        return -errno;
    if ((size_t)len == sizeof(link))
        return -EINVAL;
    return parse_ns_link(sf_slice(link, (size_t)len), ret_inode);
}

int sf_process_own_namespace(const SfHost *host, const char *kind, uint64_t *ret_inode)
{
    return read_ns(host, 0, kind, ret_inode);
}

int sf_process_namespaces(const SfHost *host, pid_t pid, SfNamespaces *ret_namespaces)
{
    SfNamespaces namespaces = {0};
    const struct {
        const char *kind;
        uint64_t *inode;
    } kinds[] = {
        {"mnt", &namespaces.mnt},       {"pid", &namespaces.pid}, {"user", &namespaces.user},
        {"time", &namespaces.time},     {"net", &namespaces.net}, {"ipc", &namespaces.ipc},
        {"cgroup", &namespaces.cgroup}, {"uts", &namespaces.uts},
    };

    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        int r = read_ns(host, pid, kinds[i].kind, kinds[i].inode);
        /* A kernel without the kind has no link; so has a process that is gone. */
        if (r == -ENOENT && process_exists(host, pid))
            continue;
        if (r < 0)
            return gone(r);
    }
    *ret_namespaces = namespaces;
    return 0;
}

int sf_process_pidfd(pid_t pid, int *ret_pidfd)
{
    if (pid <= 0)
        return -EINVAL;

    int fd = pidfd_open(pid, 0);
    if (fd < 0)
        return errno == ENOENT ? -EINVAL
                               : -errno; /* ENOENT since 6.15: a thread, not a group leader */
    *ret_pidfd = fd;
    return 0;
}

static int parse_fdinfo_pid(const char *text, size_t len, int64_t *ret_pid)
{
    SfSlice rest = sf_slice(text, len);
    SfSlice line;

    while (sf_slice_next_line(&rest, &line)) {
        if (sf_slice_starts(line, "Pid:"))
            return sf_slice_i64(sf_slice_trim(sf_slice(line.data + 4, line.len - 4)), ret_pid);
    }
    return -EBADF;
}

int sf_pidfd_pid(int pidfd, pid_t *ret_pid)
{
    /* Readable from the end of the process on, also while it is a zombie that still has its pid. */
    struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};
    char path[64], text[1024];
    size_t len;
    int64_t pid = 0;

    int n = snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
    if (pidfd < 0 || n < 0 || (size_t)n >= sizeof(path))
        return -EBADF;
    int r = sf_read_at(AT_FDCWD, path, text, sizeof(text), &len);
    if (r < 0)
        return r == -ENOENT ? -EBADF : r;
    r = parse_fdinfo_pid(text, len, &pid);
    if (r < 0)
        return r;
    if (poll(&poll_fd, 1, 0) < 0)
        return -errno;
    /* -1: reaped; 0: not in our pid namespace, so of no use to us either (fs/pidfs.c
     * pidfd_show_fdinfo). */
    if (poll_fd.revents != 0 || pid <= 0 || pid > INT_MAX)
        return -ESRCH;
    *ret_pid = (pid_t)pid;
    return 0;
}
