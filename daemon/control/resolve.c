/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which container a person means: by ID, by the beginning of one, or by a process in it. It changes
 * nothing.
 */

#include "daemon/control/registry.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "daemon/control/registry_private.h"
#include "lib/base/fd.h"

static SfEntry *no_such(const char *name, SfControlError *error)
{
    (void)sf_fail(error, "NoSuchContainer", "no such container: %s", name);
    (void)json_object_set_new(error->details, "container", json_string(name));
    return NULL;
}

/* Length of the path of the container's cgroup that the process is in or below, in the hierarchy in
 * which that is longest; 0 when it is in none of the container's own. */
static size_t shared_cgroup(const SfContainer *container, SfCgroup *const *theirs)
{
    size_t longest = 0;

    for (unsigned i = 0; i < SF_CONTROLLER_COUNT; i++) {
        const SfCgroup *own = sf_container_cgroup(container, (SfController)i);
        if (own && theirs[i] && !sf_cgroup_is_top(own) &&
            sf_cgroup_contains(own, sf_slice_str(sf_cgroup_path(theirs[i]))))
            longest = MAX(longest, strlen(sf_cgroup_path(own)));
    }
    return longest;
}

/* The innermost: a container in a container is in the cgroups of both. */
static SfEntry *find_by_cgroup(const SfRegistryOptions *options, SfEntry **entries, unsigned count,
                               pid_t pid)
{
    SfCgroup *theirs[SF_CONTROLLER_COUNT] = {0};
    SF_CLEANUP_FREE char *memberships = NULL;
    SfEntry *found = NULL;
    size_t longest = 0, len;

    if (sf_cgroups_read_memberships(options->cgroups, pid, &memberships, &len) < 0)
        return NULL;
    for (unsigned i = 0; i < SF_CONTROLLER_COUNT; i++) {
        if (sf_cgroup_of(options->cgroups, (SfController)i, sf_slice(memberships, len),
                         &theirs[i]) < 0)
            theirs[i] = NULL;
    }
    for (unsigned i = 0; i < count; i++) {
        size_t shared = shared_cgroup(entries[i]->container, theirs);
        if (shared > longest) {
            longest = shared;
            found = entries[i];
        }
    }
    for (unsigned i = 0; i < SF_CONTROLLER_COUNT; i++)
        sf_cgroup_unref(theirs[i]);
    return found;
}

static SfEntry *find_by_mount_namespace(const SfRegistryOptions *options, SfEntry **entries,
                                        unsigned count, pid_t pid)
{
    SfNamespaces theirs;

    if (sf_process_namespaces(options->host, pid, &theirs) < 0 || theirs.mnt == 0)
        return NULL;
    for (unsigned i = 0; i < count; i++) {
        if (sf_container_namespaces(entries[i]->container)->mnt == theirs.mnt)
            return entries[i];
    }
    return NULL;
}

/* A process of the host is in no container, even if a container was put into its cgroup. */
static bool in_our_namespace(const SfRegistryOptions *options, pid_t pid)
{
    SfNamespaces ours, theirs;

    return sf_process_namespaces(options->host, 0, &ours) >= 0 &&
           sf_process_namespaces(options->host, pid, &theirs) >= 0 && theirs.mnt != 0 &&
           theirs.mnt == ours.mnt;
}

static SfEntry *resolve_pid(SfRegistry *registry, const char *name, SfControlError *error)
{
    const SfRegistryOptions *options = sf_registry_options(registry);
    uint64_t pid;
    unsigned count;

    if (sf_slice_u64(sf_slice_str(name + strlen("pid:")), &pid) < 0 || pid == 0) {
        (void)sf_fail_parameter(error, "container", "not a process: %s", name);
        return NULL;
    }
    if (pid > INT32_MAX)
        return no_such(name, error);
    g_autofree SfEntry **entries = sf_registry_entries(registry, &count);
    for (unsigned i = 0; i < count; i++) {
        if (sf_container_init_pid(entries[i]->container) == (pid_t)pid)
            return entries[i];
    }
    /* The mount namespace first: it is what the views are bound in, and nobody is in two. */
    SfEntry *entry = find_by_mount_namespace(options, entries, count, (pid_t)pid);
    if (!entry && !in_our_namespace(options, (pid_t)pid))
        entry = find_by_cgroup(options, entries, count, (pid_t)pid);
    return entry ? entry : no_such(name, error);
}

static SfEntry *resolve_prefix(SfRegistry *registry, const char *name, SfControlError *error)
{
    unsigned count, found = 0;
    SfEntry *entry = NULL;
    json_t *candidates = json_array();
    g_autofree SfEntry **entries = sf_registry_entries(registry, &count);

    for (unsigned i = 0; i < count; i++) {
        if (strcmp(entries[i]->id, name) == 0) {
            json_decref(candidates);
            return entries[i];
        }
        if (name[0] == '\0' || !g_str_has_prefix(entries[i]->id, name))
            continue;
        entry = entries[i];
        found++;
        (void)json_array_append_new(candidates, json_string(entries[i]->id));
    }
    if (found > 1) {
        (void)sf_fail(error, "NotUnique", "%s is the beginning of %u container IDs", name, found);
        (void)json_object_set_new(error->details, "container", json_string(name));
        (void)json_object_set(error->details, "candidates", candidates);
    }
    json_decref(candidates);
    if (found > 1)
        return NULL;
    return found == 1 ? entry : no_such(name, error);
}

SfEntry *sf_registry_resolve(SfRegistry *registry, const char *name, SfControlError *error)
{
    if (g_str_has_prefix(name, "pid:"))
        return resolve_pid(registry, name, error);
    if (sf_waiting_try(registry->restore, name)) {
        (void)sf_fail_errno(error, -EAGAIN, SF_NOT_TAKEN_UP, name);
        return NULL;
    }
    return resolve_prefix(registry, name, error);
}
