/* SPDX-License-Identifier: Apache-2.0 */

/*
 * memory.numa_stat of any bytes, in both versions.
 */

#include <stdint.h>
#include <stdlib.h>

#include "daemon/source/cgroup_numa.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t first, second;

    for (unsigned version = 1; version <= 2; version++) {
        int r = sf_numa_stat_parse((const char *)data, size, version, 4096, 0, &first);
        /* Whether a text is well-formed does not depend on the node that is asked for. */
        if (sf_numa_stat_parse((const char *)data, size, version, 4096, 1, &second) != r)
            abort();
    }
    return 0;
}
