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

#define SIZE_UNKNOWN UINT64_MAX

/* What the page cache has of a file. Protected by the view's lock. */
typedef struct Pages {
    SfViewHandle *shared; /* whose text it is; owned; NULL: never was any */
    bool open;            /* shared is */
    unsigned others;      /* open files with texts of their own */
    uint64_t size;        /* the kernel's idea of it is not above this; SIZE_UNKNOWN */
    /* A smaller size that attributes show, and the last thread that got them: when that thread asks
     * for something else, it has taken them in. 0: none. */
    uint64_t offered;
    pid_t offered_to;
    /* Sizes that attributes showed which may still be on their way; told_most below told_least:
     * none.
     */
    uint64_t told_least, told_most;
    /* The text that was stored last, where nothing else can have come into the pages since, and no
     * other size into the kernel: they have it, or nothing, and the file has its length. */
    bool stored;
    uint64_t stored_hash;
    uint64_t other_nsec; /* when attributes showed another size than `size`, or that changed */
    uint64_t changes; /* texts the pages had under one open file: nanoseconds added to the time */
    bool stale;       /* the kernel was told to ask before it reads on */
    /* A text was made for a reader that came back, and the kernel has not asked for any of it yet:
     * what it had before stands in `former`. */
    bool renewed;
    SfText former;      /* owned */
    uint64_t made_nsec; /* monotonic */
    /* When somebody was seen in the middle of it; only who serves the connection uses this. */
    uint64_t read_on_nsec;
} Pages;

/* See constants.c. */
typedef struct SfConstants SfConstants;
void sf_constants_free(SfConstants *constants);

typedef struct Node {
    bool present;
    bool host_directory; /* a provider answers for it: what is below is the host's, masked */
    mode_t mode;
    _Atomic uint64_t size;    /* what stat(2) says of a text: see sf_view_size_for() */
    FileStats *_Atomic stats; /* made at the first open; owned */
    Pages *pages;             /* the same, protected by the view's lock */
} Node;

struct SfView {
    _Atomic int refs;
    _Atomic uint64_t requests;
    SfContainer *container; /* owned reference */
    struct timespec made;   /* wall clock: what stat(2) gives as times */
    pthread_mutex_t lock;   /* protects the open files: the next four; held for list work only */
    GQueue open_files; /* SfViewHandle.link: a connection may end before its files are released */
    uint64_t handle_bytes;
    bool ended;          /* see sf_view_end(); protected by lock */
    uint64_t sharing_id; /* of the keep's entry that says that files share pages; 0: they do not */
    bool resumed;        /* another process has served the kernel before */
    _Atomic uint64_t unseen_until; /* see sf_view_read_offset(); 0: never was */
    _Atomic unsigned unseen_count;
    SfConstants *_Atomic constants; /* owned; NULL: none was read yet */
    unsigned event_count;           /* open files that can be written to; protected by lock */
    unsigned node_count;
    Node nodes[]; /* by index in the shared tree */
};

/* Where an inode number leads. */
typedef struct Place {
    unsigned node; /* in the shared tree: the file or directory itself, or the one it is below */
    const SfHostNode *below; /* NULL: the node itself */
} Place;

/* Where a thread of the container's reads, as sf_thread_read_offset(). A container that kept us
 * waiting is not looked at for a minute, the next time for two, and so on: -EAGAIN. */
int sf_view_read_offset(SfView *view, pid_t tid, uint64_t *ret_offset) SF_WARN_UNUSED;
/* False when the view has no such inode. */
bool sf_view_place(const SfView *view, uint64_t inode, Place *ret_place);
/* The attributes of a present node. */
void sf_view_fill_stat(SfView *view, unsigned node, struct stat *ret_stat);
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

struct SfViewHandle {
    GList link; /* in SfView.open_files */
    SfView *view;
    uint64_t id; /* of the keep's entry, which has the text */
    Place place;
    bool directory;
    bool shared;   /* it is a Pages.shared */
    size_t len;    /* of the text */
    int events_fd; /* owned; -1: not opened for writing */
};

/* SfKeepNote.flags of a file: its open flags, and these. */
#define FLAG_BEGUN (UINT64_C(1) << 32) /* somebody has read from the beginning */
#define FLAG_OPEN (UINT64_C(1) << 33)  /* of a text in pages: its file is open */

SfKeep *sf_view_keep(const SfView *view);
uint64_t sf_view_nsec(void); /* monotonic */
SfViewHandle *sf_view_new_handle(SfView *view, uint64_t id, const Place *place, size_t len);
/* forget: the entry goes too. */
void sf_view_free_handle(SfViewHandle *handle, bool forget);
/* Among the open files; false when the view has too many. */
bool sf_view_add_handle(SfView *view, SfViewHandle *handle) SF_WARN_UNUSED;
/* The text of a place. */
int sf_view_render(SfView *view, const Place *place, SfText *text) SF_WARN_UNUSED;

/* What pages.c does for a file that is opened, read or closed. */
/* Whether the pages are free for one that is about to be opened: then they are its own. Counts it
 * among the others if not. */
bool sf_pages_claim(SfView *view, const Place *place, bool share, pid_t tid);
void sf_pages_unclaim(SfView *view, const Place *place, bool shared);
/* Whether a text of that length can be stored; if not, the claim is exchanged for one of the
 * others. */
bool sf_pages_fit(SfView *view, const Place *place, size_t len);
/* Puts the text there; on error the claim is given up. */
int sf_pages_fill(SfView *view, const Place *place, const SfText *text, int flags,
                  SfViewRequest request, SfViewOpened *ret_opened) SF_WARN_UNUSED;
/* Says what the kernel must be told of a file that is opened with a text of its own. */
void sf_pages_bypass(SfView *view, const Place *place, size_t len, SfViewOpened *opened);
/* unknown: whether the kernel has stored the text. */
void sf_pages_close(SfViewHandle *handle, bool unknown);
/* The file in whose pages a read of the cache's through another one ends up; NULL: there is none.
 */
SfViewHandle *sf_pages_owner(SfView *view, const Place *place);
/* Pages are being filled: what is shown now stands. */
void sf_pages_settle(SfViewHandle *handle);
bool sf_pages_adopt(SfView *view, uint64_t id, const Place *place);
void sf_pages_free(Pages *pages, bool forget);
/* Size and time as they are to be shown, where the pages know better; remembered. */
void sf_pages_stat(SfView *view, unsigned node, struct stat *stat);

/* With the view: what is open stays kept, but for a view that has ended. */
void sf_view_free_handles(SfView *view);

/* The size that stat(2) says for a text of len bytes. */
uint64_t sf_view_size_for(size_t len);
/* Counts one open of a node. */
void sf_view_count_open(Node *node, int result, uint64_t nsec);
