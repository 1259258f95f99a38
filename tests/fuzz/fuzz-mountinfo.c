/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The cgroup lines of a mountinfo of any bytes.
 */

#include <stdint.h>
#include <stdlib.h>

#include "daemon/source/cgroup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    SfSlice rest = sf_slice(text, size);
    SfCgroupMount mount;

    while (sf_cgroup_mount_next(&rest, &mount) > 0) {
        if (mount.version != 1 && mount.version != 2)
            abort();
        sf_cgroup_mount_clear(&mount);
    }
    return 0;
}
