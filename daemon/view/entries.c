/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories: their listing, and what is below those that a provider answers for, where the host
 * says which names there are and the provider which of them the container sees.
 */

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "daemon/view/view_private.h"
#include "lib/base/scratch.h"

/* One entry of a listing, followed by its name with NUL; not aligned. */
typedef struct EntryHeader {
    uint64_t inode;
    uint32_t mode;
    uint32_t name_size; /* NUL counted */
} EntryHeader;

bool sf_view_next_entry(SfSlice *rest, SfViewEntry *ret_entry)
{
    EntryHeader header;

    if (rest->len < sizeof(header))
        return false;
    memcpy(&header, rest->data, sizeof(header));
    *ret_entry = (SfViewEntry){header.inode, header.mode, rest->data + sizeof(header)};
    size_t size = sizeof(header) + header.name_size;
    rest->data += size;
    rest->len -= size;
    return true;
}

static void add_entry(SfText *text, const char *name, uint64_t inode, mode_t mode)
{
    EntryHeader header = {inode, mode, (uint32_t)strlen(name) + 1};

    sf_text_append(text, (const char *)&header, sizeof(header));
    sf_text_append(text, name, header.name_size);
}

/* A path the policy takes out of the view is the host's, as where no view is bound. */
static bool is_masked(const SfView *view, const char *path)
{
    return sf_policy_shows(sf_container_policy(view->container), path);
}

int sf_view_stat_below(SfView *view, const SfHostNode *below, struct stat *ret_stat,
                       bool *ret_constant)
{
    const SfProviderOps *ops = sf_view_provider(below->directory)->ops;
    SfEntryShown shown = SF_ENTRY_SHOWN;
    struct stat st;

    if (is_masked(view, below->path))
        shown = ops->shows(view->container, below->relative);
    if (shown == SF_ENTRY_HIDDEN)
        return -ENOENT;
    int r = sf_host_stat(sf_container_host(view->container), below->path, &st);
    if (r < 0)
        return r;
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode))
        return -ENOENT;
    *ret_stat = (struct stat){
        .st_ino = SF_VIEW_BELOW + below->number,
        .st_mode = (st.st_mode & S_IFMT) | (st.st_mode & 0777),
        .st_nlink = st.st_nlink,
        .st_uid = sf_container_root_uid(view->container),
        .st_gid = sf_container_root_gid(view->container),
        /* No text passes it; see sf_view_size_for(). */
        .st_size = S_ISREG(st.st_mode) ? MAX(st.st_size, 4096) : st.st_size,
        .st_atim = view->made,
        .st_mtim = view->made,
        .st_ctim = view->made,
        .st_blksize = 4096,
    };
    *ret_constant = shown == SF_ENTRY_CONSTANT;
    return 0;
}

/* The path of a name in a directory; false when it is too long to be one. */
static bool path_below(const Place *parent, const char *name, char path[PATH_MAX])
{
    const char *directory =
        parent->below ? parent->below->path : sf_view_provider(parent->node)->path;
    int n = g_snprintf(path, PATH_MAX, "%s/%s", directory, name);

    return n > 0 && n < PATH_MAX;
}

static uint64_t inode_of_node(unsigned node)
{
    return sf_tree()->nodes[node].inode;
}

static const SfHostNode *intern(const SfView *view, const Place *parent, const char *path)
{
    size_t top_len = strlen(sf_view_provider(parent->node)->path);

    return sf_host_node_intern(sf_container_keep(view->container), parent->node, path,
                               (unsigned)top_len + 1);
}

int sf_view_lookup_below(SfView *view, const Place *parent, const char *name, struct stat *ret_stat,
                         bool *ret_constant)
{
    char path[PATH_MAX];
    struct stat st;

    /* The kernel sends one component and walks ".." itself; a path would lead out of the tree. */
    if (strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return -ENOENT;
    if (!path_below(parent, name, path))
        return -ENAMETOOLONG;
    /* Looked for before it gets a number: a name the host does not have shall leave nothing. */
    int r = sf_host_stat(sf_container_host(view->container), path, &st);
    if (r < 0)
        return r;
    const SfHostNode *below = intern(view, parent, path);
    return below ? sf_view_stat_below(view, below, ret_stat, ret_constant) : -ENOENT;
}

typedef struct Listing {
    SfView *view;
    const Place *place;
    SfText *text;
} Listing;

static void list_below(const char *name, void *data)
{
    const Listing *listing = data;
    SfView *view = listing->view;
    char path[PATH_MAX];
    struct stat st;
    bool constant;

    if (!listing->place->below) {
        int child = sf_tree_child(sf_tree(), listing->place->node, name, strlen(name));
        if (child >= 0 && view->nodes[child].present)
            return; /* listed as a node of the tree */
    }
    if (!path_below(listing->place, name, path))
        return;
    const SfHostNode *below = intern(view, listing->place, path);
    if (below && sf_view_stat_below(view, below, &st, &constant) >= 0)
        add_entry(listing->text, name, st.st_ino, st.st_mode);
}

static uint64_t parent_inode(const SfView *view, const Place *place)
{
    const char *slash = place->below ? strrchr(place->below->relative, '/') : NULL;

    if (!place->below)
        return inode_of_node(sf_tree()->nodes[place->node].parent);
    if (!slash)
        return inode_of_node(place->node);
    g_autofree char *path = g_strndup(place->below->path, (gsize)(slash - place->below->path));
    const SfHostNode *parent = intern(view, place, path);
    return parent ? SF_VIEW_BELOW + parent->number : inode_of_node(place->node);
}

int sf_view_list(SfView *view, const Place *place, SfText *text)
{
    const SfTree *tree = sf_tree();
    uint64_t self =
        place->below ? SF_VIEW_BELOW + place->below->number : inode_of_node(place->node);

    add_entry(text, ".", self, S_IFDIR);
    add_entry(text, "..", parent_inode(view, place), S_IFDIR);
    for (unsigned i = 1; i < tree->count && !place->below; i++) {
        if (view->nodes[i].present && tree->nodes[i].parent == place->node)
            add_entry(text, tree->nodes[i].name, tree->nodes[i].inode, view->nodes[i].mode);
    }
    if (!view->nodes[place->node].host_directory)
        return 0;
    Listing listing = {view, place, text};
    return sf_host_list(sf_container_host(view->container),
                        place->below ? place->below->path : sf_view_provider(place->node)->path,
                        list_below, &listing);
}

int sf_view_render_below(SfView *view, const SfHostNode *below, SfText *text)
{
    const SfProviderOps *ops = sf_view_provider(below->directory)->ops;
    SF_SCRATCH SfText *host = sf_scratch_take();
    struct stat st;
    bool constant;

    int r = sf_view_stat_below(view, below, &st, &constant);
    if (r < 0)
        return r;
    /* Root inside owns what it sees; what only the host's root may read is still not its own. */
    if (!(st.st_mode & S_IROTH))
        return -EACCES;
    r = sf_host_file_text(sf_container_host(view->container), below->path, host);
    if (r < 0)
        return r;
    if (is_masked(view, below->path))
        return ops->mask(view->container, below->relative, sf_slice(host->data, host->len), text);
    sf_text_append(text, host->data, host->len);
    return 0;
}

int sf_view_read_link(SfView *view, uint64_t inode, char *buffer, size_t size)
{
    struct stat st;
    bool constant;
    Place place;

    if (!sf_view_place(view, inode, &place))
        return -ENOENT;
    if (!place.below)
        return -EINVAL;
    int r = sf_view_stat_below(view, place.below, &st, &constant);
    if (r < 0)
        return r;
    return sf_host_read_link(sf_container_host(view->container), place.below->path, buffer, size);
}

void sf_view_adopt_name(SfKeep *keep, uint64_t id)
{
    const SfKeepNote *note = sf_keep_note(keep, id);
    SfSlice text = sf_keep_text(keep, id);
    g_autofree char *path = g_strndup(text.data, text.len);
    const SfTree *tree = sf_tree();

    for (unsigned i = 1; i < tree->count; i++) {
        const SfProvider *provider = sf_view_provider(i);
        size_t len = provider ? strlen(provider->path) : 0;
        if (provider && !provider->ops->render && strncmp(path, provider->path, len) == 0 &&
            path[len] == '/' &&
            sf_host_node_adopt((unsigned)atomic_load(&note->place), i, path, (unsigned)len + 1))
            return;
    }
    sf_keep_remove(keep, id); /* of a directory that this build does not answer for */
}
