/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The cutter of /proc/cpuinfo on each architecture's format. In every case the parts must put
 * together be the text again.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/source/cpuinfo.h"

/* Parses, and checks that nothing is lost, doubled or reordered. */
static void cut(const char *text, SfCpuinfo *ret_info)
{
    const char *at = text;

    assert_int_equal(sf_cpuinfo_parse(text, strlen(text), ret_info), 0);
    for (unsigned i = 0; i < ret_info->count; i++) {
        assert_ptr_equal(ret_info->parts[i].text.data, at);
        assert_true(ret_info->parts[i].text.len > 0);
        at += ret_info->parts[i].text.len;
    }
    assert_ptr_equal(at, text + strlen(text));
}

static void assert_part(const SfCpuinfo *info, unsigned index, int cpu, const char *text)
{
    assert_true(index < info->count);
    assert_int_equal(info->parts[index].cpu, cpu);
    if (!sf_slice_eq(info->parts[index].text, text))
        fail_msg("part %u is \"%.*s\"", index, (int)info->parts[index].text.len,
                 info->parts[index].text.data);
}

static void test_x86(void **state)
{
    SfCpuinfo info;

    cut("processor\t: 0\nvendor_id\t: GenuineIntel\nphysical id\t: 1\ncore id\t\t: 7\n"
        "cpuid level\t: 13\npower management:\n\n"
        "processor\t: 3\nvendor_id\t: GenuineIntel\npower management:\n\n",
        &info);
    assert_int_equal(info.count, 2);
    assert_int_equal(info.parts[0].cpu, 0);
    assert_int_equal(info.parts[0].physical_id, 1);
    assert_int_equal(info.parts[0].core_id, 7);
    assert_part(&info, 1, 3, "processor\t: 3\nvendor_id\t: GenuineIntel\npower management:\n\n");
    assert_int_equal(info.parts[1].physical_id, -1);
    assert_int_equal(info.parts[1].core_id, -1);
    sf_cpuinfo_clear(&info);
    assert_null(info.parts);
}

static void test_arm(void **state)
{
    SfCpuinfo info;

    /* arm: the machine's lines follow the last block. */
    cut("processor\t: 0\nmodel name\t: ARMv7 Processor rev 4 (v7l)\nCPU revision\t: 4\n\n"
        "processor\t: 1\nBogoMIPS\t: 38.40\n\n"
        "Hardware\t: BCM2835\nRevision\t: a02082\nSerial\t\t: 0\n",
        &info);
    assert_int_equal(info.count, 3);
    assert_int_equal(info.parts[1].cpu, 1);
    assert_part(&info, 2, -1, "Hardware\t: BCM2835\nRevision\t: a02082\nSerial\t\t: 0\n");
    sf_cpuinfo_clear(&info);

    /* Before 3.8 it began with a line that only looks like a CPU. */
    cut("Processor\t: ARMv7 Processor rev 10 (v7l)\nprocessor\t: 0\nBogoMIPS\t: 1\n\nHardware\t: "
        "x\n",
        &info);
    assert_int_equal(info.count, 3);
    assert_part(&info, 0, -1, "Processor\t: ARMv7 Processor rev 10 (v7l)\n");
    assert_part(&info, 1, 0, "processor\t: 0\nBogoMIPS\t: 1\n\n");
    sf_cpuinfo_clear(&info);
}

static void test_ppc64(void **state)
{
    SfCpuinfo info;

    cut("processor\t: 8\ncpu\t\t: POWER9, altivec supported\nclock\t\t: 2166.000000MHz\n\n"
        "processor\t: 12\ncpu\t\t: POWER9\n\n"
        "timebase\t: 512000000\nplatform\t: PowerNV\nmodel\t\t: 8335-GTH\n",
        &info);
    assert_int_equal(info.count, 3);
    assert_int_equal(info.parts[0].cpu, 8);
    assert_int_equal(info.parts[1].cpu, 12);
    assert_part(&info, 2, -1, "timebase\t: 512000000\nplatform\t: PowerNV\nmodel\t\t: 8335-GTH\n");
    sf_cpuinfo_clear(&info);
}

static void test_s390(void **state)
{
    SfCpuinfo info;

    cut("vendor_id       : IBM/S390\n# processors    : 2\nbogomips per cpu: 21881.00\n"
        "max thread id   : 0\nfeatures\t: esan3 zarch\ncache0          : level=1\n"
        "processor 0: version = 00,  identification = 0C4F58,  machine = 8561\n"
        "processor 1: version = 00,  identification = 0C4F58,  machine = 8561\n"
        "\ncpu number      : 0\nphysical id     : 2\ncore id         : 5\ncpu MHz static  : 5200\n"
        "\ncpu number      : 1\nphysical id     : 2\ncpu MHz static  : 5200\n\n",
        &info);
    assert_int_equal(info.count, 5);
    assert_int_equal(info.parts[0].cpu, -1);
    assert_part(&info, 1, 0,
                "processor 0: version = 00,  identification = 0C4F58,  machine = 8561\n");
    assert_int_equal(info.parts[2].cpu, 1);
    /* The empty line leads its block: dropping CPU 0 must not glue block 1 to the header. */
    assert_part(&info, 3, 0,
                "\ncpu number      : 0\nphysical id     : 2\ncore id         : 5\n"
                "cpu MHz static  : 5200\n");
    assert_int_equal(info.parts[3].physical_id, 2);
    assert_int_equal(info.parts[3].core_id, 5);
    assert_int_equal(info.parts[4].cpu, 1);
    sf_cpuinfo_clear(&info);
}

static void test_others(void **state)
{
    SfCpuinfo info;

    cut("processor\t: 0\nhart\t\t: 1\nisa\t\t: rv64imafdc\nmmu\t\t: sv39\n\nprocessor\t: "
        "1\nhart\t\t: 2\n\n",
        &info); /* riscv */
    assert_int_equal(info.count, 2);
    sf_cpuinfo_clear(&info);

    cut("system type\t\t: generic-loongson-machine\n\nprocessor\t\t: 0\npackage\t\t\t: 0\n\n",
        &info);
    assert_int_equal(info.count, 2);
    assert_part(&info, 0, -1, "system type\t\t: generic-loongson-machine\n\n");
    sf_cpuinfo_clear(&info);

    cut("processor\t: 0", &info); /* cut short */
    assert_part(&info, 0, 0, "processor\t: 0");
    sf_cpuinfo_clear(&info);

    cut("\n\nprocessor\t: 0\n", &info);
    assert_part(&info, 0, -1, "\n\n");
    sf_cpuinfo_clear(&info);
}

static void test_no_cpu(void **state)
{
    static const char *const BAD[] = {"",
                                      "\n\n",
                                      "vendor_id\t: x\n",
                                      "processor\t: ARMv7\n",
                                      "processor\t: -1\n",
                                      "processor\t: 8192\n",
                                      "processor\t:\n",
                                      "processor 0\n",
                                      "processor 0 1: x\n",
                                      "processors\t: 4\n"};
    SfCpuinfo info = {NULL, 5};

    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        assert_int_equal(sf_cpuinfo_parse(BAD[i], strlen(BAD[i]), &info), -EINVAL);
    assert_int_equal(info.count, 5);
}

static void test_many(void **state)
{
    static char text[256 * 32];
    size_t len = 0;
    SfCpuinfo info;

    for (unsigned cpu = 0; cpu < 256; cpu++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "processor\t: %u\nx\t: y\n\n", cpu);
    cut(text, &info);
    assert_int_equal(info.count, 256);
    assert_int_equal(info.parts[255].cpu, 255);
    sf_cpuinfo_clear(&info);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_x86),  cmocka_unit_test(test_arm),    cmocka_unit_test(test_ppc64),
        cmocka_unit_test(test_s390), cmocka_unit_test(test_others), cmocka_unit_test(test_no_cpu),
        cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
