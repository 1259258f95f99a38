/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What container.c, container_memory.c, container_cpu.c, container_numa.c, container_state.c
 * and load.c share. Nobody
 * else includes it. Lock order: the sampler's lock, then
 * load_lock; state_lock, then load_lock, nodes_lock or the account's. No lock is held over a read.
 */

#include <glib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "daemon/container/container.h"
#include "daemon/container/load.h"

struct SfContainer {
    gatomicrefcount refs;

    /* Constant from sf_container_new() on. */
    SfHost *host; /* borrowed */
    char *id;
    char *bundle;
    pid_t init_pid;
    int pidfd;
    uint64_t start_ticks;
    uint64_t registered_nsec;
    uid_t root_uid;
    gid_t root_gid;
    SfNamespaces namespaces;
    bool time_namespace;
    SfPolicy policy;
    SfCgroup *cgroups[SF_CONTROLLER_COUNT]; /* references; NULL where there is none */
    SfCgroup *task_cgroup;                  /* one of cgroups[]; NULL: none */
    SfLoadSampler *sampler;                 /* reference; NULL: none */

    SfCpuAccount *cpu_account; /* has a lock of its own */

    pthread_mutex_t tasks_lock;
    SfTaskCount tasks;         /* protected by tasks_lock */
    uint64_t tasks_at_nsec;    /* protected by tasks_lock: when the count began */
    uint64_t tasks_until_nsec; /* protected by tasks_lock: when they are to be counted anew */
    bool tasks_counted;        /* protected by tasks_lock */
    bool tasks_inner_pid;      /* protected by tasks_lock: tasks has highest_inner_pid */

    pthread_mutex_t load_lock;
    SfLoad load;          /* protected by load_lock */
    atomic_bool followed; /* the sampler has it; written under the sampler's lock only */
    bool forgotten;       /* protected by the sampler's lock: never followed again */

    pthread_mutex_t nodes_lock;
    uint64_t *node_pages; /* owned; by NUMA node: the most seen so far; protected by nodes_lock */
    unsigned node_count;  /* of node_pages; protected by nodes_lock */

    uint64_t number; /* constant */
    SfKeep *keep;    /* constant; borrowed */
    pthread_mutex_t state_lock;
    SfText state_text;  /* protected by state_lock: memory that is used again */
    uint64_t state_id;  /* protected by state_lock: the keep's entry; 0: none yet */
    bool state_dropped; /* protected by state_lock */
};

G_DEFINE_AUTOPTR_CLEANUP_FUNC(SfContainer, sf_container_unref)

/* A host text that a scope gives back. */
typedef SfSharedText SfSharedTextRef;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SfSharedTextRef, sf_shared_text_unref)

/* Keeps what has changed; takes state_lock, and load_lock and nodes_lock below it. */
void sf_container_remember(SfContainer *container);
/* Brings the load up to date with a count of now. */
void sf_container_load_sample(SfContainer *container);
/* Whether someone has read the load recently enough. Takes load_lock. */
bool sf_container_load_wanted(SfContainer *container);

/* The sampler that containers made now report to, with a reference; NULL: none. */
SfLoadSampler *sf_load_sampler_ref_default(void);
SfLoadSampler *sf_load_sampler_unref(SfLoadSampler *sampler);
/* Follows a container from now on, with a reference, unless it was forgotten or the sampler has
 * been stopped. */
void sf_load_sampler_follow(SfLoadSampler *sampler, SfContainer *container);
