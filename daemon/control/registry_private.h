/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What registry.c, restore.c and heal.c share. Nobody else includes it.
 */

#include <glib.h>

#include "daemon/control/registry.h"
#include "daemon/control/watch.h"

struct SfRegistry {
    SfRegistryOptions options;
    char *runtime_dir;   /* owned; options.runtime_dir is this */
    int lock_fd;         /* flock()ed as long as the daemon lives */
    int views_fd;        /* views/ */
    int containers_fd;   /* containers/ */
    GHashTable *entries; /* id -> SfEntry, owned */
    SfCgroupWatcher *watcher;
    char boot_id[40]; /* of the kernel; "" when it has none */
    SfPolicy defaults;
    unsigned max_containers;
    SfRegistryCounts counts;
    bool keep_views;         /* at the end: somebody holds the connections */
    struct SfHealer *healer; /* owned; NULL: nothing to heal */
};

/* Takes up, or clears away, what a former daemon left. */
void sf_registry_restore(SfRegistry *registry);
/* Watches for the end of a container; part of making an entry. -1 with *error. */
int sf_registry_watch_end(SfEntry *entry, SfControlError *error) SF_WARN_UNUSED;
/* The mount point's path, made new. */
char *sf_registry_mount_point(const SfRegistry *registry, const char *id);
/* Has the connection of a mounted entry held by the fd store, if there is one. */
void sf_registry_hold(SfEntry *entry);
/* Undoes an entry, whatever of it there is. */
void sf_registry_end_entry(SfEntry *entry);
/* Names in a directory, "." and ".." left out; owned strings. */
GPtrArray *sf_registry_list(int directory_fd);

/* Attaches views anew in containers whose files lost theirs, one after the other in a thread. */
typedef struct SfHealer SfHealer;
void sf_healer_add(SfRegistry *registry, SfEntry *entry);
void sf_healer_start(SfRegistry *registry);
/* Ends the thread. */
void sf_healer_free(SfHealer *healer);
