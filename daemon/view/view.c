/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One container's files: which nodes of the shared tree it has, what stat(2) says of them, and what
 * is counted of them. This file neither formats anything nor knows who transports it.
 */

#include <errno.h>
#include <string.h>
#include <time.h>

#include "daemon/view/view_private.h"

/*
 * procfs says that its files have no bytes. Since Linux 6.5 sendfile(2) from a FUSE file believes
 * that (mm/filemap.c, filemap_splice_read, also for FOPEN_DIRECT_IO), and busybox's cat would print
 * nothing. So a file has a size that no text passes: the largest seen and some room, in these
 * units. Readers that go by read(2) stop where the text ends.
 */
#define SIZE_UNIT 4096u
#define SIZE_ROOM 1024u

#define UNSEEN_NSEC (UINT64_C(60) * 1000 * 1000 * 1000)
#define UNSEEN_DOUBLED_MAX 16u

static bool file_is_shown(SfContainer *container, const SfProvider *provider, mode_t *ret_mode)
{
    unsigned mode;

    if (!sf_policy_shows(sf_container_policy(container), provider->path))
        return false;
    if (!sf_provider_shown(provider, container, &mode))
        return false;
    *ret_mode = (provider->ops->render ? S_IFREG : S_IFDIR) | mode;
    return true;
}

uint64_t sf_view_size_for(size_t len)
{
    return ((uint64_t)len + SIZE_ROOM + SIZE_UNIT - 1) / SIZE_UNIT * SIZE_UNIT;
}

/* The length of the host's own file, 0 if it has none, read once for all views: a container's text
 * is hardly ever longer. */
static size_t host_file_len(SfContainer *container, unsigned provider)
{
    static _Atomic size_t lengths[SF_TREE_MAX_NODES]; /* plus one; 0: not read yet */
    size_t known = atomic_load(&lengths[provider]), len = 0;
    SF_CLEANUP_FREE char *text = NULL;

    if (known > 0)
        return known - 1;
    int r = sf_host_file_read(sf_container_host(container), sf_provider_get(provider)->path, &text,
                              &len);
    if (r >= 0 || r == -ENOENT)
        atomic_store(&lengths[provider], len + 1);
    return len;
}

static void choose_nodes(SfView *view)
{
    const SfTree *tree = sf_tree();

    for (unsigned i = 0; i < tree->count; i++) {
        const SfTreeNode *node = &tree->nodes[i];
        if (node->provider < 0) {
            view->nodes[i].mode = S_IFDIR | 0555;
            continue;
        }
        const SfProvider *provider = sf_provider_get((unsigned)node->provider);
        view->nodes[i].present = file_is_shown(view->container, provider, &view->nodes[i].mode);
        if (provider->ops->render)
            view->nodes[i].size =
                sf_view_size_for(host_file_len(view->container, (unsigned)node->provider));
        else if (view->nodes[i].present)
            view->nodes[i].host_directory = true;
        else
            view->nodes[i].mode = S_IFDIR | 0555; /* there where a file with a row of its own is */
    }
    /* A directory is there when something in it is: children stand behind their parents. */
    for (unsigned i = tree->count; i-- > 1;) {
        if (view->nodes[i].present)
            view->nodes[tree->nodes[i].parent].present = true;
    }
    view->nodes[0].present = true;
}

int sf_view_new(SfContainer *container, SfView **ret_view)
{
    unsigned count = sf_tree()->count;
    SfView *view = g_malloc0(sizeof(*view) + count * sizeof(view->nodes[0]));

    view->refs = 1;
    (void)pthread_mutex_init(&view->lock, NULL); /* cannot fail without attributes */
    view->container = sf_container_ref(container);
    view->node_count = count;
    (void)clock_gettime(CLOCK_REALTIME, &view->made); /* cannot fail for this clock */
    choose_nodes(view);
    *ret_view = view;
    return 0;
}

SfView *sf_view_ref(SfView *view)
{
    atomic_fetch_add(&view->refs, 1);
    return view;
}

SfView *sf_view_unref(SfView *view)
{
    if (!view || atomic_fetch_sub(&view->refs, 1) != 1)
        return NULL;
    sf_view_free_handles(view);
    for (unsigned i = 0; i < view->node_count; i++)
        g_free(view->nodes[i].stats);
    sf_constants_free(atomic_load(&view->constants));
    (void)pthread_mutex_destroy(&view->lock);
    sf_container_unref(view->container);
    g_free(view);
    return NULL;
}

void sf_view_count_request(SfView *view)
{
    atomic_fetch_add_explicit(&view->requests, 1, memory_order_relaxed);
}

uint64_t sf_view_requests(const SfView *view)
{
    return atomic_load_explicit(&view->requests, memory_order_relaxed);
}

SfContainer *sf_view_container(const SfView *view)
{
    return view->container;
}

int sf_view_reader_cpu(const SfView *view, pid_t tid, unsigned *ret_cpu)
{
    return sf_thread_cpu(sf_container_host(view->container), tid, ret_cpu);
}

bool sf_view_is_unseen(const SfView *view)
{
    return sf_view_nsec() < atomic_load(&view->unseen_until);
}

int sf_view_read_offset(SfView *view, pid_t tid, uint64_t *ret_offset)
{
    if (sf_view_is_unseen(view))
        return -EAGAIN;
    int r = sf_thread_read_offset(sf_container_host(view->container), tid, ret_offset);
    if (r != -ETIMEDOUT)
        return r;
    unsigned count = MIN(atomic_fetch_add(&view->unseen_count, 1), UNSEEN_DOUBLED_MAX);
    atomic_store(&view->unseen_until, sf_view_nsec() + (UNSEEN_NSEC << count));
    g_warning(
        "who looks at its files is kept waiting; where its processes read is not looked at for "
        "%u min, container=%s",
        1u << count, sf_container_id(view->container));
    return -EAGAIN;
}

bool sf_view_place(const SfView *view, uint64_t inode, Place *ret_place)
{
    *ret_place = (Place){0};
    if (inode >= SF_VIEW_BELOW) {
        ret_place->below = sf_host_node_get(inode - SF_VIEW_BELOW);
        if (ret_place->below)
            ret_place->node = ret_place->below->directory;
        return ret_place->below && view->nodes[ret_place->node].host_directory;
    }
    int node = sf_tree_by_inode(sf_tree(), inode);
    if (node < 0)
        return false;
    ret_place->node = (unsigned)node;
    return view->nodes[ret_place->node].present;
}

const SfProvider *sf_view_provider(unsigned node)
{
    int index = sf_tree()->nodes[node].provider;

    return index < 0 ? NULL : sf_provider_get((unsigned)index);
}

void sf_view_fill_stat(SfView *view, unsigned index, struct stat *ret_stat)
{
    const SfTree *tree = sf_tree();
    const Node *node = &view->nodes[index];
    unsigned links = 1; /* of a host's directory: as file systems that do not count them */

    if (S_ISDIR(node->mode) && !node->host_directory) {
        links = 2;
        for (unsigned i = 1; i < tree->count; i++)
            links += view->nodes[i].present && tree->nodes[i].parent == index &&
                     S_ISDIR(view->nodes[i].mode);
    }
    *ret_stat = (struct stat){
        .st_ino = tree->nodes[index].inode,
        .st_mode = node->mode,
        .st_nlink = links,
        .st_uid = sf_container_root_uid(view->container),
        .st_gid = sf_container_root_gid(view->container),
        .st_size = (off_t)atomic_load(&node->size),
        .st_atim = view->made,
        .st_mtim = view->made,
        .st_ctim = view->made,
        .st_blksize = 65536, /* what stdio reads at once: most texts in one request */
    };
    sf_pages_stat(view, index, ret_stat);
}

int sf_view_lookup(SfView *view, uint64_t parent, const char *name, struct stat *ret_stat,
                   bool *ret_constant)
{
    Place place;

    *ret_constant = true;
    if (!sf_view_place(view, parent, &place))
        return -ENOENT;
    if (!place.below) {
        int child = sf_tree_child(sf_tree(), place.node, name, strlen(name));
        if (child >= 0 && view->nodes[child].present) {
            sf_view_fill_stat(view, (unsigned)child, ret_stat);
            return 0;
        }
    }
    if (!view->nodes[place.node].host_directory)
        return -ENOENT;
    *ret_constant = false; /* what is not there may be in a moment */
    return sf_view_lookup_below(view, &place, name, ret_stat, ret_constant);
}

int sf_view_getattr(SfView *view, uint64_t inode, struct stat *ret_stat, bool *ret_constant)
{
    Place place;

    if (!sf_view_place(view, inode, &place))
        return -ENOENT;
    if (place.below)
        return sf_view_stat_below(view, place.below, ret_stat, ret_constant);
    sf_view_fill_stat(view, place.node, ret_stat);
    *ret_constant = true;
    return 0;
}

static FileStats *stats_of(Node *node)
{
    FileStats *stats = atomic_load(&node->stats);
    if (stats)
        return stats;

    FileStats *fresh = g_new0(FileStats, 1);
    if (atomic_compare_exchange_strong(&node->stats, &stats, fresh))
        return fresh;
    g_free(fresh); /* another reader was first */
    return stats;
}

void sf_view_count_open(Node *node, int result, uint64_t nsec)
{
    FileStats *stats = stats_of(node);
    unsigned class = 0;

    for (uint64_t usec = nsec / 1000; usec > 0 && class < SF_VIEW_LATENCY_CLASSES - 1; usec >>= 1)
        class ++;
    atomic_fetch_add_explicit(&stats->latency[class], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&stats->opens, 1, memory_order_relaxed);
    if (result < 0) {
        atomic_fetch_add_explicit(&stats->errors, 1, memory_order_relaxed);
        atomic_store_explicit(&stats->last_error, result, memory_order_relaxed);
    }
}

/* By a provider: a file, or a directory with what is below it. */
static bool is_answered(const Node *node)
{
    return node->present && (node->host_directory || !S_ISDIR(node->mode));
}

unsigned sf_view_file_count(const SfView *view)
{
    unsigned count = 0;

    for (unsigned i = 0; i < view->node_count; i++)
        count += is_answered(&view->nodes[i]);
    return count;
}

static bool is_covered(const SfView *view, unsigned node)
{
    const SfTree *tree = sf_tree();

    for (unsigned up = tree->nodes[node].parent; up != 0; up = tree->nodes[up].parent) {
        if (view->nodes[up].host_directory)
            return true;
    }
    return false;
}

static void fill_file_info(SfView *view, unsigned node, SfViewFileInfo *ret_info)
{
    const SfProvider *provider = sf_view_provider(node);
    FileStats *stats = atomic_load(&view->nodes[node].stats);

    *ret_info = (SfViewFileInfo){.path = provider->path,
                                 .source = provider->ops->source,
                                 .mode = view->nodes[node].mode & 0777,
                                 .directory = view->nodes[node].host_directory,
                                 .writable = provider->ops->open_events != NULL,
                                 .constant = provider->ops->constant,
                                 .covered = is_covered(view, node)};
    if (!stats)
        return;
    ret_info->opens = atomic_load(&stats->opens);
    ret_info->errors = atomic_load(&stats->errors);
    ret_info->last_error = atomic_load(&stats->last_error);
    for (unsigned i = 0; i < SF_VIEW_LATENCY_CLASSES; i++)
        ret_info->latency[i] = atomic_load(&stats->latency[i]);
}

void sf_view_file_info(SfView *view, unsigned index, SfViewFileInfo *ret_info)
{
    for (unsigned i = 0; i < view->node_count; i++) {
        if (!is_answered(&view->nodes[i]) || index-- > 0)
            continue;
        fill_file_info(view, i, ret_info);
        return;
    }
    *ret_info = (SfViewFileInfo){.path = "", .source = ""};
}

uint64_t sf_view_total_opens(SfView *view)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < view->node_count; i++) {
        FileStats *stats = atomic_load(&view->nodes[i].stats);
        total += stats ? atomic_load(&stats->opens) : 0;
    }
    return total;
}

unsigned sf_view_open_handles(SfView *view)
{
    (void)pthread_mutex_lock(&view->lock);
    unsigned count = view->open_files.length;
    (void)pthread_mutex_unlock(&view->lock);
    return count;
}

uint64_t sf_view_latency_usec(const SfViewFileInfo *info, double share)
{
    uint64_t total = 0, seen = 0;

    for (unsigned i = 0; i < SF_VIEW_LATENCY_CLASSES; i++)
        total += info->latency[i];
    for (unsigned i = 0; i < SF_VIEW_LATENCY_CLASSES; i++) {
        seen += info->latency[i];
        if (seen > 0 && (double)seen >= share * (double)total)
            return 1ull << i;
    }
    return 0;
}
