/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The host as a directory tree with a clock of the test's: sharing of texts, their age, and what is
 * missing.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "daemon/source/host.h"
#include "source-tree.h"

static uint64_t now_nsec;

static uint64_t test_clock(void *data)
{
    return *(uint64_t *)data;
}

static int setup(void **state)
{
    Tree *tree = calloc(1, sizeof(*tree));

    if (!tree)
        return -1;
    tree_init(tree);
    now_nsec = 1000;
    *state = tree;
    return 0;
}

static int teardown(void **state)
{
    tree_clear(*state);
    free(*state);
    return 0;
}

static SfHost *open_tree_host(const Tree *tree)
{
    SfHost *host = NULL;
    SfHostOptions options = {.root = tree->root,
                             .page_bytes = 65536,
                             .ticks_per_sec = 250,
                             .boottime_nsec = test_clock,
                             .clock_data = &now_nsec};

    assert_int_equal(sf_host_open(&options, &host), 0);
    return host;
}

static void test_options(void **state)
{
    const Tree *tree = *state;

    tree_mkdir(tree, "proc");
    SfHost *host = open_tree_host(tree);
    assert_int_equal(sf_host_page_bytes(host), 65536);
    assert_int_equal(sf_host_ticks_per_sec(host), 250);
    assert_int_equal(sf_host_boottime_nsec(host), 1000);
    assert_true(sf_host_proc_fd(host) >= 0);
    assert_int_equal(sf_host_sys_fd(host), -1);
    assert_string_equal(sf_host_root_path(host), tree->root);
    sf_host_free(host);
    sf_host_free(NULL);
}

static void test_no_proc(void **state)
{
    const Tree *tree = *state;
    SfHost *host = NULL;

    assert_int_equal(sf_host_open(&(SfHostOptions){.root = tree->root}, &host), -ENOENT);
    assert_int_equal(sf_host_open(&(SfHostOptions){.root = "/nowhere/at/all"}, &host), -ENOENT);
    tree_write(tree, "proc", "a file");
    assert_int_equal(sf_host_open(&(SfHostOptions){.root = tree->root}, &host), -ENOTDIR);
    assert_null(host);
}

static void test_text_age(void **state)
{
    const Tree *tree = *state;
    SfSharedText *first, *second, *third;

    tree_write(tree, "proc/meminfo", "one\n");
    SfHost *host = open_tree_host(tree);
    assert_int_equal(sf_host_text(host, SF_HOST_MEMINFO, &first), 0);
    assert_string_equal(first->data, "one\n");
    assert_int_equal(first->len, 4);
    assert_int_equal(first->read_at_nsec, 1000);

    tree_write(tree, "proc/meminfo", "two\n");
    now_nsec += SF_HOST_TEXT_MAX_AGE_NSEC;
    assert_int_equal(sf_host_text(host, SF_HOST_MEMINFO, &second), 0);
    assert_ptr_equal(second, first);
    now_nsec += 1;
    assert_int_equal(sf_host_text(host, SF_HOST_MEMINFO, &third), 0);
    assert_string_equal(third->data, "two\n");
    assert_string_equal(first->data, "one\n"); /* a reader's text never changes under it */
    assert_null(sf_shared_text_unref(first));
    assert_null(sf_shared_text_unref(second));

    /* A clock that went back does not keep a text forever. */
    tree_write(tree, "proc/meminfo", "three\n");
    now_nsec = 5;
    assert_int_equal(sf_host_text(host, SF_HOST_MEMINFO, &second), 0);
    assert_string_equal(second->data, "three\n");
    sf_shared_text_unref(second);
    sf_host_free(host);
    assert_string_equal(third->data, "two\n"); /* and outlives the host */
    sf_shared_text_unref(third);
    assert_null(sf_shared_text_unref(NULL));
}

/* Where only what hardly ever changes is taken from a text, it may be older. */
static void test_shape_age(void **state)
{
    const Tree *tree = *state;
    SfSharedText *text;

    tree_write(tree, "proc/stat", "one\n");
    SfHost *host = open_tree_host(tree);
    assert_int_equal(sf_host_text(host, SF_HOST_STAT, &text), 0);
    sf_shared_text_unref(text);
    tree_write(tree, "proc/stat", "two\n");
    now_nsec += SF_HOST_SHAPE_MAX_AGE_NSEC;
    assert_int_equal(sf_host_text(host, SF_HOST_STAT, &text), 0);
    assert_string_equal(text->data, "one\n");
    sf_shared_text_unref(text);
    now_nsec += 1;
    assert_int_equal(sf_host_text(host, SF_HOST_STAT, &text), 0);
    assert_string_equal(text->data, "two\n");
    sf_shared_text_unref(text);
    sf_host_free(host);
}

typedef struct Made {
    unsigned times; /* with this memory */
    char *copy;
} Made;

static unsigned made_count, cleared_count;

static int make_copy(const char *text, size_t len, void *made)
{
    Made *copy = made;

    free(copy->copy);
    copy->copy = strndup(text, len);
    copy->times++;
    made_count++;
    return len == 4 ? -EINVAL : 0;
}

static void clear_copy(void *made)
{
    free(((Made *)made)->copy);
    cleared_count++;
}

/* Made once for each read, into the memory of a text that nobody holds any more. */
static void test_derived(void **state)
{
    static const SfDerivation COPY = {.size = sizeof(Made), .make = make_copy, .clear = clear_copy};
    const Tree *tree = *state;
    SfSharedText *first, *second;

    made_count = cleared_count = 0;
    tree_write(tree, "proc/meminfo", "first\n");
    SfHost *host = open_tree_host(tree);
    assert_int_equal(sf_host_text(host, SF_HOST_MEMINFO, &first), 0);
    assert_null(first->derived);
    sf_shared_text_unref(first);
    assert_int_equal(sf_host_derived(host, SF_HOST_MEMINFO, &COPY, &first), 0);
    assert_int_equal(sf_host_derived(host, SF_HOST_MEMINFO, &COPY, &second), 0);
    assert_ptr_equal(first, second);
    assert_int_equal(made_count, 1);
    sf_shared_text_unref(second);

    for (unsigned i = 0; i < 10; i++) {
        tree_write(tree, "proc/meminfo", "another\n");
        now_nsec += SF_HOST_TEXT_MAX_AGE_NSEC + 1;
        assert_int_equal(sf_host_derived(host, SF_HOST_MEMINFO, &COPY, &second), 0);
        assert_string_equal(((const Made *)second->derived)->copy, "another\n");
        sf_shared_text_unref(second);
    }
    assert_int_equal(made_count, 11);
    assert_string_equal(((const Made *)first->derived)->copy, "first\n");

    tree_write(tree, "proc/meminfo", "bad\n");
    now_nsec += SF_HOST_TEXT_MAX_AGE_NSEC + 1;
    assert_int_equal(sf_host_derived(host, SF_HOST_MEMINFO, &COPY, &second), -EINVAL);
    assert_int_equal(sf_host_derived(host, SF_HOST_MEMINFO, &COPY, &second), -EINVAL);
    assert_int_equal(made_count, 12); /* and not tried again for the same text */
    assert_int_equal(cleared_count, 0);
    sf_host_free(host);
    assert_int_equal(cleared_count, 2); /* three texts' memory was enough, one of them is held */
    sf_shared_text_unref(first);
    assert_int_equal(cleared_count, 3);
}

static void test_text_missing(void **state)
{
    const Tree *tree = *state;
    SfSharedText *text = NULL;

    tree_mkdir(tree, "proc");
    SfHost *host = open_tree_host(tree);
    assert_int_equal(sf_host_text(host, SF_HOST_SWAPS, &text), -ENOENT);
    assert_int_equal(sf_host_text(host, SF_HOST_CPU_ONLINE, &text), -ENOENT);
    assert_null(text);
    tree_write(tree, "proc/swaps", "now there\n");
    assert_int_equal(sf_host_text(host, SF_HOST_SWAPS, &text), 0);
    sf_shared_text_unref(text);
    sf_host_free(host);
}

static void test_cpus(void **state)
{
    const Tree *tree = *state;
    SfCpuSet set;
    char text[64];

    tree_mkdir(tree, "proc");
    SfHost *host = open_tree_host(tree);
    assert_int_equal(sf_host_online_cpus(host, &set), 0);
    assert_int_equal(sf_cpuset_count(&set), 1);
    assert_true(sf_cpuset_has(&set, 0));
    sf_host_free(host);

    tree_write(tree, "sys/devices/system/cpu/online", "0-2,5\n");
    tree_write(tree, "sys/devices/system/cpu/possible", "0-7\n");
    host = open_tree_host(tree);
    assert_int_equal(sf_host_online_cpus(host, &set), 0);
    assert_int_equal(sf_cpuset_format_list(&set, text, sizeof(text)), 5);
    assert_string_equal(text, "0-2,5");
    assert_int_equal(sf_host_possible_cpus(host, &set), 0);
    assert_int_equal(sf_cpuset_count(&set), 8);
    tree_write(tree, "sys/devices/system/cpu/online", "garbage\n");
    now_nsec += 2 * SF_HOST_TEXT_MAX_AGE_NSEC;
    assert_int_equal(sf_host_online_cpus(host, &set), -EINVAL);
    sf_host_free(host);
}

static void test_files(void **state)
{
    const Tree *tree = *state;
    char path[256];
    char *text = NULL;
    size_t len;
    unsigned mode = 0;

    tree_write(tree, "proc/slabinfo", "x\n");
    tree_write(tree, "sys/devices/system/cpu/online", "0\n");
    tree_path(tree, "proc/slabinfo", path, sizeof(path));
    assert_int_equal(chmod(path, 0400), 0);
    SfHost *host = open_tree_host(tree);
    assert_int_equal(sf_host_file_mode(host, "/proc/slabinfo", &mode), 0);
    assert_int_equal(mode, 0400);
    assert_int_equal(sf_host_file_mode(host, "/sys/devices/system/cpu/online", &mode), 0);
    assert_int_equal(mode, 0644);
    assert_int_equal(sf_host_file_read(host, "/proc/slabinfo", &text, &len), 0);
    assert_string_equal(text, "x\n");
    free(text);

    static const char *const BAD[] = {
        "/proc/none", "/proc/",      "/proc",         "/proc//etc/passwd",
        "",           "/etc/passwd", "proc/slabinfo", "/procslabinfo"};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        assert_int_equal(sf_host_file_mode(host, BAD[i], &mode), -ENOENT);
    sf_host_free(host);
}

typedef struct Reader {
    SfHost *host;
    unsigned failed;
} Reader;

/* A text's length: wrong as soon as it is not of that text. */
static int make_len(const char *text, size_t len, void *made)
{
    *(size_t *)made = strlen(text);
    return 0;
}

static void *read_many(void *data)
{
    static const SfDerivation LEN = {.size = sizeof(size_t), .make = make_len};
    Reader *reader = data;

    for (unsigned i = 0; i < 2000; i++) {
        SfSharedText *text;
        if (sf_host_derived(reader->host, SF_HOST_STAT, &LEN, &text) < 0) {
            reader->failed++;
            continue;
        }
        if (strncmp(text->data, "cpu ", 4) != 0 || text->data[text->len - 1] != '\n' ||
            *(const size_t *)text->derived != text->len)
            reader->failed++;
        sf_shared_text_unref(text);
    }
    return NULL;
}

static uint64_t running_clock(void *data)
{
    /* Every look is past the age: each read goes to the file. */
    return __atomic_add_fetch((uint64_t *)data, 2 * SF_HOST_SHAPE_MAX_AGE_NSEC, __ATOMIC_SEQ_CST);
}

static void test_threads(void **state)
{
    pthread_t threads[4];
    Reader readers[4];
    SfHost *host = NULL;
    SfHostOptions options = {.boottime_nsec = running_clock, .clock_data = &now_nsec};

    assert_int_equal(sf_host_open(&options, &host), 0);
    for (unsigned i = 0; i < 4; i++) {
        readers[i] = (Reader){host, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, read_many, &readers[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(readers[i].failed, 0);
    }
    sf_host_free(host);
}

static void test_here(void **state)
{
    SfHost *host = NULL;
    SfCpuSet online;
    unsigned mode;
    uint64_t before;

    assert_int_equal(sf_host_open(NULL, &host), 0);
    assert_string_equal(sf_host_root_path(host), "");
    assert_int_equal(sf_host_online_cpus(host, &online), 0);
    assert_false(sf_cpuset_empty(&online));
    assert_int_equal(sf_host_file_mode(host, "/proc/meminfo", &mode), 0);
    assert_int_equal(mode, 0444);
    before = sf_host_boottime_nsec(host);
    assert_true(before > 0);
    assert_true(sf_host_boottime_nsec(host) >= before);
    sf_host_free(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_options, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_proc, setup, teardown),
        cmocka_unit_test_setup_teardown(test_text_age, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shape_age, setup, teardown),
        cmocka_unit_test_setup_teardown(test_derived, setup, teardown),
        cmocka_unit_test_setup_teardown(test_text_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cpus, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_here, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
