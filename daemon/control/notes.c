/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The notes that hooks leave (lib/pending.h) of containers that started while no daemon answered:
 * they get their views from here. Notes are looked at when the daemon starts, and whenever one
 * comes: a daemon that only stood still does not start again. A note goes when the container's
 * record says what is due.
 */

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/control/registry_private.h"
#include "lib/base/id.h"
#include "lib/pending.h"

/* Whether a registration that failed may succeed in a while. */
static bool may_pass(const SfControlError *error)
{
    switch (json_integer_value(json_object_get(error->details, "errno"))) {
    case EAGAIN:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOSPC:
    case EROFS:
        return true;
    default:
        return false;
    }
}

/* The hook has registered it, and then no answer came in time: who was to attach the files has
 * gone. False: it has to wait. */
static bool adopt_registered(SfEntry *entry)
{
    entry->noted = true;
    if (entry->attached)
        return true;
    if (sf_healer_note_due(entry, SF_DUE_ALL) < 0)
        return false;
    sf_healer_add(entry);
    return !entry->due_unwritten;
}

static bool is_of(const SfPending *pending, const SfContainer *container)
{
    return sf_container_init_pid(container) == pending->pid &&
           sf_container_start_ticks(container) == pending->start_ticks;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The runtime goes on when its hook has left the note: until it has changed the root of init
 * (pivot_root(2)), what would be attached there is what the container will never see. */
static bool has_its_root(const SfRegistry *registry, const SfPending *pending)
{
    struct stat ours, its, named;
    char path[32];

    (void)g_snprintf(path, sizeof(path), "%d/root", (int)pending->pid);
    if (!pending->rootfs || stat("/", &ours) < 0 ||
        fstatat(sf_host_proc_fd(registry->options.host), path, &its, 0) < 0 ||
        !is_same(&ours, &its))
        return true;
    return stat(pending->rootfs, &named) == 0 && is_same(&ours, &named);
}

/* False: it has to wait. */
static bool adopt(SfRestore *restore, const SfPending *pending)
{
    SfRegistration registration = {.id = pending->id,
                                   .pid = pending->pid,
                                   .pidfd = -1,
                                   .bundle = pending->bundle,
                                   .annotations = pending->annotations,
                                   .attach = true};
    SfRegistry *registry = restore->registry;
    SfEntry *entry = g_hash_table_lookup(registry->entries, pending->id);
    SfControlError error = {0};

    if (!has_its_root(registry, pending))
        return false;
    if (entry && is_of(pending, entry->container))
        return adopt_registered(entry);
    if (entry) /* of that name before, and its end has not been seen yet */
        return false;
    if (sf_registry_register(registry, &registration, &entry, &error) < 0) {
        const char *why = json_string_value(json_object_get(error.details, "message"));
        bool wait = may_pass(&error);
        if (!wait || g_hash_table_add(restore->told, g_strdup(pending->id)))
            g_warning("cannot take up a container that started without a daemon%s: %s, "
                      "container=%s",
                      wait ? " now, and will try again" : "", why ? why : error.name, pending->id);
        sf_control_error_clear(&error);
        return !wait;
    }
    if (entry) {
        sf_healer_add(entry);
        g_message("container adopted: it started without a daemon, container=%s", pending->id);
    }
    return true;
}

/* False: it has to wait. */
static bool adopt_note(SfRestore *restore, int fd, const char *path, const char *file)
{
    SfPending pending;
    bool done = true;

    if (sf_pending_is_unfinished(file))
        return true;
    int r = sf_pending_read(fd, file, &pending);
    if (r == -EBADMSG)
        g_warning("removed a file that is no note: %s/%s", path, file);
    else if (r < 0 && r != -ESRCH && r != -ENOENT)
        return false;
    if (r == 0) {
        done = adopt(restore, &pending);
        sf_pending_clear(&pending);
    }
    if (done)
        (void)unlinkat(fd, file, 0);
    return done;
}

static char *folder_path(const SfRestore *restore)
{
    return g_build_filename(restore->registry->runtime_dir, SF_PENDING_NAME, NULL);
}

void sf_notes_adopt(SfRestore *restore)
{
    g_autofree char *path = folder_path(restore);
    SF_CLEANUP_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    g_autoptr(GPtrArray) files = NULL;
    int r = fd < 0 ? -errno : sf_registry_list(fd, &files);

    /* -ENOENT: no hook has ever missed us. */
    restore->notes = r < 0 && r != -ENOENT && r != -ENOTDIR && r != -ELOOP ? 1 : 0;
    for (unsigned i = 0; r >= 0 && i < files->len; i++)
        restore->notes += !adopt_note(restore, fd, path, files->pdata[i]);
}

bool sf_registry_was_noted(const SfRegistry *registry, const char *id)
{
    g_autofree char *path =
        g_strdup_printf("%s/" SF_PENDING_NAME "/%s.json", registry->runtime_dir, id);
    const SfEntry *entry = g_hash_table_lookup(registry->entries, id);

    if (entry && entry->noted)
        return true;
    return sf_id_valid(id) && faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Notes get their names when they are whole. */
static int watch_folder(const SfRestore *restore)
{
    g_autofree char *path = folder_path(restore);

    if (mkdir(path, 0700) < 0 && errno != EEXIST && errno != EROFS)
        return -errno;
    return inotify_add_watch(restore->notes_fd, path, IN_MOVED_TO | IN_ONLYDIR | IN_DONT_FOLLOW) < 0
               ? -errno
               : 0;
}

static gboolean on_notes(int fd, GIOCondition condition, void *data);

int sf_notes_watch(SfRestore *restore)
{
    int r = 0;

    if (restore->notes_fd < 0)
        restore->notes_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (restore->notes_fd < 0)
        r = -errno;
    else if (!restore->notes_source)
        restore->notes_source = g_unix_fd_add(restore->notes_fd, G_IO_IN, on_notes, restore);
    if (r == 0)
        r = watch_folder(restore);
    restore->unwatched = r < 0;
    return r;
}

static gboolean on_notes(int fd, GIOCondition condition, void *data)
{
    SfRestore *restore = data;
    _Alignas(struct inotify_event) char buffer[4096];
    ssize_t n;

    /* Which, does not matter: all that are there are looked at. */
    do
        n = read(fd, buffer, sizeof(buffer));
    while (n > 0 || (n < 0 && errno == EINTR));
    restore->unwatched = watch_folder(restore) < 0; /* it may have been removed */
    sf_notes_adopt(restore);
    sf_healer_start(restore->registry);
    sf_waiting_plan(restore);
    return G_SOURCE_CONTINUE;
}

void sf_notes_begin(SfRestore *restore)
{
    int r = sf_notes_watch(restore);

    if (r < 0)
        g_warning("notes of containers that start without an answer are not seen at once: %s",
                  g_strerror(-r));
    sf_notes_adopt(restore);
}

void sf_notes_end(SfRestore *restore)
{
    if (restore->notes_source)
        g_source_remove(restore->notes_source);
    restore->notes_source = 0;
    restore->notes_fd = sf_close(restore->notes_fd);
}
