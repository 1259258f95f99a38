/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of containers: registration as a row of steps that are undone when one fails, and one
 * way to end, whoever asks. It renders nothing and talks to nobody.
 */

#include "daemon/control/registry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/control/record.h"
#include "daemon/control/registry_private.h"
#include "lib/base/id.h"
#include "lib/base/io.h"

#define DEFAULT_MAX_CONTAINERS 5000
/* Between two recalls of one container's constants, whose attributes last for five times as long.
 */
#define RECALL_PAUSE_MSEC 20

static const struct {
    const char *folder;
    mode_t mode; /* the view is for an administrator's users to look at */
    const char *fd_name;
} kinds[SF_MOUNT_KINDS] = {
    [SF_MOUNT_VIEW] = {"views", 0711, SF_FD_NAME_VIEW},
    [SF_MOUNT_CONSTANTS] = {"constants", 0700, SF_FD_NAME_CONSTANTS},
};

static void remove_watches(SfEntry *entry)
{
    SfCgroupWatcher *watcher = entry->registry->watcher;

    if (entry->container)
        sf_exit_watch_remove(entry->registry->exits, sf_container_pidfd(entry->container));
    sf_cgroup_watch_remove(watcher, entry->watch);
    for (unsigned i = 0; entry->limit_watches && i < entry->limit_watches->len; i++)
        sf_cgroup_watch_remove(watcher, g_array_index(entry->limit_watches, unsigned, i));
    g_clear_pointer(&entry->limit_watches, g_array_unref);
    if (entry->recall_source)
        g_source_remove(entry->recall_source);
    entry->recall_source = 0;
}

static void free_mounts(SfEntry *entry)
{
    for (SfViewMount kind = 0; kind < SF_MOUNT_KINDS; kind++)
        g_free(entry->mounts[kind].point);
}

void sf_registry_unmount(SfEntry *entry, SfViewMount kind)
{
    const SfRegistry *registry = entry->registry;
    const SfMountBackend *backend = &registry->options.backend;
    const SfFdStore *store = &registry->options.store;
    SfMounted *mounted = &entry->mounts[kind];

    if (mounted->held && store->drop) {
        g_autofree char *name = sf_registry_fd_name(sf_container_number(entry->container), kind);
        store->drop(store->data, name);
    }
    mounted->held = false;
    if (mounted->mount)
        backend->unmount_view(backend->data, g_steal_pointer(&mounted->mount));
    if (mounted->point && unlinkat(registry->folder_fds[kind], entry->id, AT_REMOVEDIR) < 0 &&
        errno != ENOENT)
        g_warning("cannot remove %s: %s, container=%s", mounted->point, g_strerror(errno),
                  entry->id);
}

/* Undoes whatever of a registration has been done, in reverse; also the one end of a whole one. */
void sf_registry_end_entry(SfEntry *entry)
{
    SfRegistry *registry = entry->registry;
    const SfRegistryOptions *options = &registry->options;

    remove_watches(entry);
    /* The record first: without it, whatever else is left is cleared by the next daemon. */
    int r = sf_record_remove(registry->containers_fd, entry->id);
    if (r < 0)
        g_warning("cannot remove the record: %s, container=%s", g_strerror(-r), entry->id);
    if (entry->view)
        sf_view_end(entry->view);
    for (SfViewMount kind = 0; kind < SF_MOUNT_KINDS; kind++)
        sf_registry_unmount(entry, kind);
    if (options->load_sampler)
        sf_load_sampler_forget(options->load_sampler, entry->container);
    sf_container_drop_state(entry->container);
    sf_view_unref(entry->view);
    sf_container_unref(entry->container); /* last: it holds the ID */
    free_mounts(entry);
    g_free(entry);
}

char *sf_registry_event_name(uint64_t id)
{
    return g_strdup_printf(SF_FD_NAME_EVENT "%" G_GINT64_MODIFIER "x", id);
}

char *sf_registry_fd_name(uint64_t container, SfViewMount kind)
{
    return g_strdup_printf("%s%" G_GINT64_MODIFIER "x", kinds[kind].fd_name, container);
}

char *sf_registry_mount_point(const SfRegistry *registry, SfViewMount kind, const char *id)
{
    return g_build_filename(registry->runtime_dir, kinds[kind].folder, id, NULL);
}

static void end_registered(SfEntry *entry, const char *reason)
{
    g_info("container ended: %s, container=%s", reason, entry->id);
    g_hash_table_steal(entry->registry->entries, entry->id);
    sf_registry_end_entry(entry);
}

static void on_cgroup_gone(void *data)
{
    SfEntry *entry = data;

    entry->watch = 0;
    end_registered(entry, "its cgroup was removed");
}

static void recall(SfEntry *entry)
{
    const SfMountBackend *backend = &entry->registry->options.backend;
    void *mount = entry->mounts[SF_MOUNT_CONSTANTS].mount;

    entry->recalled_usec = g_get_monotonic_time();
    if (mount)
        backend->recall(backend->data, mount);
}

static gboolean on_recall_due(void *data)
{
    SfEntry *entry = data;

    entry->recall_source = 0; /* removed by what is returned */
    recall(entry);
    return G_SOURCE_REMOVE;
}

/* At once, and then not again for a while: who writes all the time costs no more than that. */
static void on_limits_changed(void *data)
{
    SfEntry *entry = data;

    if (entry->recall_source)
        return;
    if (g_get_monotonic_time() - entry->recalled_usec >= RECALL_PAUSE_MSEC * 1000)
        recall(entry);
    else
        entry->recall_source = g_timeout_add(RECALL_PAUSE_MSEC, on_recall_due, entry);
}

static void on_init_ended(void *data)
{
    end_registered(data, "its init has ended");
}

static int open_folder(int directory_fd, const char *name, mode_t mode)
{
    if (mkdirat(directory_fd, name, mode) < 0 && errno != EEXIST)
        return -errno;
    int fd = openat(directory_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* On a file system that is read-only a lock can be had all the same. */
static int open_lock(int directory_fd)
{
    static const int flags = O_NOFOLLOW | O_CLOEXEC;

    int fd = openat(directory_fd, "lock", O_RDWR | O_CREAT | flags, 0600);
    if (fd < 0 && errno == EROFS)
        fd = openat(directory_fd, "lock", O_RDONLY | flags);
    return fd < 0 ? -errno : fd;
}

/* For people who look, and for the one that finds it locked. What stands there goes last: it is the
 * room to write in on a full disk. */
static void write_pid(int fd)
{
    char text[32];
    int n = g_snprintf(text, sizeof(text), "%d\n", (int)getpid());

    if (pwrite(fd, text, (size_t)n, 0) != n || ftruncate(fd, n) < 0)
        g_info("the file lock does not have this process ID: %s", g_strerror(errno));
}

static int take_lock(int directory_fd, int *ret_fd, pid_t *ret_other_pid)
{
    char text[32];
    size_t len;
    uint64_t pid;

    SF_CLEANUP_FD int fd = open_lock(directory_fd);
    if (fd < 0)
        return fd;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int r = -errno;
        if (sf_read_fd(fd, text, sizeof(text), &len) >= 0 &&
            sf_slice_u64(sf_slice_trim(sf_slice(text, len)), &pid) >= 0 && pid <= INT32_MAX)
            *ret_other_pid = (pid_t)pid;
        return r;
    }
    write_pid(fd);
    *ret_fd = sf_steal_fd(&fd);
    return 0;
}

int sf_registry_list(int directory_fd, GPtrArray **names)
{
    int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir) {
        int r = -errno;
        (void)sf_close(fd);
        return r;
    }
    if (!*names)
        *names = g_ptr_array_new_with_free_func(g_free);
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry)
            break;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            g_ptr_array_add(*names, g_strdup(entry->d_name));
    }
    int r = -errno;
    (void)closedir(dir); /* was only read */
    return r;
}

/* Mount points and the socket are made by path: nobody else may be able to exchange what is on the
 * way. */
static int check_owner(int directory_fd)
{
    struct stat st;

    if (fstat(directory_fd, &st) < 0)
        return -errno;
    return st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH)) ? 0 : -EPERM;
}

static int read_boot_id(SfRegistry *registry)
{
    size_t len;

    int r = sf_read_at(sf_host_proc_fd(registry->options.host), "sys/kernel/random/boot_id",
                       registry->boot_id, sizeof(registry->boot_id), &len);
    if (r < 0)
        registry->boot_id[0] = '\0';
    (void)g_strchomp(registry->boot_id);
    return r == -ENOENT ? 0 : r;
}

int sf_registry_new(const SfRegistryOptions *options, SfRegistry **ret_registry,
                    pid_t *ret_other_pid)
{
    static const SfCgroupEvents events = {on_cgroup_gone, on_limits_changed};
    SfRegistry *registry = g_new0(SfRegistry, 1);

    *ret_other_pid = 0;
    registry->options = *options;
    registry->runtime_dir = g_strdup(options->runtime_dir);
    registry->options.runtime_dir = registry->runtime_dir;
    registry->lock_fd = registry->containers_fd = -1;
    for (SfViewMount kind = 0; kind < SF_MOUNT_KINDS; kind++)
        registry->folder_fds[kind] = -1;
    registry->max_containers = DEFAULT_MAX_CONTAINERS;
    registry->entries = g_hash_table_new(g_str_hash, g_str_equal);
    sf_policy_init(&registry->defaults);

    SF_CLEANUP_FD int directory_fd = open(options->runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = directory_fd < 0 ? -errno : check_owner(directory_fd);
    if (r >= 0)
        r = take_lock(directory_fd, &registry->lock_fd, ret_other_pid);
    for (SfViewMount kind = 0; kind < SF_MOUNT_KINDS && r >= 0; kind++)
        r = registry->folder_fds[kind] =
            open_folder(directory_fd, kinds[kind].folder, kinds[kind].mode);
    if (r >= 0)
        r = registry->containers_fd = open_folder(directory_fd, "containers", 0700);
    if (r >= 0)
        r = sf_cgroup_watcher_new(&events, &registry->watcher);
    if (r >= 0)
        r = sf_exit_watcher_new(on_init_ended, &registry->exits);
    if (r >= 0)
        r = read_boot_id(registry);
    if (r >= 0)
        r = sf_registry_restore(registry);
    if (r < 0) {
        sf_registry_free(registry);
        return r;
    }
    *ret_registry = registry;
    return 0;
}

void sf_registry_leave_entry(SfEntry *entry)
{
    const SfMountBackend *backend = &entry->registry->options.backend;

    remove_watches(entry);
    for (SfViewMount kind = 0; kind < SF_MOUNT_KINDS; kind++) {
        if (entry->mounts[kind].mount)
            backend->leave_view(backend->data, entry->mounts[kind].mount);
    }
    if (entry->registry->options.load_sampler)
        sf_load_sampler_forget(entry->registry->options.load_sampler, entry->container);
    sf_view_unref(entry->view);
    sf_container_unref(entry->container); /* last: it holds the ID */
    free_mounts(entry);
    g_free(entry);
}

void sf_registry_keep_views(SfRegistry *registry)
{
    registry->keep_views = true;
}

void sf_registry_leave(SfRegistry *registry)
{
    registry->leave = true;
}

void sf_registry_counts(const SfRegistry *registry, SfRegistryCounts *ret_counts)
{
    *ret_counts = registry->counts;
}

void sf_registry_heal(SfRegistry *registry)
{
    sf_healer_start(registry);
}

void sf_registry_free(SfRegistry *registry)
{
    unsigned count;

    if (!registry)
        return;
    g_autofree SfEntry **entries = sf_registry_entries(registry, &count);
    sf_healer_free(registry->healer);
    sf_restore_free(registry->restore);
    for (unsigned i = 0; i < count; i++) {
        bool stays = entries[i]->mounts[SF_MOUNT_VIEW].held || entries[i]->due_unwritten;
        if (!registry->leave && !(registry->keep_views && stays)) {
            end_registered(entries[i], "the daemon stops");
            continue;
        }
        g_hash_table_steal(registry->entries, entries[i]->id);
        sf_registry_leave_entry(entries[i]);
    }
    g_hash_table_unref(registry->entries);
    sf_cgroup_watcher_free(registry->watcher);
    sf_exit_watcher_free(registry->exits);
    (void)sf_close(registry->containers_fd);
    for (SfViewMount kind = 0; kind < SF_MOUNT_KINDS; kind++)
        (void)sf_close(registry->folder_fds[kind]);
    (void)sf_close(registry->lock_fd);
    g_free(registry->runtime_dir);
    g_free(registry);
}

void sf_registry_configure(SfRegistry *registry, const SfPolicy *defaults, unsigned max_containers)
{
    registry->defaults = *defaults;
    registry->max_containers = max_containers;
}

static int apply_annotations(const json_t *annotations, SfPolicy *policy, SfControlError *error)
{
    const unsigned configured = policy->rule_count;
    const char *key;
    json_t *value;
    char sentence[512];

    json_object_foreach((json_t *)annotations, key, value)
    {
        if (!json_is_string(value))
            return sf_fail_parameter(error, "annotations", "annotation %s is not a string", key);
        if (sf_policy_apply(policy, key, json_string_value(value), sentence, sizeof(sentence)) < 0)
            return sf_fail_parameter(error, key, "%s", sentence);
    }
    /* Rules of the configuration were looked at when it was read. */
    const SfViewRule *idle = sf_view_idle_rule(policy, configured);
    if (idle)
        return sf_fail_parameter(error, "io.sysfsd.views",
                                 "annotation io.sysfsd.views=%c%s: no file of a view is there",
                                 idle->show ? '+' : '-', idle->path);
    return 0;
}

static int check_registration(SfRegistry *registry, const SfRegistration *registration,
                              SfControlError *error)
{
    if (!sf_id_valid(registration->id))
        return sf_fail_parameter(error, "id", "not a container ID (1-%d of A-Za-z0-9_.-): %s",
                                 SF_ID_MAX, registration->id);
    if (sf_waiting_try(registry->restore, registration->id))
        return sf_fail_errno(error, -EAGAIN, SF_NOT_TAKEN_UP, registration->id);
    if (g_hash_table_contains(registry->entries, registration->id)) {
        (void)sf_fail(error, "AlreadyRegistered",
                      "a container of this ID is registered already: %s", registration->id);
        (void)json_object_set_new(error->details, "id", json_string(registration->id));
        return -1;
    }
    if (sf_registry_count(registry) >= registry->max_containers)
        return sf_fail_errno(error, -ENOSPC,
                             "there are %u containers, the configured most (max-containers)",
                             registry->max_containers);
    return 0;
}

static void hold(SfEntry *entry, SfViewMount kind, bool again)
{
    const SfRegistryOptions *options = &entry->registry->options;
    g_autofree char *name = sf_registry_fd_name(sf_container_number(entry->container), kind);
    SfMounted *mounted = &entry->mounts[kind];

    if (!options->store.hold || mounted->held || entry->due_unwritten)
        return;
    int r = options->store.hold(options->store.data, name,
                                options->backend.mount_fd(options->backend.data, mounted->mount));
    mounted->held = r >= 0;
    mounted->refused = r == -ENOSPC || r == -ENFILE ? r : 0;
    if (r < 0 && (again || !mounted->refused)) /* else the registration fails for it */
        g_warning("the view will not outlive this daemon: %s, container=%s", g_strerror(-r),
                  entry->id);
}

void sf_registry_hold(SfEntry *entry)
{
    for (SfViewMount kind = 0; kind < SF_MOUNT_KINDS; kind++)
        hold(entry, kind, true);
}

int sf_registry_mount(SfEntry *entry, SfViewMount kind, bool again)
{
    SfRegistry *registry = entry->registry;
    const SfMountBackend *backend = &registry->options.backend;
    SfMounted *mounted = &entry->mounts[kind];

    if (mkdirat(registry->folder_fds[kind], entry->id, 0755) < 0 && !(again && errno == EEXIST))
        return -errno;
    if (!mounted->point)
        mounted->point = sf_registry_mount_point(registry, kind, entry->id);
    int r = backend->mount_view(backend->data, entry->view, kind, mounted->point, &mounted->mount);
    if (r >= 0)
        hold(entry, kind, again);
    return r;
}

/* A view that would die with this daemon is none: its container is better off with the host's
 * files, which it has without one. */
static int check_held(const SfMounted *mounted, SfControlError *error)
{
    if (mounted->refused == -ENFILE)
        return sf_fail_errno(error, -ENOSPC,
                             "the fd store holds as many files as it may "
                             "(FileDescriptorStoreMax), and no view more");
    if (mounted->refused < 0)
        return sf_fail_errno(error, -ENOSPC,
                             "the fd store has no room for the names of one view more "
                             "(LISTEN_FDNAMES, 128 KiB)");
    return 0;
}

static int make_view(SfEntry *entry, SfControlError *error)
{
    int r = sf_view_new(entry->container, &entry->view);
    if (r < 0)
        return sf_fail_errno(error, r, "cannot make the view");
    for (SfViewMount kind = 0; kind < SF_MOUNT_KINDS; kind++) {
        r = sf_registry_mount(entry, kind, false);
        if (r < 0)
            return sf_fail_errno(error, r, "cannot mount the view on %s/%s/%s",
                                 entry->registry->runtime_dir, kinds[kind].folder, entry->id);
        if (check_held(&entry->mounts[kind], error) < 0)
            return -1;
    }
    return 0;
}

/* Of the CPUs it has, from its cgroup up. What is not seen is asked for anew after
 * SF_CONSTANT_MSEC. */
static void watch_limits(SfEntry *entry)
{
    static const SfController controllers[] = {SF_CONTROLLER_CPU, SF_CONTROLLER_CPUSET};
    const SfCgroup *before = NULL;
    unsigned watch;

    entry->limit_watches = g_array_new(FALSE, FALSE, sizeof(unsigned));
    for (unsigned i = 0; i < G_N_ELEMENTS(controllers); i++) {
        const SfCgroup *cgroup = sf_container_cgroup(entry->container, controllers[i]);
        if (cgroup == before)
            continue;
        before = cgroup;
        for (; cgroup && !sf_cgroup_is_top(cgroup); cgroup = sf_cgroup_parent(cgroup)) {
            if (sf_cgroup_watch_limits(entry->registry->watcher, cgroup, entry, &watch) >= 0)
                g_array_append_val(entry->limit_watches, watch);
        }
    }
}

int sf_registry_watch(SfEntry *entry, SfControlError *error)
{
    SfCgroup *cgroup = sf_container_task_cgroup(entry->container);

    watch_limits(entry);
    int r = sf_exit_watch_add(entry->registry->exits, sf_container_pidfd(entry->container), entry);
    if (r < 0) {
        (void)sf_fail_errno(error, r, "cannot watch its init");
        return r;
    }
    if (!cgroup || sf_cgroup_is_top(cgroup))
        return 0;
    r = sf_cgroup_watch_add(entry->registry->watcher, cgroup, entry, &entry->watch);
    if (r == -ENODEV) {
        (void)sf_fail_errno(error, r, "cannot watch the cgroup %s", sf_cgroup_path(cgroup));
        return r;
    }
    if (r < 0) /* fs.inotify.max_user_watches, for one; the end of init is seen all the same */
        g_warning("cannot watch the cgroup %s: %s, container=%s", sf_cgroup_path(cgroup),
                  g_strerror(-r), entry->id);
    return 0;
}

static int complete(SfEntry *entry, const SfRegistration *registration, SfControlError *error)
{
    if (make_view(entry, error) < 0 || sf_registry_watch(entry, error) < 0)
        return -1;
    int r = sf_record_write(entry->registry->containers_fd, entry->registry->boot_id,
                            entry->container, registration->annotations, entry->due);
    if (r < 0)
        return sf_fail_errno(error, r, "cannot write the record containers/%s.json", entry->id);
    return 0;
}

/* What no cgroup tells is shown as on a host that limits nothing: said once, since in the container
 * nobody can see it. */
static void tell_missing_cgroups(const SfContainer *container)
{
    static const SfController controllers[] = {SF_CONTROLLER_MEMORY, SF_CONTROLLER_CPU,
                                               SF_CONTROLLER_CPUSET};
    g_autoptr(GString) names = g_string_new(NULL);

    for (unsigned i = 0; i < G_N_ELEMENTS(controllers); i++) {
        if (!sf_container_cgroup(container, controllers[i]))
            g_string_append_printf(names, " %s", sf_controller_name(controllers[i]));
    }
    if (names->len > 0)
        g_warning("no cgroup in sight of these controllers, taken as unlimited:%s, container=%s",
                  names->str, sf_container_id(container));
}

int sf_registry_register(SfRegistry *registry, const SfRegistration *registration,
                         SfEntry **ret_entry, SfControlError *error)
{
    SfPolicy policy = registry->defaults;
    SfContainer *container;

    if (check_registration(registry, registration, error) < 0 ||
        apply_annotations(registration->annotations, &policy, error) < 0)
        return -1;
    *ret_entry = NULL;
    if (!policy.enable)
        return 0;

    SfContainerSpec spec = {.id = registration->id,
                            .init_pid = registration->pid,
                            .pidfd = registration->pidfd,
                            .bundle = registration->bundle,
                            .policy = &policy,
                            .keep = registry->options.keep};
    int r = sf_container_new(registry->options.host, registry->options.cgroups, &spec, &container);
    if (r < 0)
        return sf_fail_errno(error, r, "cannot take up process %d", (int)registration->pid);

    SfEntry *entry = g_new0(SfEntry, 1);
    entry->registry = registry;
    entry->container = container;
    entry->id = sf_container_id(container);
    entry->due = registration->attach ? SF_DUE_ALL : SF_DUE_NOTHING;
    if (complete(entry, registration, error) < 0) {
        sf_registry_end_entry(entry);
        return -1;
    }
    g_hash_table_insert(registry->entries, (char *)entry->id, entry);
    g_info("container registered: pid %d, %u files, container=%s", (int)registration->pid,
           sf_view_file_count(entry->view), entry->id);
    tell_missing_cgroups(container);
    *ret_entry = entry;
    return 0;
}

bool sf_registry_unregister(SfRegistry *registry, const char *id, const char *reason)
{
    if (sf_waiting_try(registry->restore, id)) {
        sf_waiting_end(registry->restore, id);
        return true;
    }
    SfEntry *entry = g_hash_table_lookup(registry->entries, id);

    if (!entry)
        return false;
    end_registered(entry, reason);
    return true;
}

unsigned sf_registry_count(const SfRegistry *registry)
{
    return g_hash_table_size(registry->entries);
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp((*(SfEntry *const *)a)->id, (*(SfEntry *const *)b)->id);
}

SfEntry **sf_registry_entries(const SfRegistry *registry, unsigned *ret_count)
{
    unsigned count = 0;
    SfEntry **entries = g_new0(SfEntry *, sf_registry_count(registry) + 1);
    GHashTableIter iterator;
    void *entry;

    g_hash_table_iter_init(&iterator, registry->entries);
    while (g_hash_table_iter_next(&iterator, NULL, &entry))
        entries[count++] = entry;
    qsort(entries, count, sizeof(entries[0]), compare_entries);
    *ret_count = count;
    return entries;
}

const SfRegistryOptions *sf_registry_options(const SfRegistry *registry)
{
    return &registry->options;
}
