/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The growing text that every rendering goes through. It owns its memory and nothing else: no
 * files, no locale-dependent output besides what printf is asked for.
 */

#include "lib/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The first allocation holds most of the files served (meminfo is about 1,500 bytes). */
#define TEXT_FIRST_CAPACITY 2048

void sf_make_printable(char *string)
{
    for (char *c = string; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    }
}

void sf_text_clear(SfText *text)
{
    free(text->data);
    *text = SF_TEXT_INIT;
}

void sf_text_reset(SfText *text)
{
    text->len = 0;
    text->error = 0;
    if (text->data)
        text->data[0] = '\0';
}

/* Makes room for len bytes and a NUL. False, with the error set, when that cannot be. */
static bool text_reserve(SfText *text, size_t len)
{
    if (text->error)
        return false;
    if (len > SF_TEXT_MAX - text->len) {
        text->error = -EFBIG;
        return false;
    }

    size_t needed = text->len + len + 1;
    if (needed <= text->capacity)
        return true;

    size_t capacity = text->capacity ? text->capacity : TEXT_FIRST_CAPACITY;
    while (capacity < needed)
        capacity *= 2;
    char *data = realloc(text->data, capacity);
    if (!data) {
        text->error = -ENOMEM;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

char *sf_text_room(SfText *text, size_t len)
{
    return text_reserve(text, len) ? text->data + text->len : NULL;
}

void sf_text_added(SfText *text, size_t len)
{
    text->len += len;
    text->data[text->len] = '\0';
}

void sf_text_append_slow(SfText *text, const char *data, size_t len)
{
    if (len == 0 || !text_reserve(text, len))
        return;
    memcpy(text->data + text->len, data, len);
    text->len += len;
    text->data[text->len] = '\0';
}

#define DIGITS_MAX 20 /* 2^64-1 has 20 */

/* Writes the digits before *end and gives where they begin. */
static char *digits_before(char *end, uint64_t value)
{
    do {
        *--end = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return end;
}

void sf_text_u64(SfText *text, uint64_t value)
{
    char digits[DIGITS_MAX];
    char *end = digits + sizeof(digits), *start = digits_before(end, value);

    sf_text_append(text, start, (size_t)(end - start));
}

void sf_text_u64_wide(SfText *text, uint64_t value, unsigned width)
{
    char digits[64];
    char *end = digits + sizeof(digits), *start = digits_before(end, value);

    while (start > digits && (size_t)(end - start) < width)
        *--start = ' ';
    sf_text_append(text, start, (size_t)(end - start));
}

void sf_text_hundredths(SfText *text, uint64_t whole, unsigned hundredths)
{
    char digits[DIGITS_MAX + 3];
    char *end = digits + sizeof(digits), *start = end - 3;

    start[0] = '.';
    start[1] = (char)('0' + hundredths / 10 % 10);
    start[2] = (char)('0' + hundredths % 10);
    start = digits_before(start, whole);
    sf_text_append(text, start, (size_t)(end - start));
}

void sf_text_printf(SfText *text, const char *format, ...)
{
    if (text->error)
        return;

    /* Written into the room that is there; only a text that did not fit is formatted twice. */
    size_t room = text->capacity - text->len;
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(text->data ? text->data + text->len : NULL, room, format, arguments);
    va_end(arguments);
    if (len < 0) {
        /* Only a bad conversion or a text past INT_MAX: neither can be shown. */
        text->error = -EFBIG;
        if (text->data)
            text->data[text->len] = '\0';
        return;
    }
    if ((size_t)len >= room) {
        /* A cut text must not stay behind the end when no more room can be had. */
        if (text->data)
            text->data[text->len] = '\0';
        if (len == 0 || !text_reserve(text, (size_t)len))
            return;
        va_start(arguments, format);
        (void)vsnprintf(text->data + text->len, (size_t)len + 1, format, arguments);
        va_end(arguments);
    } else if ((size_t)len > SF_TEXT_MAX - text->len) {
        /* Capacity is a power of two and may hold more than the limit allows. */
        text->data[text->len] = '\0';
        text->error = -EFBIG;
        return;
    }
    text->len += (size_t)len;
}

char *sf_text_steal(SfText *text, size_t *ret_len)
{
    if (text->len == 0) {
        sf_text_clear(text);
        if (ret_len)
            *ret_len = 0;
        return NULL;
    }

    char *data = sf_steal_ptr(&text->data);
    if (ret_len)
        *ret_len = text->len;
    *text = SF_TEXT_INIT;
    return data;
}
