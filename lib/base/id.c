/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a container ID may look like. Pure; it says nothing about whether such a container exists.
 */

#include "lib/base/id.h"

#include <string.h>

/* Not isalnum(): the locale must not widen what becomes a file name. */
static bool id_byte_valid(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

bool sf_id_valid(const char *id)
{
    if (!id || strcmp(id, ".") == 0 || strcmp(id, "..") == 0)
        return false;

    size_t len = strnlen(id, SF_ID_MAX + 1);
    if (len == 0 || len > SF_ID_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!id_byte_valid(id[i]))
            return false;
    }
    return true;
}
