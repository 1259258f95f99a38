/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The containers there are, each with its view, its mount and its record; and their end. Only the
 * main thread calls this. Whatever fails half way through a registration is undone; whatever ends a
 * container (a request, the end of its init, the removal of its cgroup) ends it once.
 */

#include <glib.h>
#include <stdbool.h>

#include "daemon/container/load.h"
#include "daemon/control/error.h"
#include "daemon/control/record.h"
#include "daemon/view/view.h"

/* Mounting, given by main.c: this layer may not see daemon/fuse. */
typedef struct SfMountBackend {
    int (*mount_view)(void *data, SfView *view, SfViewMount kind, const char *mount_point,
                      void **ret_mount);
    void (*unmount_view)(void *data, void *mount);
    int (*unmount_stale)(void *data,
                         const char *mount_point); /* number of mounts, or negative errno */
    uint64_t (*requests)(void *data);
    unsigned (*workers)(void *data);
    /* Goes on with a view that is mounted already; fd is taken over. Negative errno. */
    int (*resume_view)(void *data, SfView *view, SfViewMount kind, const char *mount_point, int fd,
                       void **ret_mount);
    /* To be called once before the first of them; mount_point: a directory to use for it, NULL
     * where the kernel needs none. */
    int (*prime)(void *data, const char *mount_point);
    int (*mount_fd)(void *data, void *mount);    /* borrowed */
    void (*leave_view)(void *data, void *mount); /* ends, and leaves it mounted */
    void (*recall)(void *data, void *mount);     /* constants may have changed */
    void *data;
} SfMountBackend;

/* Who holds fds while no daemon runs (sd_notify(3), FDSTORE=1). All functions NULL: nobody. */
typedef struct SfFdStore {
    /* Duplicates it. Negative errno; full: -ENOSPC (the names), -ENFILE (their number). */
    int (*hold)(void *data, const char *name, int fd);
    void (*drop)(void *data, const char *name);
    int (*take)(void *data, const char *name); /* one that was held for a former daemon, or -1 */
    void (*drop_rest)(void *data);             /* what nobody has taken */
    void *data;
} SfFdStore;
#define SF_FD_NAME_CONTROL "control"
#define SF_FD_NAME_VIEW "v"      /* and the container's number, in hexadecimal */
#define SF_FD_NAME_CONSTANTS "k" /* likewise */
#define SF_FD_NAME_EVENT "e"     /* and the kept file's ID */

typedef struct SfRegistry SfRegistry;

/* One mount of a view. */
typedef struct SfMounted {
    char *point; /* owned; absolute */
    /* The registry's own. */
    void *mount;
    bool held;   /* its connection is in the fd store */
    int refused; /* 0, or why the fd store has no room for it: negative errno */
} SfMounted;

typedef struct SfEntry {
    const char *id;         /* the container's */
    SfContainer *container; /* a reference */
    SfView *view;           /* a reference */
    SfMounted mounts[SF_MOUNT_KINDS];
    /* The registry's own. */
    unsigned watch;         /* of the cgroup's removal; 0: none */
    GArray *limit_watches;  /* unsigned, of the limits above it; NULL: none */
    int64_t recalled_usec;  /* monotonic: when its constants were recalled last */
    unsigned recall_source; /* GLib source, if it is due again; 0: none */
    SfAttachDue due;        /* its record says so, unless it could not be written: */
    bool due_unwritten;     /* then no connection is held before the files are attached */
    bool healing;           /* the healer has it */
    bool attached;          /* the healer has attached its files */
    bool noted;             /* by a hook that has given up, while it was registered */
    SfRegistry *registry;
} SfEntry;

typedef struct SfRegistryOptions {
    const char *runtime_dir; /* absolute; exists */
    SfHost *host;
    SfCgroups *cgroups;
    SfLoadSampler *load_sampler; /* or NULL */
    SfMountBackend backend;
    SfFdStore store;
    SfKeep *keep; /* NULL: sf_keep_default() */
} SfRegistryOptions;

/* What became of what a former daemon left. */
typedef struct SfRegistryCounts {
    unsigned resumed; /* views that went on */
    unsigned healed;  /* views made anew, and attached again in their containers */
    unsigned cleared; /* records and views of containers that are gone, or that made no sense */
} SfRegistryCounts;

/* Locks the runtime directory (-EWOULDBLOCK: another daemon has it, its pid is in *ret_other_pid
 * when known; -EPERM: it belongs to another user, or others may write to it), makes its folders,
 * and takes up what a former daemon left there, or clears it away. host and cgroups are borrowed.
 * Negative errno. */
int sf_registry_new(const SfRegistryOptions *options, SfRegistry **ret_registry,
                    pid_t *ret_other_pid) SF_WARN_UNUSED;
/* Gives their views to containers that started while no daemon answered (lib/pending.h), and drops
 * what the fd store holds for nobody. Containers that could not be taken up now (no memory, no
 * files) are tried again by the main loop, and what is theirs stays until then. Once, after all
 * others have taken theirs from the store. */
void sf_registry_settle(SfRegistry *registry);
/* Containers that are still to be taken up. */
unsigned sf_registry_waiting(const SfRegistry *registry);
/* Attaches again, in a thread, what had to be made anew. */
void sf_registry_heal(SfRegistry *registry);
void sf_registry_counts(const SfRegistry *registry, SfRegistryCounts *ret_counts);
/* Views whose connection is held stay when the registry is freed. */
void sf_registry_keep_views(SfRegistry *registry);
/* All records stay when it is freed: this daemon fails, and another one will come. */
void sf_registry_leave(SfRegistry *registry);
/* In the fd store, by the number of a container; the caller frees. */
char *sf_registry_fd_name(uint64_t container, SfViewMount kind);
char *sf_registry_event_name(uint64_t id); /* likewise, of a kept file's ID */
/* Ends every container. */
void sf_registry_free(SfRegistry *registry);

/* What containers registered from now on get, and how many there may be. */
void sf_registry_configure(SfRegistry *registry, const SfPolicy *defaults, unsigned max_containers);

typedef struct SfRegistration {
    const char *id;
    pid_t pid;                 /* in the daemon's pid namespace */
    int pidfd;                 /* or -1; borrowed */
    const char *bundle;        /* or NULL */
    const json_t *annotations; /* object of strings, or NULL */
    bool attach;               /* its files are the daemon's to attach: sf_healer_add() */
} SfRegistration;

/* 0 with *ret_entry (NULL when policy gives the container no view), or -1 with *error. The entry is
 * the registry's. */
int sf_registry_register(SfRegistry *registry, const SfRegistration *registration,
                         SfEntry **ret_entry, SfControlError *error) SF_WARN_UNUSED;
/* Whether a hook that got no answer in time has left a note of that container, also one that is
 * done already. */
bool sf_registry_was_noted(const SfRegistry *registry, const char *id);
/* Ends the container of exactly that ID; false when there is none. reason is for the log. */
bool sf_registry_unregister(SfRegistry *registry, const char *id, const char *reason);

/* By ID, unique prefix of one, or pid:N. NULL with *error. */
SfEntry *sf_registry_resolve(SfRegistry *registry, const char *name, SfControlError *error);
unsigned sf_registry_count(const SfRegistry *registry);
/* In the order of IDs. The caller frees the array (g_free), not the entries. */
SfEntry **sf_registry_entries(const SfRegistry *registry, unsigned *ret_count);
const SfRegistryOptions *sf_registry_options(const SfRegistry *registry);
