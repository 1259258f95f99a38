/* SPDX-License-Identifier: Apache-2.0 */

/*
 * io.stat of v2 and the two files of v1, of any bytes.
 */

#include <stdint.h>
#include <stdlib.h>

#include "daemon/source/cgroup_io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* No device is twice in the list: what the text says of one is added up. */
static void check(SfIoStat *stat)
{
    for (unsigned i = 0; i < stat->count; i++) {
        if (sf_io_stat_find(stat, stat->devices[i].major, stat->devices[i].minor) !=
            &stat->devices[i])
            abort();
    }
    sf_io_stat_clear(stat);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    SfIoStat v2 = {0}, v1 = {0};

    int r = sf_io_stat_parse(text, size, &v2);
    if (r > 0)
        abort();
    check(&v2);
    r = sf_blkio_parse(text, size, SF_BLKIO_BYTES, &v1);
    /* The two kinds differ in where a count goes. */
    if (r == 0 && sf_blkio_parse(text, size, SF_BLKIO_COUNTS, &v1) != 0)
        abort();
    check(&v1);
    return 0;
}
