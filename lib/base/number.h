/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Strict numbers and text slices: the only way in this project to turn bytes from the kernel or a
 * peer into numbers. Nothing here allocates, needs NUL-terminated input, or accepts signs, white
 * space or trailing bytes that were not asked for.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/fd.h"

/* "No limit", in every unit. Never 0 or -1. */
#define SF_UNLIMITED UINT64_MAX

/* A borrowed run of bytes, not NUL-terminated. */
typedef struct SfSlice {
    const char *data;
    size_t len;
} SfSlice;

static inline SfSlice sf_slice(const char *data, size_t len)
{
    return (SfSlice){data, len};
}

/* Slice of a NUL-terminated string. */
SfSlice sf_slice_str(const char *text);
/* Inline: the length of a literal is then a constant. */
static inline bool sf_slice_eq(SfSlice slice, const char *text)
{
    size_t len = strlen(text);

    return slice.len == len && (len == 0 || memcmp(slice.data, text, len) == 0);
}
static inline bool sf_slice_starts(SfSlice slice, const char *prefix)
{
    size_t len = strlen(prefix);

    return slice.len >= len && (len == 0 || memcmp(slice.data, prefix, len) == 0);
}

/* Takes the next line (without its '\n') off *rest; false when nothing is left. A last line without
 * '\n' counts. */
bool sf_slice_next_line(SfSlice *rest, SfSlice *ret_line);

/* Takes the next word (run of bytes other than space and tab) off *rest; false when only blanks are
 * left. */
bool sf_slice_next_word(SfSlice *rest, SfSlice *ret_word);

/* Of the text of /proc/PID/stat, what stands in some fields: 3 or more, as proc_pid_stat(5) numbers
 * them (1 is the PID, 2 the name, which may hold any bytes), in rising order. -EINVAL: there is no
 * such field. */
int sf_slice_stat_fields(SfSlice text, const unsigned *numbers, unsigned count,
                         SfSlice *ret_words) SF_WARN_UNUSED;
int sf_slice_stat_field(SfSlice text, unsigned number, SfSlice *ret_word) SF_WARN_UNUSED;

/* Takes what stands before `separator` off *rest, and the separator; without one, all of it. False
 * when empty. */
bool sf_slice_next_field(SfSlice *rest, char separator, SfSlice *ret_field);

/* Strips spaces, tabs and '\n' at both ends. */
SfSlice sf_slice_trim(SfSlice slice);

/* Decimal digits only, the whole slice. -EINVAL when empty or otherwise formed, -ERANGE past
 * 2^64-1. */
int sf_slice_u64(SfSlice slice, uint64_t *ret_value) SF_WARN_UNUSED;
/* The same with an optional leading '-'. */
int sf_slice_i64(SfSlice slice, int64_t *ret_value) SF_WARN_UNUSED;
/* A number or the word "max" (SF_UNLIMITED), as cgroup v2 writes limits. Surrounding blanks are
 * accepted. */
int sf_slice_limit(SfSlice slice, uint64_t *ret_value) SF_WARN_UNUSED;

/* Saturating arithmetic: counters of the kernel are read at different instants and may disagree. */
static inline uint64_t sf_sub_sat(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static inline uint64_t sf_add_sat(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static inline uint64_t sf_mul_sat(uint64_t a, uint64_t b)
{
    return b && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

static inline uint64_t sf_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}
