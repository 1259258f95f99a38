/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Talks to the service manager about fds. What they are is not known here.
 */

#include "daemon/fd_store.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

static GHashTable *received; /* name -> fd, until taken; NULL: there is no store. Main thread. */

static void close_fd(void *fd)
{
    (void)sf_close(GPOINTER_TO_INT(fd));
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
        received = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, close_fd);
    for (int i = 0; i < n; i++) {
        int fd = SD_LISTEN_FDS_START + i;
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
    /* FDPOLL=0: polling a file can take an event away from who waits for it, and costs each request
     * a look. What is dead is taken out when we find it. */
    message = g_strdup_printf("FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
    int r = sd_pid_notify_with_fds(0, 0, message, &fd, 1);
    return r < 0 ? r : r == 0 ? -ENOTCONN : 0;
}

void sf_fd_store_drop(const char *name)
{
    if (received)
        (void)sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s",
                         name); /* at worst one more is handed over */
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
