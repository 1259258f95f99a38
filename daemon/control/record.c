/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of containers as JSON files. This file knows their form; when they are written or removed
 * is the registry's.
 */

#include "daemon/control/record.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <unistd.h>

#include "lib/base/id.h"
#include "lib/base/io.h"

/* Left out when nothing is; a daemon that does not know it leaves it out as well. */
#define DUE "attach_due"

static char *to_hex(const char *bytes)
{
    GString *hex = g_string_new(NULL);

    for (; *bytes; bytes++)
        g_string_append_printf(hex, "%02x", (unsigned char)*bytes);
    return g_string_free(hex, FALSE);
}

/* NULL: not the digits of a string. */
static char *from_hex(const char *hex)
{
    size_t len = strlen(hex) / 2;
    g_autofree char *bytes = g_malloc(len + 1);

    if (strlen(hex) % 2 != 0)
        return NULL;
    for (size_t i = 0; i < len; i++) {
        int high = g_ascii_xdigit_value(hex[2 * i]), low = g_ascii_xdigit_value(hex[2 * i + 1]);
        if (high < 0 || low < 0 || (high == 0 && low == 0))
            return NULL;
        bytes[i] = (char)(high << 4 | low);
    }
    bytes[len] = '\0';
    return g_steal_pointer(&bytes);
}

/* The name of a cgroup is any bytes, JSON is UTF-8: paths that are not have a place of their own,
 * in hexadecimal. */
static void cgroups_to_json(const SfContainer *container, json_t **ret_cgroups, json_t **ret_hex)
{
    json_t *cgroups = json_object(), *hex_cgroups = json_object();

    for (unsigned i = 0; i < SF_CONTROLLER_COUNT; i++) {
        const SfCgroup *cgroup = sf_container_cgroup(container, (SfController)i);
        const char *name = sf_controller_name((SfController)i);
        if (!cgroup)
            continue;
        if (g_utf8_validate(sf_cgroup_path(cgroup), -1, NULL)) {
            (void)json_object_set_new(cgroups, name, json_string(sf_cgroup_path(cgroup)));
        } else {
            g_autofree char *hex = to_hex(sf_cgroup_path(cgroup));
            (void)json_object_set_new(hex_cgroups, name, json_string(hex));
        }
    }
    *ret_cgroups = cgroups;
    *ret_hex = hex_cgroups;
}

/* Defaults and annotations together: a later daemon may have other defaults. */
static json_t *policy_to_json(const SfPolicy *policy)
{
    json_t *views = json_array();

    for (unsigned i = 0; i < policy->rule_count; i++) {
        g_autofree char *rule =
            g_strdup_printf("%c%s", policy->rules[i].show ? '+' : '-', policy->rules[i].path);
        (void)json_array_append_new(views, json_string(rule));
    }
    return json_pack("{s:b, s:s, s:o}", "required", policy->required, "cpu",
                     sf_cpu_policy_name(policy->cpu), "views", views);
}

/* As text: JSON's integers are signed. */
static json_t *number_to_json(uint64_t number)
{
    char text[32];

    (void)g_snprintf(text, sizeof(text), "%" G_GUINT64_FORMAT, number);
    return json_string(text);
}

static const char *const due_names[] = {
    [SF_DUE_CONSTANTS] = "constants",
    [SF_DUE_ALL] = "all",
};

static char *encode(const char *boot_id, const SfContainer *container, const json_t *annotations,
                    SfAttachDue due)
{
    json_t *cgroups, *hex_cgroups;

    cgroups_to_json(container, &cgroups, &hex_cgroups);
    json_t *record =
        json_pack("{s:i, s:s, s:i, s:I, s:o, s:s, s:s*, s:o, s:o, s:o, s:O*, s:s*}", "version",
                  SF_RECORD_VERSION, "id", sf_container_id(container), "pid",
                  (int)sf_container_init_pid(container), "start_ticks",
                  (json_int_t)sf_container_start_ticks(container), "number",
                  number_to_json(sf_container_number(container)), "boot_id", boot_id, "bundle",
                  sf_container_bundle(container), "cgroups", cgroups, "cgroups_hex", hex_cgroups,
                  "policy", policy_to_json(sf_container_policy(container)), "annotations",
                  annotations, DUE, due_names[due]);
    char *text = record ? json_dumps(record, JSON_INDENT(2)) : NULL;

    json_decref(record);
    return text;
}

static int write_text(int directory_fd, const char *id, const char *text)
{
    g_autofree char *name = g_strdup_printf("%s.json", id);

    if (!text)
        return -ENOMEM;
    if (strlen(text) >= SF_RECORD_MAX_BYTES) /* annotations fill a frame, and are indented here */
        return -EFBIG;
    return sf_write_atomic_at(directory_fd, name, text, strlen(text), 0600);
}

int sf_record_write(int directory_fd, const char *boot_id, const SfContainer *container,
                    const json_t *annotations, SfAttachDue due)
{
    SF_CLEANUP_FREE char *text = encode(boot_id, container, annotations, due);

    return write_text(directory_fd, sf_container_id(container), text);
}

static bool is_record_of(const json_t *record, const char *id)
{
    return g_strcmp0(json_string_value(json_object_get(record, "id")), id) == 0 &&
           json_integer_value(json_object_get(record, "version")) == SF_RECORD_VERSION &&
           json_integer_value(json_object_get(record, "pid")) > 0 &&
           json_is_object(json_object_get(record, "cgroups"));
}

int sf_record_read(int directory_fd, const char *id, json_t **ret_record)
{
    g_autofree char *name = g_strdup_printf("%s.json", id);
    SF_CLEANUP_FREE char *text = NULL;
    size_t len;

    int r = sf_read_alloc_at(directory_fd, name, SF_RECORD_MAX_BYTES, &text, &len);
    if (r < 0)
        return r;
    json_error_t error;
    json_t *record = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (!record && json_error_code(&error) == json_error_out_of_memory)
        return -ENOMEM;
    if (!is_record_of(record, id)) {
        json_decref(record);
        return -EBADMSG;
    }
    *ret_record = record;
    return 0;
}

static SfAttachDue due_of(const json_t *record)
{
    const char *name = json_string_value(json_object_get(record, DUE));

    if (!name)
        return SF_DUE_NOTHING;
    return strcmp(name, due_names[SF_DUE_CONSTANTS]) == 0 ? SF_DUE_CONSTANTS : SF_DUE_ALL;
}

int sf_record_set_due(int directory_fd, const char *id, SfAttachDue due)
{
    json_t *record;

    int r = sf_record_read(directory_fd, id, &record);
    if (r < 0)
        return r;
    if (due_of(record) != due) {
        int failed = due == SF_DUE_NOTHING
                         ? json_object_del(record, DUE)
                         : json_object_set_new(record, DUE, json_string(due_names[due]));
        SF_CLEANUP_FREE char *text = failed ? NULL : json_dumps(record, JSON_INDENT(2));
        r = write_text(directory_fd, id, text);
    }
    json_decref(record);
    return r;
}

static int parse_policy(const json_t *json, SfPolicy *policy)
{
    const char *cpu = json_string_value(json_object_get(json, "cpu"));
    const json_t *views = json_object_get(json, "views");
    char sentence[256];
    size_t i;
    json_t *rule;

    sf_policy_init(policy);
    policy->required = json_is_true(json_object_get(json, "required"));
    if (!cpu || sf_policy_apply(policy, "io.sysfsd.cpu", cpu, sentence, sizeof(sentence)) < 0)
        return -EBADMSG;
    json_array_foreach((json_t *)views, i, rule)
    {
        if (!json_is_string(rule) ||
            sf_policy_apply(policy, "io.sysfsd.views", json_string_value(rule), sentence,
                            sizeof(sentence)) < 0)
            return -EBADMSG;
    }
    return 0;
}

static int parse_cgroups(const json_t *json, SfRecord *record)
{
    const json_t *cgroups = json_object_get(json, "cgroups");
    const json_t *hex_cgroups = json_object_get(json, "cgroups_hex"); /* none in older ones */

    for (unsigned i = 0; i < SF_CONTROLLER_COUNT; i++) {
        const char *name = sf_controller_name((SfController)i);
        const char *hex = json_string_value(json_object_get(hex_cgroups, name));
        record->cgroup_paths[i] = json_string_value(json_object_get(cgroups, name));
        if (!hex)
            continue;
        record->decoded[i] = from_hex(hex);
        if (!record->decoded[i])
            return -EBADMSG;
        record->cgroup_paths[i] = record->decoded[i];
    }
    return 0;
}

int sf_record_parse(const json_t *record, SfRecord *ret_record)
{
    const char *number = json_string_value(json_object_get(record, "number"));
    json_int_t start_ticks = json_integer_value(json_object_get(record, "start_ticks"));
    json_int_t pid = json_integer_value(json_object_get(record, "pid"));

    *ret_record = (SfRecord){
        .spec = {.id = json_string_value(json_object_get(record, "id")),
                 .pidfd = -1,
                 .bundle = json_string_value(json_object_get(record, "bundle"))},
        .boot_id = json_string_value(json_object_get(record, "boot_id")),
        .due = due_of(record),
    };
    if (!ret_record->boot_id || !number || pid > INT32_MAX || start_ticks <= 0 ||
        sf_slice_u64(sf_slice_str(number), &ret_record->spec.number) < 0 ||
        ret_record->spec.number == 0)
        return -EBADMSG;
    ret_record->spec.init_pid = (pid_t)pid;
    ret_record->spec.start_ticks = (uint64_t)start_ticks;
    int r = parse_cgroups(record, ret_record);
    if (r == 0)
        r = parse_policy(json_object_get(record, "policy"), &ret_record->policy);
    if (r < 0)
        sf_record_clear(ret_record);
    return r;
}

void sf_record_clear(SfRecord *record)
{
    for (unsigned i = 0; i < SF_CONTROLLER_COUNT; i++)
        g_clear_pointer(&record->decoded[i], g_free);
}

int sf_record_remove(int directory_fd, const char *id)
{
    g_autofree char *name = g_strdup_printf("%s.json", id);

    return unlinkat(directory_fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

char *sf_record_id_of_file(const char *name)
{
    if (!g_str_has_suffix(name, ".json"))
        return NULL;
    char *id = g_strndup(name, strlen(name) - strlen(".json"));
    if (!sf_id_valid(id))
        g_clear_pointer(&id, g_free);
    return id;
}
