/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who floods a connection and who does not: by how many threads, for how long.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "daemon/fuse/flood.h"

#define SEC UINT64_C(1000000000)

/* A turn of a connection that always has requests, of so many readers. */
static bool turn(SfFlood *flood, unsigned readers, unsigned *ret_requests)
{
    unsigned most = sf_flood_turn(flood);
    unsigned seen = readers < most ? readers : most;

    most = sf_flood_longer_turn(flood, most, seen);
    seen = readers < most ? readers : most;
    *ret_requests = most;
    return sf_flood_end_turn(flood, most, true, seen < SF_FLOOD_READERS ? seen : SF_FLOOD_READERS);
}

static void test_few(void **state)
{
    SfFlood flood = {0};
    unsigned requests, longer = 0;

    sf_flood_reset(&flood);
    for (unsigned i = 0; i < 1000; i++) {
        assert_false(turn(&flood, 3, &requests));
        assert_int_equal(requests, SF_TURN);
    }
    /* More of them are looked at, seldom. */
    for (unsigned i = 0; i < 1024; i++) {
        assert_false(turn(&flood, 12, &requests));
        longer += requests > SF_TURN;
    }
    assert_int_equal(longer, 4);
}

static void test_flood(void **state)
{
    SfFlood flood = {0};
    unsigned requests, longer = 0, more = 0;

    sf_flood_reset(&flood);
    assert_true(turn(&flood, 1000, &requests)); /* at once */
    assert_true(requests > SF_TURN);
    for (unsigned i = 0; i < 4 * 4096; i++) {
        assert_true(turn(&flood, 1000, &requests));
        longer += requests > SF_TURN;
        more += requests > 2 && requests <= SF_TURN;
    }
    assert_int_equal(longer, 4);
    assert_int_equal(more, 0);
    /* It becomes a few, who never pause. */
    for (unsigned i = 0; i < 4096; i++)
        (void)turn(&flood, 2, &requests);
    assert_false(turn(&flood, 2, &requests));
    assert_int_equal(requests, SF_TURN);
}

static void test_pause(void **state)
{
    SfFlood flood = {0};
    unsigned requests;

    sf_flood_reset(&flood);
    assert_true(turn(&flood, 1000, &requests));
    assert_false(sf_flood_end_turn(&flood, sf_flood_turn(&flood), false, 1)); /* none is left */
    assert_int_equal(sf_flood_turn(&flood), SF_TURN);
}

static void test_rest(void **state)
{
    SfFlood flood = {0};

    sf_flood_reset(&flood);
    /* Alone: what others are is not known at first, and then there are none. */
    assert_int_equal(sf_flood_rest_nsec(&flood, 1000, 10, 10, 5 * SEC), 0);
    assert_int_equal(sf_flood_rest_nsec(&flood, 1000, 20, 20, 6 * SEC), 0);
    /* One that is being counted. */
    assert_int_equal(sf_flood_rest_nsec(&flood, 1000, 29, 30, 6 * SEC), 0);
    assert_int_equal(sf_flood_rest_nsec(&flood, 1000, 31, 30, 6 * SEC), 0);
    /* Somebody else was served. */
    assert_int_equal(sf_flood_rest_nsec(&flood, 1000, 30, 32, 7 * SEC), 8000);
    assert_int_equal(sf_flood_rest_nsec(&flood, 1000, 40, 42, 8 * SEC), 8000);
    assert_int_equal(sf_flood_rest_nsec(&flood, SEC, 50, 52, 8 * SEC + 1), 10000000);
    assert_int_equal(sf_flood_rest_nsec(&flood, 1000, 60, 62, 9 * SEC), 0);
    assert_int_equal(sf_flood_rest_nsec(&flood, 1000, 60, 64, 9 * SEC), 8000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
