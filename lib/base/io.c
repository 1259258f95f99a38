/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Bounded reads and whole writes relative to descriptors the caller holds. It opens nothing by
 * absolute path, keeps nothing between calls and never logs.
 */

#include "lib/base/io.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/random.h>

/* Most files of procfs and kernfs fit a page; the first buffer of an allocating read. */
#define FIRST_SIZE 4096

/* Names tried for a temporary file before giving up; each is 64 random bits. */
#define TEMPORARY_TRIES 16

/* One read that EINTR does not end: by offset, or of a stream when offset is negative. */
static ssize_t read_once(int fd, char *buffer, size_t size, off_t offset)
{
    for (;;) {
        ssize_t n = offset < 0 ? read(fd, buffer, size) : pread(fd, buffer, size, offset);
        if (n >= 0)
            return n;
        if (errno != EINTR)
            return -errno;
    }
}

int sf_read_fd(int fd, char *buffer, size_t size, size_t *ret_len)
{
    size_t len = 0;

    if (size == 0)
        return -EFBIG;
    /*
     * Read until 0: a seq_file returns short when a record does not fit its buffer (fs/seq_file.c),
     * so a short read is not yet the end. The byte kept for the NUL is offered to the kernel too:
     * filling it is how "more" is seen without a further system call.
     */
    for (;;) {
        ssize_t n = read_once(fd, buffer + len, size - len, (off_t)len);
        if (n < 0)
            return (int)n;
        if (n == 0)
            break;
        len += (size_t)n;
        if (len == size)
            return -EFBIG;
    }
    buffer[len] = '\0';
    *ret_len = len;
    return 0;
}

int sf_read_record_fd(int fd, char *buffer, size_t size, size_t *ret_len)
{
    if (size == 0)
        return -EFBIG;
    ssize_t n = read_once(fd, buffer, size, 0);
    if (n < 0)
        return (int)n;
    if ((size_t)n == size)
        return -EFBIG;
    buffer[n] = '\0';
    *ret_len = (size_t)n;
    return 0;
}

int sf_read_record_at(int dir_fd, const char *path, char *buffer, size_t size, size_t *ret_len)
{
    SF_CLEANUP_FD int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    return sf_read_record_fd(fd, buffer, size, ret_len);
}

int sf_read_at(int dir_fd, const char *path, char *buffer, size_t size, size_t *ret_len)
{
    SF_CLEANUP_FD int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    return sf_read_fd(fd, buffer, size, ret_len);
}

int sf_read_text_fd(int fd, bool one_record, SfText *text)
{
    sf_text_reset(text);
    for (;;) {
        /* All the room there is, the NUL's aside, and twice as much when it is used up. */
        size_t room = text->capacity > text->len ? text->capacity - text->len - 1 : 0;
        if (room == 0) {
            if (text->len >= SF_TEXT_MAX)
                return -EFBIG;
            room = text->len > 0 ? text->len : FIRST_SIZE;
            if (room > SF_TEXT_MAX - text->len)
                room = SF_TEXT_MAX - text->len;
            if (!sf_text_room(text, room))
                return text->error;
            room = text->capacity - text->len - 1;
        }
        if (room > SF_TEXT_MAX + 1 - text->len)
            room = SF_TEXT_MAX + 1 - text->len; /* one byte past it tells "too large" */
        ssize_t n = read_once(fd, text->data + text->len, room, (off_t)text->len);
        if (n < 0)
            return (int)n;
        if ((size_t)n + text->len > SF_TEXT_MAX)
            return -EFBIG;
        sf_text_added(text, (size_t)n);
        if (n == 0 || (one_record && (size_t)n < room))
            return 0;
        /* A record that did not fit is only whole from its beginning: the rest may be of another
         * instant. */
        if (one_record) {
            size_t capacity = text->capacity;
            if (capacity > SF_TEXT_MAX)
                return -EFBIG;
            sf_text_reset(text);
            if (!sf_text_room(text, capacity))
                return text->error;
        }
    }
}

int sf_read_text_at(int dir_fd, const char *path, bool one_record, SfText *text)
{
    SF_CLEANUP_FD int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    return sf_read_text_fd(fd, one_record, text);
}

/* Grows *data so that it holds more than `len` bytes and a NUL, never more than max_bytes + 1. */
static int grow(char **data, size_t *capacity, size_t len, size_t max_bytes)
{
    if (len + 1 < *capacity)
        return 0;
    if (len > max_bytes)
        return -EFBIG;

    size_t wanted = *capacity ? *capacity * 2 : FIRST_SIZE;
    /* One byte past the limit tells "too large" from "just fits", one more holds the NUL. */
    if (wanted > max_bytes + 2)
        wanted = max_bytes + 2;
    char *grown = realloc(*data, wanted);
    if (!grown)
        return -ENOMEM;
    *data = grown;
    *capacity = wanted;
    return 0;
}

static int read_alloc(int fd, bool stream, size_t max_bytes, char **ret_text, size_t *ret_len)
{
    SF_CLEANUP_FREE char *data = NULL;
    size_t capacity = 0, len = 0;

    if (max_bytes > SIZE_MAX / 4)
        max_bytes = SIZE_MAX / 4;
    for (;;) {
        int r = grow(&data, &capacity, len, max_bytes);
        if (r < 0)
            return r;
        ssize_t n = read_once(fd, data + len, capacity - 1 - len, stream ? -1 : (off_t)len);
        if (n < 0)
            return (int)n;
        if (n == 0)
            break;
        len += (size_t)n;
        if (len > max_bytes)
            return -EFBIG;
    }
    data[len] = '\0';
    *ret_text = sf_steal_ptr(&data);
    *ret_len = len;
    return 0;
}

int sf_read_alloc_fd(int fd, size_t max_bytes, char **ret_text, size_t *ret_len)
{
    return read_alloc(fd, false, max_bytes, ret_text, ret_len);
}

int sf_read_alloc_at(int dir_fd, const char *path, size_t max_bytes, char **ret_text,
                     size_t *ret_len)
{
    SF_CLEANUP_FD int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    return sf_read_alloc_fd(fd, max_bytes, ret_text, ret_len);
}

int sf_read_stream(int fd, size_t max_bytes, char **ret_text, size_t *ret_len)
{
    return read_alloc(fd, true, max_bytes, ret_text, ret_len);
}

int sf_write_all(int fd, const void *data, size_t len)
{
    const char *next = data;

    while (len > 0) {
        ssize_t n = write(fd, next, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -EIO; /* write(2) of more than nothing never returns 0 for a file; do not spin if
                            it does */
        next += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Opens a new file of a name nobody can have prepared; `name` gets it. */
static int open_temporary(int dir_fd, const char *base, mode_t mode, char *name, size_t size)
{
    for (int i = 0; i < TEMPORARY_TRIES; i++) {
        uint64_t random;

        if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
            return -errno; /* so few bytes come whole or not at all (getrandom(2)) */
        int n = snprintf(name, size, ".%s.%016llx", base, (unsigned long long)random);
        if (n < 0 || (size_t)n >= size)
            return -ENAMETOOLONG;
        int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0) {
            /* By fchmod, not by open's mode: the umask must not decide who reads a record. */
            if (fchmod(fd, mode) == 0)
                return fd;
            int saved = errno;
            (void)sf_close(fd);
            (void)unlinkat(dir_fd, name, 0); /* best effort: the first error is the one told */
            return -saved;
        }
        if (errno != EEXIST)
            return -errno;
    }
    return -EEXIST;
}

static int write_and_sync(int fd, const void *data, size_t len)
{
    int r = sf_write_all(fd, data, len);
    if (r < 0)
        return r;
    /* Without it a crash may leave the new name with no content (delayed allocation). */
    return fsync(fd) < 0 ? -errno : 0;
}

int sf_write_atomic_at(int dir_fd, const char *name, const void *data, size_t len, mode_t mode)
{
    char temporary[256]; /* NAME_MAX and NUL */

    if (name[0] == '\0' || strchr(name, '/'))
        return -EINVAL;

    SF_CLEANUP_FD int fd = open_temporary(dir_fd, name, mode, temporary, sizeof(temporary));
    if (fd < 0)
        return fd;

    int r = write_and_sync(fd, data, len);
    if (r == 0 && renameat(dir_fd, temporary, dir_fd, name) < 0)
        r = -errno;
    if (r < 0)
        (void)unlinkat(dir_fd, temporary, 0); /* best effort: the first error is the one told */
    return r;
}
