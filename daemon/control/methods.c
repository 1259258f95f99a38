/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The methods of io.sysfsd.Control and org.varlink.service. What changes the registry is done here
 * and now, on the main thread; what reads cgroups goes to other threads (reads.c), so that a cgroup
 * file that hangs delays no registration.
 */

#include "daemon/control/methods.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/control/describe.h"
#include "daemon/control/interfaces.h"
#include "daemon/control/reads.h"

#define CONTROL "io.sysfsd.Control"
#define SERVICE "org.varlink.service"

static void fail(SfCall *call, SfControlError *error)
{
    sf_call_fail(call, CONTROL, error);
}

/* A string parameter, or NULL with *error. */
static const char *string_parameter(const json_t *parameters, const char *name,
                                    SfControlError *error)
{
    const char *value = json_string_value(json_object_get(parameters, name));

    if (!value)
        (void)sf_fail_parameter(error, name, "parameter %s must be a string", name);
    return value;
}

/* Who is meant: the pid that was given, checked against the pidfd that came along. A caller in
 * another pid namespace knows only the latter. */
static int registered_pid(const json_t *parameters, int pidfd, pid_t *ret_pid,
                          SfControlError *error)
{
    const json_t *given = json_object_get(parameters, "pid");
    pid_t pid = 0;

    if (!json_is_integer(given) || json_integer_value(given) < 0 ||
        json_integer_value(given) > INT32_MAX)
        return sf_fail_parameter(error, "pid", "parameter pid must be a process number");
    if (pidfd >= 0) {
        int r = sf_pidfd_pid(pidfd, &pid);
        if (r < 0)
            return sf_fail_errno(error, r, "the process of the pidfd");
    }
    if (pid == 0)
        pid = (pid_t)json_integer_value(given);
    if (pid == 0)
        return sf_fail_parameter(error, "pid", "no process was given");
    if (json_integer_value(given) != 0 && json_integer_value(given) != pid)
        return sf_fail_parameter(error, "pid", "the pidfd is of process %d, not %d", (int)pid,
                                 (int)json_integer_value(given));
    *ret_pid = pid;
    return 0;
}

static int register_container(SfCall *call, const json_t *parameters, SfEntry **ret_entry,
                              SfControlError *error)
{
    SfRegistration registration = {.pidfd = sf_call_fd(call)};
    const json_t *bundle = json_object_get(parameters, "bundle");
    const json_t *annotations = json_object_get(parameters, "annotations");

    registration.id = string_parameter(parameters, "id", error);
    if (!registration.id ||
        registered_pid(parameters, registration.pidfd, &registration.pid, error) < 0)
        return -1;
    if (bundle && !json_is_null(bundle) && !json_is_string(bundle))
        return sf_fail_parameter(error, "bundle", "parameter bundle must be a string");
    if (annotations && !json_is_null(annotations) && !json_is_object(annotations))
        return sf_fail_parameter(error, "annotations",
                                 "parameter annotations must be an object of strings");
    registration.bundle = json_string_value(bundle);
    registration.annotations = json_is_object(annotations) ? annotations : NULL;
    return sf_registry_register(sf_control_registry(sf_call_control(call)), &registration,
                                ret_entry, error);
}

static void method_register(SfCall *call, const json_t *parameters)
{
    SfControlError error = {0};
    SfEntry *entry;

    /* A hook that has given up has let its container start without a view: one that is made
     * afterwards would be bound nowhere, and keep the ID taken. */
    if (sf_call_abandoned(call))
        (void)sf_fail_errno(&error, -ECANCELED, "the caller has gone");
    if (error.name || register_container(call, parameters, &entry, &error) < 0) {
        g_info("registration refused: %s",
               json_string_value(json_object_get(error.details, "message")));
        fail(call, &error);
        return;
    }
    sf_call_reply(call,
                  json_pack("{s:O, s:b, s:s, s:s*, s:o}", "id", json_object_get(parameters, "id"),
                            "enabled", entry != NULL, "view",
                            entry ? entry->mounts[SF_MOUNT_VIEW].point : "", "constants",
                            entry ? entry->mounts[SF_MOUNT_CONSTANTS].point : NULL, "files",
                            entry ? sf_describe_files_to_bind(entry->view) : json_array()));
}

static void method_unregister(SfCall *call, const json_t *parameters)
{
    SfRegistry *registry = sf_control_registry(sf_call_control(call));
    SfControlError error = {0};
    const char *id = string_parameter(parameters, "id", &error);

    /* Of a hook that has given up since: by its note, the container is to have its view after all.
     * The end of one that has ended is seen in any case. */
    if (id && sf_call_abandoned(call) && sf_registry_was_noted(registry, id))
        (void)sf_fail_errno(&error, -ECANCELED, "the caller has gone, and left a note");
    else if (id && !sf_registry_unregister(registry, id, "unregistered")) {
        (void)sf_fail(&error, "NoSuchContainer", "no such container: %s", id);
        (void)json_object_set_new(error.details, "container", json_string(id));
    }
    if (error.name)
        fail(call, &error);
    else
        sf_call_reply(call, json_object());
}

static void method_list(SfCall *call, const json_t *parameters)
{
    unsigned count;
    g_autofree SfEntry **entries =
        sf_registry_entries(sf_control_registry(sf_call_control(call)), &count);
    g_autofree SfView **views = g_new0(SfView *, count + 1);

    for (unsigned i = 0; i < count; i++)
        views[i] = entries[i]->view;
    sf_reads_list(call, views, count);
}

static void inspect(SfCall *call, const SfEntry *entry)
{
    const char *points[SF_MOUNT_KINDS];

    for (SfViewMount kind = 0; kind < SF_MOUNT_KINDS; kind++)
        points[kind] = entry->mounts[kind].point;
    sf_reads_inspect(call, entry->view, points);
}

static void method_inspect(SfCall *call, const json_t *parameters)
{
    SfControlError error = {0};
    const char *name = string_parameter(parameters, "container", &error);
    SfEntry *entry =
        name ? sf_registry_resolve(sf_control_registry(sf_call_control(call)), name, &error) : NULL;

    if (entry)
        inspect(call, entry);
    else
        fail(call, &error);
}

static json_t *features(const SfRegistryOptions *options)
{
    json_t *list = json_pack("[s, s, s]", "direct_io", "cgroup-watch", "poll");

    if (options->store.hold)
        (void)json_array_append_new(list, json_string("fd-store"));
    return list;
}

static void method_status(SfCall *call, const json_t *parameters)
{
    const SfControl *control = sf_call_control(call);
    const SfRegistry *registry = sf_control_registry(control);
    const SfRegistryOptions *options = sf_registry_options(registry);
    uint64_t uptime_nsec =
        sf_sub_sat(sf_host_boottime_nsec(options->host), sf_control_started_nsec(control));

    SfRegistryCounts counts;
    sf_registry_counts(registry, &counts);
    sf_call_reply(
        call,
        json_pack("{s:s, s:i, s:I, s:i, s:I, s:i, s:s, s:s, s:i, s:i, s:i, s:i, s:o}", "version",
                  SYSFSD_VERSION, "pid", (int)getpid(), "uptime_usec",
                  (json_int_t)(uptime_nsec / 1000), "containers", (int)sf_registry_count(registry),
                  "requests", (json_int_t)options->backend.requests(options->backend.data),
                  "workers", (int)options->backend.workers(options->backend.data), "cgroup_layout",
                  sf_cgroups_layout(options->cgroups), "runtime_dir", options->runtime_dir,
                  "restarts", options->keep ? (int)sf_keep_former(options->keep) : 0, "resumed",
                  (int)counts.resumed, "healed", (int)counts.healed, "waiting",
                  (int)sf_registry_waiting(registry), "features", features(options)));
}

static void method_get_info(SfCall *call, const json_t *parameters)
{
    sf_call_reply(call, json_pack("{s:s, s:s, s:s, s:s, s:[s, s]}", "vendor", "sysfsd", "product",
                                  "sysfsd", "version", SYSFSD_VERSION, "url", "", "interfaces",
                                  CONTROL, SERVICE));
}

static void method_get_interface_description(SfCall *call, const json_t *parameters)
{
    SfControlError error = {0};
    const char *name = json_string_value(json_object_get(parameters, "interface"));

    if (!name) {
        (void)sf_fail_parameter(&error, "interface", "parameter interface must be a string");
        sf_call_fail(call, SERVICE, &error);
    } else if (strcmp(name, CONTROL) == 0 || strcmp(name, SERVICE) == 0) {
        sf_call_reply(call, json_pack("{s:s}", "description",
                                      strcmp(name, CONTROL) == 0 ? SF_INTERFACE_CONTROL
                                                                 : SF_INTERFACE_SERVICE));
    } else {
        (void)sf_fail(&error, "InterfaceNotFound", "no such interface: %s", name);
        (void)json_object_set_new(error.details, "interface", json_string(name));
        sf_call_fail(call, SERVICE, &error);
    }
}

static const struct {
    const char *name;
    void (*run)(SfCall *call, const json_t *parameters);
} methods[] = {
    {CONTROL ".Register", method_register},
    {CONTROL ".Unregister", method_unregister},
    {CONTROL ".List", method_list},
    {CONTROL ".Inspect", method_inspect},
    {CONTROL ".Status", method_status},
    {SERVICE ".GetInfo", method_get_info},
    {SERVICE ".GetInterfaceDescription", method_get_interface_description},
};

static void fail_unknown(SfCall *call, const char *method)
{
    SfControlError error = {0};
    const char *dot = strrchr(method, '.');
    g_autofree char *interface = g_strndup(method, dot ? (size_t)(dot - method) : 0);

    if (strcmp(interface, CONTROL) == 0 || strcmp(interface, SERVICE) == 0) {
        (void)sf_fail(&error, "MethodNotFound", "no such method: %s", method);
        (void)json_object_set_new(error.details, "method", json_string(method));
    } else {
        (void)sf_fail(&error, "InterfaceNotFound", "no such interface: %s", interface);
        (void)json_object_set_new(error.details, "interface", json_string(interface));
    }
    sf_call_fail(call, SERVICE, &error);
}

void sf_methods_call(SfCall *call, const char *method, const json_t *parameters)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(methods); i++) {
        if (strcmp(methods[i].name, method) == 0) {
            methods[i].run(call, parameters);
            return;
        }
    }
    fail_unknown(call, method);
}
