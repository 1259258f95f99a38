/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of numbered paths: chunks that never move, so that a number is looked up without a
 * lock; and so is a path that has one, by chains that only ever grow at their heads.
 */

#include "daemon/view/host_nodes.h"

#include <glib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "daemon/view/view.h"

#define CHUNK 256u
/* 128 KiB of memory that a host with few CPUs hardly touches. */
#define BUCKETS (1u << 14)

typedef struct Slot {
    SfHostNode node;   /* first */
    guint hash;        /* of the path */
    struct Slot *next; /* in the chain of its bucket */
} Slot;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* protects adding */
static _Atomic unsigned count;                           /* nodes below it are complete */
static Slot *_Atomic chunks[SF_HOST_NODES_MAX / CHUNK];
static Slot *_Atomic by_path[BUCKETS];

const SfHostNode *sf_host_node_get(uint64_t number)
{
    if (number >= atomic_load_explicit(&count, memory_order_acquire))
        return NULL;
    /* A number that was not kept to the end is nobody's. */
    const Slot *chunk = atomic_load(&chunks[number / CHUNK]);
    return chunk && chunk[number % CHUNK].node.path ? &chunk[number % CHUNK].node : NULL;
}

static const SfHostNode *find(guint hash, const char *path)
{
    const Slot *slot = atomic_load_explicit(&by_path[hash % BUCKETS], memory_order_acquire);

    while (slot && (slot->hash != hash || strcmp(slot->node.path, path) != 0))
        slot = slot->next;
    return slot ? &slot->node : NULL;
}

/* With the lock held. */
static const SfHostNode *put(unsigned number, unsigned directory, const char *path,
                             unsigned prefix_len)
{
    if (!atomic_load(&chunks[number / CHUNK]))
        atomic_store(&chunks[number / CHUNK], g_new0(Slot, CHUNK));
    Slot *slot = &atomic_load(&chunks[number / CHUNK])[number % CHUNK];
    slot->node = (SfHostNode){.number = number, .directory = directory, .path = g_strdup(path)};
    slot->node.relative = slot->node.path + prefix_len;
    slot->hash = g_str_hash(path);
    slot->next = atomic_load(&by_path[slot->hash % BUCKETS]);
    atomic_store_explicit(&by_path[slot->hash % BUCKETS], slot, memory_order_release);
    if (number >= atomic_load(&count))
        atomic_store_explicit(&count, number + 1, memory_order_release);
    return &slot->node;
}

/* With the lock held. Kept before anybody is told the number. */
static const SfHostNode *add(SfKeep *keep, unsigned directory, const char *path,
                             unsigned prefix_len)
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
    guint hash = g_str_hash(path);
    const SfHostNode *node = find(hash, path);

    if (node)
        return node;
    (void)pthread_mutex_lock(&lock);
    node = find(hash, path); /* another's, while we waited */
    if (!node)
        node = add(keep, directory, path, prefix_len);
    (void)pthread_mutex_unlock(&lock);
    return node;
}

bool sf_host_node_adopt(unsigned number, unsigned directory, const char *path, unsigned prefix_len)
{
    (void)pthread_mutex_lock(&lock);
    bool fits = number < SF_HOST_NODES_MAX && !find(g_str_hash(path), path);
    if (fits)
        (void)put(number, directory, path, prefix_len);
    (void)pthread_mutex_unlock(&lock);
    return fits;
}
