/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watching for the removal of cgroups through inotify on their parents. It acts on nothing itself.
 */

#include "daemon/control/watch.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct Parent {
    int descriptor;     /* inotify's */
    GPtrArray *watches; /* Watch, not owned */
} Parent;

typedef struct Watch {
    unsigned number;
    char *path;       /* of the cgroup's directory; owned */
    const char *name; /* its last component */
    dev_t device;     /* the directory's identity: */
    ino_t inode;      /* another may come to stand at the path */
    Parent *parent;
    void *data;
} Watch;

struct SfCgroupWatcher {
    int fd;
    unsigned source;
    void (*gone)(void *data);
    unsigned last_number;
    GHashTable *parents; /* descriptor -> Parent, owned */
    GHashTable *watches; /* number -> Watch, owned */
};

static void free_parent(void *data)
{
    Parent *parent = data;

    g_ptr_array_unref(parent->watches);
    g_free(parent);
}

static void free_watch(void *data)
{
    Watch *watch = data;

    g_free(watch->path);
    g_free(watch);
}

/* An event names no directory, only a path: the one there now may have been made since. */
static bool is_there(const Watch *watch)
{
    struct stat st;

    return stat(watch->path, &st) == 0 && st.st_dev == watch->device && st.st_ino == watch->inode;
}

static void report(SfCgroupWatcher *watcher, Watch *watch)
{
    void *data = watch->data;

    sf_cgroup_watch_remove(watcher, watch->number);
    watcher->gone(data);
}

/* name: NULL for every name. */
static void report_gone(SfCgroupWatcher *watcher, int descriptor, const char *name)
{
    Parent *parent = g_hash_table_lookup(watcher->parents, GINT_TO_POINTER(descriptor));

    for (unsigned i = 0; parent && i < parent->watches->len;) {
        Watch *watch = parent->watches->pdata[i];
        if ((name && strcmp(watch->name, name) != 0) || is_there(watch)) {
            i++;
            continue;
        }
        report(watcher, watch);
        /* That changed the list, and may have ended the parent's watch. */
        parent = g_hash_table_lookup(watcher->parents, GINT_TO_POINTER(descriptor));
        i = 0;
    }
}

/* The queue overflowed (fs.inotify.max_queued_events): any may have gone unnoticed. */
static void check_all(SfCgroupWatcher *watcher)
{
    g_autoptr(GList) numbers = g_hash_table_get_keys(watcher->watches);

    for (GList *link = numbers; link; link = link->next) {
        Watch *watch = g_hash_table_lookup(watcher->watches, link->data);
        if (watch && !is_there(watch))
            report(watcher, watch);
    }
}

static gboolean on_events(int fd, GIOCondition condition, void *data)
{
    SfCgroupWatcher *watcher = data;
    _Alignas(struct inotify_event) char buffer[4096];
    ssize_t n = read(fd, buffer, sizeof(buffer));

    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *event = (const struct inotify_event *)(buffer + at);
        if (event->mask & IN_Q_OVERFLOW)
            check_all(watcher);
        else if ((event->mask & IN_DELETE) && event->len > 0)
            report_gone(watcher, event->wd, event->name);
        else if (event->mask & IN_IGNORED) /* the directory itself went, if it was not us */
            report_gone(watcher, event->wd, NULL);
        at += (ssize_t)(sizeof(*event) + event->len);
    }
    return G_SOURCE_CONTINUE;
}

int sf_cgroup_watcher_new(void (*gone)(void *data), SfCgroupWatcher **ret_watcher)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0)
        return -errno;

    SfCgroupWatcher *watcher = g_new0(SfCgroupWatcher, 1);
    watcher->fd = fd;
    watcher->gone = gone;
    watcher->parents = g_hash_table_new_full(NULL, NULL, NULL, free_parent);
    watcher->watches = g_hash_table_new_full(NULL, NULL, NULL, free_watch);
    watcher->source = g_unix_fd_add(fd, G_IO_IN, on_events, watcher);
    *ret_watcher = watcher;
    return 0;
}

void sf_cgroup_watcher_free(SfCgroupWatcher *watcher)
{
    if (!watcher)
        return;
    g_source_remove(watcher->source);
    g_hash_table_unref(watcher->watches);
    g_hash_table_unref(watcher->parents);
    (void)sf_close(watcher->fd);
    g_free(watcher);
}

/* inotify gives the same descriptor for the same directory, so parents are shared without looking
 * at paths. */
static Parent *parent_of(SfCgroupWatcher *watcher, int descriptor)
{
    Parent *parent = g_hash_table_lookup(watcher->parents, GINT_TO_POINTER(descriptor));

    if (!parent) {
        parent = g_new0(Parent, 1);
        parent->descriptor = descriptor;
        parent->watches = g_ptr_array_new();
        g_hash_table_insert(watcher->parents, GINT_TO_POINTER(descriptor), parent);
    }
    return parent;
}

int sf_cgroup_watch_add(SfCgroupWatcher *watcher, const SfCgroup *cgroup, void *data,
                        unsigned *ret_watch)
{
    SfCgroup *parent_cgroup = sf_cgroup_parent(cgroup);
    if (!parent_cgroup)
        return -ENOTSUP;

    SF_CLEANUP_FREE char *parent_path = sf_cgroup_host_path(parent_cgroup);
    SF_CLEANUP_FREE char *own_path = sf_cgroup_host_path(cgroup);
    struct stat st;
    if (!parent_path || !own_path)
        return -ENOMEM;
    if (fstat(sf_cgroup_dir_fd(cgroup), &st) < 0)
        return -errno;
    int descriptor = inotify_add_watch(watcher->fd, parent_path, IN_DELETE | IN_ONLYDIR);
    if (descriptor < 0)
        return errno == ENOENT ? -ENODEV : -errno;

    Watch *watch = g_new0(Watch, 1);
    watch->number = ++watcher->last_number;
    watch->path = g_strdup(own_path);
    watch->name = strrchr(watch->path, '/') + 1;
    watch->device = st.st_dev;
    watch->inode = st.st_ino;
    watch->parent = parent_of(watcher, descriptor);
    watch->data = data;
    g_ptr_array_add(watch->parent->watches, watch);
    g_hash_table_insert(watcher->watches, GUINT_TO_POINTER(watch->number), watch);
    /* It may have gone before the watch stood. */
    if (!is_there(watch)) {
        sf_cgroup_watch_remove(watcher, watch->number);
        return -ENODEV;
    }
    *ret_watch = watch->number;
    return 0;
}

void sf_cgroup_watch_remove(SfCgroupWatcher *watcher, unsigned number)
{
    Watch *watch = g_hash_table_lookup(watcher->watches, GUINT_TO_POINTER(number));
    if (!watch)
        return;

    Parent *parent = watch->parent;
    g_ptr_array_remove_fast(parent->watches, watch);
    if (parent->watches->len == 0) {
        (void)inotify_rm_watch(watcher->fd,
                               parent->descriptor); /* fails when the directory is gone, as well */
        g_hash_table_remove(watcher->parents, GINT_TO_POINTER(parent->descriptor));
    }
    g_hash_table_remove(watcher->watches, GUINT_TO_POINTER(number));
}
