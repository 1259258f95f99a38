/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of numbered paths: chunks that never move, so that a number is looked up without a
 * lock.
 */

#include "daemon/view/host_nodes.h"

#include <glib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "daemon/view/view.h"

#define CHUNK 256u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* protects by_path and adding */
static GHashTable *by_path;
static _Atomic unsigned count; /* nodes below it are complete */
static SfHostNode *_Atomic chunks[SF_HOST_NODES_MAX / CHUNK];

const SfHostNode *sf_host_node_get(uint64_t number)
{
    if (number >= atomic_load_explicit(&count, memory_order_acquire))
        return NULL;
    /* A number that was not kept to the end is nobody's. */
    const SfHostNode *chunk = atomic_load(&chunks[number / CHUNK]);
    return chunk && chunk[number % CHUNK].path ? &chunk[number % CHUNK] : NULL;
}

/* With the lock held. */
static SfHostNode *put(unsigned number, unsigned directory, const char *path, unsigned prefix_len)
{
    if (!by_path)
        by_path = g_hash_table_new(g_str_hash, g_str_equal);
    if (!atomic_load(&chunks[number / CHUNK]))
        atomic_store(&chunks[number / CHUNK], g_new0(SfHostNode, CHUNK));
    SfHostNode *node = &atomic_load(&chunks[number / CHUNK])[number % CHUNK];
    *node = (SfHostNode){.number = number, .directory = directory, .path = g_strdup(path)};
    node->relative = node->path + prefix_len;
    g_hash_table_insert(by_path, node->path, node);
    if (number >= atomic_load(&count))
        atomic_store_explicit(&count, number + 1, memory_order_release);
    return node;
}

/* With the lock held. Kept before anybody is told the number. */
static SfHostNode *add(SfKeep *keep, unsigned directory, const char *path, unsigned prefix_len)
{
    unsigned number = atomic_load(&count);
    SfKeepNew entry = {.owner = SF_KEEP_OWNER_SHARED, .kind = SF_KEEP_KIND_NAME, .place = number};
    uint64_t id;

    if (number >= SF_HOST_NODES_MAX || sf_keep_add(keep, &entry, path, strlen(path), &id) < 0)
        return NULL;
    return put(number, directory, path, prefix_len);
}

const SfHostNode *sf_host_node_intern(SfKeep *keep, unsigned directory, const char *path,
                                      unsigned prefix_len)
{
    (void)pthread_mutex_lock(&lock);
    SfHostNode *node = by_path ? g_hash_table_lookup(by_path, path) : NULL;
    if (!node)
        node = add(keep, directory, path, prefix_len);
    (void)pthread_mutex_unlock(&lock);
    return node;
}

bool sf_host_node_adopt(unsigned number, unsigned directory, const char *path, unsigned prefix_len)
{
    (void)pthread_mutex_lock(&lock);
    bool fits = number < SF_HOST_NODES_MAX && !(by_path && g_hash_table_contains(by_path, path));
    if (fits)
        (void)put(number, directory, path, prefix_len);
    (void)pthread_mutex_unlock(&lock);
    return fits;
}
