/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What registry.c, resolve.c, restore.c, waiting.c, notes.c and heal.c share. Nobody else includes
 * it.
 */

#include <glib.h>

#include "daemon/control/exits.h"
#include "daemon/control/registry.h"
#include "daemon/control/watch.h"

struct SfRegistry {
    SfRegistryOptions options;
    char *runtime_dir;              /* owned; options.runtime_dir is this */
    int lock_fd;                    /* flock()ed as long as the daemon lives */
    int folder_fds[SF_MOUNT_KINDS]; /* views/ and constants/ */
    int containers_fd;              /* containers/ */
    GHashTable *entries;            /* id -> SfEntry, owned */
    SfCgroupWatcher *watcher;
    SfExitWatcher *exits; /* of the containers' inits */
    char boot_id[40];     /* of the kernel; "" when it has none */
    SfPolicy defaults;
    unsigned max_containers;
    SfRegistryCounts counts;
    bool keep_views;           /* at the end: somebody holds the connections */
    bool leave;                /* at the end: another daemon makes views anew */
    struct SfHealer *healer;   /* owned; NULL: nothing to heal */
    struct SfRestore *restore; /* owned; what a former daemon left */
};

/* Takes up, or clears away, what a former daemon left. Negative errno when it cannot be listed:
 * then nothing has been touched. */
int sf_registry_restore(SfRegistry *registry) SF_WARN_UNUSED;

/* Left for those that are taken up: to answer their readers takes files. */
#define SF_RESTORE_SPARE_FDS 32

/* What is to be taken up of a former daemon. Main thread, as all of this. */
typedef struct SfRestore {
    SfRegistry *registry;
    SfKeep *keep;
    GHashTable
        *kept; /* number of a container -> GArray of the keep's IDs, both owned; NULL: settled */
    GHashTable *events;  /* of the keep's IDs -> fd, owned; until their container is taken up */
    GHashTable *waiting; /* ID -> SfWaiting, owned */
    GHashTable *told;    /* names of notes that wait and were told of */
    unsigned notes;      /* that wait */
    int notes_fd;        /* inotify's, of their folder; -1 */
    unsigned notes_source;
    bool unwatched; /* the folder could not be watched yet */
    bool primed;
    bool settling; /* sf_registry_settle() was called */
    unsigned source, pause_msec;
    int spare[SF_RESTORE_SPARE_FDS]; /* while containers are taken up; -1 */
} SfRestore;

#define SF_NOT_TAKEN_UP "container %s is there and could not be taken up yet"
/* A container that could not be taken up yet. */
typedef struct SfWaiting {
    int fds[SF_MOUNT_KINDS]; /* its connections, taken from the store; -1: not yet */
    uint64_t number;         /* the container's, while there is one of them */
} SfWaiting;

/* waiting.c: nobody holds that connection any more. */
void sf_waiting_drop(const SfRestore *restore, SfWaiting *waiting, SfViewMount kind);

/* restore.c: takes up the container of a record, or clears the record away. False: neither could be
 * done now, and it has been put in restore->waiting. */
bool sf_restore_record(SfRestore *restore, const char *file);
/* Clears what is mounted for an ID that no container of ours has. */
void sf_restore_clear_view(SfRegistry *registry, const char *id);

/* notes.c: gives containers their views that started while no daemon answered; now and from now
 * on. */
void sf_notes_begin(SfRestore *restore);
void sf_notes_end(SfRestore *restore);
/* From now on. Negative errno: not yet. */
int sf_notes_watch(SfRestore *restore);
/* Those that are there. */
void sf_notes_adopt(SfRestore *restore);

/* waiting.c */
SfRestore *sf_restore_new(SfRegistry *registry);
/* Lets go; what waits stays as it is, or ends where the views are not to be kept. */
void sf_restore_free(SfRestore *restore);
/* Around the taking up of containers: so many files stay to be opened. */
void sf_restore_reserve(SfRestore *restore);
void sf_restore_release(SfRestore *restore);
/* The memory of what was asked and not answered is used by threads from now on: what containers
 * that wait were asked is moved out of their way. */
void sf_waiting_move_requests(SfRestore *restore);
/* Nobody takes up the file that had them. */
void sf_waiting_drop_events(SfRestore *restore, uint64_t id);
/* Has it all tried again in a while, if anything waits. */
void sf_waiting_plan(SfRestore *restore);
/* Tries to take up a container that waits; true while it still does. */
bool sf_waiting_try(SfRestore *restore, const char *id);
/* Ends one that waits, as an entry ends. */
void sf_waiting_end(SfRestore *restore, const char *id);
/* Watches for the end of a container, and for changes of its limits; part of making an entry.
 * Negative errno with *error; -ENODEV: its cgroup is gone. */
int sf_registry_watch(SfEntry *entry, SfControlError *error) SF_WARN_UNUSED;
/* The mount point's path, made new. */
char *sf_registry_mount_point(const SfRegistry *registry, SfViewMount kind, const char *id);
/* Mounts an entry's view there, and has the connection held. again: on a mount point that may be
 * there. Negative errno. */
int sf_registry_mount(SfEntry *entry, SfViewMount kind, bool again) SF_WARN_UNUSED;
/* Has the connections held that are not. */
void sf_registry_hold(SfEntry *entry);
/* Undoes that, whatever of it there is. */
void sf_registry_unmount(SfEntry *entry, SfViewMount kind);
/* Undoes an entry, whatever of it there is. */
void sf_registry_end_entry(SfEntry *entry);
/* Lets go of an entry that is not in the table: mount, record and what is kept stay. */
void sf_registry_leave_entry(SfEntry *entry);
/* Appends the names in a directory, "." and ".." left out, to *names (made where it is NULL); owned
 * strings. Negative errno. */
int sf_registry_list(int directory_fd, GPtrArray **names) SF_WARN_UNUSED;

/* Attaches views anew in containers whose files lost theirs, one after the other in a thread that
 * ends when it is done. */
typedef struct SfHealer SfHealer;
/* Writes down, for later daemons as well, what is to be attached from now on: before the view that
 * is dead is made anew. Negative errno: nothing now (no files or memory). */
int sf_healer_note_due(SfEntry *entry, SfAttachDue due) SF_WARN_UNUSED;
/* Attaches what is due, until it is done. An entry that is being healed is not added twice. */
void sf_healer_add(SfEntry *entry);
/* Works off what was added; again after each addition. */
void sf_healer_start(SfRegistry *registry);
/* Ends the thread. What it has not done stays due. */
void sf_healer_free(SfHealer *healer);
