/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The io (v1: blkio) controller's counts of one cgroup. It parses and adds; names of devices are
 * the host's to say.
 */

#include "daemon/source/cgroup_io.h"

#include <stdlib.h>

#include "lib/base/fd.h"

void sf_io_stat_clear(SfIoStat *stat)
{
    free(stat->devices);
    *stat = (SfIoStat){0};
}

const SfIoDevice *sf_io_stat_find(const SfIoStat *stat, uint64_t major, uint64_t minor)
{
    for (unsigned i = 0; i < stat->count; i++) {
        if (stat->devices[i].major == major && stat->devices[i].minor == minor)
            return &stat->devices[i];
    }
    return NULL;
}

/* "8:16" */
static int parse_number(SfSlice word, uint64_t *ret_major, uint64_t *ret_minor)
{
    SfSlice major;

    if (!sf_slice_next_field(&word, ':', &major))
        return -EINVAL;
    int r = sf_slice_u64(major, ret_major);
    return r < 0 ? r : sf_slice_u64(word, ret_minor);
}

/* The device's entry, made when there is none. */
static int device_of(SfIoStat *stat, SfSlice word, SfIoDevice **ret_device)
{
    uint64_t major, minor;

    int r = parse_number(word, &major, &minor);
    if (r < 0)
        return r;
    SfIoDevice *found = (SfIoDevice *)sf_io_stat_find(stat, major, minor);
    if (!found) {
        if (stat->count == SF_IO_DEVICES_MAX)
            return -E2BIG;
        SfIoDevice *grown = realloc(stat->devices, (stat->count + 1) * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        stat->devices = grown;
        found = &grown[stat->count++];
        *found = (SfIoDevice){.major = major, .minor = minor};
    }
    *ret_device = found;
    return 0;
}

static int add_value(uint64_t *sum, SfSlice number)
{
    uint64_t value;

    int r = sf_slice_u64(number, &value);
    if (r < 0)
        return r;
    *sum = sf_add_sat(*sum, value);
    return 0;
}

/* "rbytes=4096" */
static int add_pair(SfIoDevice *device, SfSlice word)
{
    SfSlice key;

    (void)sf_slice_next_field(&word, '=', &key); /* the caller has seen the '=' */
    if (sf_slice_eq(key, "rbytes"))
        return add_value(&device->read_bytes, word);
    if (sf_slice_eq(key, "wbytes"))
        return add_value(&device->written_bytes, word);
    if (sf_slice_eq(key, "dbytes"))
        return add_value(&device->discarded_bytes, word);
    if (sf_slice_eq(key, "rios"))
        return add_value(&device->reads, word);
    if (sf_slice_eq(key, "wios"))
        return add_value(&device->writes, word);
    if (sf_slice_eq(key, "dios"))
        return add_value(&device->discards, word);
    return 0;
}

static bool has(SfSlice slice, char c)
{
    for (size_t i = 0; i < slice.len; i++) {
        if (slice.data[i] == c)
            return true;
    }
    return false;
}

int sf_io_stat_parse(const char *text, size_t len, SfIoStat *stat)
{
    SfSlice rest = sf_slice(text, len), line, word;

    while (sf_slice_next_line(&rest, &line)) {
        SfIoDevice *device = NULL;
        SfSlice name = {0};
        /* Linux 5.13 to 5.15 left the numbers of devices without counts before those of the next
         * one that has some: the last number is the line's. */
        while (sf_slice_next_word(&line, &word)) {
            int r = 0;
            if (!has(word, '='))
                name = word;
            else if (!device)
                r = device_of(stat, name, &device);
            if (r == 0 && has(word, '='))
                r = add_pair(device, word);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

static uint64_t *blkio_field(SfIoDevice *device, SfSlice operation, SfBlkioKind kind)
{
    bool bytes = kind == SF_BLKIO_BYTES;

    if (sf_slice_eq(operation, "Read"))
        return bytes ? &device->read_bytes : &device->reads;
    if (sf_slice_eq(operation, "Write"))
        return bytes ? &device->written_bytes : &device->writes;
    if (sf_slice_eq(operation, "Discard"))
        return bytes ? &device->discarded_bytes : &device->discards;
    return NULL; /* Sync, Async and Total are the same again */
}

int sf_blkio_parse(const char *text, size_t len, SfBlkioKind kind, SfIoStat *stat)
{
    SfSlice rest = sf_slice(text, len), line;

    while (sf_slice_next_line(&rest, &line)) {
        SfSlice name, operation, number;
        SfIoDevice *device;
        if (!sf_slice_next_word(&line, &name) || !sf_slice_next_word(&line, &operation))
            return -EINVAL;
        if (!sf_slice_next_word(&line, &number)) /* "Total 4096": of all devices */
            continue;
        int r = device_of(stat, name, &device);
        if (r < 0)
            return r;
        uint64_t *field = blkio_field(device, operation, kind);
        r = field ? add_value(field, number) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_v1(SfCgroup *cgroup, SfIoStat *stat)
{
    SF_CLEANUP_FREE char *bytes = NULL, *counts = NULL;
    size_t bytes_len, counts_len;

    int r = sf_cgroup_read_alloc(cgroup, SF_CGROUP_IO_BYTES, &bytes, &bytes_len);
    if (r == 0)
        r = sf_cgroup_read_alloc(cgroup, SF_CGROUP_IO_COUNTS, &counts, &counts_len);
    if (r == 0)
        r = sf_blkio_parse(bytes, bytes_len, SF_BLKIO_BYTES, stat);
    return r < 0 ? r : sf_blkio_parse(counts, counts_len, SF_BLKIO_COUNTS, stat);
}

static int read_v2(SfCgroup *cgroup, SfIoStat *stat)
{
    SF_CLEANUP_FREE char *text = NULL;
    size_t len;

    int r = sf_cgroup_read_alloc(cgroup, SF_CGROUP_IO_BYTES, &text, &len);
    return r < 0 ? r : sf_io_stat_parse(text, len, stat);
}

int sf_cgroup_io_stat(SfCgroup *cgroup, SfIoStat *ret_stat)
{
    SfIoStat stat = {0};

    if (sf_cgroup_is_top(cgroup))
        return -ENODATA;
    int r = sf_cgroup_version_of(cgroup) == 2 ? read_v2(cgroup, &stat) : read_v1(cgroup, &stat);
    if (r < 0) {
        sf_io_stat_clear(&stat);
        return r;
    }
    *ret_stat = stat;
    return 0;
}
