/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Bounded reads and atomic writes. Every function takes the fd of a directory or file the caller
 * holds; none resolves an absolute path of its own.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/base/fd.h"
#include "lib/base/text.h"

/* Reads fd from offset 0 to its end with pread(2), so that one fd of a procfs or kernfs file serves
 * many reads. EINTR is retried. The text is NUL-terminated, the NUL not counted: at most size - 1
 * bytes are taken. -EFBIG when there is more, else negative errno of the read. */
int sf_read_fd(int fd, char *buffer, size_t size, size_t *ret_len) SF_WARN_UNUSED;

/* The same of a file that the kernel prints as one piece (see sf_read_text_fd()), in one read. */
int sf_read_record_fd(int fd, char *buffer, size_t size, size_t *ret_len) SF_WARN_UNUSED;
int sf_read_record_at(int dir_fd, const char *path, char *buffer, size_t size,
                      size_t *ret_len) SF_WARN_UNUSED;

/* openat(O_RDONLY|O_CLOEXEC) and sf_read_fd(). */
int sf_read_at(int dir_fd, const char *path, char *buffer, size_t size,
               size_t *ret_len) SF_WARN_UNUSED;

/* The same into a text's memory, which is used again: *text is emptied and then has it all, at most
 * SF_TEXT_MAX. one_record: a file that the kernel prints as one piece (single_open(), an attribute
 * of sysfs or a cgroup): a read(2) that leaves room has taken all of it, and no other one is made
 * to see the end. */
int sf_read_text_fd(int fd, bool one_record, SfText *text) SF_WARN_UNUSED;
int sf_read_text_at(int dir_fd, const char *path, bool one_record, SfText *text) SF_WARN_UNUSED;

/* The same into memory of its own, at most max_bytes. The caller frees *ret_text (NUL-terminated).
 */
int sf_read_alloc_at(int dir_fd, const char *path, size_t max_bytes, char **ret_text,
                     size_t *ret_len) SF_WARN_UNUSED;
int sf_read_alloc_fd(int fd, size_t max_bytes, char **ret_text, size_t *ret_len) SF_WARN_UNUSED;

/* Reads a stream (pipe, socket, stdin) to its end, at most max_bytes; -EFBIG when there is more.
 * The caller frees. */
int sf_read_stream(int fd, size_t max_bytes, char **ret_text, size_t *ret_len) SF_WARN_UNUSED;

/* Writes data to a temporary file beside `name` and renames it over: a reader sees the old or the
 * new text, whole. On error the old file stands and no temporary file is left. Negative errno. */
int sf_write_atomic_at(int dir_fd, const char *name, const void *data, size_t len,
                       mode_t mode) SF_WARN_UNUSED;

/* Writes all of data, retrying EINTR and short writes. Negative errno. */
int sf_write_all(int fd, const void *data, size_t len) SF_WARN_UNUSED;
