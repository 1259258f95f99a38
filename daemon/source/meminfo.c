/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The parser of /proc/meminfo. It keeps every line in order and knows the meaning of none: which
 * keys a container sees and with what value is the provider's.
 */

#include "daemon/source/meminfo.h"

#include <string.h>

static int parse_entry(SfSlice line, SfMeminfoEntry *ret_entry)
{
    SfSlice rest = line, key, word;
    SfMeminfoEntry entry = {0};

    if (line.len == 0 || !memchr(line.data, ':', line.len) ||
        !sf_slice_next_field(&rest, ':', &key))
        return -EINVAL;
    if (key.len == 0 || key.len >= sizeof(entry.key) || memchr(key.data, '\0', key.len))
        return -EINVAL;
    memcpy(entry.key, key.data, key.len);

    if (!sf_slice_next_word(&rest, &word) || sf_slice_u64(word, &entry.value) < 0)
        return -EINVAL;
    if (sf_slice_next_word(&rest, &word)) {
        if (!sf_slice_eq(word, "kB") || sf_slice_next_word(&rest, &word))
            return -EINVAL;
        entry.in_kb = true;
    }
    *ret_entry = entry;
    return 0;
}

int sf_meminfo_parse(const char *text, size_t len, SfMeminfo *ret_info)
{
    SfSlice rest = sf_slice(text, len);
    SfSlice line;
    SfMeminfo info;

    info.count = 0;
    while (sf_slice_next_line(&rest, &line)) {
        if (info.count == SF_MEMINFO_MAX_ENTRIES)
            return -E2BIG;
        int r = parse_entry(line, &info.entries[info.count]);
        if (r < 0)
            return r;
        info.count++;
    }
    if (info.count == 0)
        return -ENODATA;
    memcpy(ret_info->entries, info.entries, info.count * sizeof(info.entries[0]));
    ret_info->count = info.count;
    return 0;
}

int sf_meminfo_get(const SfMeminfo *info, const char *key, uint64_t *ret_value)
{
    for (unsigned i = 0; i < info->count; i++) {
        if (strcmp(info->entries[i].key, key) == 0) {
            *ret_value = info->entries[i].value;
            return 0;
        }
    }
    return -ENODATA;
}
