/* SPDX-License-Identifier: Apache-2.0 */

#include "daemon/fuse/shown.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

static bool add(SfShownList *list, uint64_t inode, uint64_t due_nsec, SfShown *ret_first)
{
    SfShown file = {1, inode, due_nsec};

    return sf_shown_add(list, &file, ret_first);
}

static void test_due_in_order(void **state)
{
    SfShownList list = {0};
    SfShown file;

    assert_int_equal(sf_shown_wait_msec(&list, 0), -1);
    assert_false(sf_shown_take_due(&list, UINT64_MAX, &file));
    assert_false(add(&list, 7, 10000000, &file));
    assert_false(add(&list, 8, 20000000, &file));
    assert_int_equal(sf_shown_wait_msec(&list, 1000000), 10); /* not a moment too early */
    assert_false(sf_shown_take_due(&list, 9999999, &file));
    assert_int_equal(sf_shown_wait_msec(&list, 10000000), 0);
    assert_true(sf_shown_take_due(&list, 10000000, &file));
    assert_int_equal(file.inode, 7);
    assert_false(sf_shown_take_due(&list, 10000000, &file));
    assert_true(sf_shown_take_due(&list, UINT64_MAX, &file));
    assert_int_equal(file.inode, 8);
    assert_int_equal(sf_shown_wait_msec(&list, 0), -1);
}

static void test_remove(void **state)
{
    SfShownList list = {0};
    SfShown file = {2, 7, 1};

    assert_false(add(&list, 7, 1, &file));
    file = (SfShown){2, 7, 2};
    assert_false(sf_shown_add(&list, &file, &file)); /* another connection's */
    assert_false(add(&list, 8, 3, &file));
    assert_false(add(&list, 7, 4, &file));
    sf_shown_remove(&list, 1, 7); /* twice there */
    sf_shown_remove(&list, 1, 9);
    assert_int_equal(list.count, 2);
    assert_true(sf_shown_take_due(&list, 4, &file));
    assert_int_equal(file.key, 2);
    assert_true(sf_shown_take_due(&list, 4, &file));
    assert_int_equal(file.inode, 8);
}

static void test_full(void **state)
{
    SfShownList list = {0};
    SfShown first = {0};

    for (uint64_t i = 0; i < SF_SHOWN_MAX; i++)
        assert_false(add(&list, i, i, &first));
    assert_true(add(&list, 1000, 1000, &first));
    assert_int_equal(first.inode, 0);
    assert_int_equal(list.count, SF_SHOWN_MAX);
    assert_int_equal(list.files[0].inode, 1);
    assert_int_equal(list.files[SF_SHOWN_MAX - 1].inode, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_due_in_order),
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
