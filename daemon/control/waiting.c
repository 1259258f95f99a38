/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers of a former daemon that could not be taken up for want of files or memory. Their
 * records, connections and mounts stay as they are, their readers wait, and the main loop tries
 * again, less and less often, until none is left. How one is taken up is restore.c's.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "daemon/control/registry_private.h"

#define PAUSE_MIN_MSEC 100
#define PAUSE_MAX_MSEC 10000

static void free_ids(void *ids)
{
    g_array_unref(ids);
}

static void free_waiting(void *data)
{
    SfWaiting *waiting = data;

    for (SfViewMount kind = 0; kind < SF_MOUNT_KINDS; kind++)
        (void)sf_close(waiting->fds[kind]);
    g_free(waiting);
}

void sf_waiting_drop(const SfRestore *restore, SfWaiting *waiting, SfViewMount kind)
{
    const SfFdStore *store = &restore->registry->options.store;

    if (waiting->fds[kind] < 0)
        return;
    g_autofree char *name = sf_registry_fd_name(waiting->number, kind);
    store->drop(store->data, name);
    waiting->fds[kind] = sf_close(waiting->fds[kind]);
}

static void close_held(void *fd)
{
    (void)sf_close(GPOINTER_TO_INT(fd));
}

SfRestore *sf_restore_new(SfRegistry *registry)
{
    SfRestore *restore = g_new0(SfRestore, 1);

    restore->registry = registry;
    restore->keep = registry->options.keep ? registry->options.keep : sf_keep_default();
    restore->kept = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, free_ids);
    restore->events = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, close_held);
    restore->waiting = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_waiting);
    restore->told = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    restore->pause_msec = PAUSE_MIN_MSEC;
    restore->notes_fd = -1;
    for (unsigned i = 0; i < SF_RESTORE_SPARE_FDS; i++)
        restore->spare[i] = -1;
    return restore;
}

void sf_restore_reserve(SfRestore *restore)
{
    /* Where so many cannot be had, whatever is to be opened next fails. */
    for (unsigned i = 0; i < SF_RESTORE_SPARE_FDS; i++)
        restore->spare[i] =
            fcntl(restore->registry->containers_fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

void sf_restore_release(SfRestore *restore)
{
    for (unsigned i = 0; i < SF_RESTORE_SPARE_FDS; i++)
        restore->spare[i] = sf_close(restore->spare[i]);
}

static GPtrArray *waiting_ids(const SfRestore *restore)
{
    GPtrArray *ids = g_ptr_array_new_with_free_func(g_free);
    GHashTableIter iterator;
    void *id;

    g_hash_table_iter_init(&iterator, restore->waiting);
    while (g_hash_table_iter_next(&iterator, &id, NULL))
        g_ptr_array_add(ids, g_strdup(id));
    return ids;
}

void sf_restore_free(SfRestore *restore)
{
    if (!restore)
        return;
    g_autoptr(GPtrArray) ids = waiting_ids(restore);
    for (unsigned i = 0;
         i < ids->len && !restore->registry->keep_views && !restore->registry->leave; i++)
        sf_waiting_end(restore, ids->pdata[i]);
    if (restore->source)
        g_source_remove(restore->source);
    sf_notes_end(restore);
    g_clear_pointer(&restore->kept, g_hash_table_unref);
    g_hash_table_unref(restore->events);
    g_hash_table_unref(restore->waiting);
    g_hash_table_unref(restore->told);
    restore->registry->restore = NULL;
    g_free(restore);
}

void sf_waiting_move_requests(SfRestore *restore)
{
    const SfMountBackend *backend = &restore->registry->options.backend;
    unsigned workers = MIN(backend->workers(backend->data), SF_KEEP_JOURNALS), to = workers;
    SfKeep *keep = restore->keep;

    for (unsigned from = 0; from < workers && g_hash_table_size(restore->waiting) > 0; from++) {
        bool used = atomic_load(sf_keep_journal_owner(keep, from)) != 0;
        uint32_t len; /* what every request begins with */
        memcpy(&len, sf_keep_journal_buffer(keep, from), sizeof(len));
        if (!used || len == 0 || len > SF_KEEP_JOURNAL_BYTES - sizeof(uint64_t))
            continue;
        while (to < SF_KEEP_JOURNALS && atomic_load(sf_keep_journal_owner(keep, to)) != 0)
            to++;
        if (to == SF_KEEP_JOURNALS) {
            g_warning("no room for a request that waits: its reader gets no answer");
            return;
        }
        /* Killed between the two it is there twice, and has one effect. */
        sf_keep_journal_copy(keep, from, to, len);
        sf_keep_journal_clear(keep, from);
    }
}

static void remove_kept(void *number, void *ids, void *data)
{
    const GArray *list = ids;

    for (unsigned i = 0; i < list->len; i++)
        sf_keep_remove(data, g_array_index(list, uint64_t, i));
}

/* What such a container is asked may be in any journal. */
static bool is_served(const SfRegistry *registry, uint64_t owner)
{
    uint64_t number = sf_keep_journal_number(owner);
    GHashTableIter iter;
    SfEntry *entry;

    g_hash_table_iter_init(&iter, registry->entries);
    while (g_hash_table_iter_next(&iter, NULL, (void **)&entry)) {
        if (sf_container_number(entry->container) == number)
            return true;
    }
    return false;
}

void sf_waiting_drop_events(SfRestore *restore, uint64_t id)
{
    const SfFdStore *store = &restore->registry->options.store;
    g_autofree char *name = sf_registry_event_name(id);

    if (g_hash_table_remove(restore->events, &id) && store->drop)
        store->drop(store->data, name);
}

static void drop_all_events(SfRestore *restore)
{
    GHashTableIter iter;
    void *id;

    for (;;) {
        g_hash_table_iter_init(&iter, restore->events);
        if (!g_hash_table_iter_next(&iter, &id, NULL))
            return;
        sf_waiting_drop_events(restore, *(const uint64_t *)id);
    }
}

/* Once nothing waits: what is left belongs to nobody. */
static void drop_rest(SfRestore *restore)
{
    const SfRegistryOptions *options = &restore->registry->options;
    unsigned workers = options->backend.workers(options->backend.data);

    if (!restore->settling || !restore->kept || g_hash_table_size(restore->waiting) > 0)
        return;
    g_hash_table_foreach(restore->kept, remove_kept, restore->keep);
    g_clear_pointer(&restore->kept, g_hash_table_unref);
    drop_all_events(restore);
    for (unsigned i = workers; options->keep && i < SF_KEEP_JOURNALS; i++) {
        uint64_t owner = atomic_load(sf_keep_journal_owner(restore->keep, i));
        if (owner != 0 && !is_served(restore->registry, owner)) /* 0: about to be taken, maybe */
            sf_keep_journal_clear(restore->keep, i);
    }
    if (options->store.drop_rest)
        options->store.drop_rest(options->store.data);
}

static bool try(SfRestore *restore, const char *id)
{
    g_autofree char *file = g_strdup_printf("%s.json", id);

    sf_restore_reserve(restore);
    bool done = sf_restore_record(restore, file);
    sf_restore_release(restore);
    return done;
}

bool sf_waiting_try(SfRestore *restore, const char *id)
{
    if (!g_hash_table_contains(restore->waiting, id))
        return false;
    if (!try(restore, id))
        return true;
    sf_healer_start(restore->registry);
    drop_rest(restore);
    return false;
}

void sf_waiting_end(SfRestore *restore, const char *id)
{
    SfRegistry *registry = restore->registry;
    SfWaiting *waiting = g_hash_table_lookup(restore->waiting, id);
    g_autofree char *file = g_strdup_printf("%s.json", id);

    if (unlinkat(registry->containers_fd, file, 0) < 0)
        g_warning("cannot remove containers/%s: %s", file, g_strerror(errno));
    for (SfViewMount kind = 0; kind < SF_MOUNT_KINDS; kind++)
        sf_waiting_drop(restore, waiting, kind);
    (void)g_hash_table_remove(restore->waiting, id);
    sf_restore_clear_view(registry, id);
    drop_rest(restore);
}

static gboolean on_retry(void *data);

void sf_waiting_plan(SfRestore *restore)
{
    if (restore->source == 0 && (sf_registry_waiting(restore->registry) > 0 || restore->unwatched))
        restore->source = g_timeout_add(restore->pause_msec, on_retry, restore);
}

static gboolean on_retry(void *data)
{
    SfRestore *restore = data;
    unsigned before = sf_registry_waiting(restore->registry);
    g_autoptr(GPtrArray) ids = waiting_ids(restore);

    restore->source = 0; /* removed by what is returned */
    for (unsigned i = 0; i < ids->len; i++)
        (void)try(restore, ids->pdata[i]); /* counted below */
    bool unwatched = restore->unwatched;
    if (unwatched)
        (void)sf_notes_watch(restore); /* else another time */
    if (restore->notes > 0 || unwatched)
        sf_notes_adopt(restore);
    sf_healer_start(restore->registry);
    drop_rest(restore);
    unsigned after = sf_registry_waiting(restore->registry);
    restore->pause_msec =
        after < before ? PAUSE_MIN_MSEC : MIN(restore->pause_msec * 2, PAUSE_MAX_MSEC);
    if (after == 0 && ids->len > 0)
        g_message("no container waits to be taken up any more");
    sf_waiting_plan(restore);
    return G_SOURCE_REMOVE;
}

void sf_registry_settle(SfRegistry *registry)
{
    registry->restore->settling = true;
    sf_notes_begin(registry->restore);
    drop_rest(registry->restore);
    sf_waiting_plan(registry->restore);
}

unsigned sf_registry_waiting(const SfRegistry *registry)
{
    return g_hash_table_size(registry->restore->waiting) + registry->restore->notes;
}
