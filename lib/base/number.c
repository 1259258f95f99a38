/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Strict numbers and text slices. Pure functions over borrowed bytes: no allocation, no locale, no
 * errno, no system call. Anything laxer (signs, hexadecimal, trailing text) is the caller's to take
 * apart first.
 */

#include "lib/base/number.h"

#include <errno.h>
#include <string.h>

SfSlice sf_slice_str(const char *text)
{
    return sf_slice(text, strlen(text));
}

/* Moves the first n bytes off *rest. NULL + 0 is undefined in C: an empty slice stays. */
static void slice_drop(SfSlice *rest, size_t n)
{
    if (n == 0)
        return;
    rest->data += n;
    rest->len -= n;
}

bool sf_slice_next_field(SfSlice *rest, char separator, SfSlice *ret_field)
{
    if (rest->len == 0)
        return false;

    const char *end = memchr(rest->data, separator, rest->len);
    size_t len = end ? (size_t)(end - rest->data) : rest->len;

    *ret_field = sf_slice(rest->data, len);
    slice_drop(rest, end ? len + 1 : len);
    return true;
}

bool sf_slice_next_line(SfSlice *rest, SfSlice *ret_line)
{
    return sf_slice_next_field(rest, '\n', ret_line);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

bool sf_slice_next_word(SfSlice *rest, SfSlice *ret_word)
{
    size_t start = 0;

    while (start < rest->len && is_blank(rest->data[start]))
        start++;
    slice_drop(rest, start);
    if (rest->len == 0)
        return false;

    size_t len = 0;
    while (len < rest->len && !is_blank(rest->data[len]))
        len++;
    *ret_word = sf_slice(rest->data, len);
    slice_drop(rest, len);
    return true;
}

static bool is_trimmed(char c)
{
    return is_blank(c) || c == '\n';
}

SfSlice sf_slice_trim(SfSlice slice)
{
    while (slice.len > 0 && is_trimmed(slice.data[0]))
        slice_drop(&slice, 1);
    while (slice.len > 0 && is_trimmed(slice.data[slice.len - 1]))
        slice.len--;
    return slice;
}

int sf_slice_stat_fields(SfSlice text, const unsigned *numbers, unsigned count, SfSlice *ret_words)
{
    const char *name_end = text.len > 0 ? memrchr(text.data, ')', text.len) : NULL;
    unsigned field = 2;
    SfSlice word = sf_slice("", 0);

    if (!name_end)
        return -EINVAL;
    SfSlice rest =
        sf_slice_trim(sf_slice(name_end + 1, text.len - (size_t)(name_end + 1 - text.data)));
    for (unsigned i = 0; i < count; i++) {
        for (; field < numbers[i]; field++) {
            if (!sf_slice_next_word(&rest, &word))
                return -EINVAL;
        }
        ret_words[i] = word;
    }
    return 0;
}

int sf_slice_stat_field(SfSlice text, unsigned number, SfSlice *ret_word)
{
    return sf_slice_stat_fields(text, &number, 1, ret_word);
}

int sf_slice_u64(SfSlice slice, uint64_t *ret_value)
{
    if (slice.len == 0)
        return -EINVAL;

    uint64_t value = 0;
    bool overflow = false;

    /* The whole slice is looked at before the range is: "99999999999999999999x" is malformed, not
     * too large. */
    for (size_t i = 0; i < slice.len; i++) {
        if (slice.data[i] < '0' || slice.data[i] > '9')
            return -EINVAL;
        overflow |= __builtin_mul_overflow(value, 10u, &value);
        overflow |= __builtin_add_overflow(value, (uint64_t)(slice.data[i] - '0'), &value);
    }
    if (overflow)
        return -ERANGE;
    *ret_value = value;
    return 0;
}

int sf_slice_i64(SfSlice slice, int64_t *ret_value)
{
    bool negative = slice.len > 0 && slice.data[0] == '-';
    uint64_t magnitude;

    if (negative)
        slice_drop(&slice, 1);

    int r = sf_slice_u64(slice, &magnitude);
    if (r < 0)
        return r;
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return -ERANGE;
    /* Negated as unsigned: -INT64_MIN has no signed value. */
    *ret_value = (int64_t)(negative ? 0 - magnitude : magnitude);
    return 0;
}

int sf_slice_limit(SfSlice slice, uint64_t *ret_value)
{
    slice = sf_slice_trim(slice);
    if (sf_slice_eq(slice, "max")) {
        *ret_value = SF_UNLIMITED;
        return 0;
    }
    return sf_slice_u64(slice, ret_value);
}
