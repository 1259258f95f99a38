/* SPDX-License-Identifier: Apache-2.0 */

/*
 * CPU lists and masks: a set that was read is written and read again as the same set.
 */

#include <stdint.h>
#include <stdlib.h>

#include "lib/base/cpuset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    static char list[65536], mask[SF_CPUSET_MAX / 4 + SF_CPUSET_MAX / 32 + 1];
    SfCpuSet set, again;

    if (sf_cpuset_parse_list(text, size, &set) < 0 && sf_cpuset_parse_mask(text, size, &set) < 0)
        return 0;
    int len = sf_cpuset_format_list(&set, list, sizeof(list));
    if (len < 0 || sf_cpuset_parse_list(list, (size_t)len, &again) < 0 ||
        !sf_cpuset_equal(&set, &again))
        abort();
    len = sf_cpuset_format_mask(&set, SF_CPUSET_MAX, mask, sizeof(mask));
    if (len < 0 || sf_cpuset_parse_mask(mask, (size_t)len, &again) < 0 ||
        !sf_cpuset_equal(&set, &again))
        abort();
    unsigned half = sf_cpuset_count(&set) / 2;
    sf_cpuset_keep_lowest(&set, half);
    if (sf_cpuset_count(&set) != half)
        abort();
    return 0;
}
