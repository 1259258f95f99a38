/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of a container must not jump back when another process goes on: CPU times, loads, pages seen
 * per node. It is kept as one text after each change, before anybody is told what has changed.
 */

#include "daemon/container/container_private.h"

#include <stdlib.h>
#include <string.h>

typedef struct StateHead {
    uint32_t size; /* of this: another build's is another */
    uint32_t node_count;
    SfLoad load;
} StateHead;

static void save(SfContainer *container, SfText *text)
{
    StateHead head = {.size = sizeof(head)};

    pthread_mutex_lock(&container->load_lock);
    head.load = container->load;
    pthread_mutex_unlock(&container->load_lock);
    pthread_mutex_lock(&container->nodes_lock);
    head.node_count = container->node_count;
    sf_text_append(text, (const char *)&head, sizeof(head));
    if (head.node_count > 0)
        sf_text_append(text, (const char *)container->node_pages,
                       head.node_count * sizeof(container->node_pages[0]));
    pthread_mutex_unlock(&container->nodes_lock);
    sf_cpu_account_save(container->cpu_account, text);
}

void sf_container_remember(SfContainer *container)
{
    SfKeepNew entry = {.owner = container->number, .kind = SF_KEEP_KIND_STATE};

    if (container->keep == NULL)
        return;
    pthread_mutex_lock(&container->state_lock);
    SfText *text = &container->state_text;
    sf_text_reset(text);
    save(container, text);
    int r = text->error;
    if (r == 0 && container->state_dropped)
        r = -ENOENT;
    if (r == 0 && container->state_id != 0)
        r = sf_keep_put(container->keep, container->state_id, text->data, text->len);
    else if (r == 0)
        r = sf_keep_add(container->keep, &entry, text->data, text->len, &container->state_id);
    (void)r; /* without room a restart may show an older state: nothing fails for it now */
    pthread_mutex_unlock(&container->state_lock);
}

static int restore(SfContainer *container, SfSlice rest)
{
    StateHead head;

    if (rest.len < sizeof(head))
        return -EBADMSG;
    memcpy(&head, rest.data, sizeof(head));
    size_t size = head.node_count * sizeof(container->node_pages[0]);
    if (head.size != sizeof(head) || head.node_count > SF_CPUSET_MAX ||
        rest.len - sizeof(head) < size)
        return -EBADMSG;
    uint64_t *pages = calloc(head.node_count + 1u, sizeof(*pages));
    if (pages == NULL)
        return -ENOMEM;
    memcpy(pages, rest.data + sizeof(head), size);
    rest = sf_slice(rest.data + sizeof(head) + size, rest.len - sizeof(head) - size);
    int r = sf_cpu_account_restore(container->cpu_account, &rest);
    if (r < 0) {
        free(pages);
        return r;
    }
    pthread_mutex_lock(&container->nodes_lock);
    uint64_t *old = container->node_pages;
    container->node_pages = pages;
    container->node_count = head.node_count;
    pthread_mutex_unlock(&container->nodes_lock);
    free(old);
    pthread_mutex_lock(&container->load_lock);
    container->load = head.load;
    pthread_mutex_unlock(&container->load_lock);
    return 0;
}

void sf_container_adopt_state(SfContainer *container, uint64_t id)
{
    /* Of another build: the counters start anew, as they would have without it. */
    if (restore(container, sf_keep_text(container->keep, id)) < 0) {
        sf_keep_remove(container->keep, id);
        return;
    }
    pthread_mutex_lock(&container->state_lock);
    container->state_id = id;
    pthread_mutex_unlock(&container->state_lock);
    if (container->sampler != NULL && sf_container_load_wanted(container))
        sf_load_sampler_follow(container->sampler, container);
}

void sf_container_drop_state(SfContainer *container)
{
    pthread_mutex_lock(&container->state_lock);
    if (container->state_id != 0)
        sf_keep_remove(container->keep, container->state_id);
    container->state_id = 0;
    container->state_dropped = true;
    pthread_mutex_unlock(&container->state_lock);
}
