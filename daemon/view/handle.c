/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an open file or directory holds. A text is made once, by the open that asks for it, so a
 * reader never sees two instants mixed; a listing likewise. Must not know which provider answers,
 * nor what the page cache has (pages.c).
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "daemon/view/view_private.h"
#include "lib/base/fd.h"
#include "lib/base/scratch.h"

/* Bytes of text that all open files of one view may hold together (ENFILE past it; the first is
 * always allowed). */
#define MAX_HANDLE_BYTES (32u << 20)
/* The same once half of what there is for all views is used. */
#define FAIR_HANDLE_BYTES (2u << 20)
/* This part of it no open file takes: it is for the counters of containers, and for names. */
#define RESERVE_PART 8u

/* How often a text is tried for which no file could be opened. */
#define FILES_TRIES 20
#define FILES_PAUSE_USEC 10000

/* Living handles by the slot of their entry, so that what the kernel sends can be looked up without
 * a lock and is believed only if it is there. */
static SfViewHandle *_Atomic handles[SF_KEEP_ENTRIES_MAX];

uint64_t sf_view_nsec(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int render_once(SfView *view, const Place *place, SfText *text)
{
    int r = place->below ? sf_view_render_below(view, place->below, text)
                         : sf_view_provider(place->node)->ops->render(view->container, text);

    return r >= 0 && text->error ? text->error : r;
}

/* A daemon that is short of files uses those that are left for its readers, for a moment, when it
 * tries to take up one more container. */
static int render(SfView *view, const Place *place, SfText *text)
{
    int r = render_once(view, place, text);

    for (unsigned i = 0; (r == -EMFILE || r == -ENFILE) && i < FILES_TRIES; i++) {
        g_usleep(FILES_PAUSE_USEC);
        sf_text_reset(text);
        r = render_once(view, place, text);
    }
    return r;
}

int sf_view_render(SfView *view, const Place *place, SfText *text)
{
    Node *node = &view->nodes[place->node];
    uint64_t begin = sf_view_nsec();
    int r = render(view, place, text);

    if (r >= 0 && !place->below && text->len > atomic_load(&node->size))
        atomic_store(&node->size, sf_view_size_for(text->len));
    sf_view_count_open(node, r, sf_view_nsec() - begin);
    return r;
}

static int list(SfView *view, const Place *place, SfText *text)
{
    int r = sf_view_list(view, place, text);

    return r < 0 ? r : text->error;
}

SfKeep *sf_view_keep(const SfView *view)
{
    return sf_container_keep(view->container);
}

static uint64_t share_of(SfKeepRoom room, uint64_t most, uint64_t fair)
{
    if (room.free <= room.total / RESERVE_PART)
        return 0;
    return room.free >= room.total / 2 ? most : fair;
}

/* Whether the view's share of what all views have allows one more open file, with a text of that
 * length. Asked before anything is kept of it; what was open before is taken up without. */
static int check_share(SfView *view, size_t len)
{
    const SfKeep *keep = sf_view_keep(view);
    uint64_t files = share_of(sf_keep_entry_room(keep), SF_VIEW_MAX_HANDLES, SF_VIEW_FAIR_HANDLES);
    uint64_t bytes = share_of(sf_keep_byte_room(keep), MAX_HANDLE_BYTES, FAIR_HANDLE_BYTES);

    (void)pthread_mutex_lock(&view->lock);
    bool may = view->open_files.length < files && bytes > 0 &&
               (view->handle_bytes == 0 || view->handle_bytes + len <= bytes);
    (void)pthread_mutex_unlock(&view->lock);
    return may ? 0 : -ENFILE;
}

bool sf_view_add_handle(SfView *view, SfViewHandle *handle)
{
    (void)pthread_mutex_lock(&view->lock);
    bool fits = view->open_files.length < SF_VIEW_MAX_HANDLES &&
                (view->handle_bytes == 0 || view->handle_bytes + handle->len <= MAX_HANDLE_BYTES);
    if (handle->events_fd >= 0)
        fits = fits && view->event_count < SF_VIEW_MAX_EVENTS;
    if (fits) {
        view->event_count += handle->events_fd >= 0;
        g_queue_push_tail_link(&view->open_files, &handle->link);
        view->handle_bytes += handle->len;
        atomic_store(&handles[sf_keep_slot(handle->id)], handle);
    }
    (void)pthread_mutex_unlock(&view->lock);
    return fits;
}

SfViewHandle *sf_view_new_handle(SfView *view, uint64_t id, const Place *place, size_t len)
{
    SfViewHandle *handle = g_new0(SfViewHandle, 1);

    handle->link.data = handle;
    handle->view = view;
    handle->id = id;
    handle->place = *place;
    handle->len = len;
    handle->events_fd = -1;
    return handle;
}

void sf_view_free_handle(SfViewHandle *handle, bool forget)
{
    if (forget)
        sf_keep_remove(sf_view_keep(handle->view), handle->id);
    (void)sf_close(handle->events_fd);
    g_free(handle);
}

/* The kernel's file behind one that is opened for writing; -1 for reading. */
static int open_events(SfView *view, const Place *place, int flags)
{
    const SfProvider *provider = place->below ? NULL : sf_view_provider(place->node);

    if ((flags & O_ACCMODE) == O_RDONLY && !(flags & O_TRUNC))
        return -1;
    if (!provider || !provider->ops->open_events)
        return -EACCES;
    return provider->ops->open_events(view->container);
}

/* An open file or directory with a text of its own. */
static int open_own(SfView *view, const SfKeepNew *entry, const Place *place, const SfText *text,
                    int *events_fd, SfViewHandle **ret_handle)
{
    uint64_t id;

    int r = sf_keep_add(sf_view_keep(view), entry, text->data, text->len, &id);
    if (r < 0)
        return r == -ENOSPC ? -ENFILE : r;
    SfViewHandle *handle = sf_view_new_handle(view, id, place, text->len);
    handle->directory = entry->kind == SF_KEEP_KIND_DIRECTORY;
    handle->events_fd = sf_steal_fd(events_fd);
    if (!sf_view_add_handle(view, handle)) {
        sf_view_free_handle(handle, true);
        return -ENFILE;
    }
    *ret_handle = handle;
    return 0;
}

/* What opens a file: who, and how. */
typedef struct Opening {
    uint64_t inode;
    int flags;
    pid_t tid;
    SfViewRequest request;
    bool share;
} Opening;

static int open_file(SfView *view, const Place *place, const Opening *opening,
                     SfViewOpened *ret_opened)
{
    SF_CLEANUP_FD int events_fd = open_events(view, place, opening->flags);
    SF_SCRATCH SfText *text = sf_scratch_take();

    *ret_opened = (SfViewOpened){0};
    if (events_fd < -1)
        return events_fd;
    if (!sf_view_keep(view))
        return -ENOMEM;
    bool share = opening->share && events_fd < 0 && !(opening->flags & O_DIRECT);
    bool shared = sf_pages_claim(view, place, share, opening->tid);
    int r = sf_view_render(view, place, text);
    if (r >= 0)
        r = check_share(view, text->len);
    if (r >= 0 && shared && sf_pages_fit(view, place, text->len))
        return sf_pages_fill(view, place, text, opening->flags, opening->request, ret_opened);
    shared = shared && r < 0;
    if (r >= 0) {
        SfKeepNew entry = {.owner = sf_container_number(view->container),
                           .kind = SF_KEEP_KIND_FILE,
                           .place = opening->inode,
                           .flags = (uint32_t)opening->flags,
                           .opened_by = opening->request};
        r = open_own(view, &entry, place, text, &events_fd, &ret_opened->handle);
    }
    if (r < 0)
        sf_pages_unclaim(view, place, shared);
    else
        sf_pages_bypass(view, place, text->len, ret_opened);
    return r;
}

static int open_directory(SfView *view, uint64_t inode, const Place *place, SfViewRequest request,
                          SfViewHandle **ret_handle)
{
    SfKeepNew entry = {.owner = sf_container_number(view->container),
                       .kind = SF_KEEP_KIND_DIRECTORY,
                       .place = inode,
                       .opened_by = request};
    SF_SCRATCH SfText *text = sf_scratch_take();
    int no_events = -1;

    if (!sf_view_keep(view))
        return -ENOMEM;
    int r = list(view, place, text);
    if (r >= 0)
        r = check_share(view, text->len);
    return r < 0 ? r : open_own(view, &entry, place, text, &no_events, ret_handle);
}

bool sf_view_keeps(uint64_t kind)
{
    return kind == SF_KEEP_KIND_FILE || kind == SF_KEEP_KIND_DIRECTORY ||
           kind == SF_KEEP_KIND_PAGES || kind == SF_KEEP_KIND_SHARING;
}

bool sf_view_adopt(SfView *view, uint64_t id, int events_fd)
{
    SF_CLEANUP_FD int guard = events_fd;
    const SfKeepNote *note = sf_keep_note(sf_view_keep(view), id);
    SfSlice text = sf_keep_text(sf_view_keep(view), id);
    volatile char seen = 0;
    Place place;

    uint64_t kind = note ? atomic_load(&note->kind) : 0;
    if (kind == SF_KEEP_KIND_SHARING) {
        view->sharing_id = id;
        view->resumed = true;
        return true;
    }
    if (!note || !sf_view_place(view, atomic_load(&note->place), &place)) {
        sf_keep_remove(sf_view_keep(view), id);
        return false;
    }
    /* Mapped now: a fault in the middle of an answer is an error for the reader if we are killed.
     */
    for (size_t at = 0; at < text.len; at += 4096)
        seen = text.data[at];
    (void)seen;
    if (kind == SF_KEEP_KIND_PAGES)
        return sf_pages_adopt(view, id, &place);
    /* A file that nothing was written to yet has none that had to be stored. */
    int flags = (int)(atomic_load(&note->flags) & UINT32_MAX);
    if (guard < 0 && kind == SF_KEEP_KIND_FILE)
        guard = open_events(view, &place, flags);
    SfViewHandle *handle = sf_view_new_handle(view, id, &place, text.len);
    handle->directory = kind == SF_KEEP_KIND_DIRECTORY;
    handle->events_fd = guard < 0 ? -1 : sf_steal_fd(&guard);
    if (!handle->directory)
        (void)sf_pages_claim(view, &place, false, 0);
    if (sf_view_add_handle(view, handle))
        return true;
    if (!handle->directory)
        sf_pages_unclaim(view, &place, false);
    sf_view_free_handle(handle, true);
    return false;
}

static int open_inode(SfView *view, const Opening *opening, SfViewOpened *ret_opened)
{
    struct stat st;
    bool constant;
    Place place;

    if (!sf_view_place(view, opening->inode, &place))
        return -ENOENT;
    int r = sf_view_getattr(view, opening->inode, &st, &constant);
    if (r < 0)
        return r;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    if (S_ISLNK(st.st_mode))
        return -ELOOP;
    return open_file(view, &place, opening, ret_opened);
}

int sf_view_open_shared(SfView *view, uint64_t inode, int flags, pid_t tid, SfViewRequest request,
                        SfViewOpened *ret_opened)
{
    Opening opening = {inode, flags, tid, request, sf_view_shares(view)};

    return open_inode(view, &opening, ret_opened);
}

int sf_view_open(SfView *view, uint64_t inode, int flags, SfViewRequest request,
                 SfViewHandle **ret_handle)
{
    Opening opening = {inode, flags, 0, request, false};
    SfViewOpened opened;

    int r = open_inode(view, &opening, &opened);
    if (r >= 0)
        *ret_handle = opened.handle;
    return r;
}

int sf_view_open_directory(SfView *view, uint64_t inode, SfViewRequest request,
                           SfViewHandle **ret_handle)
{
    struct stat st;
    bool constant;
    Place place;

    if (!sf_view_place(view, inode, &place))
        return -ENOENT;
    int r = sf_view_getattr(view, inode, &st, &constant);
    if (r < 0)
        return r;
    if (!S_ISDIR(st.st_mode))
        return -ENOTDIR;
    return open_directory(view, inode, &place, request, ret_handle);
}

static int make_again(SfView *view, SfViewHandle *handle)
{
    SF_SCRATCH SfText *text = sf_scratch_take();

    int r = handle->directory ? list(view, &handle->place, text)
                              : sf_view_render(view, &handle->place, text);
    if (r >= 0)
        r = sf_keep_put(sf_view_keep(view), handle->id, text->data, text->len);
    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&view->lock);
    view->handle_bytes +=
        text->len - handle->len; /* an open file may grow past MAX_HANDLE_BYTES by a little */
    (void)pthread_mutex_unlock(&view->lock);
    handle->len = text->len;
    return 0;
}

/* At its beginning a handle that was read before gets what is there now; but not by a request that
 * has made the text already: its answer may have arrived. */
static int begin(SfView *view, SfViewHandle *handle, SfViewRequest request)
{
    SfKeepNote *note = sf_keep_note(sf_view_keep(view), handle->id);
    int r = 0;

    if (!note)
        return -EBADF;
    uint64_t flags = atomic_load(&note->flags);
    if (request != 0 && atomic_load(&note->asked_by) == request)
        return 0;
    if (flags & FLAG_BEGUN)
        r = make_again(view, handle);
    if (r < 0)
        return r;
    atomic_store(&note->asked_by, request);
    atomic_store(&note->flags, flags | FLAG_BEGUN);
    return 0;
}

int sf_view_read(SfView *view, SfViewHandle *handle, uint64_t offset, size_t size, bool for_cache,
                 SfViewRequest request, SfSlice *ret_slice)
{
    SfViewHandle *owner =
        for_cache && !handle->shared ? sf_pages_owner(view, &handle->place) : NULL;
    int r = 0;

    /* The pages are one file's, whoever has them filled. */
    handle = owner ? owner : handle;
    if (handle->shared)
        sf_pages_settle(handle);
    else if (offset == 0 && !for_cache)
        r = begin(view, handle, request);
    if (r < 0)
        return r;
    SfSlice text = sf_keep_text(sf_view_keep(view), handle->id);
    if (offset >= text.len)
        *ret_slice = sf_slice("", 0);
    else
        *ret_slice = sf_slice(text.data + offset, MIN(size, text.len - (size_t)offset));
    return 0;
}

int sf_view_read_directory(SfView *view, SfViewHandle *handle, uint64_t index,
                           SfViewRequest request, SfSlice *ret_rest)
{
    int r = index == 0 ? begin(view, handle, request) : 0;
    SfViewEntry entry;

    if (r < 0)
        return r;
    *ret_rest = sf_keep_text(sf_view_keep(view), handle->id);
    while (index > 0 && sf_view_next_entry(ret_rest, &entry))
        index--;
    return 0;
}

static void release(SfViewHandle *handle, bool unknown)
{
    SfView *view = handle->view;

    (void)pthread_mutex_lock(&view->lock);
    atomic_store(&handles[sf_keep_slot(handle->id)], NULL);
    g_queue_unlink(&view->open_files, &handle->link);
    view->handle_bytes -= handle->len;
    view->event_count -= handle->events_fd >= 0;
    (void)pthread_mutex_unlock(&view->lock);
    if (handle->shared) {
        sf_pages_close(handle, unknown);
        return;
    }
    if (!handle->directory)
        sf_pages_unclaim(view, &handle->place, false);
    sf_view_free_handle(handle, true);
}

void sf_view_release(SfView *view, SfViewHandle *handle)
{
    if (handle)
        release(handle, false);
}

void sf_view_abandon(SfViewHandle *handle)
{
    release(handle, true);
}

void sf_view_each_handle(SfView *view, void (*each)(SfViewHandle *handle, void *data), void *data)
{
    for (GList *link = view->open_files.head; link;) {
        SfViewHandle *handle = link->data;
        link = link->next;
        each(handle, data);
    }
}

void sf_view_end(SfView *view)
{
    (void)pthread_mutex_lock(&view->lock);
    view->ended = true;
    (void)pthread_mutex_unlock(&view->lock);
}

bool sf_view_has_ended(SfView *view)
{
    (void)pthread_mutex_lock(&view->lock);
    bool ended = view->ended;
    (void)pthread_mutex_unlock(&view->lock);
    return ended;
}

void sf_view_free_handles(SfView *view)
{
    for (GList *link; (link = g_queue_pop_head_link(&view->open_files));) {
        SfViewHandle *handle = link->data;
        atomic_store(&handles[sf_keep_slot(handle->id)], NULL);
        if (!handle->shared)
            sf_view_free_handle(handle, view->ended);
    }
    for (unsigned i = 0; i < view->node_count; i++)
        sf_pages_free(view->nodes[i].pages, view->ended);
    if (view->ended && view->sharing_id != 0)
        sf_keep_remove(sf_view_keep(view), view->sharing_id);
}

uint64_t sf_view_handle_id(const SfViewHandle *handle)
{
    return handle->id;
}

SfViewHandle *sf_view_handle(SfView *view, uint64_t id)
{
    const SfKeepNote *note = sf_keep_note(sf_view_keep(view), id);

    /* The entry first: another view's handle in the slot may be freed by another thread. */
    if (!note || atomic_load(&note->owner) != sf_container_number(view->container))
        return NULL;
    SfViewHandle *handle = atomic_load(&handles[sf_keep_slot(id)]);
    return handle && handle->id == id ? handle : NULL;
}

/* Another handle that the request has opened, or NULL. */
static SfViewHandle *find_earlier(SfView *view, const SfViewHandle *handle, SfViewRequest request)
{
    SfViewHandle *found = NULL;

    (void)pthread_mutex_lock(&view->lock);
    for (GList *link = view->open_files.head; link && !found; link = link->next) {
        SfViewHandle *other = link->data;
        const SfKeepNote *note = sf_keep_note(sf_view_keep(view), other->id);
        if (other != handle && note && atomic_load(&note->opened_by) == request)
            found = other;
    }
    (void)pthread_mutex_unlock(&view->lock);
    return found;
}

void sf_view_forget_earlier(SfView *view, const SfViewHandle *handle)
{
    const SfKeepNote *note = sf_keep_note(sf_view_keep(view), handle->id);
    uint64_t request = note ? atomic_load(&note->opened_by) : 0;

    for (SfViewHandle *other; request && (other = find_earlier(view, handle, request));)
        release(other, true);
}

SfViewEvents sf_view_events(const SfViewHandle *handle)
{
    return (SfViewEvents){handle->events_fd, handle->id};
}

unsigned sf_view_all_events(SfView *view, SfViewEvents ret_events[SF_VIEW_MAX_EVENTS])
{
    unsigned count = 0;

    (void)pthread_mutex_lock(&view->lock);
    for (GList *link = view->open_files.head; link && count < SF_VIEW_MAX_EVENTS;
         link = link->next) {
        const SfViewHandle *handle = link->data;
        if (handle->events_fd >= 0)
            ret_events[count++] = sf_view_events(handle);
    }
    (void)pthread_mutex_unlock(&view->lock);
    return count;
}

void sf_view_set_waiter(SfViewHandle *handle, uint64_t waiter)
{
    SfKeepNote *note = sf_keep_note(sf_view_keep(handle->view), handle->id);

    if (note)
        atomic_store(&note->waiter, waiter);
}

uint64_t sf_view_waiter(const SfViewHandle *handle)
{
    const SfKeepNote *note = sf_keep_note(sf_view_keep(handle->view), handle->id);

    return note ? atomic_load(&note->waiter) : 0;
}

int sf_view_write(SfViewHandle *handle, const char *data, size_t len, SfViewRequest request)
{
    SfKeepNote *note = sf_keep_note(sf_view_keep(handle->view), handle->id);
    ssize_t n;

    if (handle->events_fd < 0 || !note)
        return -EBADF;
    len = MIN(len, INT_MAX);
    bool again = request != 0 && atomic_load(&note->asked_by) == request;
    atomic_store(&note->asked_by, request);
    do
        n = write(handle->events_fd, data, len);
    while (n < 0 && errno == EINTR);
    /* Written before we died, and a second trigger is refused. */
    if (n < 0 && errno == EBUSY && again)
        return (int)len;
    return n < 0 ? -errno : (int)n;
}

unsigned sf_view_poll(const SfViewHandle *handle)
{
    /* What procfs says of a file that nobody waits on, and PSI of one without a trigger
     * (fs/select.c, DEFAULT_POLLMASK). */
    struct pollfd state = {.fd = handle->events_fd, .events = POLLIN | POLLPRI | POLLOUT};

    if (handle->events_fd < 0 || poll(&state, 1, 0) < 0)
        return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
    return (unsigned)(unsigned short)state.revents;
}

int sf_view_truncate(SfView *view, uint64_t inode)
{
    Place place;

    if (!sf_view_place(view, inode, &place))
        return -ENOENT;
    const SfProvider *provider = place.below ? NULL : sf_view_provider(place.node);
    return provider && provider->ops->open_events ? 0 : -EPERM;
}
