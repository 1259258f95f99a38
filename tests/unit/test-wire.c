/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Frames as a peer may send them: whole, split at every byte, several at once, too long, not JSON.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/wire.h"

static void check_next(SfWireBuffer *buffer, const char *key, int value)
{
    json_t *message = NULL;
    assert_int_equal(sf_wire_next(buffer, &message), 1);
    assert_int_equal(json_integer_value(json_object_get(message, key)), value);
    json_decref(message);
}

static void test_split_everywhere(void **state)
{
    static const char frames[] = "{\"a\":1}\0{\"b\":2}\0{\"c\":3}";
    for (size_t cut = 0; cut <= sizeof(frames); cut++) {
        SfWireBuffer buffer = {0};
        json_t *message = NULL;
        assert_int_equal(sf_wire_buffer_add(&buffer, frames, cut), 0);
        int whole = 0, r;
        while ((r = sf_wire_next(&buffer, &message)) == 1) {
            whole++;
            json_decref(message);
        }
        assert_int_equal(r, 0);
        assert_int_equal(sf_wire_buffer_add(&buffer, frames + cut, sizeof(frames) - cut), 0);
        while ((r = sf_wire_next(&buffer, &message)) == 1) {
            whole++;
            json_decref(message);
        }
        assert_int_equal(r, 0);
        assert_int_equal(whole, 3);
        assert_int_equal(buffer.len, 0);
        sf_wire_buffer_clear(&buffer);
    }
}

static void test_byte_by_byte(void **state)
{
    /* The second is shorter than what was looked through of the first. */
    static const char frames[] = "{\"a\":1}\0{}";
    SfWireBuffer buffer = {0};
    json_t *message = NULL;
    for (size_t i = 0; i < sizeof(frames); i++) {
        assert_int_equal(sf_wire_buffer_add(&buffer, &frames[i], 1), 0);
        if (i == 7)
            check_next(&buffer, "a", 1);
        else if (i == sizeof(frames) - 1)
            check_next(&buffer, "none", 0);
        else
            assert_int_equal(sf_wire_next(&buffer, &message), 0);
    }
    sf_wire_buffer_clear(&buffer);
}

static void test_not_an_object(void **state)
{
    static const char *const bad[] = {
        "",           "[]",
        "1",          "\"x\"",
        "{",          "{\"a\":1",
        "{\"a\":1}x", "{\"a\":1,\"a\":2}",
        "\xff\xfe",   "{\"a\":\"\x01\"}",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        SfWireBuffer buffer = {0};
        json_t *message = NULL;
        assert_int_equal(sf_wire_buffer_add(&buffer, bad[i], strlen(bad[i]) + 1), 0);
        assert_int_equal(sf_wire_next(&buffer, &message), -EBADMSG);
        assert_null(message);
        /* The bad frame is gone, the next one is read. */
        assert_int_equal(sf_wire_buffer_add(&buffer, "{\"a\":7}", 8), 0);
        check_next(&buffer, "a", 7);
        sf_wire_buffer_clear(&buffer);
    }
}

static void test_too_deep(void **state)
{
    char text[100001];
    memset(text, '[', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    SfWireBuffer buffer = {0};
    json_t *message = NULL;
    assert_int_equal(sf_wire_buffer_add(&buffer, text, sizeof(text)), 0);
    assert_int_equal(sf_wire_next(&buffer, &message), -EBADMSG);
    sf_wire_buffer_clear(&buffer);
}

static void test_frame_limit(void **state)
{
    SfWireBuffer buffer = {0};
    json_t *message = NULL;
    char *chunk = calloc(1, SF_WIRE_FRAME_MAX);
    assert_non_null(chunk);
    memset(chunk, 'x', SF_WIRE_FRAME_MAX);
    /* A frame of the limit has its NUL as the last byte. */
    assert_int_equal(sf_wire_buffer_add(&buffer, chunk, SF_WIRE_FRAME_MAX), -EMSGSIZE);
    assert_int_equal(buffer.len, 0);
    assert_int_equal(sf_wire_buffer_add(&buffer, chunk, SF_WIRE_FRAME_MAX - 1), 0);
    assert_int_equal(sf_wire_next(&buffer, &message), 0);
    assert_int_equal(sf_wire_buffer_add(&buffer, chunk, 1), -EMSGSIZE);
    assert_int_equal(sf_wire_buffer_add(&buffer, "", 1), 0);
    assert_int_equal(sf_wire_next(&buffer, &message), -EBADMSG);

    /* Frames nobody takes do not pile up without a limit either. */
    memset(chunk, '\0', SF_WIRE_FRAME_MAX);
    assert_int_equal(sf_wire_buffer_add(&buffer, chunk, SF_WIRE_FRAME_MAX), 0);
    assert_int_equal(sf_wire_buffer_add(&buffer, chunk, SF_WIRE_FRAME_MAX), 0);
    assert_int_equal(sf_wire_buffer_add(&buffer, chunk, 1), -EMSGSIZE);
    sf_wire_buffer_clear(&buffer);
    free(chunk);
}

static void test_round_trip(void **state)
{
    json_t *message = json_pack("{s:s, s:{s:s}}", "method", "a.b.C", "parameters", "text",
                                "nl\n quote\" \xc3\xbc");
    char *frame = NULL;
    size_t len = 0;
    assert_int_equal(sf_wire_encode(message, &frame, &len), 0);
    assert_int_equal(frame[len - 1], '\0');
    assert_int_equal(strlen(frame), len - 1);
    SfWireBuffer buffer = {0};
    json_t *back = NULL;
    assert_int_equal(sf_wire_buffer_add(&buffer, frame, len), 0);
    assert_int_equal(sf_wire_next(&buffer, &back), 1);
    assert_true(json_equal(message, back));
    json_decref(back);
    json_decref(message);
    free(frame);
    sf_wire_buffer_clear(&buffer);
}

static void test_encode_too_long(void **state)
{
    char *text = calloc(1, SF_WIRE_FRAME_MAX + 1);
    assert_non_null(text);
    memset(text, 'x', SF_WIRE_FRAME_MAX);
    json_t *message = json_pack("{s:s}", "a", text);
    char *frame = NULL;
    size_t len = 0;
    assert_int_equal(sf_wire_encode(message, &frame, &len), -EMSGSIZE);
    assert_null(frame);
    json_decref(message);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split_everywhere), cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_not_an_object),    cmocka_unit_test(test_too_deep),
        cmocka_unit_test(test_frame_limit),      cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_encode_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
