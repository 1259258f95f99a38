/* SPDX-License-Identifier: Apache-2.0 */

/*
 * memory.stat of any bytes, in both versions.
 */

#include <stdint.h>
#include <stdlib.h>

#include "daemon/source/cgroup_memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    SfMemoryStat stat;

    for (unsigned version = 1; version <= 2; version++) {
        if (sf_memory_stat_parse(text, size, version, &stat) < 0)
            continue;
        for (unsigned key = 0; key < SF_MEMORY_KEY_COUNT; key++) {
            if (stat.bytes[key] != 0 && !(stat.present >> key & 1))
                abort();
        }
    }
    return 0;
}
