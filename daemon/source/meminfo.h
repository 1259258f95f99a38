/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * /proc/meminfo of the host: its keys in the running kernel's order, with values and units
 * (fs/proc/meminfo.c).
 */

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/number.h"

#define SF_MEMINFO_MAX_ENTRIES 96
#define SF_MEMINFO_KEY_MAX 40

typedef struct SfMeminfoEntry {
    char key[SF_MEMINFO_KEY_MAX]; /* without ':' , NUL-terminated: "Active(anon)" */
    uint64_t value;               /* kB when in_kb, else a plain count */
    bool in_kb;
} SfMeminfoEntry;

typedef struct SfMeminfo {
    SfMeminfoEntry entries[SF_MEMINFO_MAX_ENTRIES];
    unsigned count;
} SfMeminfo;

/* Pure. A line of another form is -EINVAL, more than SF_MEMINFO_MAX_ENTRIES lines -E2BIG, no line
 * at all -ENODATA. */
int sf_meminfo_parse(const char *text, size_t len, SfMeminfo *ret_info) SF_WARN_UNUSED;
/* Value of a key by whole word; -ENODATA when the kernel prints none. */
int sf_meminfo_get(const SfMeminfo *info, const char *key, uint64_t *ret_value) SF_WARN_UNUSED;
