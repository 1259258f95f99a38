/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watching cgroups through inotify on directories: for their removal on their parents', for writes
 * to their limits on their own. It acts on nothing itself.
 */

#include "daemon/control/watch.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* A directory that is watched. */
typedef struct Directory {
    int descriptor;     /* inotify's */
    GPtrArray *watches; /* Watch, not owned */
} Directory;

typedef struct Watch {
    unsigned number;
    bool limits;      /* of the cgroup whose directory it is; else for the removal of one in it: */
    char *path;       /* that one's directory; owned */
    const char *name; /* its last component */
    dev_t device;     /* the directory's identity: */
    ino_t inode;      /* another may come to stand at the path */
    Directory *directory;
    void *data;
} Watch;

struct SfCgroupWatcher {
    int fd;
    unsigned source;
    SfCgroupEvents events;
    unsigned last_number;
    GHashTable *directories; /* descriptor -> Directory, owned */
    GHashTable *watches;     /* number -> Watch, owned */
};

static void free_directory(void *data)
{
    Directory *directory = data;

    g_ptr_array_unref(directory->watches);
    g_free(directory);
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
    watcher->events.gone(data);
}

/* name: NULL for every name. */
static void report_gone(SfCgroupWatcher *watcher, int descriptor, const char *name)
{
    Directory *parent = g_hash_table_lookup(watcher->directories, GINT_TO_POINTER(descriptor));

    for (unsigned i = 0; parent && i < parent->watches->len;) {
        Watch *watch = parent->watches->pdata[i];
        if (watch->limits || (name && strcmp(watch->name, name) != 0) || is_there(watch)) {
            i++;
            continue;
        }
        report(watcher, watch);
        /* That changed the list, and may have ended the parent's watch. */
        parent = g_hash_table_lookup(watcher->directories, GINT_TO_POINTER(descriptor));
        i = 0;
    }
}

/* cpu.max, cpu.cfs_quota_us, cpuset.cpus, cpuset.cpus.partition and the like. */
static bool limits_cpus(const char *file)
{
    return strcmp(file, "cpu.max") == 0 || g_str_has_prefix(file, "cpu.cfs_") ||
           g_str_has_prefix(file, "cpuset.");
}

static void report_write(SfCgroupWatcher *watcher, int descriptor, const char *file)
{
    Directory *directory = g_hash_table_lookup(watcher->directories, GINT_TO_POINTER(descriptor));

    for (unsigned i = 0; directory && limits_cpus(file) && i < directory->watches->len; i++) {
        Watch *watch = directory->watches->pdata[i];
        if (watch->limits)
            watcher->events.changed(watch->data);
    }
}

/* The queue overflowed (fs.inotify.max_queued_events): any may have gone unnoticed. */
static void check_all(SfCgroupWatcher *watcher)
{
    g_autoptr(GList) numbers = g_hash_table_get_keys(watcher->watches);

    for (GList *link = numbers; link; link = link->next) {
        Watch *watch = g_hash_table_lookup(watcher->watches, link->data);
        /* What limits say is asked for anew in a moment all the same. */
        if (watch && !watch->limits && !is_there(watch))
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
        else if ((event->mask & IN_MODIFY) && event->len > 0)
            report_write(watcher, event->wd, event->name);
        else if (event->mask & IN_IGNORED) /* the directory itself went, if it was not us */
            report_gone(watcher, event->wd, NULL);
        at += (ssize_t)(sizeof(*event) + event->len);
    }
    return G_SOURCE_CONTINUE;
}

int sf_cgroup_watcher_new(const SfCgroupEvents *events, SfCgroupWatcher **ret_watcher)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0)
        return -errno;

    SfCgroupWatcher *watcher = g_new0(SfCgroupWatcher, 1);
    watcher->fd = fd;
    watcher->events = *events;
    watcher->directories = g_hash_table_new_full(NULL, NULL, NULL, free_directory);
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
    g_hash_table_unref(watcher->directories);
    (void)sf_close(watcher->fd);
    g_free(watcher);
}

/* inotify gives the same descriptor for the same directory, so they are shared without looking at
 * paths. events: added to what is watched there. Negative errno. */
static int watch_directory(SfCgroupWatcher *watcher, const SfCgroup *cgroup, uint32_t events,
                           Directory **ret_directory)
{
    SF_CLEANUP_FREE char *path = sf_cgroup_host_path(cgroup);
    if (!path)
        return -ENOMEM;
    int descriptor = inotify_add_watch(watcher->fd, path, events | IN_ONLYDIR | IN_MASK_ADD);
    if (descriptor < 0)
        return errno == ENOENT ? -ENODEV : -errno;

    Directory *directory = g_hash_table_lookup(watcher->directories, GINT_TO_POINTER(descriptor));
    if (!directory) {
        directory = g_new0(Directory, 1);
        directory->descriptor = descriptor;
        directory->watches = g_ptr_array_new();
        g_hash_table_insert(watcher->directories, GINT_TO_POINTER(descriptor), directory);
    }
    *ret_directory = directory;
    return 0;
}

static Watch *new_watch(SfCgroupWatcher *watcher, Directory *directory, void *data)
{
    Watch *watch = g_new0(Watch, 1);

    watch->number = ++watcher->last_number;
    watch->directory = directory;
    watch->data = data;
    g_ptr_array_add(directory->watches, watch);
    g_hash_table_insert(watcher->watches, GUINT_TO_POINTER(watch->number), watch);
    return watch;
}

int sf_cgroup_watch_add(SfCgroupWatcher *watcher, const SfCgroup *cgroup, void *data,
                        unsigned *ret_watch)
{
    const SfCgroup *parent = sf_cgroup_parent(cgroup);
    if (!parent)
        return -ENOTSUP;

    SF_CLEANUP_FREE char *path = sf_cgroup_host_path(cgroup);
    Directory *directory = NULL;
    struct stat st;
    if (!path)
        return -ENOMEM;
    if (fstat(sf_cgroup_dir_fd(cgroup), &st) < 0)
        return -errno;
    int r = watch_directory(watcher, parent, IN_DELETE, &directory);
    if (r < 0)
        return r;
    Watch *watch = new_watch(watcher, directory, data);
    watch->path = g_strdup(path);
    watch->name = strrchr(watch->path, '/') + 1;
    watch->device = st.st_dev;
    watch->inode = st.st_ino;
    /* It may have gone before the watch stood. */
    if (!is_there(watch)) {
        sf_cgroup_watch_remove(watcher, watch->number);
        return -ENODEV;
    }
    *ret_watch = watch->number;
    return 0;
}

int sf_cgroup_watch_limits(SfCgroupWatcher *watcher, const SfCgroup *cgroup, void *data,
                           unsigned *ret_watch)
{
    Directory *directory = NULL;

    int r = watch_directory(watcher, cgroup, IN_MODIFY, &directory);
    if (r < 0)
        return r;
    Watch *watch = new_watch(watcher, directory, data);
    watch->limits = true;
    *ret_watch = watch->number;
    return 0;
}

void sf_cgroup_watch_remove(SfCgroupWatcher *watcher, unsigned number)
{
    Watch *watch = g_hash_table_lookup(watcher->watches, GUINT_TO_POINTER(number));
    if (!watch)
        return;

    Directory *directory = watch->directory;
    g_ptr_array_remove_fast(directory->watches, watch);
    if (directory->watches->len == 0) {
        /* fails when the directory is gone, as well */
        (void)inotify_rm_watch(watcher->fd, directory->descriptor);
        g_hash_table_remove(watcher->directories, GINT_TO_POINTER(directory->descriptor));
    }
    g_hash_table_remove(watcher->watches, GUINT_TO_POINTER(number));
}
