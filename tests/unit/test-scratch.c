/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A thread's own texts: which memory is used again, and that a thread's end frees its own (the
 * address sanitizer says so).
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "lib/base/scratch.h"

static void test_again(void **state)
{
    SfText *first = sf_scratch_take(), *second = sf_scratch_take();

    assert_ptr_not_equal(first, second);
    sf_text_puts(first, "one");
    sf_text_puts(second, "two");
    const char *memory = first->data;
    sf_scratch_give(first);
    SfText *third = sf_scratch_take();
    assert_ptr_equal(third->data, memory);
    assert_int_equal(third->len, 0);
    assert_string_equal(second->data, "two");
    sf_scratch_give(third);
    sf_scratch_give(second);
    sf_scratch_give(NULL);
}

static void test_large(void **state)
{
    SfText *text = sf_scratch_take();

    for (unsigned i = 0; i < SF_SCRATCH_KEEP_BYTES / 16 + 1; i++)
        sf_text_puts(text, "0123456789abcdef");
    assert_true(text->capacity > SF_SCRATCH_KEEP_BYTES);
    sf_scratch_give(text);
    SfText *again = sf_scratch_take();
    assert_null(again->data);
    sf_scratch_give(again);
}

static void *use(void *data)
{
    SF_SCRATCH SfText *one = sf_scratch_take();
    SF_SCRATCH SfText *other = sf_scratch_take();

    sf_text_puts(one, "this thread's");
    sf_text_puts(other, "too");
    *(const void **)data = one;
    return NULL;
}

static void test_threads(void **state)
{
    SfText *own = sf_scratch_take();
    const void *others = NULL;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, use, &others), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_non_null(others);
    assert_ptr_not_equal(own, others);
    sf_scratch_give(own);
}

static void test_all(void **state)
{
    SfText *texts[SF_SCRATCH_TEXTS];

    for (unsigned i = 0; i < SF_SCRATCH_TEXTS; i++)
        texts[i] = sf_scratch_take();
    for (unsigned i = 0; i < SF_SCRATCH_TEXTS; i++)
        sf_scratch_give(texts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
