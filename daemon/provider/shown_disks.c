/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chooses the devices. What is said of them is the files' matter.
 */

#include "daemon/provider/shown_disks.h"

#include <errno.h>

bool sf_disk_number(SfSlice *rest, uint64_t *ret_major, uint64_t *ret_minor)
{
    SfSlice major, minor;

    return sf_slice_next_word(rest, &major) && sf_slice_next_word(rest, &minor) &&
           sf_slice_u64(major, ret_major) == 0 && sf_slice_u64(minor, ret_minor) == 0;
}

static bool is_touched(const SfIoDevice *device)
{
    return device->read_bytes || device->written_bytes || device->discarded_bytes ||
           device->reads || device->writes || device->discards;
}

/* /proc/partitions has no device without a size: a loop device that was taken down, say, whose
 * counts live on. */
static bool has_size(SfSlice partitions, const SfIoDevice *device)
{
    SfSlice line;
    uint64_t major, minor;

    while (sf_slice_next_line(&partitions, &line)) {
        if (sf_disk_number(&line, &major, &minor) && major == device->major &&
            minor == device->minor)
            return true;
    }
    return false;
}

static int keep_shown(SfContainer *container, SfIoStat *disks)
{
    SfSharedText *partitions = NULL;
    unsigned kept = 0;

    int r = sf_host_text(sf_container_host(container), SF_HOST_PARTITIONS, &partitions);
    if (r < 0 && r != -ENOENT)
        return r;
    for (unsigned i = 0; i < disks->count; i++) {
        const SfIoDevice *device = &disks->devices[i];
        if (is_touched(device) &&
            (!partitions || has_size(sf_slice(partitions->data, partitions->len), device)))
            disks->devices[kept++] = *device;
    }
    disks->count = kept;
    (void)sf_shared_text_unref(partitions); /* always NULL */
    return 0;
}

int sf_shown_disks(SfContainer *container, SfIoStat *ret_disks)
{
    SfCgroup *cgroup = sf_container_cgroup(container, SF_CONTROLLER_IO);
    SfIoStat disks = {0};

    int r = cgroup ? sf_cgroup_io_stat(cgroup, &disks) : -ENODATA;
    if (r == 0)
        r = keep_shown(container, &disks);
    if (r < 0 && r != -ENODATA) {
        sf_io_stat_clear(&disks);
        return r;
    }
    *ret_disks = disks;
    return 0;
}
