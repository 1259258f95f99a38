/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A growing text with a limit and a sticky error: a provider appends line after line and the caller
 * looks at the error once. Reusing one SfText for many renderings allocates only while it still
 * grows.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/fd.h"
#include "lib/base/number.h"

/* No text served or read is larger (interrupts of 8192 CPUs would be; such a host is refused with
 * -EFBIG, not truncated). */
#define SF_TEXT_MAX (16u << 20)

typedef struct SfText {
    char *data;      /* owned; NUL-terminated once anything was appended; NULL while empty */
    size_t len;      /* bytes, NUL not counted */
    size_t capacity; /* bytes allocated */
    int error;       /* 0, -ENOMEM or -EFBIG; once set, appends do nothing */
} SfText;

#define SF_TEXT_INIT ((SfText){NULL, 0, 0, 0})
#define SF_CLEANUP_TEXT __attribute__((cleanup(sf_text_clear)))

/* Makes one printable line of a string: what paths, cgroups and peers are called may try to be
 * more. */
void sf_make_printable(char *string);

/* Frees the memory; the struct is as SF_TEXT_INIT again. */
void sf_text_clear(SfText *text);
/* Empties it, keeps the memory, forgets the error. */
void sf_text_reset(SfText *text);
/* Room for len bytes more and a NUL: where they go; NULL with the error set when that cannot be.
 * What is written there counts when sf_text_added() says so. */
char *sf_text_room(SfText *text, size_t len);
void sf_text_added(SfText *text, size_t len);
void sf_text_append_slow(SfText *text, const char *data, size_t len);
/* Inline, so that what is short and fits costs a few instructions: most of a rendering is this. */
static inline void sf_text_append(SfText *text, const char *data, size_t len)
{
    if (text->error || text->len >= SF_TEXT_MAX || text->capacity - text->len <= len ||
        len > SF_TEXT_MAX - text->len) {
        sf_text_append_slow(text, data, len);
        return;
    }
    if (len > 0)
        memcpy(text->data + text->len, data, len);
    text->len += len;
    text->data[text->len] = '\0';
}
static inline void sf_text_puts(SfText *text, const char *string)
{
    sf_text_append(text, string, strlen(string));
}
static inline void sf_text_putc(SfText *text, char c)
{
    sf_text_append(text, &c, 1);
}
static inline void sf_text_slice(SfText *text, SfSlice slice)
{
    sf_text_append(text, slice.data, slice.len);
}
void sf_text_u64(SfText *text, uint64_t value);
/* At least `width` places, filled with blanks from the left: "%*" PRIu64. At most 64. */
void sf_text_u64_wide(SfText *text, uint64_t value, unsigned width);
/* With two decimals of their own: "%" PRIu64 ".%02" PRIu64; hundredths below 100. */
void sf_text_hundredths(SfText *text, uint64_t whole, unsigned hundredths);
void sf_text_printf(SfText *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Hands the memory to the caller (free()); the struct is as SF_TEXT_INIT again. NULL when nothing
 * was appended. */
char *sf_text_steal(SfText *text, size_t *ret_len);
