/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What view.c, entries.c and handle.c share. Nobody else includes it.
 */

#include <glib.h>
#include <pthread.h>
#include <stdatomic.h>

#include "daemon/view/host_nodes.h"
#include "daemon/view/tree.h"
#include "daemon/view/view.h"

typedef struct FileStats {
    _Atomic uint64_t opens;
    _Atomic uint64_t errors;
    _Atomic int last_error;
    _Atomic uint64_t latency[SF_VIEW_LATENCY_CLASSES];
} FileStats;

typedef struct Node {
    bool present;
    bool host_directory; /* a provider answers for it: what is below is the host's, masked */
    mode_t mode;
    _Atomic uint64_t size;    /* what stat(2) says of a text: see sf_view_size_for() */
    FileStats *_Atomic stats; /* made at the first open; owned */
} Node;

struct SfView {
    _Atomic int refs;
    SfContainer *container; /* owned reference */
    struct timespec made;   /* wall clock: what stat(2) gives as times */
    pthread_mutex_t lock;   /* protects the open files: the next four; held for list work only */
    GQueue open_files; /* SfViewHandle.link: a connection may end before its files are released */
    uint64_t handle_bytes;
    bool ended;           /* see sf_view_end(); protected by lock */
    unsigned event_count; /* open files that can be written to; protected by lock */
    unsigned node_count;
    Node nodes[]; /* by index in the shared tree */
};

/* Where an inode number leads. */
typedef struct Place {
    unsigned node; /* in the shared tree: the file or directory itself, or the one it is below */
    const SfHostNode *below; /* NULL: the node itself */
} Place;

/* False when the view has no such inode. */
bool sf_view_place(const SfView *view, uint64_t inode, Place *ret_place);
/* The attributes of a present node. */
void sf_view_fill_stat(const SfView *view, unsigned node, struct stat *ret_stat);
/* The provider of a node; NULL: a plain directory. */
const SfProvider *sf_view_provider(unsigned node);

/* What a file below a provider's directory is to this container: -ENOENT where it is hidden. */
int sf_view_stat_below(SfView *view, const SfHostNode *below, struct stat *ret_stat,
                       bool *ret_constant) SF_WARN_UNUSED;
/* The entry of that name below a provider's directory. */
int sf_view_lookup_below(SfView *view, const Place *parent, const char *name, struct stat *ret_stat,
                         bool *ret_constant) SF_WARN_UNUSED;
/* All entries of a directory as the records of sf_view_next_entry(). */
int sf_view_list(SfView *view, const Place *place, SfText *text) SF_WARN_UNUSED;
/* The text of a file below a provider's directory. */
int sf_view_render_below(SfView *view, const SfHostNode *below, SfText *text) SF_WARN_UNUSED;

/* With the view: what is open stays kept, but for a view that has ended. */
void sf_view_free_handles(SfView *view);

/* The size that stat(2) says for a text of len bytes. */
uint64_t sf_view_size_for(size_t len);
/* Counts one open of a node. */
void sf_view_count_open(Node *node, int result, uint64_t nsec);
