/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/partitions: the host's lines (block/genhd.c, show_partition) of the devices that
 * /proc/diskstats shows.
 */

#include "daemon/provider/provider.h"
#include "daemon/provider/shared.h"
#include "daemon/provider/shown_disks.h"

static bool is_shown(SfSlice line, void *data)
{
    const SfIoStat *disks = data;
    uint64_t major, minor;

    /* The header, and the empty line below it, are for everybody. */
    return !sf_disk_number(&line, &major, &minor) || sf_io_stat_find(disks, major, minor);
}

static int render(SfContainer *container, SfText *text)
{
    SfIoStat disks;
    int r = sf_shown_disks(container, &disks);
    if (r < 0)
        return r;
    r = sf_format_host_lines(container, SF_HOST_PARTITIONS, is_shown, &disks, text);
    sf_io_stat_clear(&disks);
    return r;
}

const SfProviderOps sf_provider_proc_partitions_ops = {
    .source = "host's text, io or blkio cgroup",
    .render = render,
};
