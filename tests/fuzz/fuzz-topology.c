/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A node's meminfo and cpufreq's sets of any bytes.
 */

#include <stdint.h>
#include <stdlib.h>

#include "daemon/source/topology.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    uint64_t kb = 0;
    SfCpuSet cpus;

    (void)(sf_node_meminfo_total(text, size, &kb) < 0); /* either is fine, reading too far is not */
    if (sf_cpu_words_parse(text, size, &cpus) == 0 && sf_cpuset_count(&cpus) > (size + 1) / 2)
        abort(); /* a number has a digit and a blank */
    return 0;
}
