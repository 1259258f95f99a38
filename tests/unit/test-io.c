/* SPDX-License-Identifier: Apache-2.0 */

/*
 * lib/base/io.h: the bounds of reads to the byte, and that a write is whole or did not happen.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>

#include "lib/base/io.h"
#include "source-tree.h"

static Tree tree;
static int tree_fd = -1;

static int setup(void **state)
{
    tree_init(&tree);
    tree_fd = open(tree.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return tree_fd < 0;
}

static int teardown(void **state)
{
    tree_fd = sf_close(tree_fd);
    tree_clear(&tree);
    return 0;
}

static void test_read_bounds(void **state)
{
    char buffer[8];
    size_t len = 99;

    tree_write(&tree, "seven", "1234567");
    assert_int_equal(sf_read_at(tree_fd, "seven", buffer, 8, &len), 0);
    assert_int_equal(len, 7);
    assert_string_equal(buffer, "1234567");
    assert_int_equal(sf_read_at(tree_fd, "seven", buffer, 7, &len), -EFBIG);
    assert_int_equal(sf_read_at(tree_fd, "seven", buffer, 0, &len), -EFBIG);
    assert_int_equal(len, 7);
    tree_write(&tree, "empty", "");
    assert_int_equal(sf_read_at(tree_fd, "empty", buffer, 1, &len), 0);
    assert_int_equal(len, 0);
    assert_string_equal(buffer, "");
    assert_int_equal(sf_read_at(tree_fd, "absent", buffer, 8, &len), -ENOENT);
    assert_int_equal(sf_read_at(tree_fd, ".", buffer, 8, &len), -EISDIR);
}

static void test_read_fd_again(void **state)
{
    char buffer[16];
    size_t len;

    tree_write(&tree, "again", "old");
    SF_CLEANUP_FD int fd = openat(tree_fd, "again", O_RDONLY | O_CLOEXEC);
    assert_int_equal(sf_read_fd(fd, buffer, sizeof(buffer), &len), 0);
    tree_write(&tree, "again", "newer");
    assert_int_equal(sf_read_fd(fd, buffer, sizeof(buffer), &len), 0);
    assert_string_equal(buffer, "newer");
}

static void test_read_alloc(void **state)
{
    char *big = malloc(10001);
    char *text = NULL;
    size_t len;

    assert_non_null(big);
    memset(big, 'x', 10000);
    big[10000] = '\0';
    tree_write(&tree, "big", big);
    assert_int_equal(sf_read_alloc_at(tree_fd, "big", 10000, &text, &len), 0);
    assert_int_equal(len, 10000);
    assert_string_equal(text, big);
    free(text);
    text = NULL;
    assert_int_equal(sf_read_alloc_at(tree_fd, "big", 9999, &text, &len), -EFBIG);
    assert_int_equal(sf_read_alloc_at(tree_fd, "big", 0, &text, &len), -EFBIG);
    assert_null(text);
    assert_int_equal(sf_read_alloc_at(tree_fd, "big", SIZE_MAX, &text, &len), 0);
    assert_int_equal(len, 10000);
    free(text);
    tree_write(&tree, "empty", "");
    assert_int_equal(sf_read_alloc_at(tree_fd, "empty", 0, &text, &len), 0);
    assert_int_equal(len, 0);
    assert_string_equal(text, "");
    free(text);
    free(big);
}

static void test_read_proc(void **state)
{
    char *text = NULL;
    size_t len;

    /* seq_file texts come in pieces and have no size in stat. */
    assert_int_equal(sf_read_alloc_at(AT_FDCWD, "/proc/self/maps", 1 << 20, &text, &len), 0);
    assert_true(len > 0 && text[len - 1] == '\n');
    free(text);
}

static void test_read_stream(void **state)
{
    int fds[2];
    char *text = NULL;
    size_t len;

    assert_int_equal(pipe(fds), 0);
    assert_int_equal(sf_write_all(fds[1], "some words", 10), 0);
    (void)sf_close(fds[1]);
    assert_int_equal(sf_read_stream(fds[0], 10, &text, &len), 0);
    assert_int_equal(len, 10);
    assert_string_equal(text, "some words");
    free(text);
    (void)sf_close(fds[0]);

    assert_int_equal(pipe(fds), 0);
    assert_int_equal(sf_write_all(fds[1], "some words", 10), 0);
    (void)sf_close(fds[1]);
    assert_int_equal(sf_read_stream(fds[0], 9, &text, &len), -EFBIG);
    (void)sf_close(fds[0]);
}

static unsigned count_entries(void)
{
    unsigned count = 0;
    DIR *dir = opendir(tree.root);

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    (void)closedir(dir);
    return count;
}

static void test_write_atomic(void **state)
{
    char buffer[16];
    size_t len;
    struct stat st;
    mode_t mask = umask(077);

    assert_int_equal(sf_write_atomic_at(tree_fd, "record", "one", 3, 0640), 0);
    assert_int_equal(fstatat(tree_fd, "record", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    (void)umask(mask);

    SF_CLEANUP_FD int reader = openat(tree_fd, "record", O_RDONLY | O_CLOEXEC);
    unsigned entries = count_entries();
    assert_int_equal(sf_write_atomic_at(tree_fd, "record", "two", 3, 0600), 0);
    assert_int_equal(count_entries(), entries);
    assert_int_equal(sf_read_fd(reader, buffer, sizeof(buffer), &len), 0);
    assert_string_equal(buffer, "one"); /* who has the old file open keeps it, whole */
    assert_int_equal(sf_read_at(tree_fd, "record", buffer, sizeof(buffer), &len), 0);
    assert_string_equal(buffer, "two");
}

static void test_write_atomic_errors(void **state)
{
    char name[300];

    tree_mkdir(&tree, "taken");
    tree_write(&tree, "taken/file", "x");
    unsigned entries = count_entries();
    assert_int_equal(sf_write_atomic_at(tree_fd, "taken", "one", 3, 0600), -EISDIR);
    assert_int_equal(count_entries(), entries); /* no temporary file is left */
    assert_int_equal(sf_write_atomic_at(tree_fd, "../x", "one", 3, 0600), -EINVAL);
    assert_int_equal(sf_write_atomic_at(tree_fd, "", "one", 3, 0600), -EINVAL);
    memset(name, 'n', sizeof(name));
    name[250] = '\0';
    assert_int_equal(sf_write_atomic_at(tree_fd, name, "one", 3, 0600), -ENAMETOOLONG);
    assert_int_equal(sf_write_atomic_at(-1, "x", "one", 3, 0600), -EBADF);
    assert_int_equal(count_entries(), entries);
}

/* Every length around the sizes that memory grows by, in one piece and in several. */
static void test_read_text(void **state)
{
    SF_CLEANUP_TEXT SfText text = SF_TEXT_INIT;
    static const size_t SIZES[] = {0, 1, 4095, 4096, 8190, 8191, 8192, 8193, 100000, 7};
    char *all = malloc(100001);

    for (size_t i = 0; i < 100000; i++)
        all[i] = (char)('a' + i % 26);
    for (size_t i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++) {
        char kept = all[SIZES[i]];
        all[SIZES[i]] = '\0';
        tree_write(&tree, "text", all);
        for (int one_record = 0; one_record < 2; one_record++) {
            assert_int_equal(sf_read_text_at(tree_fd, "text", one_record, &text), 0);
            assert_int_equal(text.len, SIZES[i]);
            assert_string_equal(text.data, all);
        }
        all[SIZES[i]] = kept;
    }
    free(all);
    assert_int_equal(sf_read_text_at(tree_fd, "absent", false, &text), -ENOENT);
    assert_int_equal(sf_read_text_at(tree_fd, ".", true, &text), -EISDIR);
}

static void test_read_text_limit(void **state)
{
    SF_CLEANUP_TEXT SfText text = SF_TEXT_INIT;

    tree_write(&tree, "huge", "");
    SF_CLEANUP_FD int fd = openat(tree_fd, "huge", O_RDWR | O_CLOEXEC);
    for (int one_record = 0; one_record < 2; one_record++) {
        assert_int_equal(ftruncate(fd, SF_TEXT_MAX), 0);
        assert_int_equal(sf_read_text_fd(fd, one_record, &text), 0);
        assert_int_equal(text.len, SF_TEXT_MAX);
        assert_int_equal(ftruncate(fd, SF_TEXT_MAX + 1), 0);
        assert_int_equal(sf_read_text_fd(fd, one_record, &text), -EFBIG);
    }
}

static void test_read_record(void **state)
{
    char buffer[8];
    size_t len = 99;

    tree_write(&tree, "record", "1234567");
    assert_int_equal(sf_read_record_at(tree_fd, "record", buffer, 8, &len), 0);
    assert_int_equal(len, 7);
    assert_string_equal(buffer, "1234567");
    assert_int_equal(sf_read_record_at(tree_fd, "record", buffer, 7, &len), -EFBIG);
    assert_int_equal(sf_read_record_at(tree_fd, "record", buffer, 0, &len), -EFBIG);
    assert_int_equal(sf_read_record_at(tree_fd, "absent", buffer, 8, &len), -ENOENT);
    assert_int_equal(len, 7);
}

static void test_guards(void **state)
{
    int fd = dup(tree_fd);

    assert_true(fd >= 0);
    errno = ENOENT;
    assert_int_equal(sf_close(fd), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(sf_close(-1), -1);
    fd = 5;
    assert_int_equal(sf_steal_fd(&fd), 5);
    assert_int_equal(fd, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_text),     cmocka_unit_test(test_read_text_limit),
        cmocka_unit_test(test_read_record),   cmocka_unit_test(test_read_bounds),
        cmocka_unit_test(test_read_fd_again), cmocka_unit_test(test_read_alloc),
        cmocka_unit_test(test_read_proc),     cmocka_unit_test(test_read_stream),
        cmocka_unit_test(test_write_atomic),  cmocka_unit_test(test_write_atomic_errors),
        cmocka_unit_test(test_guards),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
