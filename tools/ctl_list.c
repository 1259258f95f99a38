/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The verbs list and status: short answers of the daemon as tables. Nothing is computed here.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ctl.h"
#include "tools/ctl_table.h"

static int compare_ids(const void *a, const void *b)
{
    return strcmp(sf_ctl_string(*(json_t *const *)a, "id"),
                  sf_ctl_string(*(json_t *const *)b, "id"));
}

/* The daemon's order is its own; people and scripts compare two listings. */
static int sort_containers(json_t *reply)
{
    json_t *containers = json_object_get(reply, "containers");
    size_t count = json_array_size(containers);
    if (!json_is_array(containers))
        return -EBADMSG;
    SF_CLEANUP_FREE json_t **sorted = calloc(count + 1, sizeof(json_t *));
    json_t *array = json_array();
    int r = sorted && array ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < count; i++)
        sorted[i] = json_array_get(containers, i);
    if (r == 0)
        qsort(sorted, count, sizeof(json_t *), compare_ids);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = json_array_append(array, sorted[i]) < 0 ? -ENOMEM : 0;
    if (r == 0 && json_object_set(reply, "containers", array) < 0)
        r = -ENOMEM;
    json_decref(array);
    return r;
}

static bool is_unanswered(const json_t *container)
{
    return json_is_true(json_object_get(container, "unanswered"));
}

/* A size, or "-" where the daemon gave none: nobody limits, or the kernel does not say. "?": the
 * kernel does not answer. */
static void bytes_cell(SfTable *table, const json_t *container, const char *key)
{
    if (is_unanswered(container))
        sf_table_cell(table, SF_COLOUR_RED, "?");
    else if (json_is_integer(json_object_get(container, key)))
        sf_table_cell(table, SF_COLOUR_NONE, "%s",
                      sf_human_bytes(sf_ctl_number(container, key)).text);
    else
        sf_table_cell(table, SF_COLOUR_NONE, "-");
}

static SfCtlExit print_list(const SfCtl *ctl, const json_t *containers)
{
    static const char *const names[] = {"ID", "PID", "AGE", "CPUS", "LIMIT", "USED", "READS"};
    SfTable table = {.columns = 7, .right = 0x7e, .header = true};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        sf_table_cell(&table, SF_COLOUR_NONE, "%s", names[i]);
    size_t i;
    json_t *container;
    json_array_foreach(containers, i, container)
    {
        sf_table_cell(&table, SF_COLOUR_NONE, "%s", sf_ctl_string(container, "id"));
        sf_table_cell(&table, SF_COLOUR_NONE, "%" PRIu64, sf_ctl_number(container, "pid"));
        sf_table_cell(&table, SF_COLOUR_NONE, "%s",
                      sf_human_age(sf_ctl_number(container, "age_usec")).text);
        if (is_unanswered(container))
            sf_table_cell(&table, SF_COLOUR_RED, "?");
        else
            sf_table_cell(&table, SF_COLOUR_NONE, "%" PRIu64, sf_ctl_number(container, "cpus"));
        bytes_cell(&table, container, "memory_limit_bytes");
        bytes_cell(&table, container, "memory_used_bytes");
        sf_table_cell(&table, SF_COLOUR_NONE, "%" PRIu64, sf_ctl_number(container, "reads"));
    }
    return sf_table_print(&table, ctl);
}

SfCtlExit sf_ctl_list(const SfCtl *ctl, int argc, char **args)
{
    json_t *reply = NULL;
    SfCtlExit code = sf_ctl_call(ctl, "List", NULL, "list", &reply);
    if (code != SF_CTL_OK)
        return code;
    int r = sort_containers(reply);
    if (r < 0)
        code = sf_ctl_fail(SF_CTL_FAILED, "list: %s",
                           r == -ENOMEM ? "out of memory" : "the daemon's answer is malformed");
    else if (ctl->json)
        code = sf_ctl_print_json(json_incref(reply));
    else
        code = print_list(ctl, json_object_get(reply, "containers"));
    json_decref(reply);
    return code;
}

static void number_row(SfTable *table, const char *name, const json_t *status, const char *key)
{
    sf_table_cell(table, SF_COLOUR_NONE, "%s", name);
    sf_table_cell(table, SF_COLOUR_NONE, "%" PRIu64, sf_ctl_number(status, key));
}

static void string_row(SfTable *table, const char *name, const char *value)
{
    sf_table_cell(table, SF_COLOUR_NONE, "%s", name);
    sf_table_cell(table, SF_COLOUR_NONE, "%s", value);
}

static SfCtlExit print_status(const SfCtl *ctl, const json_t *status)
{
    SfTable table = {.columns = 2};
    string_row(&table, "version", sf_ctl_string(status, "version"));
    number_row(&table, "pid", status, "pid");
    string_row(&table, "uptime", sf_human_age(sf_ctl_number(status, "uptime_usec")).text);
    number_row(&table, "containers", status, "containers");
    number_row(&table, "requests", status, "requests");
    number_row(&table, "workers", status, "workers");
    number_row(&table, "restarts", status, "restarts");
    number_row(&table, "resumed", status, "resumed");
    number_row(&table, "healed", status, "healed");
    number_row(&table, "waiting", status, "waiting");
    string_row(&table, "cgroups", sf_ctl_string(status, "cgroup_layout"));
    string_row(&table, "runtime dir", sf_ctl_string(status, "runtime_dir"));
    SF_CLEANUP_TEXT SfText features = SF_TEXT_INIT;
    size_t i;
    json_t *feature;
    json_array_foreach(json_object_get(status, "features"), i, feature)
    {
        if (json_is_string(feature))
            sf_text_printf(&features, "%s%s", features.len ? " " : "", json_string_value(feature));
    }
    string_row(&table, "features", features.data ? features.data : "-");
    return sf_table_print(&table, ctl);
}

SfCtlExit sf_ctl_status(const SfCtl *ctl, int argc, char **args)
{
    json_t *status = NULL;
    SfCtlExit code = sf_ctl_call(ctl, "Status", NULL, "status", &status);
    if (code != SF_CTL_OK)
        return code;
    if (ctl->json)
        return sf_ctl_print_json(status);
    code = print_status(ctl, status);
    json_decref(status);
    return code;
}
