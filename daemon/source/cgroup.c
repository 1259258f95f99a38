/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The nodes: one per cgroup in use, with its directory held open, chained to the top of what the
 * hierarchy's mount shows. No file content is interpreted here (cgroup_file.c reads,
 * cgroup_{memory,cpu}.c understand), and nothing is written or made in any cgroup.
 */

#include "daemon/source/cgroup_internal.h"

#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "lib/base/io.h"
#include "lib/base/text.h"

/* One line a hierarchy, each path at most PATH_MAX; every process has the same few lines. */
#define PID_CGROUP_MAX (256u << 10)
#define MOUNTINFO_MAX SF_TEXT_MAX

/* A path has no more components than the kernel lets PATH_MAX hold; a bound all the same, for
 * records from disk. */
#define CGROUP_DEPTH_MAX 256

static guint node_hash(gconstpointer key)
{
    const SfCgroup *node = key;

    return g_str_hash(node->path) ^ g_direct_hash(node->hierarchy);
}

static gboolean node_equal(gconstpointer a, gconstpointer b)
{
    const SfCgroup *one = a, *other = b;

    return one->hierarchy == other->hierarchy && strcmp(one->path, other->path) == 0;
}

/* A quarter of the files the daemon may open: the rest is for directories, views and peers. */
static unsigned kept_fds_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 256;
    return (unsigned)sf_min_u64(limit.rlim_cur / 4, 1u << 20);
}

int sf_cgroups_open(SfHost *host, SfCgroups **ret_cgroups)
{
    SF_CLEANUP_FREE char *mountinfo = NULL;
    size_t len = 0;

    int r =
        sf_read_alloc_at(sf_host_proc_fd(host), "self/mountinfo", MOUNTINFO_MAX, &mountinfo, &len);
    if (r < 0 && r != -ENOENT)
        return r;

    SfCgroups *cgroups = calloc(1, sizeof(*cgroups));
    if (!cgroups)
        return -ENOMEM;
    cgroups->host = host;
    cgroups->kept_fds_max = kept_fds_limit();
    cgroups->nodes = g_hash_table_new(node_hash, node_equal);
    (void)pthread_mutex_init(&cgroups->lock, NULL); /* cannot fail without attributes */

    r = mountinfo ? sf_hierarchies_find(cgroups, sf_slice(mountinfo, len)) : 0;
    if (r < 0) {
        sf_cgroups_free(cgroups);
        return r;
    }
    *ret_cgroups = cgroups;
    return 0;
}

void sf_cgroups_free(SfCgroups *cgroups)
{
    if (!cgroups)
        return;
    g_assert(cgroups->node_count == 0);
    sf_hierarchies_clear(cgroups);
    g_hash_table_destroy(cgroups->nodes);
    (void)pthread_mutex_destroy(&cgroups->lock); /* nobody can hold it: the set is being freed */
    free(cgroups);
}

unsigned sf_cgroups_version(const SfCgroups *cgroups, SfController controller)
{
    const SfHierarchy *hierarchy = cgroups->by_controller[controller];

    return hierarchy ? hierarchy->version : 0;
}

bool sf_cgroups_share(const SfCgroups *cgroups, SfController one, SfController other)
{
    return cgroups->by_controller[one] == cgroups->by_controller[other];
}

const char *sf_cgroups_layout(const SfCgroups *cgroups)
{
    bool v1 = false, v2 = false;

    for (unsigned i = 0; i < cgroups->hierarchy_count; i++) {
        if (cgroups->hierarchies[i].version == 2)
            v2 = true;
        else
            v1 = true;
    }
    if (v1)
        return v2 ? "hybrid" : "v1";
    return v2 ? "v2" : "none";
}

void sf_cgroups_counts(const SfCgroups *cgroups, unsigned *ret_nodes, unsigned *ret_kept_fds)
{
    SfCgroups *locked = (SfCgroups *)cgroups; /* the lock changes, what it guards does not */

    pthread_mutex_lock(&locked->lock);
    *ret_nodes = cgroups->node_count;
    pthread_mutex_unlock(&locked->lock);
    *ret_kept_fds = atomic_load(&cgroups->kept_fds);
}

SfCgroup *sf_cgroup_ref(SfCgroup *cgroup)
{
    atomic_fetch_add_explicit(&cgroup->refs, 1, memory_order_relaxed);
    return cgroup;
}

/* Frees the node itself; what it is chained to is the caller's to unref. */
static void node_free(SfCgroup *node)
{
    if (!node)
        return;
    sf_cgroup_close_files(node);
    if (node->parent)
        (void)sf_close(node->dir_fd);
    free(node->path);
    free(node);
}

/* Gives up one reference. True when it was the last and the node has been taken off the table. */
static bool node_release(SfCgroup *node)
{
    SfCgroups *cgroups = node->cgroups;
    int refs = atomic_load(&node->refs);

    while (refs > 1) {
        if (atomic_compare_exchange_weak(&node->refs, &refs, refs - 1))
            return false;
    }
    /* Only under the lock can it become 0, so that a look-up never finds a node that is going. */
    pthread_mutex_lock(&cgroups->lock);
    bool last = atomic_fetch_sub(&node->refs, 1) == 1;
    if (last) {
        if (g_hash_table_lookup(cgroups->nodes, node) == node)
            g_hash_table_remove(cgroups->nodes, node);
        cgroups->node_count--;
    }
    pthread_mutex_unlock(&cgroups->lock);
    return last;
}

SfCgroup *sf_cgroup_unref(SfCgroup *cgroup)
{
    while (cgroup && node_release(cgroup)) {
        SfCgroup *parent = cgroup->parent;
        node_free(cgroup);
        cgroup = parent;
    }
    return NULL;
}

/*
 * Lists the node, or finds that the same directory is listed already: then a reference to that one
 * is returned and the caller frees its own. A listed node of the path that is another directory
 * (the cgroup was removed and made again) is only taken off the table; it serves its holders until
 * they let it go.
 */
static SfCgroup *node_publish(SfCgroup *node)
{
    SfCgroups *cgroups = node->cgroups;

    pthread_mutex_lock(&cgroups->lock);
    SfCgroup *listed = g_hash_table_lookup(cgroups->nodes, node);
    if (listed && listed->device == node->device && listed->inode == node->inode &&
        listed->parent == node->parent) {
        sf_cgroup_ref(listed);
    } else {
        (void)g_hash_table_replace(cgroups->nodes, node, node);
        cgroups->node_count++;
        listed = node;
    }
    pthread_mutex_unlock(&cgroups->lock);
    return listed;
}

/* The top has a directory of its hierarchy's, which outlives it. Elsewhere the directory of that
 * name in the parent's, which is then the node's. */
static int node_open(SfCgroup *node, const char *name)
{
    const SfHierarchy *hierarchy = node->hierarchy;
    struct stat st;

    if (!node->parent) {
        node->dir_fd = hierarchy->top_fd;
        node->device = hierarchy->device;
        node->inode = hierarchy->inode;
        node->is_root = hierarchy->shows_root;
        return 0;
    }
    node->dir_fd =
        openat(node->parent->dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (node->dir_fd < 0 || fstat(node->dir_fd, &st) < 0)
        return -errno;
    node->device = st.st_dev;
    node->inode = st.st_ino;
    return 0;
}

/* Takes the reference to parent over, also on error. */
static int node_get(SfCgroups *cgroups, const SfHierarchy *hierarchy, SfCgroup *parent,
                    const char *name, SfSlice path, SfCgroup **ret_node)
{
    SfCgroup *node = calloc(1, sizeof(*node)), *listed = NULL;
    int r = -ENOMEM;

    if (node) {
        node->cgroups = cgroups;
        node->hierarchy = hierarchy;
        node->parent = parent;
        node->dir_fd = -1;
        atomic_init(&node->refs, 1);
        for (unsigned i = 0; i < SF_CGROUP_FILE_COUNT; i++)
            atomic_init(&node->fds[i], -1);
        node->path = strndup(path.data, path.len);
        if (node->path)
            r = node_open(node, name);
    }
    if (r >= 0)
        *ret_node = listed = node_publish(node);
    if (!listed || listed != node) {
        node_free(node);
        sf_cgroup_unref(parent); /* listed has one of its own */
    }
    return r;
}

/* What of the path is below the mount's root: "" for the root itself. Elsewhere: -ENOENT. */
static int below_root(const char *root, SfSlice path, SfSlice *ret_below)
{
    size_t len = strlen(root);

    while (len > 0 && root[len - 1] == '/')
        len--;
    if (path.len < len || memcmp(path.data, root, len) != 0 ||
        (path.len > len && path.data[len] != '/'))
        return -ENOENT;
    *ret_below = sf_slice(path.data + len, path.len - len);
    return 0;
}

/* -ENOENT for "/../x", which the kernel prints for what is outside our cgroup namespace, and for
 * what is no path at all. */
static int check_path(SfSlice path)
{
    SfSlice rest = path, component;
    unsigned depth = 0;

    if (path.len == 0 || path.data[0] != '/' || memchr(path.data, '\0', path.len))
        return -ENOENT;
    while (sf_slice_next_field(&rest, '/', &component)) {
        if (sf_slice_eq(component, "..") || sf_slice_eq(component, ".") ||
            component.len > NAME_MAX || ++depth > CGROUP_DEPTH_MAX)
            return -ENOENT;
    }
    return 0;
}

static int node_at(SfCgroups *cgroups, const SfHierarchy *hierarchy, SfSlice path,
                   SfCgroup **ret_node)
{
    SfSlice below, component;
    SfCgroup *node;

    int r = check_path(path);
    if (r < 0)
        return r;
    r = below_root(hierarchy->mount.root, path, &below);
    if (r < 0)
        return r;
    r = node_get(cgroups, hierarchy, NULL, NULL, sf_slice_str(hierarchy->mount.root), &node);
    while (r == 0 && sf_slice_next_field(&below, '/', &component)) {
        char name[NAME_MAX + 1];
        if (component.len == 0)
            continue;
        memcpy(name, component.data, component.len);
        name[component.len] = '\0';
        size_t end = (size_t)(component.data + component.len - path.data);
        r = node_get(cgroups, hierarchy, node, name, sf_slice(path.data, end), &node);
    }
    if (r < 0)
        return r;
    *ret_node = node;
    return 0;
}

int sf_cgroup_at(SfCgroups *cgroups, SfController controller, const char *path,
                 SfCgroup **ret_cgroup)
{
    const SfHierarchy *hierarchy = cgroups->by_controller[controller];

    if (!hierarchy)
        return -ENODATA;
    return node_at(cgroups, hierarchy, sf_slice_str(path), ret_cgroup);
}

static bool membership_is_of(const SfMembership *membership, const SfHierarchy *hierarchy,
                             SfController controller)
{
    SfSlice rest = membership->controllers, name;

    if (hierarchy->version == 2)
        return rest.len == 0;
    const char *v1_name = controller == SF_CONTROLLER_IO ? "blkio" : sf_controller_name(controller);
    while (sf_slice_next_field(&rest, ',', &name)) {
        if (sf_slice_eq(name, v1_name))
            return true;
    }
    return false;
}

/*
 * systemd as a container's init puts itself in init.scope below the cgroup it was started in. The
 * host's own "/init.scope" is no container's and stays: its parent would be the whole machine.
 */
static SfSlice strip_init_scope(SfSlice path)
{
    static const char SCOPE[] = "/init.scope";
    const size_t len = sizeof(SCOPE) - 1;

    if (path.len > len && memcmp(path.data + path.len - len, SCOPE, len) == 0)
        path.len -= len;
    return path;
}

int sf_cgroups_read_memberships(const SfCgroups *cgroups, pid_t pid, char **ret_text,
                                size_t *ret_len)
{
    char path[32];

    *ret_text = NULL;
    *ret_len = 0;
    if (cgroups->hierarchy_count == 0)
        return 0; /* a kernel without cgroups has no such file */
    (void)g_snprintf(path, sizeof(path), "%d/cgroup", pid); /* at most 18 bytes */
    int r =
        sf_read_alloc_at(sf_host_proc_fd(cgroups->host), path, PID_CGROUP_MAX, ret_text, ret_len);
    return r == -ENOENT ? -ESRCH : r;
}

int sf_cgroup_of(SfCgroups *cgroups, SfController controller, SfSlice memberships,
                 SfCgroup **ret_cgroup)
{
    const SfHierarchy *hierarchy = cgroups->by_controller[controller];
    SfMembership membership;
    int r;

    if (!hierarchy)
        return -ENODATA;
    while ((r = sf_membership_next(&memberships, &membership)) > 0) {
        if (!membership_is_of(&membership, hierarchy, controller))
            continue;
        if (membership.deleted)
            return -ENOENT;
        return node_at(cgroups, hierarchy, strip_init_scope(membership.path), ret_cgroup);
    }
    return r < 0 ? r : -ENODATA;
}

SfCgroup *sf_cgroup_parent(const SfCgroup *cgroup)
{
    return cgroup->parent;
}

const char *sf_cgroup_path(const SfCgroup *cgroup)
{
    return cgroup->path;
}

unsigned sf_cgroup_version_of(const SfCgroup *cgroup)
{
    return cgroup->hierarchy->version;
}

int sf_cgroup_dir_fd(const SfCgroup *cgroup)
{
    return cgroup->dir_fd;
}

bool sf_cgroup_is_top(const SfCgroup *cgroup)
{
    return !cgroup->parent;
}

bool sf_cgroup_is_genuine(const SfCgroup *cgroup)
{
    return cgroup->hierarchy->genuine;
}

bool sf_cgroup_contains(const SfCgroup *cgroup, SfSlice path)
{
    SfSlice below;

    return check_path(path) == 0 && below_root(cgroup->path, path, &below) == 0;
}

char *sf_cgroup_host_path(const SfCgroup *cgroup)
{
    const SfHierarchy *hierarchy = cgroup->hierarchy;
    SF_CLEANUP_TEXT SfText text = SF_TEXT_INIT;
    SfSlice below;

    if (below_root(hierarchy->mount.root, sf_slice_str(cgroup->path), &below) < 0)
        below = sf_slice_str("");
    sf_text_puts(&text, sf_host_root_path(cgroup->cgroups->host));
    sf_text_puts(&text, hierarchy->mount.mount_point);
    sf_text_slice(&text, below);
    return text.error ? NULL : sf_text_steal(&text, NULL);
}
