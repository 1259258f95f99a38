/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that outlives the process: what the next one finds, at whatever instant the one before was
 * killed.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/keep.h"
#include "lib/base/text.h"

static uint64_t add(SfKeep *keep, uint64_t owner, const char *text, size_t len)
{
    SfKeepNew entry = {.owner = owner, .kind = 7, .place = 8, .flags = 9, .opened_by = 10};
    uint64_t id = 0;

    assert_int_equal(sf_keep_add(keep, &entry, text, len, &id), 0);
    assert_true(id != 0);
    return id;
}

static void assert_text(const SfKeep *keep, uint64_t id, const char *text)
{
    SfSlice got = sf_keep_text(keep, id);

    assert_int_equal(got.len, strlen(text));
    assert_memory_equal(got.data, text, got.len);
}

/* Another process's view of the same file. */
static SfKeep *take_over(const SfKeep *keep)
{
    SfKeep *next = NULL;
    int fd = fcntl(sf_keep_fd(keep), F_DUPFD_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(sf_keep_open(fd, &next), 0);
    return next;
}

static void test_entries(void **state)
{
    SfKeep *keep;

    assert_int_equal(sf_keep_open(-1, &keep), 0);
    uint64_t a = add(keep, 1, "alpha", 5), b = add(keep, 2, "", 0);
    assert_text(keep, a, "alpha");
    assert_text(keep, b, "");
    assert_int_equal(sf_keep_put(keep, a, "a longer text than before", 25), 0);
    assert_text(keep, a, "a longer text than before");
    assert_int_equal(atomic_load(&sf_keep_note(keep, a)->place), 8);
    assert_int_equal(sf_keep_count(keep), 2);
    sf_keep_remove(keep, a);
    assert_null(sf_keep_note(keep, a));
    assert_int_equal(sf_keep_put(keep, a, "x", 1), -ENOENT);
    assert_int_equal(sf_keep_text(keep, a).len, 0);
    /* The slot's next user has another ID. */
    uint64_t c = add(keep, 3, "gamma", 5);
    assert_int_equal(sf_keep_slot(c), sf_keep_slot(a));
    assert_true(c != a);
    sf_keep_remove(keep, a); /* nothing happens to c */
    assert_text(keep, c, "gamma");
    assert_null(sf_keep_note(keep, 0));
    assert_null(sf_keep_note(keep, UINT64_MAX));
    sf_keep_close(keep);
}

static void assert_room(const SfKeep *keep, uint64_t entries, uint64_t bytes)
{
    assert_int_equal(sf_keep_entry_room(keep).free, entries);
    assert_int_equal(sf_keep_byte_room(keep).free, bytes);
}

/* Blocks are counted, not bytes; and all is given back. */
static void test_room(void **state)
{
    const uint64_t bytes = 8 << 20;
    char *large = calloc(1, 2 << 20);
    SfKeep *keep, *next;
    uint64_t id;

    assert_int_equal(sf_keep_open(-1, &keep), 0);
    assert_room(keep, SF_KEEP_ENTRIES_MAX, SF_KEEP_HEAP_BYTES);
    sf_keep_limit(keep, 4, bytes);
    assert_int_equal(sf_keep_entry_room(keep).total, 4);
    assert_int_equal(sf_keep_byte_room(keep).total, bytes);
    uint64_t a = add(keep, 1, "", 0), b = add(keep, 1, large, 65);
    assert_room(keep, 2, bytes - 128);
    assert_int_equal(sf_keep_put(keep, a, large, (1 << 20) + 1), 0);
    assert_room(keep, 2, bytes - 128 - (2 << 20));
    next = take_over(keep);
    assert_room(next, SF_KEEP_ENTRIES_MAX - 2, SF_KEEP_HEAP_BYTES - 128 - (2 << 20));
    sf_keep_close(next);
    assert_int_equal(sf_keep_put(keep, a, "", 0), 0);
    assert_room(keep, 2, bytes - 128);
    uint64_t c = add(keep, 1, "c", 1);
    (void)add(keep, 1, "", 0);
    assert_room(keep, 0, bytes - 192);
    SfKeepNew entry = {.owner = 1};
    assert_int_equal(sf_keep_add(keep, &entry, large, 65, &id), -ENOSPC);
    assert_room(keep, 0, bytes - 192);
    sf_keep_remove(keep, b);
    sf_keep_remove(keep, c);
    assert_room(keep, 2, bytes);
    /* Two segments are cut in small blocks. */
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(sf_keep_put(keep, a, large, (2u << 20) - i), 0);
    b = add(keep, 1, large, 2 << 20);
    assert_int_equal(sf_keep_add(keep, &entry, large, (2 << 20) + 1, &id), -ENOSPC);
    assert_room(keep, 1, bytes - (4 << 20));
    sf_keep_close(keep);
    free(large);
}

typedef struct Found {
    unsigned count;
} Found;

static void count_entry(uint64_t id, void *data)
{
    Found *found = data;

    (void)id;
    found->count++;
}

static void test_taken_over(void **state)
{
    char *large = calloc(1, 3 << 20);
    SfKeep *keep, *next;
    Found found = {0};

    memset(large, 'l', (3 << 20) - 1);
    assert_int_equal(sf_keep_open(-1, &keep), 0);
    uint64_t a = add(keep, 1, "alpha", 5), gone = add(keep, 1, "gone", 4);
    uint64_t b = add(keep, 2, large, (3 << 20) - 1);
    sf_keep_remove(keep, gone);
    assert_int_equal(sf_keep_former(keep), 0);
    next = take_over(keep);
    assert_int_equal(sf_keep_former(next), 1);
    assert_text(next, a, "alpha");
    assert_text(next, b, large);
    assert_null(sf_keep_note(next, gone));
    sf_keep_each(next, count_entry, &found);
    assert_int_equal(found.count, 2);
    /* What is new does not go where a living text is. */
    for (unsigned i = 0; i < 3000; i++)
        (void)add(next, 5, "0123456789", 10);
    uint64_t d = add(next, 5, large, (3 << 20) - 1);
    assert_text(next, a, "alpha");
    assert_text(next, b, large);
    assert_text(next, d, large);
    sf_keep_close(next);
    sf_keep_close(keep);
    free(large);
}

static void test_refused(void **state)
{
    SfKeep *keep = NULL;
    int fd = memfd_create("x", MFD_CLOEXEC);

    assert_int_equal(sf_keep_open(fd, &keep), -EBADMSG); /* empty */
    fd = memfd_create("x", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, 256 << 20), 0);
    assert_int_equal(sf_keep_open(fd, &keep), -EBADMSG); /* no head */
    assert_null(keep);

    assert_int_equal(sf_keep_open(-1, &keep), 0);
    SfKeepNew entry = {.owner = 1};
    uint64_t id;
    assert_int_equal(sf_keep_add(keep, &entry, "", SF_TEXT_MAX + 1, &id), -EFBIG);
    sf_keep_close(keep);
}

/* Exchanges texts, adds and removes until it is killed. Each text is one letter throughout. */
static void work(SfKeep *keep, uint64_t *ids, unsigned count)
{
    static char text[40000];

    for (unsigned turn = 0;; turn++) {
        unsigned i = turn % count;
        size_t len = 1 + (turn * 7919u) % sizeof(text);
        memset(text, 'a' + (int)(turn % 26), len);
        if (turn % 5 == 0) {
            SfKeepNew entry = {.owner = 3};
            sf_keep_remove(keep, ids[i]);
            if (sf_keep_add(keep, &entry, text, len, &ids[i]) < 0)
                _exit(1);
        } else if (sf_keep_put(keep, ids[i], text, len) < 0) {
            _exit(1);
        }
    }
}

static void check_entry(uint64_t id, void *data)
{
    SfSlice text = sf_keep_text(data, id);

    for (size_t i = 1; i < text.len; i++)
        assert_int_equal(text.data[i], text.data[0]);
}

/* Killed at any instant: every entry is whole, and the file can be used on. */
static void test_killed(void **state)
{
    SfKeep *keep;

    assert_int_equal(sf_keep_open(-1, &keep), 0);
    for (unsigned round = 0; round < 40; round++) {
        SfKeep *next = take_over(keep);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            uint64_t ids[16];
            SfKeepNew entry = {.owner = 3};
            for (unsigned i = 0; i < 16; i++) {
                if (sf_keep_add(next, &entry, "a", 1, &ids[i]) < 0)
                    _exit(1);
            }
            work(next, ids, 16);
        }
        usleep(1000 + round * 331);
        assert_int_equal(kill(pid, SIGKILL), 0);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        sf_keep_close(next);
        next = take_over(keep);
        sf_keep_each(next, check_entry, next);
        assert_in_range(sf_keep_count(next), 0, 17 * (round + 1));
        sf_keep_close(next);
    }
    sf_keep_close(keep);
}

static void test_journals(void **state)
{
    SfKeep *keep, *next;

    assert_int_equal(sf_keep_open(-1, &keep), 0);
    for (unsigned i = 0; i < SF_KEEP_JOURNALS; i++) {
        memset(sf_keep_journal_buffer(keep, i), (int)i + 1, SF_KEEP_JOURNAL_BYTES - 8);
        atomic_store(sf_keep_journal_owner(keep, i), i + 100);
    }
    next = take_over(keep);
    for (unsigned i = 0; i < SF_KEEP_JOURNALS; i++) {
        assert_int_equal(atomic_load(sf_keep_journal_owner(next, i)), i + 100);
        assert_int_equal(sf_keep_journal_buffer(next, i)[SF_KEEP_JOURNAL_BYTES - 9], i + 1);
    }
    sf_keep_close(next);
    sf_keep_close(keep);
}

/* How often a request was tried goes with it, and is not the next one's in the same place. */
static void test_journal_tries(void **state)
{
    SfKeep *keep;
    uint32_t len = 64;

    assert_int_equal(sf_keep_open(-1, &keep), 0);
    memcpy(sf_keep_journal_buffer(keep, 1), &len, sizeof(len));
    atomic_store(sf_keep_journal_owner(keep, 1), 7);
    assert_int_equal(sf_keep_journal_try(keep, 1), 1);
    assert_int_equal(sf_keep_journal_try(keep, 1), 2);
    sf_keep_journal_copy(keep, 1, 5, len);
    sf_keep_journal_clear(keep, 1);
    assert_int_equal(atomic_load(sf_keep_journal_owner(keep, 1)), 0);
    assert_int_equal(atomic_load(sf_keep_journal_owner(keep, 5)), 7);
    assert_memory_equal(sf_keep_journal_buffer(keep, 5), &len, sizeof(len));
    assert_int_equal(sf_keep_journal_try(keep, 5), 3);
    assert_int_equal(sf_keep_journal_try(keep, 1), 1);
    sf_keep_close(keep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries),  cmocka_unit_test(test_taken_over),
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_killed),
        cmocka_unit_test(test_journals), cmocka_unit_test(test_journal_tries),
        cmocka_unit_test(test_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
