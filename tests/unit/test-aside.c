/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that a worker answers last: each is where the next process finds it, until it is
 * answered, and takes no worker's journal.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "daemon/fuse/aside.h"

#define FIRST (SF_KEEP_JOURNALS - SF_ASIDE_MAX - 1)

typedef struct Request { /* begins as struct fuse_in_header */
    uint32_t len, number;
    char rest[SF_ASIDE_BYTES - 8];
} Request;

static SfKeep *new_keep(void)
{
    SfKeep *keep;

    assert_int_equal(sf_keep_open(-1, &keep), 0);
    sf_aside_prepare(keep, FIRST);
    return keep;
}

static bool put(SfAside *aside, SfKeep *keep, uint64_t owner, uint32_t number)
{
    Request request = {sizeof(request), number, "rest"};

    return sf_aside_put(aside, keep, FIRST, owner, &request, sizeof(request));
}

/* How many journals have an owner and a request. */
static unsigned kept(SfKeep *keep, uint64_t owner)
{
    unsigned count = 0;

    for (unsigned i = 0; i < SF_KEEP_JOURNALS; i++) {
        const Request *request = (const void *)sf_keep_journal_buffer(keep, i);
        bool live = atomic_load(sf_keep_journal_owner(keep, i)) == owner && request->len > 0;
        assert_true(!live || i >= FIRST);
        assert_true(!live || strcmp(request->rest, "rest") == 0);
        count += live;
    }
    return count;
}

static void test_put_and_clear(void **state)
{
    SfKeep *keep = new_keep();
    SfAside aside = {0};

    for (uint32_t i = 0; i < SF_ASIDE_MAX; i++)
        assert_true(put(&aside, keep, 5, i));
    assert_false(put(&aside, keep, 5, 99));
    assert_int_equal(aside.count, SF_ASIDE_MAX);
    assert_int_equal(kept(keep, 5), SF_ASIDE_MAX);
    for (uint32_t i = 0; i < SF_ASIDE_MAX; i++) /* in their order */
        assert_int_equal(((const Request *)(const void *)aside.waits[i].request)->number, i);
    sf_aside_clear(&aside, keep);
    assert_int_equal(aside.count, 0);
    assert_int_equal(kept(keep, 5), 0);
    sf_keep_close(keep);
}

/* Two workers, and less room than both want. */
static void test_no_room(void **state)
{
    SfKeep *keep = new_keep();
    SfAside one = {0}, other = {0};

    for (uint32_t i = 0; i < SF_ASIDE_MAX; i++)
        assert_true(put(&one, keep, 5, i));
    assert_true(put(&other, keep, 6, 0));
    assert_false(put(&other, keep, 6, 1));
    assert_int_equal(kept(keep, 6), 1);
    sf_aside_clear(&one, keep);
    assert_int_equal(kept(keep, 6), 1);
    assert_true(put(&other, keep, 6, 1));
    sf_aside_clear(&other, keep);
    sf_keep_close(keep);
}

/* Neither what is too long nor what is not a request. */
static void test_refused(void **state)
{
    char request[SF_ASIDE_BYTES + 1] = {0};
    SfKeep *keep = new_keep();
    SfAside aside = {0};

    assert_false(sf_aside_put(&aside, keep, FIRST, 5, request, sizeof(request)));
    assert_false(sf_aside_put(&aside, keep, FIRST, 5, request, 3));
    assert_int_equal(aside.count, 0);
    for (unsigned i = 0; i < SF_KEEP_JOURNALS; i++)
        assert_int_equal(atomic_load(sf_keep_journal_owner(keep, i)), 0);
    sf_keep_close(keep);
}

/* What a process that died left is not the next one's room. */
static void test_left(void **state)
{
    SfKeep *keep = new_keep();
    SfAside aside = {0};

    assert_true(put(&aside, keep, 5, 1));
    sf_aside_prepare(keep, FIRST);
    assert_int_equal(kept(keep, 5), 1);
    SfAside next = {0};
    assert_true(put(&next, keep, 6, 2));
    assert_int_equal(kept(keep, 5), 1);
    assert_int_equal(kept(keep, 6), 1);
    sf_keep_close(keep);
}

/* An owner without a request, and a request without an owner: whoever had the journal was killed
 * between the two. */
static void test_halves(void **state)
{
    SfKeep *keep = new_keep();
    SfAside aside = {0};

    atomic_store(sf_keep_journal_owner(keep, FIRST), 7);
    ((Request *)(void *)sf_keep_journal_buffer(keep, FIRST + 1))->len = 56;
    assert_int_equal(kept(keep, 7), 0);
    assert_true(put(&aside, keep, 5, 1));
    assert_int_equal(aside.waits[0].journal, FIRST + 1);
    assert_int_equal(kept(keep, 5), 1);
    sf_keep_journal_clear(keep, FIRST);
    assert_true(put(&aside, keep, 5, 2));
    assert_int_equal(aside.waits[1].journal, FIRST);
    sf_aside_clear(&aside, keep);
    assert_int_equal(kept(keep, 5), 0);
    sf_keep_close(keep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_and_clear), cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_refused),       cmocka_unit_test(test_left),
        cmocka_unit_test(test_halves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
