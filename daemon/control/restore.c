/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a former daemon left in the runtime directory, and what others held for it: containers that
 * still live go on where they were, or get a view made anew; all else is cleared away. A record
 * that is damaged costs only itself.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/control/record.h"
#include "daemon/control/registry_private.h"
#include "lib/pending.h"

#define PRIME_NAME "prime"

typedef struct Restore {
    SfRegistry *registry;
    SfKeep *keep;
    GHashTable *kept; /* number of a container -> GArray of the keep's IDs, both owned */
    bool primed;
} Restore;

static void note_kept(uint64_t id, void *data)
{
    Restore *restore = data;
    const SfKeepNote *note = sf_keep_note(restore->keep, id);
    uint64_t number = atomic_load(&note->owner);

    if (atomic_load(&note->kind) == SF_KEEP_KIND_NAME) {
        sf_view_adopt_name(restore->keep, id);
        return;
    }
    GArray *ids = g_hash_table_lookup(restore->kept, &number);

    if (!ids) {
        ids = g_array_new(FALSE, FALSE, sizeof(uint64_t));
        (void)g_hash_table_insert(restore->kept, g_memdup2(&number, sizeof(number)), ids);
    }
    g_array_append_val(ids, id);
}

static void free_ids(void *ids)
{
    g_array_unref(ids);
}

/* The kernel's file behind an open one that is waited on. */
static int take_events(const Restore *restore, uint64_t id)
{
    const SfFdStore *store = &restore->registry->options.store;
    g_autofree char *name = g_strdup_printf(SF_FD_NAME_EVENT "%" G_GINT64_MODIFIER "x", id);

    return store->take ? store->take(store->data, name) : -1;
}

/* Gives the container and its view what is kept of them. Without its connection nobody knows of
 * open files any more. */
static void adopt_kept(const Restore *restore, const SfEntry *entry, bool connected)
{
    uint64_t number = sf_container_number(entry->container);
    const GArray *ids = g_hash_table_lookup(restore->kept, &number);

    for (unsigned i = 0; ids && i < ids->len; i++) {
        uint64_t id = g_array_index(ids, uint64_t, i);
        const SfKeepNote *note = sf_keep_note(restore->keep, id);
        uint64_t kind = note ? atomic_load(&note->kind) : 0;
        if (kind == SF_KEEP_KIND_STATE)
            sf_container_adopt_state(entry->container, id);
        else if (connected && sf_view_keeps(kind))
            (void)sf_view_adopt(entry->view, id, take_events(restore, id));
        else
            sf_keep_remove(restore->keep, id);
    }
    (void)g_hash_table_remove(restore->kept, &number);
}

/* The held connection, if the kernel still knows it: -1 when somebody has unmounted it. */
static int take_connection(const Restore *restore, const SfContainer *container)
{
    const SfFdStore *store = &restore->registry->options.store;
    g_autofree char *name = sf_registry_fd_name(container);
    int fd = store->take ? store->take(store->data, name) : -1;
    struct pollfd state = {.fd = fd};

    if (fd < 0 || poll(&state, 1, 0) < 0 || !(state.revents & (POLLERR | POLLNVAL)))
        return fd;
    store->drop(store->data, name);
    return sf_close(fd);
}

static void prime(Restore *restore)
{
    const SfMountBackend *backend = &restore->registry->options.backend;
    g_autofree char *path = g_build_filename(restore->registry->runtime_dir, PRIME_NAME, NULL);

    if (restore->primed)
        return;
    restore->primed = true;
    (void)backend->unmount_stale(backend->data, path);
    int r = g_mkdir_with_parents(path, 0700) < 0 ? -errno : backend->prime(backend->data, path);
    if (r < 0)
        g_warning("cannot prepare to go on with views: %s: %s", path, g_strerror(-r));
    (void)rmdir(path);
}

static int resume(Restore *restore, SfEntry *entry, int fd)
{
    const SfMountBackend *backend = &restore->registry->options.backend;

    prime(restore);
    adopt_kept(restore, entry, true);
    int r = backend->resume_view(backend->data, entry->view, entry->mount_point, fd, &entry->mount);
    if (r < 0)
        return r;
    entry->held = true;
    restore->registry->counts.resumed++;
    g_message("view resumed: %u files open, container=%s", sf_view_open_handles(entry->view),
              entry->id);
    return 0;
}

/* Nobody held the connection: what is mounted there, and in the container, is dead. */
static int make_anew(Restore *restore, SfEntry *entry)
{
    const SfMountBackend *backend = &restore->registry->options.backend;

    adopt_kept(restore, entry, false);
    int r = backend->unmount_stale(backend->data, entry->mount_point);
    if (r >= 0 && mkdirat(restore->registry->views_fd, entry->id, 0755) < 0 && errno != EEXIST)
        r = -errno;
    if (r >= 0)
        r = backend->mount_view(backend->data, entry->view, entry->mount_point, &entry->mount);
    if (r < 0)
        return r;
    sf_registry_hold(entry);
    sf_healer_add(restore->registry, entry);
    return 0;
}

/* A cgroup that was removed meanwhile ends its container, as it would have under a daemon: without
 * it the view would be of nobody's numbers. */
static bool has_its_cgroups(const SfContainer *container, const SfRecord *record)
{
    for (unsigned i = 0; i < SF_CONTROLLER_COUNT; i++) {
        if (record->cgroup_paths[i] && !sf_container_cgroup(container, (SfController)i))
            return false;
    }
    return true;
}

/* Takes the container up; what of it was done is undone on error. */
static int take_up(Restore *restore, const SfRecord *record)
{
    SfRegistry *registry = restore->registry;
    SfContainerSpec spec = record->spec;
    SfControlError error = {0};
    SfContainer *container;

    spec.policy = &record->policy;
    spec.cgroup_paths = record->cgroup_paths;
    spec.keep = registry->options.keep;
    if (strcmp(record->boot_id, registry->boot_id) != 0)
        return -ESRCH;
    int r = sf_container_new(registry->options.host, registry->options.cgroups, &spec, &container);
    if (r < 0)
        return r;
    if (!has_its_cgroups(container, record)) {
        sf_container_unref(container);
        return -ENODEV;
    }
    SfEntry *entry = g_new0(SfEntry, 1);
    entry->registry = registry;
    entry->container = container;
    entry->id = sf_container_id(container);
    entry->mount_point = sf_registry_mount_point(registry, entry->id);
    r = sf_view_new(container, &entry->view);
    if (r >= 0) {
        int fd = take_connection(restore, container);
        r = fd >= 0 ? resume(restore, entry, fd) : make_anew(restore, entry);
    }
    if (r >= 0 && sf_registry_watch_end(entry, &error) < 0)
        r = -ENODEV;
    sf_control_error_clear(&error);
    if (r < 0) {
        sf_registry_end_entry(entry);
        return r;
    }
    g_hash_table_insert(registry->entries, (char *)entry->id, entry);
    return 0;
}

static void restore_record(Restore *restore, const char *file)
{
    SfRegistry *registry = restore->registry;
    g_autofree char *id = sf_record_id_of_file(file);
    json_t *json = NULL;
    SfRecord record;

    int r = id ? sf_record_read(registry->containers_fd, id, &json) : -EBADMSG;
    if (r == 0)
        r = sf_record_parse(json, &record);
    if (r == 0) {
        r = take_up(restore, &record);
        sf_record_clear(&record);
    }
    json_decref(json);
    if (r >= 0)
        return;
    registry->counts.cleared++;
    if (unlinkat(registry->containers_fd, file, 0) < 0 && errno != ENOENT)
        g_warning("cannot remove containers/%s: %s", file, g_strerror(errno));
    else if (r == -EBADMSG)
        g_warning("removed a file that is no record: containers/%s", file);
    else
        g_message("removed a former daemon's record: %s, container=%s",
                  r == -ESRCH    ? "its init has ended"
                  : r == -ENODEV ? "its cgroup was removed"
                                 : g_strerror(-r),
                  id);
}

/* Mounts that no container of ours has. */
static void clear_view(SfRegistry *registry, const char *name)
{
    const SfMountBackend *backend = &registry->options.backend;
    g_autofree char *path = sf_registry_mount_point(registry, name);

    if (g_hash_table_contains(registry->entries, name))
        return;
    int r = backend->unmount_stale(backend->data, path);
    if (r >= 0 && unlinkat(registry->views_fd, name, AT_REMOVEDIR) < 0)
        r = -errno;
    if (r < 0)
        g_warning("cannot clear a former daemon's view %s: %s", path, g_strerror(-r));
    else
        g_message("cleared a former daemon's view, container=%s", name);
}

static void remove_kept(void *number, void *ids, void *data)
{
    const GArray *list = ids;

    for (unsigned i = 0; i < list->len; i++)
        sf_keep_remove(data, g_array_index(list, uint64_t, i));
}

void sf_registry_restore(SfRegistry *registry)
{
    g_autoptr(GPtrArray) files = sf_registry_list(registry->containers_fd);
    Restore restore = {.registry = registry,
                       .keep = registry->options.keep ? registry->options.keep : sf_keep_default()};

    restore.kept = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, free_ids);
    if (registry->options.keep)
        sf_keep_each(restore.keep, note_kept, &restore);
    for (unsigned i = 0; i < files->len; i++)
        restore_record(&restore, files->pdata[i]);
    g_autoptr(GPtrArray) views = sf_registry_list(registry->views_fd);
    for (unsigned i = 0; i < views->len; i++)
        clear_view(registry, views->pdata[i]);
    g_hash_table_foreach(restore.kept, remove_kept, restore.keep);
    g_hash_table_unref(restore.kept);
}

static int adopt(SfRegistry *registry, const SfPending *pending)
{
    SfRegistration registration = {.id = pending->id,
                                   .pid = pending->pid,
                                   .pidfd = -1,
                                   .bundle = pending->bundle,
                                   .annotations = pending->annotations};
    SfControlError error = {0};
    SfEntry *entry;

    if (sf_registry_register(registry, &registration, &entry, &error) < 0) {
        const char *why = json_string_value(json_object_get(error.details, "message"));
        g_warning("cannot take up a container that started without a daemon: %s, container=%s",
                  why ? why : error.name, pending->id);
        sf_control_error_clear(&error);
        return -EINVAL;
    }
    if (entry) {
        sf_healer_add(registry, entry);
        g_message("container adopted: it started without a daemon, container=%s", pending->id);
    }
    return 0;
}

void sf_registry_adopt_pending(SfRegistry *registry)
{
    g_autofree char *path = g_build_filename(registry->runtime_dir, SF_PENDING_NAME, NULL);
    SF_CLEANUP_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return; /* no hook has ever missed us */
    g_autoptr(GPtrArray) files = sf_registry_list(fd);
    for (unsigned i = 0; i < files->len; i++) {
        SfPending pending;
        int r = sf_pending_read(fd, files->pdata[i], &pending);
        if (r == -EBADMSG)
            g_warning("removed a file that is no note: %s/%s", path, (const char *)files->pdata[i]);
        if (r == 0) {
            (void)adopt(registry, &pending); /* said why not */
            sf_pending_clear(&pending);
        }
        (void)unlinkat(fd, files->pdata[i], 0);
    }
}
