/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Talks to the service manager about fds, and counts what it holds, which it does not tell: past
 * its limits it drops files in silence, and past the kernel's nothing starts any more. What they
 * are is not known here, but that triggers are held where views leave room for them.
 */

#include "daemon/fd_store.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "lib/base/number.h"

/* All names are handed over in one string of the environment, of which the kernel takes 128 KiB at
 * an exec (MAX_ARG_STRLEN, execve(2)): "LISTEN_FDNAMES=", the names, and a byte after each. */
#define NAMES_MAX_BYTES (127u * 1024)
/* FileDescriptorStoreMax= of the unit, where the service manager does not say (systemd < 254). */
#define FILES_MAX 36864u
/* What triggers have in any case is one part of so many. */
#define SPARE_SHARE 16u
/* What is held once: the control socket, the memory. */
#define ONCE_BYTES 64u
#define ONCE_FILES 4u
#define VIEW_FILES SF_MOUNT_KINDS
#define VIEW_BYTES (SF_MOUNT_KINDS * (1 + 10 + 1)) /* a letter, the container's number, a byte */
G_STATIC_ASSERT(SF_CONTAINER_NUMBER_MAX >> 40 == 0);

typedef struct Room {
    size_t bytes; /* of names, each with the byte after it */
    size_t files;
} Room;

/* All that is held. */
static struct {
    GMutex lock;
    GHashTable *names; /* name -> how many files have it; protected by lock, as all below */
    Room used, spare;  /* spare: what triggers have of it */
    Room reserved;     /* for all but triggers */
    size_t files_max;
} held;

static GHashTable *received; /* name -> fd, until taken; NULL: there is no store. Main thread. */

static void close_fd(void *fd)
{
    (void)sf_close(GPOINTER_TO_INT(fd));
}

static bool is_spare(const char *name)
{
    return g_str_has_prefix(name, SF_FD_NAME_EVENT);
}

/* Under the lock, as the next two. files: of that name. */
static void count(const char *name, size_t files)
{
    size_t bytes = (strlen(name) + 1) * files;
    unsigned before = GPOINTER_TO_UINT(g_hash_table_lookup(held.names, name));

    (void)g_hash_table_insert(held.names, g_strdup(name), GUINT_TO_POINTER(before + files));
    held.used.bytes += bytes;
    held.used.files += files;
    if (is_spare(name)) {
        held.spare.bytes += bytes;
        held.spare.files += files;
    }
}

static void count_off(const char *name, size_t files)
{
    size_t before = GPOINTER_TO_UINT(g_hash_table_lookup(held.names, name));
    size_t gone = MIN(files, before), bytes = (strlen(name) + 1) * gone;

    if (gone == before)
        (void)g_hash_table_remove(held.names, name);
    else
        (void)g_hash_table_insert(held.names, g_strdup(name), GUINT_TO_POINTER(before - gone));
    held.used.bytes -= bytes;
    held.used.files -= gone;
    if (is_spare(name)) {
        held.spare.bytes -= bytes;
        held.spare.files -= gone;
    }
}

static bool fits(size_t more, bool is_spare_file, size_t used, size_t spare, size_t reserved,
                 size_t most)
{
    size_t others = used - spare;
    size_t kept = is_spare_file && reserved > others ? reserved - others : 0;

    return used + more + kept <= most;
}

/* Counts one more in, if there is room. */
static int enter(const char *name)
{
    bool spare = is_spare(name);
    int r = 0;

    g_mutex_lock(&held.lock);
    if (!fits(strlen(name) + 1, spare, held.used.bytes, held.spare.bytes, held.reserved.bytes,
              NAMES_MAX_BYTES))
        r = -ENOSPC;
    else if (!fits(1, spare, held.used.files, held.spare.files, held.reserved.files,
                   held.files_max))
        r = -ENFILE;
    else
        count(name, 1);
    g_mutex_unlock(&held.lock);
    return r;
}

static void leave(const char *name, size_t files)
{
    g_mutex_lock(&held.lock);
    count_off(name, files);
    g_mutex_unlock(&held.lock);
}

unsigned sf_fd_store_reserve(unsigned containers)
{
    unsigned most = UINT_MAX;

    if (!received)
        return most;
    g_mutex_lock(&held.lock);
    held.reserved.bytes = MIN((size_t)containers * VIEW_BYTES + ONCE_BYTES,
                              NAMES_MAX_BYTES - NAMES_MAX_BYTES / SPARE_SHARE);
    held.reserved.files = MIN((size_t)containers * VIEW_FILES + ONCE_FILES,
                              held.files_max - held.files_max / SPARE_SHARE);
    most = (unsigned)MIN((NAMES_MAX_BYTES - ONCE_BYTES) / VIEW_BYTES,
                         (MAX(held.files_max, ONCE_FILES) - ONCE_FILES) / VIEW_FILES);
    g_mutex_unlock(&held.lock);
    return most;
}

/* $FDSTORE: systemd.exec(5) */
static size_t files_max(void)
{
    const char *text = g_getenv("FDSTORE");
    uint64_t number;

    if (text && sf_slice_u64(sf_slice_str(text), &number) >= 0 && number > 0)
        return (size_t)MIN(number, UINT32_MAX);
    return FILES_MAX;
}

static void begin_counting(void)
{
    g_clear_pointer(&received, g_hash_table_unref);
    g_clear_pointer(&held.names, g_hash_table_unref);
    held.used = held.spare = held.reserved = (Room){0};
    held.files_max = files_max();
    held.names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    received = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, close_fd);
}

bool sf_fd_store_has_views(void)
{
    char **names = NULL;
    bool found = false;
    int n = sd_listen_fds_with_names(0, &names);

    for (int i = 0; i < n; i++) {
        found = found || g_str_has_prefix(names[i], SF_FD_NAME_VIEW);
        free(names[i]);
    }
    free(names);
    return found;
}

void sf_fd_store_begin(void)
{
    bool store = g_getenv("NOTIFY_SOCKET") != NULL;
    char **names = NULL;
    int n = sd_listen_fds_with_names(1, &names);

    if (store)
        begin_counting();
    for (int i = 0; i < n; i++) {
        int fd = SD_LISTEN_FDS_START + i;
        if (store)
            count(names[i], 1);
        if (store && g_hash_table_insert(received, g_strdup(names[i]), GINT_TO_POINTER(fd)))
            continue;
        if (!store)
            (void)sf_close(fd);
    }
    for (char **name = names; name && *name; name++)
        free(*name);
    free(names);
}

int sf_fd_store_take(const char *name)
{
    void *key, *fd;

    if (!received || !g_hash_table_steal_extended(received, name, &key, &fd))
        return -1;
    g_free(key);
    return GPOINTER_TO_INT(fd);
}

int sf_fd_store_hold(const char *name, int fd)
{
    g_autofree char *message = NULL;

    if (!received)
        return 0;
    int r = enter(name);
    if (r < 0)
        return r;
    /* FDPOLL=0: polling a file can take an event away from who waits for it, and costs each request
     * a look. What is dead is taken out when we find it. */
    message = g_strdup_printf("FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
    r = sd_pid_notify_with_fds(0, 0, message, &fd, 1);
    if (r > 0)
        return 0;
    leave(name, 1);
    return r < 0 ? r : -ENOTCONN;
}

void sf_fd_store_drop(const char *name)
{
    if (!received)
        return;
    /* First told, then counted off: what comes after it may need the room. At worst one more is
     * handed over. */
    (void)sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
    leave(name, SIZE_MAX);
}

static int hold(void *data, const char *name, int fd)
{
    return sf_fd_store_hold(name, fd);
}

static void drop(void *data, const char *name)
{
    sf_fd_store_drop(name);
}

static int take(void *data, const char *name)
{
    return sf_fd_store_take(name);
}

/* Closes what nobody has taken, and has it held no longer. */
static void drop_rest(void *data)
{
    GHashTableIter iterator;
    void *name;

    if (!received)
        return;
    g_hash_table_iter_init(&iterator, received);
    while (g_hash_table_iter_next(&iterator, &name, NULL)) {
        g_message("dropped a held file that belongs to nothing: %s", (const char *)name);
        sf_fd_store_drop(name);
    }
    g_hash_table_remove_all(received);
}

SfFdStore sf_fd_store(void)
{
    if (!received)
        return (SfFdStore){0};
    return (SfFdStore){hold, drop, take, drop_rest, NULL};
}
