/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One container's file tree: which of the providers' files it has, their attributes, and open files
 * with their text. Knows nothing of FUSE. Thread-safe; no lock is held while a text is rendered.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "daemon/provider/provider.h"

typedef struct SfView SfView;

/* Inode numbers: SF_VIEW_ROOT is the view's top; the same path has the same number in every view,
 * and in every build: the kernel remembers them over an upgrade. */
#define SF_VIEW_ROOT 1u
/* From here on: what is below the directories that providers answer for. */
#define SF_VIEW_BELOW (1ull << 32)
/* Open files a view has at most (ENFILE past it), so that a container cannot grow the daemon. */
#define SF_VIEW_MAX_HANDLES 4096
/* The same once half of what there is for all views (lib/base/keep.h) is used. */
#define SF_VIEW_FAIR_HANDLES 256
/* Of these, files that can be written to (ENFILE past it): each may cost the kernel a trigger. */
#define SF_VIEW_MAX_EVENTS 64
/* Latency classes: class n counts opens that took less than 2^n microseconds; the last one takes
 * the rest. */
#define SF_VIEW_LATENCY_CLASSES 20

/* The first rule of a policy from number `from` on that no file of any view follows, because it
 * names neither one nor a directory above one; NULL: there is none. Borrowed from the policy. */
const SfViewRule *sf_view_idle_rule(const SfPolicy *policy, unsigned from);

/* Takes a reference to the container. Decides by policy, by what the kernel has and by the
 * providers' conditions which files there are. */
int sf_view_new(SfContainer *container, SfView **ret_view) SF_WARN_UNUSED;
SfView *sf_view_ref(SfView *view);
SfView *sf_view_unref(SfView *view);
SfContainer *sf_view_container(const SfView *view); /* borrowed */
/* Counts a request that was served, of either connection; how many there were. */
void sf_view_count_request(SfView *view);
uint64_t sf_view_requests(const SfView *view);
/* The CPU that a thread of the host runs on or ran on last: where its answer is wanted. Negative
 * errno. */
int sf_view_reader_cpu(const SfView *view, pid_t tid, unsigned *ret_cpu) SF_WARN_UNUSED;

/* *ret_constant: the answer holds for as long as the view does; else for now. */
int sf_view_lookup(SfView *view, uint64_t parent, const char *name, struct stat *ret_stat,
                   bool *ret_constant) SF_WARN_UNUSED;
int sf_view_getattr(SfView *view, uint64_t inode, struct stat *ret_stat,
                    bool *ret_constant) SF_WARN_UNUSED;
/* The text of a symbolic link, NUL-terminated. -EINVAL where there is none, -ENAMETOOLONG. */
int sf_view_read_link(SfView *view, uint64_t inode, char *buffer, size_t size) SF_WARN_UNUSED;

/* How a view is mounted. Both mounts have all of its files. */
typedef enum SfViewMount {
    SF_MOUNT_VIEW,      /* files are opened, and each open has its text */
    SF_MOUNT_CONSTANTS, /* files are read without being opened: for those that hardly ever change */
    SF_MOUNT_KINDS,
} SfViewMount;

/* ---- the same for SF_MOUNT_CONSTANTS; constants.c has the rules ---- */
/* How long attributes hold there, of which the kernel asks for those of a file when it opens it;
 * but for those that are fixed. */
#define SF_CONSTANT_MSEC 100
typedef struct SfConstantAnswer {
    struct stat stat;
    bool constant; /* the name stands for it, or for nothing, as long as the view is there */
    bool never;    /* there is nothing, and will be nothing: to be asked again seldom */
    bool fixed;    /* the attributes hold as long */
    /* Others than were told before: of two answers on their way the kernel may take the older one,
     * and shall ask again. */
    bool changed;
} SfConstantAnswer;
int sf_constant_lookup(SfView *view, uint64_t parent, const char *name,
                       SfConstantAnswer *ret_answer) SF_WARN_UNUSED;
/* opened: by a file that is open, for reading on most often; tid: who asks. */
int sf_constant_getattr(SfView *view, uint64_t inode, bool opened, pid_t tid,
                        SfConstantAnswer *ret_answer) SF_WARN_UNUSED;
/* Calls each() for the files whose attributes were told last: all of SF_CONSTANT_MSEC, but where
 * there are many. */
void sf_constants_each_told(SfView *view, void (*each)(uint64_t inode, void *data), void *data);
/* Appends at most size bytes from the offset on of the text whose attributes were told last.
 * -EISDIR, or what the provider says. *ret_changed: that one is not there any more, and
 * another was made. */
int sf_constant_read(SfView *view, uint64_t inode, uint64_t offset, size_t size, SfText *text,
                     bool *ret_changed) SF_WARN_UNUSED;

/* An open file: a text of one moment; an open directory: its entries of one moment. What it holds
 * is kept (lib/base/keep.h): another process can go on with it. */
typedef struct SfViewHandle SfViewHandle;
/* A request of the kernel's, by a number that it gives once per connection, or 0. The same request
 * may come twice, when a process died before or just after it had answered: it then has the same
 * effect once. */
typedef uint64_t SfViewRequest;
/* What the kernel's page cache is to do for an open file, whose rule is: a text that a reader may
 * still read is never changed under it. One open file at a time can have its text in the pages that
 * all opens of a file share; any other that is open at the same time has a text of its own. */
typedef struct SfViewOpened {
    SfViewHandle *handle; /* the caller releases */
    bool paged;           /* reads come from the pages */
    bool store;           /* which do not have the text yet: it is to be stored there */
    SfSlice text;         /* the handle's; borrowed until the next call */
    /* What the kernel is to be told before, in this order. */
    bool ask;  /* to ask for attributes before it uses any, also those on their way to it */
    bool grow; /* that the file is not smaller than the text */
    bool drop; /* pages are dropped by the opener */
} SfViewOpened;

/* Renders. tid: who opens; 0: not known. -EACCES for writing where the provider takes nothing,
 * -EISDIR, -ENFILE, or what the provider says. */
int sf_view_open_shared(SfView *view, uint64_t inode, int flags, pid_t tid, SfViewRequest request,
                        SfViewOpened *ret_opened) SF_WARN_UNUSED;
/* The same without the page cache. The caller releases. */
int sf_view_open(SfView *view, uint64_t inode, int flags, SfViewRequest request,
                 SfViewHandle **ret_handle) SF_WARN_UNUSED;
/* From now on files may share pages: the connection drops them when a time or a size changes. Kept:
 * a connection that was made before cannot do so. */
void sf_view_share(SfView *view);
bool sf_view_shares(const SfView *view);
/* One of the container's processes has kept us waiting when we looked where it reads: that is not
 * looked at for a while. */
bool sf_view_is_unseen(const SfView *view);
/* The handle's text is in the pages. */
bool sf_view_is_shared(const SfViewHandle *handle);
uint64_t sf_view_handle_inode(const SfViewHandle *handle);
/* How long an open file's text stands in the pages before its reader is looked at. */
#define SF_VIEW_SHARED_MSEC 10
typedef enum SfViewExpired {
    SF_EXPIRED_NOT, /* nothing is to be done */
    SF_EXPIRED,     /* the file is still open: the kernel is to be told that its attributes may have
                     * changed, and then asks for them before it reads from pages again */
    SF_EXPIRED_YET, /* an answer is on its way that is not to be told away: again a moment later */
} SfViewExpired;
/* After that time. */
SfViewExpired sf_view_expire(SfView *view, uint64_t inode) SF_WARN_UNUSED;
typedef enum SfViewAsked {
    SF_ASKED_PLAIN, /* nothing is to be done */
    SF_ASKED_LATER, /* sf_view_expire() is due after SF_VIEW_SHARED_MSEC */
    SF_ASKED_STILL, /* the kernel shall ask again before the next read */
    SF_ASKED_AFTER, /* as LATER; but an answer is on its way that shows a new text to another
                     * thread, which had best take it in first */
} SfViewAsked;
/* The kernel asks for attributes: a thread that comes back to the beginning of such a file gets a
 * new text, and attributes that make the kernel drop the pages; who is in the middle of one goes on
 * with it. */
SfViewAsked sf_view_ask(SfView *view, uint64_t inode, pid_t tid, SfViewRequest request);
/* sf_view_expire() was true, and nobody has come back since: attributes that the kernel is given
 * must not hold. */
bool sf_view_is_stale(SfView *view, uint64_t inode);
/* That answer is still on its way. */
bool sf_view_is_renewed(SfView *view, uint64_t inode);
/* At most size bytes at offset, empty at the end: a slice borrowed until the handle's next read. A
 * reader that comes back to offset 0 gets a new text, as from procfs (fs/seq_file.c): top(1) keeps
 * its files open and rewinds. Not so for the kernel filling its page cache (for_cache), which
 * happens for sendfile(2). Reads of one handle are not made at the same time. */
int sf_view_read(SfView *view, SfViewHandle *handle, uint64_t offset, size_t size, bool for_cache,
                 SfViewRequest request, SfSlice *ret_slice) SF_WARN_UNUSED;
void sf_view_release(SfView *view, SfViewHandle *handle);
/* The same for a handle that the opener never got to know. */
void sf_view_abandon(SfViewHandle *handle);
/* What the kernel knows a handle by, the same for every process; never 0. */
uint64_t sf_view_handle_id(const SfViewHandle *handle);
/* The view's handle of that ID, or NULL. */
SfViewHandle *sf_view_handle(SfView *view, uint64_t id);
/* Releases what the same request has opened before: that answer never arrived, since the kernel has
 * taken this one. Not the handle itself. */
void sf_view_forget_earlier(SfView *view, const SfViewHandle *handle);

/* Kinds of kept entries. */
#define SF_KEEP_KIND_FILE 2u
#define SF_KEEP_KIND_DIRECTORY 3u
#define SF_KEEP_KIND_NAME 4u
#define SF_KEEP_KIND_PAGES 5u   /* the text in a file's pages */
#define SF_KEEP_KIND_SHARING 6u /* see sf_view_share() */
/* Whether sf_view_adopt() takes such an entry. */
bool sf_view_keeps(uint64_t kind);
/* Takes up the number of a path below a provider's directory, of all views; before any view is
 * made.
 */
void sf_view_adopt_name(SfKeep *keep, uint64_t id);
/* Takes up what a former process kept for the view's container: an open file most often. events_fd:
 * the kernel's file that it had been opened for, taken over; -1. False when the view has no such
 * file any more: the entry is then removed. */
bool sf_view_adopt(SfView *view, uint64_t id, int events_fd);
/* Calls each(handle, data) for all open files; nobody else may use the view meanwhile. */
void sf_view_each_handle(SfView *view, void (*each)(SfViewHandle *handle, void *data), void *data);
/* The container has ended: what is open goes out of the keep with the view. Before that a view that
 * is freed leaves it there. */
void sf_view_end(SfView *view);
bool sf_view_has_ended(SfView *view);

/* What a file that was opened for writing waits on. */
typedef struct SfViewEvents {
    int fd;      /* borrowed from the handle; -1: it was not opened for writing */
    uint64_t id; /* the handle's */
} SfViewEvents;
SfViewEvents sf_view_events(const SfViewHandle *handle);
/* Those of all open files; how many. */
unsigned sf_view_all_events(SfView *view, SfViewEvents ret_events[SF_VIEW_MAX_EVENTS]);
/* By what number the kernel knows who polls the file: kept; 0: nobody has. */
void sf_view_set_waiter(SfViewHandle *handle, uint64_t waiter);
uint64_t sf_view_waiter(const SfViewHandle *handle);
/* Hands what a process writes to the kernel's file behind it: bytes taken, or negative errno, the
 * kernel's own. -EBADF where the handle is not for writing. */
int sf_view_write(SfViewHandle *handle, const char *data, size_t len,
                  SfViewRequest request) SF_WARN_UNUSED;
/* poll(2) events of this moment, as the kernel's file has them; what it tells once it tells here.
 */
unsigned sf_view_poll(const SfViewHandle *handle);
/* Whether a file takes a truncation (and forgets it, as procfs): 0, -EPERM, -ENOENT. */
int sf_view_truncate(SfView *view, uint64_t inode) SF_WARN_UNUSED;

/* Lists. -ENOTDIR, else as sf_view_open(). */
int sf_view_open_directory(SfView *view, uint64_t inode, SfViewRequest request,
                           SfViewHandle **ret_handle) SF_WARN_UNUSED;
typedef struct SfViewEntry {
    uint64_t inode;
    mode_t mode;      /* its type */
    const char *name; /* borrowed as the slice is */
} SfViewEntry;
/* What the listing has from entry number `index` on, "." and ".." being the first two: a slice
 * borrowed until the handle's next read. Number 0 lists anew, as rewinddir(3) wants it. */
int sf_view_read_directory(SfView *view, SfViewHandle *handle, uint64_t index,
                           SfViewRequest request, SfSlice *ret_rest) SF_WARN_UNUSED;
/* Takes the next entry off *rest; false at the end. */
bool sf_view_next_entry(SfSlice *rest, SfViewEntry *ret_entry);

/* For the operator: one record a file of the view. */
typedef struct SfViewFileInfo {
    const char *path;   /* borrowed, constant */
    const char *source; /* borrowed, constant */
    unsigned mode;
    bool directory; /* opens and latency are those of all files below it */
    bool writable;  /* takes writes, by its mode */
    bool constant;  /* to be bound from SF_MOUNT_CONSTANTS */
    bool covered;   /* below a directory of the view that is bound as a whole */
    uint64_t opens;
    uint64_t errors;
    int last_error;                            /* negative errno of the last failing open; 0 */
    uint64_t latency[SF_VIEW_LATENCY_CLASSES]; /* number of opens by the time it took to render */
} SfViewFileInfo;
unsigned sf_view_file_count(const SfView *view);
void sf_view_file_info(SfView *view, unsigned index, SfViewFileInfo *ret_info);
uint64_t sf_view_total_opens(SfView *view);
unsigned sf_view_open_handles(SfView *view);
/* The upper bound in microseconds of the class that holds the given share (0.5, 0.99) of the opens;
 * 0 when there are none. */
uint64_t sf_view_latency_usec(const SfViewFileInfo *info, double share);
