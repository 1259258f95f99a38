/* SPDX-License-Identifier: Apache-2.0 */

/*
 * /proc/cpuinfo of any bytes: the parts put together are the text.
 */

#include <stdint.h>
#include <stdlib.h>

#include "daemon/source/cpuinfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *at = text;
    SfCpuinfo info;

    if (sf_cpuinfo_parse(text, size, &info) < 0)
        return 0;
    for (unsigned i = 0; i < info.count; i++) {
        if (info.parts[i].text.data != at || info.parts[i].text.len == 0 ||
            info.parts[i].cpu >= SF_CPUSET_MAX)
            abort();
        at += info.parts[i].text.len;
    }
    if (at != text + size)
        abort();
    sf_cpuinfo_clear(&info);
    return 0;
}
