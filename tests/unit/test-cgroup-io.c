/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cgroups count of block devices, in both versions.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "daemon/source/cgroup_io.h"
#include "source-cgroup.h"

static int parse(const char *text, SfIoStat *stat)
{
    *stat = (SfIoStat){0};
    int r = sf_io_stat_parse(text, strlen(text), stat);
    if (r < 0)
        sf_io_stat_clear(stat);
    return r;
}

static void test_v2(void **state)
{
    SfIoStat stat;

    assert_int_equal(parse("254:16 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=512 dios=3\n"
                           "8:0 rbytes=1 wbytes=0 rios=1 wios=0 dbytes=0 dios=0 cost.wait=77\n",
                           &stat),
                     0);
    assert_int_equal(stat.count, 2);
    const SfIoDevice *device = sf_io_stat_find(&stat, 254, 16);
    assert_non_null(device);
    assert_int_equal(device->read_bytes, 4096);
    assert_int_equal(device->written_bytes, 8192);
    assert_int_equal(device->discarded_bytes, 512);
    assert_int_equal(device->reads, 1);
    assert_int_equal(device->writes, 2);
    assert_int_equal(device->discards, 3);
    assert_null(sf_io_stat_find(&stat, 254, 1));
    sf_io_stat_clear(&stat);
}

/* Linux 5.13 to 5.15: a device without counts has no line end. */
static void test_run_together(void **state)
{
    SfIoStat stat;

    assert_int_equal(parse("7:0 7:1 254:0 rbytes=4096 wbytes=0 rios=1 wios=0\n8:0 \n8:16\n", &stat),
                     0);
    assert_int_equal(stat.count, 1);
    assert_non_null(sf_io_stat_find(&stat, 254, 0));
    sf_io_stat_clear(&stat);
    assert_int_equal(parse("", &stat), 0);
    assert_int_equal(stat.count, 0);
}

static void test_malformed(void **state)
{
    static const char *const texts[] = {"254 rbytes=1\n", "rbytes=1\n",      "a:b rbytes=1\n",
                                        "8:0 rbytes=\n",  "8:0 rbytes=-1\n", "8:0 wios=0x1\n",
                                        "8: rbytes=1\n",  "8:0:1 rbytes=1\n"};
    SfIoStat stat;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(parse(texts[i], &stat), -EINVAL);
}

#define BYTES "blkio.throttle.io_service_bytes_recursive"
#define COUNTS "blkio.throttle.io_serviced_recursive"

static void test_v1(void **state)
{
    SfIoStat stat;
    Box box;

    box_open(&box, 1, SF_CONTROLLER_IO);
    assert_int_equal(sf_cgroup_io_stat(box.cgroup, &stat), -ENODATA);
    box_write(&box, "box/ctr", BYTES,
              "254:0 Read 4096\n254:0 Write 8192\n254:0 Sync 12288\n254:0 Async 0\n"
              "254:0 Discard 512\n254:0 Total 12800\nTotal 12800\n");
    box_write(&box, "box/ctr", COUNTS, "254:0 Read 1\n254:0 Write 2\n254:0 Total 3\nTotal 3\n");
    assert_int_equal(sf_cgroup_io_stat(box.cgroup, &stat), 0);
    assert_int_equal(stat.count, 1);
    assert_int_equal(stat.devices[0].read_bytes, 4096);
    assert_int_equal(stat.devices[0].written_bytes, 8192);
    assert_int_equal(stat.devices[0].discarded_bytes, 512);
    assert_int_equal(stat.devices[0].reads, 1);
    assert_int_equal(stat.devices[0].writes, 2);
    sf_io_stat_clear(&stat);
    box_write(&box, "box/ctr", COUNTS, "254:0\n");
    assert_int_equal(sf_cgroup_io_stat(box.cgroup, &stat), -EINVAL);
    box_close(&box);
}

/* The top counts the machine: no container's numbers. */
static void test_top(void **state)
{
    SfCgroup *top;
    SfIoStat stat;
    Box box;

    box_open(&box, 2, SF_CONTROLLER_IO);
    box_write(&box, "", "io.stat", "254:0 rbytes=1 wbytes=0 rios=1 wios=0\n");
    assert_int_equal(sf_cgroup_at(box.cgroups, SF_CONTROLLER_IO, "/", &top), 0);
    assert_int_equal(sf_cgroup_io_stat(top, &stat), -ENODATA);
    sf_cgroup_unref(top);
    box_write(&box, "box/ctr", "io.stat", "254:0 rbytes=7 wbytes=0 rios=1 wios=0\n");
    assert_int_equal(sf_cgroup_io_stat(box.cgroup, &stat), 0);
    assert_int_equal(stat.devices[0].read_bytes, 7);
    sf_io_stat_clear(&stat);
    box_close(&box);
}

static void test_limits_of_one_file(void **state)
{
    uint64_t value;
    Box box;

    box_open(&box, 1, SF_CONTROLLER_PIDS);
    box_write(&box, "box/ctr", "pids.max", "max\n");
    box_write(&box, "box/ctr", "memory.limit_in_bytes", "9223372036854771712\n");
    assert_int_equal(sf_cgroup_read_limit(box.cgroup, SF_CGROUP_PIDS_MAX, &value), 0);
    assert_true(value == SF_UNLIMITED);
    assert_int_equal(sf_cgroup_read_limit(box.cgroup, SF_CGROUP_MEMORY_MAX, &value), 0);
    assert_true(value == SF_UNLIMITED);
    box_write(&box, "box/ctr", "pids.max", "many\n");
    assert_int_equal(sf_cgroup_read_limit(box.cgroup, SF_CGROUP_PIDS_MAX, &value), -EINVAL);
    /* v1 has no such file. */
    assert_int_equal(sf_cgroup_read_limit(box.cgroup, SF_CGROUP_MEMORY_HIGH, &value), -ENODATA);
    assert_int_equal(sf_cgroup_open(box.cgroup, SF_CGROUP_CPU_PRESSURE), -ENODATA);
    box_close(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v2),        cmocka_unit_test(test_run_together),
        cmocka_unit_test(test_malformed), cmocka_unit_test(test_v1),
        cmocka_unit_test(test_top),       cmocka_unit_test(test_limits_of_one_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
