/* SPDX-License-Identifier: Apache-2.0 */

/*
 * /proc/meminfo of any bytes: each key that was read is found again.
 */

#include <stdint.h>
#include <stdlib.h>

#include "daemon/source/meminfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    SfMeminfo info;
    uint64_t value;

    if (sf_meminfo_parse(text, size, &info) < 0)
        return 0;
    for (unsigned i = 0; i < info.count; i++) {
        if (sf_meminfo_get(&info, info.entries[i].key, &value) < 0)
            abort();
    }
    return 0;
}
