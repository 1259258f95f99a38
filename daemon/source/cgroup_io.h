/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a cgroup has read from and written to block devices, v1 and v2 in one vocabulary.
 */

#include "daemon/source/cgroup.h"

/* Of one device, the cgroup and all below it, since the cgroup was made. */
typedef struct SfIoDevice {
    uint64_t major, minor;
    uint64_t read_bytes, written_bytes, discarded_bytes;
    uint64_t reads, writes, discards; /* bios, as the block layer counts them for cgroups */
} SfIoDevice;

/* Devices a machine can have here; more lines are -E2BIG. */
#define SF_IO_DEVICES_MAX 4096

typedef struct SfIoStat {
    SfIoDevice *devices; /* owned; in the kernel's order */
    unsigned count;
} SfIoStat;

void sf_io_stat_clear(SfIoStat *stat);
/* NULL when the cgroup has not touched the device. */
const SfIoDevice *sf_io_stat_find(const SfIoStat *stat, uint64_t major, uint64_t minor);

/* Pure: v2's io.stat, added to *stat (block/blk-cgroup.c, blkcg_print_one_stat). Keys of no use
 * here are passed over. -EINVAL, -E2BIG, -ENOMEM; *stat then holds a part and is still to be
 * cleared. */
int sf_io_stat_parse(const char *text, size_t len, SfIoStat *stat) SF_WARN_UNUSED;

typedef enum SfBlkioKind { SF_BLKIO_BYTES, SF_BLKIO_COUNTS } SfBlkioKind;
/* Pure: one of v1's two files, added to *stat (block/blk-cgroup-rwstat.c,
 * __blkg_prfill_rwstat). Errors as above. */
int sf_blkio_parse(const char *text, size_t len, SfBlkioKind kind, SfIoStat *stat) SF_WARN_UNUSED;

/* -ENODATA without the controller, and at the hierarchy's top, which counts the machine. The caller
 * clears. */
int sf_cgroup_io_stat(SfCgroup *cgroup, SfIoStat *ret_stat) SF_WARN_UNUSED;
