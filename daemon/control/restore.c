/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a former daemon left in the runtime directory, and what others held for it: containers that
 * still live go on where they were, or get a view made anew; all else is cleared away. A record
 * that is damaged costs only itself. Only what is known to be gone is cleared: what cannot be had
 * now (files, memory) is put off, and changes nothing (waiting.c).
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

#define PRIME_NAME "prime"

/* What becomes of a record; a negative errno: nothing now. */
typedef enum Outcome { TAKEN_UP, NO_RECORD, INIT_ENDED, CGROUP_REMOVED } Outcome;

static void note_kept(uint64_t id, void *data)
{
    SfRestore *restore = data;
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

/* The kernel's file behind an open one that is waited on: a duplicate, as taking up its container
 * may have to be tried again, and no other file has its trigger. */
static int take_events(const SfRestore *restore, uint64_t id)
{
    const SfFdStore *store = &restore->registry->options.store;
    void *held;

    if (!g_hash_table_lookup_extended(restore->events, &id, NULL, &held)) {
        g_autofree char *name = sf_registry_event_name(id);
        int taken = store->take ? store->take(store->data, name) : -1;
        if (taken < 0)
            return -1;
        held = GINT_TO_POINTER(taken);
        (void)g_hash_table_insert(restore->events, g_memdup2(&id, sizeof(id)), held);
    }
    int fd = fcntl(GPOINTER_TO_INT(held), F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (fd >= 0)
        return fd;
    void *key; /* none to be had: then the view has the only one */
    (void)g_hash_table_steal_extended(restore->events, &id, &key, NULL);
    g_free(key);
    return GPOINTER_TO_INT(held);
}

/* Gives the container and its view what is kept of them. It stays noted until the container is
 * taken up. */
static void adopt_kept(const SfRestore *restore, const SfEntry *entry, bool connected)
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
    }
}

/* The container is taken up: without its connection nobody knows of open files any more. */
static void forget_kept(SfRestore *restore, const SfEntry *entry, bool connected)
{
    uint64_t number = sf_container_number(entry->container);
    const GArray *ids = g_hash_table_lookup(restore->kept, &number);

    for (unsigned i = 0; ids && i < ids->len; i++) {
        uint64_t id = g_array_index(ids, uint64_t, i);
        const SfKeepNote *note = sf_keep_note(restore->keep, id);
        uint64_t kind = note ? atomic_load(&note->kind) : SF_KEEP_KIND_STATE;
        if (kind != SF_KEEP_KIND_STATE && !(connected && sf_view_keeps(kind))) {
            sf_waiting_drop_events(restore, id);
            sf_keep_remove(restore->keep, id);
        } else {
            (void)g_hash_table_remove(restore->events, &id); /* the view has its own */
        }
    }
    (void)g_hash_table_remove(restore->kept, &number);
}

/* The held connections, in waiting->fds, as far as the kernel still knows them: -1 where nobody
 * holds one, or somebody has unmounted it. */
static void take_connections(const SfRestore *restore, const SfContainer *container,
                             SfWaiting *waiting)
{
    const SfFdStore *store = &restore->registry->options.store;

    waiting->number = sf_container_number(container);
    for (SfViewMount kind = 0; kind < SF_MOUNT_KINDS; kind++) {
        if (waiting->fds[kind] < 0 && store->take) {
            g_autofree char *name = sf_registry_fd_name(waiting->number, kind);
            waiting->fds[kind] = store->take(store->data, name);
        }
        struct pollfd state = {.fd = waiting->fds[kind]};
        if (state.fd >= 0 && poll(&state, 1, 0) >= 0 && (state.revents & (POLLERR | POLLNVAL)))
            sf_waiting_drop(restore, waiting, kind);
    }
}

static int prime_at(const SfRegistry *registry)
{
    const SfMountBackend *backend = &registry->options.backend;
    g_autofree char *path = g_build_filename(registry->runtime_dir, PRIME_NAME, NULL);

    (void)backend->unmount_stale(backend->data, path);
    int r = g_mkdir_with_parents(path, 0700) < 0 ? -errno : backend->prime(backend->data, path);
    (void)rmdir(path);
    return r;
}

/* The directory may be read-only or full. */
static int prime(SfRestore *restore)
{
    const SfMountBackend *backend = &restore->registry->options.backend;

    if (restore->primed)
        return 0;
    int r = backend->prime(backend->data, NULL);
    if (r < 0) /* before Linux 5.2, or forbidden */
        r = prime_at(restore->registry);
    restore->primed = r >= 0;
    return r;
}

/* What was asked on a connection that is gone: nobody waits for an answer. */
static void drop_requests(const SfEntry *entry, SfViewMount kind)
{
    uint64_t owner = sf_keep_journal_owner_of(sf_container_number(entry->container), kind);
    SfKeep *keep = entry->registry->options.keep;

    for (unsigned i = 0; keep && i < SF_KEEP_JOURNALS; i++) {
        if (atomic_load(sf_keep_journal_owner(keep, i)) == owner)
            sf_keep_journal_clear(keep, i);
    }
}

/* Mounts it where nobody can use what is mounted there. */
static int mount_again(SfEntry *entry, SfViewMount kind)
{
    const SfMountBackend *backend = &entry->registry->options.backend;

    int dead = backend->unmount_stale(backend->data, entry->mounts[kind].point);
    if (dead < 0)
        return dead;
    drop_requests(entry, kind);
    return sf_registry_mount(entry, kind, true);
}

/* fd: a duplicate, as the backend takes it over also when it fails. */
static int resume_mount(SfEntry *entry, SfViewMount kind, int fd)
{
    const SfMountBackend *backend = &entry->registry->options.backend;
    SfMounted *mounted = &entry->mounts[kind];

    int r =
        backend->resume_view(backend->data, entry->view, kind, mounted->point, fd, &mounted->mount);
    mounted->held = r >= 0;
    return r;
}

/* What is open is taken up before the requests that ask for it, and after what needs new files: it
 * cannot be taken up twice. */
static int resume_mounts(SfRestore *restore, SfEntry *entry, int fds[SF_MOUNT_KINDS])
{
    bool had_constants = fds[SF_MOUNT_CONSTANTS] >= 0;
    int r = 0;

    if (!had_constants) { /* of a daemon that had no such mount, or lost in between */
        r = sf_healer_note_due(entry, SF_DUE_CONSTANTS);
        if (r >= 0)
            r = mount_again(entry, SF_MOUNT_CONSTANTS);
    }
    if (r < 0)
        return r;
    adopt_kept(restore, entry, true);
    if (had_constants)
        r = resume_mount(entry, SF_MOUNT_CONSTANTS, sf_steal_fd(&fds[SF_MOUNT_CONSTANTS]));
    if (r >= 0)
        r = resume_mount(entry, SF_MOUNT_VIEW, sf_steal_fd(&fds[SF_MOUNT_VIEW]));
    if (r < 0 && !had_constants)
        sf_registry_unmount(entry, SF_MOUNT_CONSTANTS);
    return r < 0 ? r : 0;
}

static int resume(SfRestore *restore, SfEntry *entry, SfWaiting *waiting)
{
    int fds[SF_MOUNT_KINDS];
    int r = prime(restore);

    for (SfViewMount kind = 0; kind < SF_MOUNT_KINDS; kind++) {
        bool take = r >= 0 && waiting->fds[kind] >= 0;
        fds[kind] = take ? fcntl(waiting->fds[kind], F_DUPFD_CLOEXEC, STDERR_FILENO + 1) : -1;
        if (take && fds[kind] < 0)
            r = -errno;
    }
    if (r >= 0)
        r = resume_mounts(restore, entry, fds);
    for (SfViewMount kind = 0; kind < SF_MOUNT_KINDS; kind++)
        (void)sf_close(fds[kind]);
    if (r < 0)
        return r;
    forget_kept(restore, entry, true);
    for (SfViewMount kind = 0; kind < SF_MOUNT_KINDS; kind++)
        waiting->fds[kind] = sf_close(waiting->fds[kind]);
    restore->registry->counts.resumed++;
    g_message("view resumed: %u files open, container=%s", sf_view_open_handles(entry->view),
              entry->id);
    sf_healer_add(entry);
    return 0;
}

/* Nobody held the connection: what is mounted there, and in the container, is dead. */
static int make_anew(SfRestore *restore, SfEntry *entry, SfWaiting *waiting)
{
    int r = sf_healer_note_due(entry, SF_DUE_ALL);

    adopt_kept(restore, entry, false);
    for (SfViewMount kind = 0; kind < SF_MOUNT_KINDS && r >= 0; kind++) {
        sf_waiting_drop(restore, waiting, kind);
        r = mount_again(entry, kind);
    }
    for (SfViewMount kind = 0; kind < SF_MOUNT_KINDS && r < 0; kind++) {
        if (entry->mounts[kind].mount)
            sf_registry_unmount(entry, kind);
    }
    if (r < 0)
        return r;
    forget_kept(restore, entry, false);
    sf_healer_add(entry);
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

/* Everything but the view. */
static int make_container(SfRegistry *registry, const SfRecord *record, SfContainer **ret_container)
{
    SfContainerSpec spec = record->spec;

    spec.policy = &record->policy;
    spec.cgroup_paths = record->cgroup_paths;
    spec.keep = registry->options.keep;
    if (strcmp(record->boot_id, registry->boot_id) != 0)
        return INIT_ENDED;
    int r =
        sf_container_new(registry->options.host, registry->options.cgroups, &spec, ret_container);
    if (r == -ESRCH || r == -EINVAL) /* EINVAL: the number is a thread's by now */
        return INIT_ENDED;
    if (r < 0)
        return r;
    if (has_its_cgroups(*ret_container, record))
        return TAKEN_UP;
    sf_container_unref(*ret_container);
    return CGROUP_REMOVED;
}

/* An Outcome, or a negative errno and nothing is changed. What may fail for want of files comes
 * before what cannot be done twice. */
static int take_up(SfRestore *restore, const SfRecord *record, SfWaiting *waiting)
{
    SfRegistry *registry = restore->registry;
    SfControlError error = {0};
    SfContainer *container;

    int r = make_container(registry, record, &container);
    if (r != TAKEN_UP)
        return r;
    SfEntry *entry = g_new0(SfEntry, 1);
    entry->registry = registry;
    entry->container = container;
    entry->id = sf_container_id(container);
    entry->due = record->due;
    for (SfViewMount kind = 0; kind < SF_MOUNT_KINDS; kind++)
        entry->mounts[kind].point = sf_registry_mount_point(registry, kind, entry->id);
    r = sf_view_new(container, &entry->view);
    if (r >= 0 && (r = sf_registry_watch(entry, &error)) == -ENODEV)
        r = CGROUP_REMOVED;
    sf_control_error_clear(&error);
    if (r == TAKEN_UP) {
        take_connections(restore, container, waiting);
        r = waiting->fds[SF_MOUNT_VIEW] >= 0 ? resume(restore, entry, waiting)
                                             : make_anew(restore, entry, waiting);
    }
    if (r != TAKEN_UP) {
        sf_registry_leave_entry(entry);
        return r;
    }
    g_hash_table_insert(registry->entries, (char *)entry->id, entry);
    return TAKEN_UP;
}

static int try_record(SfRestore *restore, const char *id, SfWaiting *waiting)
{
    json_t *json = NULL;
    SfRecord record;
    int r = id ? sf_record_read(restore->registry->containers_fd, id, &json) : -EBADMSG;

    if (r == 0)
        r = sf_record_parse(json, &record);
    if (r == -EBADMSG || r == -EFBIG || r == -ENOENT || r == -EISDIR)
        r = NO_RECORD;
    else if (r == 0) {
        r = take_up(restore, &record, waiting);
        sf_record_clear(&record);
    }
    json_decref(json);
    return r;
}

static void clear_record(SfRegistry *registry, const char *file, Outcome why)
{
    registry->counts.cleared++;
    if (unlinkat(registry->containers_fd, file, 0) < 0 && errno != ENOENT)
        g_warning("cannot remove containers/%s: %s", file, g_strerror(errno));
    else if (why == NO_RECORD)
        g_warning("removed a file that is no record: containers/%s", file);
    else
        g_message("removed a former daemon's record: %s: containers/%s",
                  why == INIT_ENDED ? "its init has ended" : "its cgroup was removed", file);
}

bool sf_restore_record(SfRestore *restore, const char *file)
{
    g_autofree char *id = sf_record_id_of_file(file);
    SfWaiting *known = id ? g_hash_table_lookup(restore->waiting, id) : NULL;
    SfWaiting first = {.fds = {-1, -1}}, *waiting = known ? known : &first;

    int r = try_record(restore, id, waiting);
    if (r < 0) {
        if (known)
            return false;
        g_warning("cannot be taken up now, and will be tried again: %s, container=%s",
                  g_strerror(-r), id);
        g_hash_table_insert(restore->waiting, g_steal_pointer(&id),
                            g_memdup2(&first, sizeof(first)));
        return false;
    }
    if (r != TAKEN_UP) {
        for (SfViewMount kind = 0; kind < SF_MOUNT_KINDS; kind++)
            sf_waiting_drop(restore, waiting, kind);
        clear_record(restore->registry, file, (Outcome)r);
    }
    if (known) {
        (void)g_hash_table_remove(restore->waiting, id);
        sf_restore_clear_view(restore->registry, id);
    }
    return true;
}

/* False: there is none. */
static bool clear_mount(SfRegistry *registry, SfViewMount kind, const char *id)
{
    const SfMountBackend *backend = &registry->options.backend;
    g_autofree char *path = sf_registry_mount_point(registry, kind, id);

    int r = backend->unmount_stale(backend->data, path);
    if (r >= 0 && unlinkat(registry->folder_fds[kind], id, AT_REMOVEDIR) < 0)
        r = -errno;
    if (r < 0 && r != -ENOENT)
        g_warning("cannot clear a former daemon's view %s: %s", path, g_strerror(-r));
    return r >= 0;
}

void sf_restore_clear_view(SfRegistry *registry, const char *id)
{
    bool cleared = false;

    if (g_hash_table_contains(registry->entries, id) ||
        g_hash_table_contains(registry->restore->waiting, id))
        return;
    for (SfViewMount kind = 0; kind < SF_MOUNT_KINDS; kind++)
        cleared |= clear_mount(registry, kind, id);
    if (cleared)
        g_message("cleared a former daemon's view, container=%s", id);
}

int sf_registry_restore(SfRegistry *registry)
{
    g_autoptr(GPtrArray) files = NULL;
    g_autoptr(GPtrArray) ids = NULL;

    int r = sf_registry_list(registry->containers_fd, &files);
    for (SfViewMount kind = 0; kind < SF_MOUNT_KINDS && r >= 0; kind++)
        r = sf_registry_list(registry->folder_fds[kind], &ids);
    if (r < 0)
        return r;
    SfRestore *restore = registry->restore = sf_restore_new(registry);
    if (registry->options.keep)
        sf_keep_each(restore->keep, note_kept, restore);
    sf_restore_reserve(restore);
    for (unsigned i = 0; i < files->len; i++)
        (void)sf_restore_record(restore, files->pdata[i]); /* what waits is noted */
    sf_restore_release(restore);
    for (unsigned i = 0; i < ids->len; i++)
        sf_restore_clear_view(registry, ids->pdata[i]);
    sf_waiting_move_requests(restore);
    return 0;
}
