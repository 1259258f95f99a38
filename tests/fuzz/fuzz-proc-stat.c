/* SPDX-License-Identifier: Apache-2.0 */

/*
 * /proc/stat of any bytes.
 */

#include <stdint.h>
#include <stdlib.h>

#include "daemon/source/proc_stat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    SfProcStat stat;

    if (sf_proc_stat_parse(text, size, &stat) == 0 &&
        (stat.cpu_columns == 0 || stat.line_count > sizeof(stat.lines)))
        abort();
    return 0;
}
