/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listing and looking into the host's own trees by a view's path. Knows nothing of what the files
 * say.
 */

#include "daemon/source/host_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"

int sf_host_resolve(const SfHost *host, const char *path, int *ret_dir_fd, const char **ret_rest)
{
    int sys_fd = sf_host_sys_fd(host);

    if (strncmp(path, "/proc/", 6) == 0) {
        *ret_dir_fd = sf_host_proc_fd(host);
        *ret_rest = path + 6;
    } else if (strncmp(path, "/sys/", 5) == 0 && sys_fd >= 0) {
        *ret_dir_fd = sys_fd;
        *ret_rest = path + 5;
    } else {
        return -ENOENT;
    }
    /* "/proc//etc/x" would leave an absolute path, and with it the tree. */
    return **ret_rest == '\0' || **ret_rest == '/' ? -ENOENT : 0;
}

int sf_host_stat(const SfHost *host, const char *path, struct stat *ret_stat)
{
    int dir_fd;
    const char *rest;

    int r = sf_host_resolve(host, path, &dir_fd, &rest);
    if (r < 0)
        return r;
    return fstatat(dir_fd, rest, ret_stat, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

int sf_host_list(const SfHost *host, const char *path, void (*each)(const char *name, void *data),
                 void *data)
{
    int dir_fd;
    const char *rest;

    int r = sf_host_resolve(host, path, &dir_fd, &rest);
    if (r < 0)
        return r;
    SF_CLEANUP_FD int fd = openat(dir_fd, rest, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    DIR *directory = fdopendir(fd);
    if (!directory)
        return -errno;
    (void)sf_steal_fd(&fd); /* the stream's now */
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (!entry)
            break;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            each(entry->d_name, data);
    }
    r = -errno;
    (void)closedir(directory); /* was only read */
    return r;
}

int sf_host_read_link(const SfHost *host, const char *path, char *buffer, size_t size)
{
    int dir_fd;
    const char *rest;

    int r = sf_host_resolve(host, path, &dir_fd, &rest);
    if (r < 0)
        return r;
    ssize_t n = readlinkat(dir_fd, rest, buffer, size);
    if (n < 0)
        return -errno;
    if ((size_t)n >= size)
        return -ENAMETOOLONG;
    buffer[n] = '\0';
    return 0;
}
