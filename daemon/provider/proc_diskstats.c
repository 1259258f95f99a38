/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/diskstats: the devices the container has touched, with what its cgroup counts of them, in
 * the running kernel's columns (block/genhd.c, diskstats_show). Merges, times and what is in flight
 * are not counted for a cgroup: 0.
 */

#include "daemon/provider/provider.h"
#include "daemon/provider/shown_disks.h"

/* The unit of the columns, whatever the device's own (Documentation/block/stat.rst). */
#define SECTOR_BYTES 512u

/* Columns behind the name. */
enum {
    READS = 0,
    READ_SECTORS = 2,
    WRITES = 4,
    WRITTEN_SECTORS = 6,
    DISCARDS = 11, /* since 4.18 */
    DISCARDED_SECTORS = 13,
};

static uint64_t column(const SfIoDevice *device, unsigned index)
{
    switch (index) {
    case READS:
        return device->reads;
    case READ_SECTORS:
        return device->read_bytes / SECTOR_BYTES;
    case WRITES:
        return device->writes;
    case WRITTEN_SECTORS:
        return device->written_bytes / SECTOR_BYTES;
    case DISCARDS:
        return device->discards;
    case DISCARDED_SECTORS:
        return device->discarded_bytes / SECTOR_BYTES;
    default:
        return 0;
    }
}

static void put_line(SfText *text, SfSlice line, const SfIoStat *disks)
{
    SfSlice rest = line, name, number;
    uint64_t major, minor;

    if (!sf_disk_number(&rest, &major, &minor) || !sf_slice_next_word(&rest, &name))
        return;
    const SfIoDevice *device = sf_io_stat_find(disks, major, minor);
    if (!device)
        return;
    sf_text_append(text, line.data, (size_t)(name.data + name.len - line.data));
    for (unsigned i = 0; sf_slice_next_word(&rest, &number); i++) {
        sf_text_putc(text, ' ');
        sf_text_u64(text, column(device, i));
    }
    sf_text_putc(text, '\n');
}

static int render(SfContainer *container, SfText *text)
{
    SfIoStat disks;
    int r = sf_shown_disks(container, &disks);
    if (r < 0)
        return r;
    SfSharedText *host = NULL;
    r = sf_host_text(sf_container_host(container), SF_HOST_DISKSTATS, &host);
    if (r == 0) {
        SfSlice rest = sf_slice(host->data, host->len), line;
        while (sf_slice_next_line(&rest, &line))
            put_line(text, line, &disks);
        (void)sf_shared_text_unref(host); /* always NULL */
    }
    sf_io_stat_clear(&disks);
    return r;
}

const SfProviderOps sf_provider_proc_diskstats_ops = {
    .source = "io or blkio cgroup",
    .render = render,
};
