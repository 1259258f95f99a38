/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turns the provider table's paths into the tree that all views share. It knows paths only, not
 * what files say.
 */

#include "daemon/view/tree.h"

#include <assert.h>
#include <glib.h>
#include <pthread.h>
#include <string.h>

#include "daemon/provider/provider.h"
#include "daemon/view/view.h"

int sf_tree_by_inode(const SfTree *tree, uint64_t inode)
{
    for (size_t bucket = inode % SF_TREE_BUCKETS; tree->by_inode[bucket] > 0;
         bucket = (bucket + 1) % SF_TREE_BUCKETS) {
        unsigned node = tree->by_inode[bucket] - 1u;
        if (tree->nodes[node].inode == inode)
            return (int)node;
    }
    return -1;
}

static void list_inode(SfTree *tree, unsigned node)
{
    size_t bucket = tree->nodes[node].inode % SF_TREE_BUCKETS;

    while (tree->by_inode[bucket] > 0)
        bucket = (bucket + 1) % SF_TREE_BUCKETS;
    tree->by_inode[bucket] = (uint16_t)(node + 1);
}

/* FNV-1a over the parent's number and the name. 0 and 1 are taken: no inode, and the top. */
static uint32_t first_inode(const SfTree *tree, unsigned parent, const char *name, size_t name_len)
{
    uint32_t hash = 2166136261u ^ tree->nodes[parent].inode;

    for (size_t i = 0; i < name_len; i++)
        hash = (hash ^ (unsigned char)name[i]) * 16777619u;
    return hash < 2 ? 2 : hash;
}

static uint32_t next_inode(uint32_t inode)
{
    return inode == UINT32_MAX ? 2 : inode + 1;
}

static uint32_t inode_of(const SfTree *tree, unsigned parent, SfSlice name)
{
    uint32_t inode = first_inode(tree, parent, name.data, name.len);

    while (sf_tree_by_inode(tree, inode) >= 0)
        inode = next_inode(inode); /* two paths that meet differ by build; the table has none */
    return inode;
}

/* A name's node has the first number that its path makes, or one of those behind. */
int sf_tree_child(const SfTree *tree, unsigned parent, const char *name, size_t name_len)
{
    uint32_t inode = first_inode(tree, parent, name, name_len);

    for (int i; (i = sf_tree_by_inode(tree, inode)) >= 0; inode = next_inode(inode)) {
        const SfTreeNode *node = &tree->nodes[i];
        if (i > 0 && node->parent == parent && node->name_len == name_len &&
            memcmp(node->name, name, name_len) == 0)
            return i;
    }
    return -1;
}

static unsigned add_node(SfTree *tree, unsigned parent, SfSlice name, int provider)
{
    assert(tree->count < SF_TREE_MAX_NODES);
    uint32_t inode = tree->count == 0 ? SF_VIEW_ROOT : inode_of(tree, parent, name);
    unsigned index = tree->count++;
    tree->nodes[index] = (SfTreeNode){.name = g_strndup(name.data, name.len),
                                      .name_len = name.len,
                                      .parent = parent,
                                      .inode = inode,
                                      .provider = provider};
    list_inode(tree, index);
    return index;
}

static void add_path(SfTree *tree, const char *path, int provider)
{
    SfSlice rest = sf_slice_str(path + 1);
    SfSlice name;
    unsigned at = 0;

    while (sf_slice_next_field(&rest, '/', &name)) {
        int child = sf_tree_child(tree, at, name.data, name.len);
        if (child < 0)
            child = (int)add_node(tree, at, name, -1);
        at = (unsigned)child;
    }
    tree->nodes[at].provider = provider;
}

static bool is_followed(const SfViewRule *rule)
{
    size_t len = strlen(rule->path);

    for (unsigned i = 0; i < sf_provider_count(); i++) {
        const char *path = sf_provider_get(i)->path;
        if (strncmp(path, rule->path, len) == 0 && (path[len] == '\0' || path[len] == '/'))
            return true;
    }
    return false;
}

const SfViewRule *sf_view_idle_rule(const SfPolicy *policy, unsigned from)
{
    for (unsigned i = from; i < policy->rule_count; i++) {
        if (!is_followed(&policy->rules[i]))
            return &policy->rules[i];
    }
    return NULL;
}

static SfTree *the_tree; /* written once, under pthread_once() */

static void make_tree(void)
{
    SfTree *tree = g_new0(SfTree, 1);

    (void)add_node(tree, 0, sf_slice("", 0), -1); /* the top's index is 0 by being first */
    for (unsigned i = 0; i < sf_provider_count(); i++)
        add_path(tree, sf_provider_get(i)->path, (int)i);
    the_tree = tree;
}

const SfTree *sf_tree(void)
{
    /* Not g_once_init_enter(): ThreadSanitizer cannot see into libglib's locks. */
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, make_tree); /* cannot fail with a valid control variable */
    return the_tree;
}
