/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The block devices a container has touched, once for all files that list some.
 */

#include "daemon/container/container.h"
#include "daemon/source/cgroup_io.h"

/* Those its cgroup has counts of that are not all 0, and that the host lists as a disk with a size;
 * none where the kernel counts no I/O for it. The caller clears with sf_io_stat_clear(). Negative
 * errno, never -ENODATA. */
int sf_shown_disks(SfContainer *container, SfIoStat *ret_disks) SF_WARN_UNUSED;

/* The device number that a line of /proc/diskstats or /proc/partitions begins with; *rest is what
 * comes behind it. False for a header. */
bool sf_disk_number(SfSlice *rest, uint64_t *ret_major, uint64_t *ret_minor);
