/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers as JSON for the control interface. A value that the kernel does not have is left out;
 * nothing is made up for it.
 */

#include "daemon/control/describe.h"

#include <glib.h>

/* Every second CPU of SF_CPUSET_MAX, five bytes each. */
#define CPU_LIST_MAX (SF_CPUSET_MAX / 2 * 5)

/* JSON integers are signed. */
static json_t *integer(uint64_t value)
{
    return json_integer((json_int_t)MIN(value, (uint64_t)INT64_MAX));
}

static void set(json_t *object, const char *key, json_t *value)
{
    (void)json_object_set_new(object, key, value); /* out of memory: the key is missing */
}

static unsigned visible_cpus(SfContainer *container, char *ret_list, size_t size)
{
    SfCpuSet cpus;

    ret_list[0] = '\0';
    if (sf_container_visible_cpus(container, &cpus) < 0)
        return 0;
    if (sf_cpuset_format_list(&cpus, ret_list, size) < 0)
        ret_list[0] = '\0';
    return sf_cpuset_count(&cpus);
}

/* Nothing that has to be read. */
static json_t *known_line(SfView *view)
{
    SfContainer *container = sf_view_container(view);
    json_t *line = json_object();

    set(line, "id", json_string(sf_container_id(container)));
    set(line, "pid", json_integer(sf_container_init_pid(container)));
    set(line, "age_usec", integer(sf_container_age_nsec(container) / 1000));
    set(line, "reads", integer(sf_view_total_opens(view)));
    return line;
}

json_t *sf_describe_unanswered(SfView *view)
{
    json_t *line = known_line(view);

    set(line, "unanswered", json_true());
    return line;
}

json_t *sf_describe_line(SfView *view)
{
    SfContainer *container = sf_view_container(view);
    SfContainerMemory memory;
    char list[CPU_LIST_MAX];
    json_t *line = known_line(view);

    set(line, "cpus", json_integer(visible_cpus(container, list, sizeof(list))));
    if (sf_container_memory(container, &memory) >= 0) {
        if (memory.limited)
            set(line, "memory_limit_bytes", integer(memory.limit.value));
        set(line, "memory_used_bytes", integer(memory.usage_bytes));
    }
    return line;
}

/* JSON is UTF-8; the name of a cgroup is any bytes. */
static json_t *cgroup_path(const SfCgroup *cgroup)
{
    g_autofree char *valid = g_utf8_make_valid(cgroup ? sf_cgroup_path(cgroup) : "", -1);

    return json_string(valid);
}

static void set_limit(json_t *limits, const char *name, uint64_t value, const SfCgroup *by)
{
    json_t *limit = json_pack("{s:o}", "cgroup", cgroup_path(by));

    if (value != SF_UNLIMITED)
        set(limit, "value", integer(value));
    set(limits, name, limit);
}

static json_t *describe_limits(SfContainer *container)
{
    json_t *limits = json_object();
    SfContainerMemory memory;
    SfContainerQuota quota;

    if (sf_container_memory(container, &memory) >= 0) {
        set_limit(limits, "memory_bytes", memory.limit.value, memory.limit.by);
        set_limit(limits, "swap_bytes", memory.swap_limit.value, memory.swap_limit.by);
    }
    if (sf_container_quota(container, &quota) >= 0) {
        set_limit(limits, "cpu_quota_usec", quota.quota.quota_usec, quota.by);
        if (quota.quota.quota_usec != SF_UNLIMITED) /* a period alone limits nothing */
            set_limit(limits, "cpu_period_usec", quota.quota.period_usec, quota.by);
    }
    return limits;
}

static json_t *describe_cgroups(const SfContainer *container)
{
    json_t *cgroups = json_object();

    for (unsigned i = 0; i < SF_CONTROLLER_COUNT; i++) {
        const SfCgroup *cgroup = sf_container_cgroup(container, (SfController)i);
        if (cgroup)
            set(cgroups, sf_controller_name((SfController)i), cgroup_path(cgroup));
    }
    return cgroups;
}

static json_t *describe_namespaces(const SfContainer *container)
{
    const SfNamespaces *ns = sf_container_namespaces(container);

    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "mnt", (json_int_t)ns->mnt, "pid",
                     (json_int_t)ns->pid, "user", (json_int_t)ns->user, "time",
                     (json_int_t)ns->time, "cgroup", (json_int_t)ns->cgroup, "net",
                     (json_int_t)ns->net, "ipc", (json_int_t)ns->ipc, "uts", (json_int_t)ns->uts);
}

static json_t *describe_policy(const SfPolicy *policy)
{
    json_t *views = json_array();

    for (unsigned i = 0; i < policy->rule_count; i++) {
        g_autofree char *rule =
            g_strdup_printf("%c%s", policy->rules[i].show ? '+' : '-', policy->rules[i].path);
        (void)json_array_append_new(views, json_string(rule));
    }
    return json_pack("{s:b, s:b, s:s, s:o}", "enable", policy->enable, "required", policy->required,
                     "cpu", sf_cpu_policy_name(policy->cpu), "views", views);
}

static json_t *describe_files(SfView *view)
{
    json_t *files = json_array();

    for (unsigned i = 0; i < sf_view_file_count(view); i++) {
        SfViewFileInfo info;
        sf_view_file_info(view, i, &info);
        json_t *file = json_pack(
            "{s:s, s:s, s:i, s:I, s:I, s:I, s:I}", "path", info.path, "source", info.source, "mode",
            (int)info.mode, "reads", (json_int_t)info.opens, "p50_usec",
            (json_int_t)sf_view_latency_usec(&info, 0.5), "p99_usec",
            (json_int_t)sf_view_latency_usec(&info, 0.99), "errors", (json_int_t)info.errors);
        if (info.constant)
            set(file, "constant", json_true());
        if (info.directory)
            set(file, "directory", json_true());
        if (info.last_error)
            set(file, "last_error", json_string(g_strerror(-info.last_error)));
        (void)json_array_append_new(files, file);
    }
    return files;
}

json_t *sf_describe_container(SfView *view, const char *const points[SF_MOUNT_KINDS])
{
    SfContainer *container = sf_view_container(view);
    SfContainerMemory memory;
    char list[CPU_LIST_MAX];
    json_t *reply = json_object();

    set(reply, "id", json_string(sf_container_id(container)));
    set(reply, "pid", json_integer(sf_container_init_pid(container)));
    if (sf_container_bundle(container))
        set(reply, "bundle", json_string(sf_container_bundle(container)));
    set(reply, "view", json_string(points[SF_MOUNT_VIEW]));
    set(reply, "constants", json_string(points[SF_MOUNT_CONSTANTS]));
    set(reply, "age_usec", integer(sf_container_age_nsec(container) / 1000));
    set(reply, "registered_usec", integer(sf_container_registered_nsec(container) / 1000));
    set(reply, "root_uid", json_integer(sf_container_root_uid(container)));
    set(reply, "root_gid", json_integer(sf_container_root_gid(container)));
    set(reply, "namespaces", describe_namespaces(container));
    set(reply, "cgroups", describe_cgroups(container));
    set(reply, "limits", describe_limits(container));
    (void)visible_cpus(container, list, sizeof(list));
    set(reply, "visible_cpus", json_string(list));
    if (sf_container_memory(container, &memory) >= 0)
        set(reply, "memory_used_bytes", integer(memory.usage_bytes));
    set(reply, "policy", describe_policy(sf_container_policy(container)));
    set(reply, "files", describe_files(view));
    return reply;
}

json_t *sf_describe_files_to_bind(SfView *view)
{
    json_t *files = json_array();

    for (unsigned i = 0; i < sf_view_file_count(view); i++) {
        SfViewFileInfo info;
        sf_view_file_info(view, i, &info);
        if (!info.covered)
            (void)json_array_append_new(files,
                                        json_pack("{s:s, s:b, s:b}", "path", info.path, "writable",
                                                  info.writable, "constant", info.constant));
    }
    return files;
}
