/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The memory controller in both versions: keys by whole word, what "no limit" looks like, swap out
 * of memory+swap, and that what the kernel does not tell is an error and not zero.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/source/cgroup_memory.h"
#include "source-cgroup.h"

#define CTR "box/ctr"

static bool has(const SfMemoryStat *stat, SfMemoryKey key)
{
    return stat->present >> key & 1;
}

static void test_stat_v2(void **state)
{
    static const char TEXT[] =
        "anon 4096\nfile 8192\nkernel 100\nkernel_stack 16384\npagetables 20480\n"
        "sec_pagetables 1\npercpu 2\nsock 3\nvmalloc 4\nshmem 5\nzswap 6\n"
        "zswapped 7\nfile_mapped 8\nfile_dirty 9\nfile_writeback 10\nswapcached 11\n"
        "anon_thp 12\nfile_thp 13\nshmem_thp 14\ninactive_anon 15\nactive_anon 16\n"
        "inactive_file 17\nactive_file 18\nunevictable 19\nslab_reclaimable 20\n"
        "slab_unreclaimable 21\nslab 41\nworkingset_refault_anon 99\npgfault 1\n";
    SfMemoryStat stat;

    assert_int_equal(sf_memory_stat_parse(TEXT, strlen(TEXT), 2, &stat), 0);
    assert_true(stat.present == (UINT64_C(1) << SF_MEMORY_KEY_COUNT) - 1);
    assert_int_equal(stat.bytes[SF_MEMORY_ANON], 4096);
    assert_int_equal(stat.bytes[SF_MEMORY_FILE], 8192);
    assert_int_equal(stat.bytes[SF_MEMORY_KERNEL], 100);
    assert_int_equal(stat.bytes[SF_MEMORY_KERNEL_STACK], 16384);
    assert_int_equal(stat.bytes[SF_MEMORY_ANON_THP], 12);
    assert_int_equal(stat.bytes[SF_MEMORY_SHMEM_THP], 14);
    assert_int_equal(stat.bytes[SF_MEMORY_SLAB_UNRECLAIMABLE], 21);
    assert_int_equal(stat.bytes[SF_MEMORY_SLAB], 41);
}

static void test_stat_v1(void **state)
{
    static const char TEXT[] =
        "cache 1\nrss 2\nhierarchical_memory_limit 9223372036854771712\n"
        "total_cache 100\ntotal_rss 200\ntotal_rss_huge 300\ntotal_shmem 400\n"
        "total_mapped_file 500\ntotal_dirty 600\ntotal_writeback 700\n"
        "total_swap 800\ntotal_swapcached 850\ntotal_inactive_anon 900\n"
        "total_active_anon 1000\ntotal_inactive_file 1100\n"
        "total_active_file 1200\ntotal_unevictable 1300\n";
    SfMemoryStat stat;

    assert_int_equal(sf_memory_stat_parse(TEXT, strlen(TEXT), 1, &stat), 0);
    assert_int_equal(stat.bytes[SF_MEMORY_FILE], 100);
    assert_int_equal(stat.bytes[SF_MEMORY_ANON], 200);
    assert_int_equal(stat.bytes[SF_MEMORY_ANON_THP], 300);
    assert_int_equal(stat.bytes[SF_MEMORY_FILE_MAPPED], 500);
    assert_int_equal(stat.bytes[SF_MEMORY_SWAPCACHED], 850);
    assert_int_equal(stat.bytes[SF_MEMORY_UNEVICTABLE], 1300);
    assert_false(has(&stat, SF_MEMORY_SLAB));
    assert_int_equal(stat.bytes[SF_MEMORY_SLAB], 0);
}

static void test_stat_words(void **state)
{
    static const char TEXT[] =
        "anon_thp 1\nfilex 2\nfil 3\nshmem_thp 4\nslab_reclaimable 5\ntotal_cache 6\n";
    SfMemoryStat stat;

    /* lxcfs once took the first key that merely began so. */
    assert_int_equal(sf_memory_stat_parse(TEXT, strlen(TEXT), 2, &stat), 0);
    assert_false(has(&stat, SF_MEMORY_ANON));
    assert_false(has(&stat, SF_MEMORY_FILE));
    assert_false(has(&stat, SF_MEMORY_SHMEM));
    assert_false(has(&stat, SF_MEMORY_SLAB));
    assert_int_equal(stat.bytes[SF_MEMORY_SLAB_RECLAIMABLE], 5);
    assert_int_equal(sf_memory_stat_parse("", 0, 2, &stat), 0);
    assert_true(stat.present == 0);
}

static void test_stat_malformed(void **state)
{
    static const char *const BAD[] = {"anon\n", "anon x\n",  "anon 1 2\n",
                                      "\n",     "anon -1\n", "anon 18446744073709551616\n",
                                      "other\n"};
    SfMemoryStat stat = {.present = 5};

    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        assert_int_equal(sf_memory_stat_parse(BAD[i], strlen(BAD[i]), 2, &stat), -EINVAL);
    assert_true(stat.present == 5);
}

static void test_v2(void **state)
{
    Box box;
    uint64_t value = 1, usage = 1;

    box_open(&box, 2, SF_CONTROLLER_MEMORY);
    assert_int_equal(sf_cgroup_memory_limit(box.cgroup, &value), -ENODATA);
    assert_int_equal(sf_cgroup_swap_usage(box.cgroup, &value), -ENODATA);
    assert_int_equal(value, 1);
    box_write(&box, CTR, "memory.max", "max\n");
    box_write(&box, CTR, "memory.current", "123456\n");
    box_write(&box, CTR, "memory.swap.max", "0\n");
    box_write(&box, CTR, "memory.swap.current", "4096\n");
    assert_int_equal(sf_cgroup_memory_limit(box.cgroup, &value), 0);
    assert_true(value == SF_UNLIMITED);
    /* v2 says "max"; a large number is a number. */
    box_write(&box, CTR, "memory.max", "9223372036854771712\n");
    assert_int_equal(sf_cgroup_memory_limit(box.cgroup, &value), 0);
    assert_true(value == UINT64_C(9223372036854771712));
    assert_int_equal(sf_cgroup_memory_usage(box.cgroup, &value), 0);
    assert_int_equal(value, 123456);
    assert_int_equal(sf_cgroup_swap_limit(box.cgroup, &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(sf_cgroup_swap_usage(box.cgroup, &value), 0);
    assert_int_equal(value, 4096);
    assert_int_equal(sf_cgroup_memsw_limit(box.cgroup, &value), -ENODATA);
    box_write(&box, CTR, "memory.max", "many\n");
    assert_int_equal(sf_cgroup_memory_limit(box.cgroup, &value), -EINVAL);

    assert_int_equal(sf_cgroup_hugetlb(box.cgroup, 2048, &value, &usage), -ENODATA);
    box_write(&box, CTR, "hugetlb.2MB.max", "max\n");
    assert_int_equal(sf_cgroup_hugetlb(box.cgroup, 2048, &value, &usage), -ENODATA);
    box_write(&box, CTR, "hugetlb.2MB.current", "2097152\n");
    assert_int_equal(sf_cgroup_hugetlb(box.cgroup, 2048, &value, &usage), 0);
    assert_true(value == SF_UNLIMITED);
    assert_int_equal(usage, 2097152);
    assert_int_equal(sf_cgroup_hugetlb(box.cgroup, 0, &value, &usage), -ENODATA);
    box_close(&box);
}

static void test_v1(void **state)
{
    Box box;
    uint64_t value = 0, usage = 0;

    box_open(&box, 1, SF_CONTROLLER_MEMORY);
    static const char *const NONE[] = {"9223372036854771712\n", /* 4 KiB pages */
                                       "9223372036854710272\n", /* 64 KiB pages */
                                       "9223372036854775807\n", /* res_counter, until 3.18 */
                                       "18446744073709551615\n"};
    for (size_t i = 0; i < sizeof(NONE) / sizeof(NONE[0]); i++) {
        box_write(&box, CTR, "memory.limit_in_bytes", NONE[i]);
        assert_int_equal(sf_cgroup_memory_limit(box.cgroup, &value), 0);
        assert_true(value == SF_UNLIMITED);
    }
    box_write(&box, CTR, "memory.limit_in_bytes", "9223372036854710271\n");
    assert_int_equal(sf_cgroup_memory_limit(box.cgroup, &value), 0);
    assert_true(value != SF_UNLIMITED);

    box_write(&box, CTR, "memory.limit_in_bytes", "1000\n");
    box_write(&box, CTR, "memory.usage_in_bytes", "600\n");
    assert_int_equal(sf_cgroup_swap_limit(box.cgroup, &value), -ENODATA); /* swapaccount=0 */
    assert_int_equal(sf_cgroup_memsw_limit(box.cgroup, &value), -ENODATA);
    box_write(&box, CTR, "memory.memsw.limit_in_bytes", "1500\n");
    box_write(&box, CTR, "memory.memsw.usage_in_bytes", "700\n");
    assert_int_equal(sf_cgroup_memory_usage(box.cgroup, &value), 0);
    assert_int_equal(value, 600);
    assert_int_equal(sf_cgroup_swap_limit(box.cgroup, &value), 0);
    assert_int_equal(value, 500);
    assert_int_equal(sf_cgroup_swap_usage(box.cgroup, &value), 0);
    assert_int_equal(value, 100);
    assert_int_equal(sf_cgroup_memsw_limit(box.cgroup, &value), 0);
    assert_int_equal(value, 1500);

    /* Never below zero, whatever two reads at different instants say. */
    box_write(&box, CTR, "memory.memsw.usage_in_bytes", "599\n");
    assert_int_equal(sf_cgroup_swap_usage(box.cgroup, &value), 0);
    assert_int_equal(value, 0);
    box_write(&box, CTR, "memory.memsw.limit_in_bytes", "999\n");
    assert_int_equal(sf_cgroup_swap_limit(box.cgroup, &value), 0);
    assert_int_equal(value, 0);
    box_write(&box, CTR, "memory.memsw.limit_in_bytes", "9223372036854771712\n");
    assert_int_equal(sf_cgroup_swap_limit(box.cgroup, &value), 0);
    assert_true(value == SF_UNLIMITED);

    /* 1 GiB pages: PAGE_COUNTER_MAX rounded down to whole ones. */
    box_write(&box, CTR, "hugetlb.1GB.limit_in_bytes", "9223372035781033984\n");
    box_write(&box, CTR, "hugetlb.1GB.usage_in_bytes", "0\n");
    assert_int_equal(sf_cgroup_hugetlb(box.cgroup, 1 << 20, &value, &usage), 0);
    assert_true(value == SF_UNLIMITED);
    box_write(&box, CTR, "hugetlb.64KB.limit_in_bytes", "131072\n");
    box_write(&box, CTR, "hugetlb.64KB.usage_in_bytes", "65536\n");
    assert_int_equal(sf_cgroup_hugetlb(box.cgroup, 64, &value, &usage), 0);
    assert_int_equal(value, 131072);
    assert_int_equal(usage, 65536);
    box_close(&box);
}

static void test_stat_read(void **state)
{
    Box box;
    SfMemoryStat stat;
    static char big[20000];
    size_t len = 0;

    box_open(&box, 1, SF_CONTROLLER_MEMORY);
    assert_int_equal(sf_cgroup_memory_stat(box.cgroup, &stat), -ENODATA);
    /* More than the first buffer holds. */
    while (len < sizeof(big) - 100)
        len += (size_t)snprintf(big + len, sizeof(big) - len, "filler%zu 1\n", len);
    (void)snprintf(big + len, sizeof(big) - len, "total_rss 42\n");
    box_write(&box, CTR, "memory.stat", big);
    assert_int_equal(sf_cgroup_memory_stat(box.cgroup, &stat), 0);
    assert_int_equal(stat.bytes[SF_MEMORY_ANON], 42);
    box_close(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stat_v2),    cmocka_unit_test(test_stat_v1),
        cmocka_unit_test(test_stat_words), cmocka_unit_test(test_stat_malformed),
        cmocka_unit_test(test_v2),         cmocka_unit_test(test_v1),
        cmocka_unit_test(test_stat_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
