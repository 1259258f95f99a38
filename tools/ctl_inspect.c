/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The verb inspect: the daemon's description of one container, in sections. Names of limits,
 * cgroups and namespaces are shown as the daemon gives them, so that it can add some.
 */

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "lib/base/number.h"
#include "tools/ctl.h"
#include "tools/ctl_table.h"

static void row(SfTable *table, const char *name, const char *value)
{
    sf_table_cell(table, SF_COLOUR_NONE, "%s", name);
    sf_table_cell(table, SF_COLOUR_NONE, "%s", value[0] ? value : "-");
}

static void number_row(SfTable *table, const char *name, uint64_t value)
{
    sf_table_cell(table, SF_COLOUR_NONE, "%s", name);
    sf_table_cell(table, SF_COLOUR_NONE, "%" PRIu64, value);
}

/* Registration is told in the time since boot, proc_uptime(5)'s. */
static uint64_t since_boot_time(uint64_t usec)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_BOOTTIME, &now); /* cannot fail for this clock */
    return sf_sub_sat((uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000, usec);
}

static void identity(const SfCtl *ctl, const json_t *container)
{
    SfTable table = {.columns = 2};
    row(&table, "id", sf_ctl_string(container, "id"));
    number_row(&table, "pid", sf_ctl_number(container, "pid"));
    row(&table, "bundle", sf_ctl_string(container, "bundle"));
    row(&table, "view", sf_ctl_string(container, "view"));
    row(&table, "age", sf_human_age(sf_ctl_number(container, "age_usec")).text);
    sf_table_cell(&table, SF_COLOUR_NONE, "registered");
    sf_table_cell(&table, SF_COLOUR_NONE, "%s ago",
                  sf_human_age(since_boot_time(sf_ctl_number(container, "registered_usec"))).text);
    sf_table_cell(&table, SF_COLOUR_NONE, "root");
    sf_table_cell(&table, SF_COLOUR_NONE, "%" PRIu64 ":%" PRIu64,
                  sf_ctl_number(container, "root_uid"), sf_ctl_number(container, "root_gid"));
    row(&table, "cpus", sf_ctl_string(container, "visible_cpus"));
    bool known = json_is_integer(json_object_get(container, "memory_used_bytes"));
    row(&table, "memory used",
        known ? sf_human_bytes(sf_ctl_number(container, "memory_used_bytes")).text : "");
    (void)sf_table_print(&table, ctl);
}

static void policy(const SfCtl *ctl, const json_t *container)
{
    const json_t *value = json_object_get(container, "policy");
    SF_CLEANUP_TEXT SfText views = SF_TEXT_INIT;
    size_t i;
    json_t *rule;
    json_array_foreach(json_object_get(value, "views"), i, rule)
    {
        if (json_is_string(rule))
            sf_text_printf(&views, "%s%s", views.len ? "," : "", json_string_value(rule));
    }
    sf_ctl_heading(ctl, "Policy");
    SfTable table = {.columns = 2, .indent = true};
    row(&table, "enable", json_is_true(json_object_get(value, "enable")) ? "true" : "false");
    row(&table, "required", json_is_true(json_object_get(value, "required")) ? "true" : "false");
    row(&table, "cpu", sf_ctl_string(value, "cpu"));
    row(&table, "views", views.data ? views.data : "default");
    (void)sf_table_print(&table, ctl);
}

/* An object of strings or numbers. */
static void map(const SfCtl *ctl, const json_t *container, const char *key, const char *heading)
{
    SfTable table = {.columns = 2, .indent = true};
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)json_object_get(container, key), name, value)
    {
        if (json_is_integer(value))
            number_row(&table, name, (uint64_t)json_integer_value(value));
        else if (json_is_string(value))
            row(&table, name, json_string_value(value));
    }
    if (table.count == 0)
        return;
    sf_ctl_heading(ctl, heading);
    (void)sf_table_print(&table, ctl);
}

static bool has_suffix(const char *text, const char *suffix)
{
    size_t len = strlen(text), suffix_len = strlen(suffix);
    return len >= suffix_len && strcmp(text + len - suffix_len, suffix) == 0;
}

static void limits(const SfCtl *ctl, const json_t *container)
{
    SfTable table = {.columns = 3, .indent = true, .right = 1u << 1};
    const char *name;
    json_t *limit;
    json_object_foreach(json_object_get(container, "limits"), name, limit)
    {
        bool limited = json_is_integer(json_object_get(limit, "value"));
        uint64_t value = sf_ctl_number(limit, "value");
        const char *cgroup = sf_ctl_string(limit, "cgroup");
        sf_table_cell(&table, SF_COLOUR_NONE, "%s", name);
        if (!limited)
            sf_table_cell(&table, SF_COLOUR_NONE, "no limit");
        else if (has_suffix(name, "_bytes"))
            sf_table_cell(&table, SF_COLOUR_NONE, "%s", sf_human_bytes(value).text);
        else
            sf_table_cell(&table, SF_COLOUR_NONE, "%" PRIu64, value);
        if (!limited)
            sf_table_cell(&table, SF_COLOUR_NONE, "-");
        else
            sf_table_cell(&table, SF_COLOUR_NONE, "%s", cgroup[0] ? cgroup : "(the host)");
    }
    if (table.count == 0)
        return;
    sf_ctl_heading(ctl, "Limits, and the cgroup that sets each");
    (void)sf_table_print(&table, ctl);
}

static SfCtlExit files(const SfCtl *ctl, const json_t *container)
{
    static const char *const names[] = {"FILE",     "SOURCE",   "MODE",   "READS",
                                        "P50 USEC", "P99 USEC", "ERRORS", "LAST ERROR"};
    SfTable table = {.columns = 8, .indent = true, .header = true, .right = 0x7c};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        sf_table_cell(&table, SF_COLOUR_NONE, "%s", names[i]);
    size_t i;
    json_t *file;
    json_array_foreach(json_object_get(container, "files"), i, file)
    {
        uint64_t errors = sf_ctl_number(file, "errors");
        const char *last = sf_ctl_string(file, "last_error");
        SfColour colour = errors ? SF_COLOUR_RED : SF_COLOUR_NONE;
        sf_table_cell(&table, SF_COLOUR_NONE, "%s", sf_ctl_string(file, "path"));
        sf_table_cell(&table, SF_COLOUR_NONE, "%s", sf_ctl_string(file, "source"));
        sf_table_cell(&table, SF_COLOUR_NONE, "%04" PRIo64, sf_ctl_number(file, "mode") & 07777);
        sf_table_cell(&table, SF_COLOUR_NONE, "%" PRIu64, sf_ctl_number(file, "reads"));
        sf_table_cell(&table, SF_COLOUR_NONE, "%" PRIu64, sf_ctl_number(file, "p50_usec"));
        sf_table_cell(&table, SF_COLOUR_NONE, "%" PRIu64, sf_ctl_number(file, "p99_usec"));
        sf_table_cell(&table, colour, "%" PRIu64, errors);
        sf_table_cell(&table, colour, "%s", last[0] ? last : "-");
    }
    sf_ctl_heading(ctl, "Files");
    return sf_table_print(&table, ctl);
}

SfCtlExit sf_ctl_inspect(const SfCtl *ctl, int argc, char **args)
{
    json_t *container = NULL;
    SfCtlExit code = sf_ctl_find(ctl, args[0], &container);
    if (code != SF_CTL_OK)
        return code;
    if (ctl->json)
        return sf_ctl_print_json(container);
    identity(ctl, container);
    policy(ctl, container);
    map(ctl, container, "namespaces", "Namespaces");
    map(ctl, container, "cgroups", "Cgroups");
    limits(ctl, container);
    code = files(ctl, container);
    json_decref(container);
    return code;
}
