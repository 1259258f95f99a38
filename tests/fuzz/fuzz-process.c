/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What is read of one process: stat, status and ID maps of any bytes.
 */

#include <stdint.h>
#include <stdlib.h>

#include "daemon/source/process.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    SfPidStat stat;
    pid_t pid;
    unsigned levels;
    uint32_t id;

    if (sf_pid_stat_parse(text, size, &stat) == 0 && stat.ppid < 0)
        abort();
    if (sf_pid_status_parse_nspid(text, size, &pid, &levels) == 0 && (pid < 0 || levels == 0))
        abort();
    if (sf_id_map_parse_root(text, size, &id) == 0 && id == UINT32_MAX)
        abort();
    return 0;
}
