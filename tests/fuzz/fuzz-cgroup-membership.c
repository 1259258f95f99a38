/* SPDX-License-Identifier: Apache-2.0 */

/*
 * /proc/PID/cgroup of any bytes.
 */

#include <stdint.h>
#include <stdlib.h>

#include "daemon/source/cgroup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    SfSlice rest = sf_slice(text, size);
    SfMembership membership;

    while (sf_membership_next(&rest, &membership) > 0) {
        if (membership.path.len == 0 || membership.path.data[0] != '/')
            abort();
    }
    return 0;
}
