/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sysfsd.conf: every key, and that whatever is wrong is refused with file, line and key and changes
 * nothing.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "daemon/config.h"
#include "tests/unit/source-tree.h"

static bool load_bytes(const char *text, gssize len, SfConfig *config, GError **error)
{
    Tree tree;
    char path[128];

    tree_init(&tree);
    tree_path(&tree, "sysfsd.conf", path, sizeof(path));
    assert_true(g_file_set_contents(path, text, len, NULL));
    bool done = sf_config_load(config, path, true, error);
    if (!done)
        assert_non_null(strstr((*error)->message, path));
    tree_clear(&tree);
    return done;
}

static void assert_good(const char *text, SfConfig *config)
{
    g_autoptr(GError) error = NULL;

    sf_config_init(config);
    if (!load_bytes(text, -1, config, &error))
        fail_msg("%s", error->message);
}

/* where: ":LINE:", or "" where there is none; word: what the message names besides. */
static void assert_bad(const char *text, gssize len, const char *where, const char *word)
{
    g_autoptr(GError) error = NULL;
    SfConfig config, before;

    memset(&config, 0, sizeof(config));
    sf_config_init(&config);
    memcpy(&before, &config, sizeof(config));
    assert_false(load_bytes(text, len, &config, &error));
    g_autofree char *place = g_strdup_printf("sysfsd.conf%s", where);
    if (!strstr(error->message, place) || !strstr(error->message, word))
        fail_msg("%s", error->message);
    assert_null(strchr(error->message, '\n'));
    assert_memory_equal(&config, &before, sizeof(config));
}

static void test_defaults(void **state)
{
    SfConfig config;

    assert_good("", &config);
    assert_int_equal(config.log_level, G_LOG_LEVEL_INFO);
    assert_int_equal(config.workers, 0);
    assert_int_equal(config.max_containers, 5000);
    assert_int_equal(config.defaults.cpu, SF_CPU_POLICY_QUOTA);
    assert_int_equal(config.defaults.rule_count, 0);
    assert_true(config.defaults.enable);
}

static void test_every_key(void **state)
{
    SfConfig config;

    assert_good("# a comment\n\n[daemon]\nlog-level = debug \nworkers=8\nmax-containers=16384\n"
                "[defaults]\ncpu=host\nviews=-/proc/loadavg,+/proc/stat\n",
                &config);
    assert_int_equal(config.log_level, G_LOG_LEVEL_DEBUG);
    assert_int_equal(config.workers, 8);
    assert_int_equal(config.max_containers, 16384);
    assert_int_equal(config.defaults.cpu, SF_CPU_POLICY_HOST);
    assert_int_equal(config.defaults.rule_count, 2);
    assert_false(sf_policy_shows(&config.defaults, "/proc/loadavg"));
    assert_good("[daemon]\nworkers=1\nworkers=2\n", &config);
    assert_int_equal(config.workers, 2);
}

static void test_wrong(void **state)
{
    assert_bad("[daemon]\nnonsense=1\n", -1, ":2:", "nonsense");
    assert_bad("[daemon]\n\n# workers=1\n workers = many\n", -1, ":4:", "workers");
    assert_bad("[daemon]\nworkers=-1\n", -1, ":2:", "workers");
    assert_bad("[daemon]\nworkers=65\n", -1, ":2:", "workers");
    assert_bad("[daemon]\nworkers=\n", -1, ":2:", "workers");
    assert_bad("[daemon]\nworkers=1\nworkers=x\n", -1, ":3:", "workers");
    assert_bad("[daemon]\nmax-containers=0\n", -1, ":2:", "max-containers");
    assert_bad("[daemon]\nmax-containers=16385\n", -1, ":2:", "16384");
    assert_bad("[daemon]\nmax-containers=99999999999999999999\n", -1, ":2:", "max-containers");
    assert_bad("[daemon]\nlog-level=loud\n", -1, ":2:", "log-level");
    assert_bad("[defaults]\nviews=/proc/stat\n", -1,
               ":2:", "views in [defaults]: /proc/stat: expected");
    assert_bad("[defaults]\ncpu=all\n", -1, ":2:", "cpu in [defaults]: all: expected quota");
    assert_bad("[defaults]\nviews=-/proc/stat,-/proc/statt\n", -1, ":2:", "-/proc/statt");
    assert_bad("[defaults]\nworkers=1\n", -1, ":2:", "workers"); /* of the other group */
    assert_bad("[daemon]\nworkers=1\n[other]\nx=1\n", -1, ":3:", "other");
}

static void test_malformed(void **state)
{
    assert_bad("workers=1\n", -1, ":1:", "");
    assert_bad("[daemon]\nworkers=1\nwhat is this\n", -1, ":3:", "");
    assert_bad("[daemon\nworkers=1\n", -1, ":1:", "");
    assert_bad("[daemon]\n\n[bad]name]\n[daemon]\n", -1, ":3:", "");
    assert_bad("[daemon]\n# one\n = 3\nworkers=1\n", -1, ":3:", "");
    assert_bad("[daemon]\nworkers=1\n[a\033b]", -1, ":3:", "");
    assert_bad("[daemon]\nlog-level[de]=debug\n", -1, ":2:", "log-level[de]");
    assert_bad("[daemon]\nworkers=1\0\nnonsense=1\n", 31, ":2:", "UTF-8");
    assert_bad("[daemon]\nlog-level=\377\n", -1, ":2:", "UTF-8");
}

static void test_files(void **state)
{
    g_autoptr(GError) error = NULL;
    SfConfig config;

    sf_config_init(&config);
    assert_true(sf_config_load(&config, "/nonexistent/sysfsd.conf", false, &error));
    assert_null(error);
    assert_false(sf_config_load(&config, "/nonexistent/sysfsd.conf", true, &error));
    assert_non_null(strstr(error->message, "/nonexistent/sysfsd.conf"));
    g_clear_error(&error);
    assert_false(sf_config_load(&config, "/tmp", false, &error));
    assert_non_null(strstr(error->message, "/tmp"));
}

static void test_parts(void **state)
{
    g_autoptr(GError) error = NULL;
    SfConfig config;
    Tree tree;
    char path[128];

    tree_init(&tree);
    tree_path(&tree, "sysfsd.conf", path, sizeof(path));
    assert_true(g_file_set_contents(path,
                                    "[daemon]\nworkers=x\nmax-containers=7\n[other]\nx=1\n"
                                    "[defaults]\nviews=-/proc/stat,-/proc/statt\ncpu=host\n",
                                    -1, NULL));
    sf_config_init(&config);
    assert_false(sf_config_load_parts(&config, path, true, &error));
    assert_non_null(strstr(error->message, "sysfsd.conf:2: workers")); /* the first */
    assert_int_equal(config.workers, 0);
    assert_int_equal(config.max_containers, 7);
    assert_int_equal(config.defaults.cpu, SF_CPU_POLICY_HOST);
    assert_int_equal(config.defaults.rule_count, 0); /* nothing of a value that is wrong */
    g_clear_error(&error);

    assert_true(g_file_set_contents(path, "[daemon]\nworkers=3\n", -1, NULL));
    assert_true(sf_config_load_parts(&config, path, true, &error));
    assert_int_equal(config.workers, 3);
    tree_clear(&tree);
}

static void test_levels(void **state)
{
    GLogLevelFlags level;

    assert_true(sf_config_log_level("error", &level));
    assert_int_equal(level, G_LOG_LEVEL_CRITICAL);
    assert_true(sf_config_log_level("warning", &level));
    assert_false(sf_config_log_level("", &level));
    assert_false(sf_config_log_level("Info", &level));
    assert_int_equal(level, G_LOG_LEVEL_WARNING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_every_key),
        cmocka_unit_test(test_wrong),    cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_files),    cmocka_unit_test(test_parts),
        cmocka_unit_test(test_levels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
