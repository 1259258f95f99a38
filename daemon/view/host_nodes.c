/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of numbered paths: chunks that never move, so that a number is looked up without a
 * lock.
 */

#include "daemon/view/host_nodes.h"

#include <glib.h>
#include <pthread.h>
#include <stdatomic.h>

#define CHUNK 256u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* protects by_path and adding */
static GHashTable *by_path;
static _Atomic unsigned count; /* nodes below it are complete */
static SfHostNode *_Atomic chunks[SF_HOST_NODES_MAX / CHUNK];

const SfHostNode *sf_host_node_get(uint64_t number)
{
    if (number >= atomic_load_explicit(&count, memory_order_acquire))
        return NULL;
    return &atomic_load(&chunks[number / CHUNK])[number % CHUNK];
}

/* With the lock held. */
static SfHostNode *add(unsigned directory, const char *path, unsigned prefix_len)
{
    unsigned number = atomic_load(&count);

    if (number >= SF_HOST_NODES_MAX)
        return NULL;
    if (number % CHUNK == 0)
        atomic_store(&chunks[number / CHUNK], g_new0(SfHostNode, CHUNK));
    SfHostNode *node = &atomic_load(&chunks[number / CHUNK])[number % CHUNK];
    *node = (SfHostNode){.number = number, .directory = directory, .path = g_strdup(path)};
    node->relative = node->path + prefix_len;
    g_hash_table_insert(by_path, node->path, node);
    atomic_store_explicit(&count, number + 1, memory_order_release);
    return node;
}

const SfHostNode *sf_host_node_intern(unsigned directory, const char *path, unsigned prefix_len)
{
    (void)pthread_mutex_lock(&lock);
    if (!by_path)
        by_path = g_hash_table_new(g_str_hash, g_str_equal);
    SfHostNode *node = g_hash_table_lookup(by_path, path);
    if (!node)
        node = add(directory, path, prefix_len);
    (void)pthread_mutex_unlock(&lock);
    return node;
}
