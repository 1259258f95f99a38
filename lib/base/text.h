/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A growing text with a limit and a sticky error: a provider appends line after line and the caller
 * looks at the error once. Reusing one SfText for many renderings allocates only while it still
 * grows.
 */

#include <stddef.h>
#include <stdint.h>

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

/* Frees the memory; the struct is as SF_TEXT_INIT again. */
void sf_text_clear(SfText *text);
/* Empties it, keeps the memory, forgets the error. */
void sf_text_reset(SfText *text);
void sf_text_append(SfText *text, const char *data, size_t len);
void sf_text_puts(SfText *text, const char *string);
void sf_text_putc(SfText *text, char c);
void sf_text_u64(SfText *text, uint64_t value);
void sf_text_slice(SfText *text, SfSlice slice);
void sf_text_printf(SfText *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Hands the memory to the caller (free()); the struct is as SF_TEXT_INIT again. NULL when nothing
 * was appended. */
char *sf_text_steal(SfText *text, size_t *ret_len);
