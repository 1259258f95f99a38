/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The persisted record: that it holds what a later daemon needs, and that a damaged one is told
 * from a whole one.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "daemon/control/record.h"
#include "lib/base/io.h"
#include "tests/unit/control-world.h"

static int directory(const ControlWorld *world)
{
    int fd = open(world->runtime.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static SfContainer *make_container_in(ControlWorld *world, const char *id, const char *cgroup)
{
    SfPolicy policy;
    char error[128];
    SfContainer *container = NULL;
    SfContainerSpec spec = {.id = id,
                            .init_pid = start_process(world, cgroup, 1),
                            .pidfd = -1,
                            .bundle = "/bundles/\303\244",
                            .policy = &policy};

    sf_policy_init(&policy);
    assert_int_equal(
        sf_policy_apply(&policy, "io.sysfsd.views", "-/proc/stat", error, sizeof(error)), 0);
    assert_int_equal(sf_container_new(world->host, world->cgroups, &spec, &container), 0);
    return container;
}

static SfContainer *make_container(ControlWorld *world, const char *id)
{
    return make_container_in(world, id, "/slice/c1");
}

static void test_write_and_read(void **state)
{
    ControlWorld world;
    json_t *record, *annotations = json_pack("{s:s}", "io.sysfsd.views", "-/proc/stat");

    world_begin(&world);
    SF_CLEANUP_FD int fd = directory(&world);
    SfContainer *container = make_container(&world, "c.1");
    assert_int_equal(sf_record_write(fd, "boot", container, annotations, SF_DUE_NOTHING), 0);
    assert_int_equal(sf_record_write(fd, "boot", container, annotations, SF_DUE_NOTHING),
                     0); /* over the old one */
    assert_int_equal(runtime_count(&world, "."), 1);
    assert_int_equal(sf_record_read(fd, "c.1", &record), 0);

    const char *id, *boot_id, *bundle, *cgroup, *cpu, *rule, *annotation;
    int version, pid;
    json_int_t ticks;
    assert_int_equal(
        json_unpack(record, "{s:i, s:s, s:i, s:I, s:s, s:s, s:{s:s}, s:{s:s, s:[s]}, s:{s:s}}",
                    "version", &version, "id", &id, "pid", &pid, "start_ticks", &ticks, "boot_id",
                    &boot_id, "bundle", &bundle, "cgroups", "memory", &cgroup, "policy", "cpu",
                    &cpu, "views", &rule, "annotations", "io.sysfsd.views", &annotation),
        0);
    assert_int_equal(version, SF_RECORD_VERSION);
    assert_string_equal(id, "c.1");
    assert_int_equal(pid, sf_container_init_pid(container));
    assert_int_equal(ticks, 10000);
    assert_string_equal(boot_id, "boot");
    assert_string_equal(bundle, "/bundles/\303\244");
    assert_string_equal(cgroup, "/slice/c1");
    assert_string_equal(cpu, "quota");
    assert_string_equal(rule, "-/proc/stat");
    assert_string_equal(annotation, "-/proc/stat");
    json_decref(record);

    assert_int_equal(sf_record_remove(fd, "c.1"), 0);
    assert_int_equal(sf_record_remove(fd, "c.1"), 0);
    assert_int_equal(sf_record_read(fd, "c.1", &record), -ENOENT);
    json_decref(annotations);
    sf_container_unref(container);
    world_end(&world);
}

static SfAttachDue due_in(int fd, const char *id)
{
    json_t *json;
    SfRecord record;

    assert_int_equal(sf_record_read(fd, id, &json), 0);
    assert_int_equal(sf_record_parse(json, &record), 0);
    SfAttachDue due = record.due;
    assert_string_equal(record.boot_id, "boot"); /* and the rest is there */
    sf_record_clear(&record);
    json_decref(json);
    return due;
}

/* What is due is written into a record that is there, and taken out of it. */
static void test_due(void **state)
{
    ControlWorld world;
    size_t plain_len, len;
    SF_CLEANUP_FREE char *plain = NULL;
    SF_CLEANUP_FREE char *text = NULL;

    world_begin(&world);
    SF_CLEANUP_FD int fd = directory(&world);
    SfContainer *container = make_container(&world, "c");
    assert_int_equal(sf_record_set_due(fd, "c", SF_DUE_ALL), -ENOENT);
    assert_int_equal(runtime_count(&world, "."), 0);
    assert_int_equal(sf_record_write(fd, "boot", container, NULL, SF_DUE_NOTHING), 0);
    assert_int_equal(sf_read_alloc_at(fd, "c.json", SF_RECORD_MAX_BYTES, &plain, &plain_len), 0);
    assert_int_equal(due_in(fd, "c"), SF_DUE_NOTHING);
    assert_int_equal(sf_record_set_due(fd, "c", SF_DUE_CONSTANTS), 0);
    assert_int_equal(due_in(fd, "c"), SF_DUE_CONSTANTS);
    assert_int_equal(sf_record_set_due(fd, "c", SF_DUE_ALL), 0);
    assert_int_equal(due_in(fd, "c"), SF_DUE_ALL);
    assert_int_equal(sf_record_set_due(fd, "c", SF_DUE_NOTHING), 0);
    assert_int_equal(sf_read_alloc_at(fd, "c.json", SF_RECORD_MAX_BYTES, &text, &len), 0);
    assert_string_equal(text, plain);
    assert_int_equal(sf_record_write(fd, "boot", container, NULL, SF_DUE_ALL), 0);
    assert_int_equal(due_in(fd, "c"), SF_DUE_ALL);
    sf_container_unref(container);
    world_end(&world);
}

/* The name of a cgroup is any bytes but '/', '\n' and NUL. */
static void test_any_cgroup_name(void **state)
{
    static const char *const paths[] = {
        "/slice/\377\376", "/\303(", "/\303\244", "/a\\x\"\001\t", "/\355\240\200", "/x\300\200y",
    };
    ControlWorld world;

    world_begin(&world);
    SF_CLEANUP_FD int fd = directory(&world);
    for (unsigned i = 0; i < G_N_ELEMENTS(paths); i++) {
        SfContainer *container = make_container_in(&world, "c", paths[i]);
        json_t *json;
        SfRecord record;
        assert_string_equal(sf_cgroup_path(sf_container_cgroup(container, SF_CONTROLLER_MEMORY)),
                            paths[i]);
        assert_int_equal(sf_record_write(fd, "boot", container, NULL, SF_DUE_NOTHING), 0);
        assert_int_equal(sf_record_read(fd, "c", &json), 0);
        assert_int_equal(sf_record_parse(json, &record), 0);
        assert_string_equal(record.cgroup_paths[SF_CONTROLLER_MEMORY], paths[i]);
        assert_string_equal(record.cgroup_paths[SF_CONTROLLER_UNIFIED], paths[i]);
        sf_record_clear(&record);
        json_decref(json);
        sf_container_unref(container);
    }
    world_end(&world);
}

/* hex: of "cgroups_hex", or NULL: as it was written before there was one. */
static int parse_text(const char *hex, char **ret_path)
{
    g_autofree char *text = g_strdup_printf(
        "{\"version\": 1, \"id\": \"c\", \"pid\": 1, \"start_ticks\": 7, \"number\": \"5\","
        " \"boot_id\": \"b\", \"cgroups\": {\"memory\": \"/m\"}%s%s%s,"
        " \"policy\": {\"cpu\": \"quota\", \"views\": []}}",
        hex ? ", \"cgroups_hex\": {\"cpu\": \"" : "", hex ? hex : "", hex ? "\"}" : "");
    json_t *json = json_loads(text, 0, NULL);
    SfRecord record;

    assert_non_null(json);
    int r = sf_record_parse(json, &record);
    if (r == 0) {
        assert_string_equal(record.cgroup_paths[SF_CONTROLLER_MEMORY], "/m");
        *ret_path = g_strdup(record.cgroup_paths[SF_CONTROLLER_CPU]);
        sf_record_clear(&record);
    }
    json_decref(json);
    return r;
}

static void test_old_and_bad_paths(void **state)
{
    static const char *const bad[] = {"2", "2fzz", "2f00", "2f ff"};
    char *path;

    assert_int_equal(parse_text(NULL, &path), 0);
    assert_null(path);
    assert_int_equal(parse_text("2fFf", &path), 0);
    assert_string_equal(path, "/\377");
    g_free(path);
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++)
        assert_int_equal(parse_text(bad[i], &path), -EBADMSG);
}

static void test_damaged(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"version\": 1, \"id\": \"c\", \"pid\": 1, \"cgroups\": {}",
        "{\"version\": 1, \"id\": \"other\", \"pid\": 1, \"cgroups\": {}}",
        "{\"version\": 2, \"id\": \"c\", \"pid\": 1, \"cgroups\": {}}",
        "{\"version\": 1, \"id\": \"c\", \"pid\": 0, \"cgroups\": {}}",
        "{\"version\": 1, \"id\": \"c\", \"pid\": \"1\", \"cgroups\": {}}",
        "{\"version\": 1, \"id\": \"c\", \"pid\": 1, \"cgroups\": []}",
        "{\"version\": 1, \"id\": \"c\", \"id\": \"c\", \"pid\": 1, \"cgroups\": {}}",
        "{\"version\": 1, \"id\": \"c\", \"pid\": 1, \"cgroups\": {}} x",
    };
    Tree tree;
    json_t *record;

    tree_init(&tree);
    SF_CLEANUP_FD int fd = open(tree.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
        tree_write(&tree, "c.json", texts[i]);
        assert_int_equal(sf_record_read(fd, "c", &record), -EBADMSG);
    }
    tree_write(&tree, "c.json", "{\"version\": 1, \"id\": \"c\", \"pid\": 1, \"cgroups\": {}}");
    assert_int_equal(sf_record_read(fd, "c", &record), 0);
    json_decref(record);
    g_autofree char *big = g_strnfill(SF_RECORD_MAX_BYTES + 1, ' ');
    tree_write(&tree, "c.json", big);
    assert_int_equal(sf_record_read(fd, "c", &record), -EFBIG);
    tree_clear(&tree);
}

static void assert_file_id(const char *name, const char *id)
{
    g_autofree char *found = sf_record_id_of_file(name);

    if (id)
        assert_string_equal(found, id);
    else
        assert_null(found);
}

static void test_file_names(void **state)
{
    assert_file_id("c1.json", "c1");
    assert_file_id("a.b.json", "a.b");
    assert_file_id("x.json.json", "x.json");
    assert_file_id("c1", NULL);
    assert_file_id(".json", NULL);
    assert_file_id("..json", NULL);
    assert_file_id("...json", NULL);
    assert_file_id("a b.json", NULL);
    assert_file_id("", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_and_read),    cmocka_unit_test(test_any_cgroup_name),
        cmocka_unit_test(test_old_and_bad_paths), cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_file_names),        cmocka_unit_test(test_due),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
