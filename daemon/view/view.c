/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One container's files: which nodes of the shared tree it has, what stat(2) says of them, and what
 * an open file holds. A text is rendered once, by the open that asks for it, so a reader never sees
 * two instants mixed. This file neither formats anything nor knows who transports it.
 */

#include "daemon/view/view.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "daemon/view/tree.h"
#include "lib/base/fd.h"

/* Bytes of text that all open files of one view may hold together (ENFILE past it; the first is
 * always allowed). */
#define MAX_HANDLE_BYTES (32u << 20)

/*
 * procfs says that its files have no bytes. Since Linux 6.5 sendfile(2) from a FUSE file believes
 * that (mm/filemap.c, filemap_splice_read, also for FOPEN_DIRECT_IO), and busybox's cat would print
 * nothing. So a file has a size that no text passes: the largest seen and some room, in these
 * units. Readers that go by read(2) stop where the text ends.
 */
#define SIZE_UNIT 4096u
#define SIZE_ROOM 1024u

typedef struct FileStats {
    _Atomic uint64_t opens;
    _Atomic uint64_t errors;
    _Atomic int last_error;
    _Atomic uint64_t latency[SF_VIEW_LATENCY_CLASSES];
} FileStats;

typedef struct Node {
    bool present;
    mode_t mode;
    _Atomic uint64_t size;    /* what stat(2) says: see SIZE_UNIT */
    FileStats *_Atomic stats; /* made at the first open; owned */
} Node;

struct SfView {
    _Atomic int refs;
    SfContainer *container; /* owned reference */
    struct timespec made;   /* wall clock: what stat(2) gives as times */
    pthread_mutex_t lock;   /* protects the open files: the next two; held for list work only */
    GQueue open_files; /* SfViewHandle.link: a connection may end before its files are released */
    uint64_t handle_bytes;
    unsigned node_count;
    Node nodes[]; /* by index in the shared tree */
};

struct SfViewHandle {
    GList link; /* in SfView.open_files */
    unsigned node;
    bool begun; /* somebody has read from the text's beginning */
    char *text; /* owned; NULL when empty */
    size_t len;
};

static bool file_is_shown(SfContainer *container, const SfProvider *provider, mode_t *ret_mode)
{
    unsigned mode;

    if (!sf_policy_shows(sf_container_policy(container), provider->path))
        return false;
    if (sf_host_file_mode(sf_container_host(container), provider->path, &mode) < 0)
        return false; /* not in this kernel, so not in a container either */
    if (provider->ops->available && !provider->ops->available(container))
        return false;
    *ret_mode = S_IFREG | (mode & 0777);
    return true;
}

static uint64_t size_for(size_t len)
{
    return ((uint64_t)len + SIZE_ROOM + SIZE_UNIT - 1) / SIZE_UNIT * SIZE_UNIT;
}

/* The length of the host's own file, read once for all views: a container's text is hardly ever
 * longer. */
static size_t host_file_len(SfContainer *container, unsigned provider)
{
    static _Atomic size_t lengths[SF_TREE_MAX_NODES];
    size_t len = atomic_load(&lengths[provider]);
    SF_CLEANUP_FREE char *text = NULL;

    if (len > 0 || sf_host_file_read(sf_container_host(container), sf_provider_get(provider)->path,
                                     &text, &len) < 0)
        return len;
    atomic_store(&lengths[provider], len);
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
        view->nodes[i].size = size_for(host_file_len(view->container, (unsigned)node->provider));
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
    while (!g_queue_is_empty(&view->open_files))
        sf_view_release(view, g_queue_peek_head(&view->open_files));
    for (unsigned i = 0; i < view->node_count; i++)
        g_free(view->nodes[i].stats);
    (void)pthread_mutex_destroy(&view->lock);
    sf_container_unref(view->container);
    g_free(view);
    return NULL;
}

SfContainer *sf_view_container(const SfView *view)
{
    return view->container;
}

/* Index of a present node, or -1. */
static int node_of(const SfView *view, uint64_t inode)
{
    if (inode < SF_VIEW_ROOT || inode - SF_VIEW_ROOT >= view->node_count)
        return -1;
    unsigned index = (unsigned)(inode - SF_VIEW_ROOT);
    return view->nodes[index].present ? (int)index : -1;
}

static void fill_stat(const SfView *view, unsigned index, struct stat *ret_stat)
{
    const SfTree *tree = sf_tree();
    unsigned subdirectories = 0;

    for (unsigned i = 1; i < tree->count && S_ISDIR(view->nodes[index].mode); i++)
        subdirectories += view->nodes[i].present && tree->nodes[i].parent == index &&
                          S_ISDIR(view->nodes[i].mode);
    *ret_stat = (struct stat){
        .st_ino = index + SF_VIEW_ROOT,
        .st_mode = view->nodes[index].mode,
        .st_nlink = S_ISDIR(view->nodes[index].mode) ? 2 + subdirectories : 1,
        .st_uid = sf_container_root_uid(view->container),
        .st_gid = sf_container_root_gid(view->container),
        .st_size = (off_t)atomic_load(&view->nodes[index].size),
        .st_atim = view->made,
        .st_mtim = view->made,
        .st_ctim = view->made,
        .st_blksize = 65536, /* what stdio reads at once: most texts in one request */
    };
}

int sf_view_lookup(SfView *view, uint64_t parent, const char *name, struct stat *ret_stat)
{
    int directory = node_of(view, parent);
    if (directory < 0)
        return -ENOENT;

    int child = sf_tree_child(sf_tree(), (unsigned)directory, name, strlen(name));
    if (child < 0 || !view->nodes[child].present)
        return -ENOENT;
    fill_stat(view, (unsigned)child, ret_stat);
    return 0;
}

int sf_view_getattr(SfView *view, uint64_t inode, struct stat *ret_stat)
{
    int index = node_of(view, inode);
    if (index < 0)
        return -ENOENT;
    fill_stat(view, (unsigned)index, ret_stat);
    return 0;
}

int sf_view_entry(SfView *view, uint64_t inode, size_t index, const char **ret_name,
                  struct stat *ret_stat)
{
    const SfTree *tree = sf_tree();
    int directory = node_of(view, inode);

    if (directory < 0)
        return -ENOENT;
    if (!S_ISDIR(view->nodes[directory].mode))
        return -ENOTDIR;
    for (unsigned i = 1; i < tree->count; i++) {
        if (!view->nodes[i].present || tree->nodes[i].parent != (unsigned)directory || index-- > 0)
            continue;
        *ret_name = tree->nodes[i].name;
        fill_stat(view, i, ret_stat);
        return 1;
    }
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

static uint64_t monotonic_nsec(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void count_open(Node *node, int result, uint64_t nsec)
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

static int render(SfView *view, unsigned index, SfText *text)
{
    const SfProvider *provider = sf_provider_get((unsigned)sf_tree()->nodes[index].provider);
    uint64_t begin = monotonic_nsec();
    int r = provider->ops->render(view->container, text);

    if (r >= 0 && text->error)
        r = text->error;
    if (r >= 0 && text->len > atomic_load(&view->nodes[index].size))
        atomic_store(&view->nodes[index].size, size_for(text->len));
    count_open(&view->nodes[index], r, monotonic_nsec() - begin);
    return r;
}

/* Puts the handle among the open files; false when the view has too many. */
static bool add_handle(SfView *view, SfViewHandle *handle)
{
    (void)pthread_mutex_lock(&view->lock);
    bool fits = view->open_files.length < SF_VIEW_MAX_HANDLES &&
                (view->handle_bytes == 0 || view->handle_bytes + handle->len <= MAX_HANDLE_BYTES);
    if (fits) {
        g_queue_push_tail_link(&view->open_files, &handle->link);
        view->handle_bytes += handle->len;
    }
    (void)pthread_mutex_unlock(&view->lock);
    return fits;
}

static void free_handle(SfViewHandle *handle)
{
    free(handle->text); /* SfText's memory is malloc's */
    g_free(handle);
}

int sf_view_open(SfView *view, uint64_t inode, int flags, SfViewHandle **ret_handle)
{
    SF_CLEANUP_TEXT SfText text = SF_TEXT_INIT;
    int index = node_of(view, inode);

    if (index < 0)
        return -ENOENT;
    if (S_ISDIR(view->nodes[index].mode))
        return -EISDIR;
    if ((flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC))
        return -EACCES;

    int r = render(view, (unsigned)index, &text);
    if (r < 0)
        return r;

    SfViewHandle *handle = g_new0(SfViewHandle, 1);
    handle->link.data = handle;
    handle->node = (unsigned)index;
    handle->text = sf_text_steal(&text, &handle->len);
    if (!add_handle(view, handle)) {
        free_handle(handle);
        return -ENFILE;
    }
    *ret_handle = handle;
    return 0;
}

static int render_again(SfView *view, SfViewHandle *handle)
{
    SF_CLEANUP_TEXT SfText text = SF_TEXT_INIT;
    size_t len;

    int r = render(view, handle->node, &text);
    if (r < 0)
        return r;
    char *fresh = sf_text_steal(&text, &len);
    (void)pthread_mutex_lock(&view->lock);
    view->handle_bytes +=
        len - handle->len; /* an open file may grow past MAX_HANDLE_BYTES by a little */
    (void)pthread_mutex_unlock(&view->lock);
    free(handle->text);
    handle->text = fresh;
    handle->len = len;
    return 0;
}

int sf_view_read(SfView *view, SfViewHandle *handle, uint64_t offset, size_t size, bool for_cache,
                 SfSlice *ret_slice)
{
    if (offset == 0 && !for_cache) {
        int r = handle->begun ? render_again(view, handle) : 0;
        if (r < 0)
            return r;
        handle->begun = true;
    }
    if (offset >= handle->len)
        *ret_slice = sf_slice("", 0);
    else
        *ret_slice = sf_slice(handle->text + offset, MIN(size, handle->len - (size_t)offset));
    return 0;
}

void sf_view_release(SfView *view, SfViewHandle *handle)
{
    if (!handle)
        return;
    (void)pthread_mutex_lock(&view->lock);
    g_queue_unlink(&view->open_files, &handle->link);
    view->handle_bytes -= handle->len;
    (void)pthread_mutex_unlock(&view->lock);
    free_handle(handle);
}

unsigned sf_view_file_count(const SfView *view)
{
    unsigned count = 0;

    for (unsigned i = 0; i < view->node_count; i++)
        count += view->nodes[i].present && !S_ISDIR(view->nodes[i].mode);
    return count;
}

static void fill_file_info(SfView *view, unsigned node, SfViewFileInfo *ret_info)
{
    const SfProvider *provider = sf_provider_get((unsigned)sf_tree()->nodes[node].provider);
    FileStats *stats = atomic_load(&view->nodes[node].stats);

    *ret_info = (SfViewFileInfo){.path = provider->path,
                                 .source = provider->ops->source,
                                 .mode = view->nodes[node].mode & 0777};
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
        if (!view->nodes[i].present || S_ISDIR(view->nodes[i].mode) || index-- > 0)
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
