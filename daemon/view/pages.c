/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel's page cache has of a file, which all opens of it share.
 *
 * One open file at a time has its text there, and only if no other is open: then nobody can be
 * reading from the pages, nor be waiting for us with one of them locked, when they are written. Who
 * opens it meanwhile has every read asked for.
 *
 * Where the text ends is the kernel's idea of the file's size. Storing makes it larger and never
 * smaller, so a text is stored only where that idea cannot be larger. It gets smaller in a thread
 * that takes in attributes; such an answer can be dropped by the kernel, when it was told meanwhile
 * that attributes may have changed. So a smaller size is counted on only when a thread comes with
 * another question that got it as the answer to the one before: an open asks for attributes first
 * (default_permissions).
 *
 * Reads from pages are not seen here. So that a reader which keeps its file open and comes back to
 * the beginning (top, vmstat) sees new values, the kernel is told after a moment that the file's
 * attributes may have changed, which waits for nobody. It then asks for them before the next read,
 * in the name of the thread that reads; where that one reads from says whether it began anew. The
 * answer with another time or size makes the kernel drop the pages, in that thread
 * (AUTO_INVAL_DATA). It, too, can be dropped: the new text stands only once pages are asked for,
 * and the former one comes back where somebody goes on reading instead. Others who only look are
 * answered when it has been taken in, as far as can be (daemon/fuse/codec.c).
 */

#include <errno.h>
#include <fcntl.h>

#include "daemon/view/view_private.h"
#include "lib/base/fd.h"
#include "lib/base/hash.h"
#include "lib/base/scratch.h"

/* Where nobody can say from where a thread reads, a text this old is made anew, if for as long
 * nobody was seen in the middle of it. */
#define UNSEEN_NSEC (UINT64_C(1000) * 1000 * 1000)
#define NSEC_PER_SEC UINT64_C(1000000000)
#define FRESH_NSEC (SF_VIEW_SHARED_MSEC * UINT64_C(1000000))
/* After that an answer was taken in or dropped, even by a thread that waits for a CPU. */
#define TAKEN_NSEC (10 * FRESH_NSEC)
/* After that also what the kernel takes in without looking whether it was told since: the answer to
 * truncate(2), and the first attributes of an inode that it had dropped. A text that is stored
 * before may be cut by that, and is stored again. */
#define SETTLED_NSEC (10 * TAKEN_NSEC)

static Pages *pages_of(SfView *view, const Place *place)
{
    return place->below ? NULL : view->nodes[place->node].pages;
}

static Pages *pages_at(SfView *view, uint64_t inode)
{
    Place place;

    return sf_view_place(view, inode, &place) ? pages_of(view, &place) : NULL;
}

/* The thread has taken in what it was offered. */
static void accept(Pages *pages, pid_t tid)
{
    if (pages->offered > 0 && tid != 0 && pages->offered_to == tid) {
        pages->size = MIN(pages->size, pages->offered);
        pages->offered = 0;
    }
}

/* Of a file that nobody has read: as procfs has it. What another process has shown is not known. */
static uint64_t first_size(const SfView *view)
{
    return view->resumed || !sf_view_shares(view) ? SIZE_UNKNOWN : 0;
}

/* The kernel is told to ask: it drops what is on its way to it. */
static void recall(Pages *pages)
{
    pages->told_least = SIZE_UNKNOWN;
    pages->told_most = 0;
}

/* Made where there are none. Under the lock. */
static Pages *need_pages(SfView *view, unsigned node)
{
    Pages *pages = view->nodes[node].pages;

    if (!pages) {
        pages = view->nodes[node].pages = g_new0(Pages, 1);
        pages->size = pages->told_most = first_size(view);
    }
    return pages;
}

/* An open file with a text of its own, which may come into the pages. Under the lock. */
static void add_other(Pages *pages)
{
    pages->others++;
    pages->stored = false;
}

bool sf_pages_claim(SfView *view, const Place *place, bool share, pid_t tid)
{
    bool shared = false;

    if (place->below)
        return false;
    (void)pthread_mutex_lock(&view->lock);
    Pages *pages = need_pages(view, place->node);
    accept(pages, tid);
    shared = share && !pages->open && pages->others == 0;
    if (shared)
        pages->open = true;
    else
        add_other(pages);
    (void)pthread_mutex_unlock(&view->lock);
    return shared;
}

bool sf_pages_fit(SfView *view, const Place *place, size_t len)
{
    Pages *pages = pages_of(view, place);

    (void)pthread_mutex_lock(&view->lock);
    bool fits = len >= pages->size;
    if (!fits) {
        pages->open = false;
        add_other(pages);
    }
    (void)pthread_mutex_unlock(&view->lock);
    return fits;
}

/* sendfile(2) goes through the pages all the same. They are dropped, and filled again with the text
 * of the file it reads from, but where another open file's text is in them: then it sends that. */
void sf_pages_bypass(SfView *view, const Place *place, size_t len, SfViewOpened *opened)
{
    Pages *pages = pages_of(view, place);

    if (!pages || !sf_view_shares(view))
        return;
    (void)pthread_mutex_lock(&view->lock);
    opened->drop = !pages->open;
    opened->grow = opened->drop && len > pages->size;
    opened->ask =
        opened->grow || (opened->drop && pages->others == 1 && len > 0 && len < pages->size);
    if (opened->grow) {
        opened->text = sf_keep_text(sf_view_keep(view), opened->handle->id);
        pages->size = len;
        pages->offered = 0;
    } else if (opened->ask) {
        pages->offered = len;
        pages->offered_to = 0;
    }
    if (opened->ask)
        recall(pages);
    (void)pthread_mutex_unlock(&view->lock);
}

/* Nobody can ask for it any more. */
static void drop_text(SfView *view, Pages *pages)
{
    sf_text_clear(&pages->former);
    if (pages->shared && sf_keep_text(sf_view_keep(view), pages->shared->id).len > 0 &&
        sf_keep_put(sf_view_keep(view), pages->shared->id, "", 0) < 0)
        g_debug("a text is kept for nobody"); /* an empty one needs no memory */
}

void sf_pages_unclaim(SfView *view, const Place *place, bool shared)
{
    Pages *pages = pages_of(view, place);

    if (!pages)
        return;
    (void)pthread_mutex_lock(&view->lock);
    if (shared)
        pages->open = false;
    else
        pages->others--;
    if (!pages->open && pages->others == 0)
        drop_text(view, pages);
    (void)pthread_mutex_unlock(&view->lock);
}

/* The entry in the keep says that the file is open only when all else of it is there. */
static int write_entry(SfView *view, const Place *place, const SfText *text, int flags,
                       SfViewRequest request, Pages *pages)
{
    SfKeep *keep = sf_view_keep(view);
    SfKeepNew entry = {.owner = sf_container_number(view->container),
                       .kind = SF_KEEP_KIND_PAGES,
                       .place = sf_tree()->nodes[place->node].inode,
                       .flags = (uint32_t)flags | FLAG_OPEN,
                       .opened_by = request};
    uint64_t id;

    if (!pages->shared) {
        int r = sf_keep_add(keep, &entry, text->data, text->len, &id);
        if (r < 0)
            return r;
        pages->shared = sf_view_new_handle(view, id, place, text->len);
        pages->shared->shared = true;
        return 0;
    }
    SfKeepNote *note = sf_keep_note(keep, pages->shared->id);
    int r = note ? sf_keep_put(keep, pages->shared->id, text->data, text->len) : -ENOENT;
    if (r < 0)
        return r;
    atomic_store(&note->opened_by, request);
    atomic_store(&note->asked_by, 0);
    atomic_store(&note->flags, entry.flags);
    pages->shared->len = text->len;
    return 0;
}

static void mark_closed(const SfViewHandle *handle)
{
    SfKeepNote *note = sf_keep_note(sf_view_keep(handle->view), handle->id);

    if (note)
        atomic_store(&note->flags, 0);
}

int sf_pages_fill(SfView *view, const Place *place, const SfText *text, int flags,
                  SfViewRequest request, SfViewOpened *ret_opened)
{
    Pages *pages = pages_of(view, place);

    int r = write_entry(view, place, text, flags, request, pages);
    if (r >= 0 && !sf_view_add_handle(view, pages->shared)) {
        mark_closed(pages->shared);
        r = -ENFILE;
    }
    if (r < 0) {
        sf_pages_unclaim(view, place, true);
        return r == -ENOSPC ? -ENFILE : r;
    }
    uint64_t hash = sf_hash(text->data, text->len);
    (void)pthread_mutex_lock(&view->lock);
    uint64_t now = sf_view_nsec(); /* not before what others have noted */
    *ret_opened = (SfViewOpened){.handle = pages->shared,
                                 .paged = true,
                                 .text = sf_keep_text(sf_view_keep(view), pages->shared->id)};
    /* Another size that a thread is still to take in would cut this text. */
    ret_opened->ask = pages->told_least < text->len || pages->told_most > text->len;
    if (ret_opened->ask)
        recall(pages);
    if (pages->size != text->len || pages->offered > 0)
        pages->other_nsec = now;
    bool settled = now - pages->other_nsec > SETTLED_NSEC;
    ret_opened->store = ret_opened->ask || !settled || !pages->stored || pages->stored_hash != hash;
    pages->stored = settled; /* if it cannot be, the file is given up (sf_pages_close) */
    pages->stored_hash = hash;
    pages->size = text->len;
    pages->offered = 0;
    pages->stale = pages->renewed = false;
    pages->made_nsec = now;
    (void)pthread_mutex_unlock(&view->lock);
    return 0;
}

void sf_pages_close(SfViewHandle *handle, bool unknown)
{
    SfView *view = handle->view;
    Pages *pages = view->nodes[handle->place.node].pages;

    mark_closed(handle);
    (void)pthread_mutex_lock(&view->lock);
    if (unknown) {
        pages->size = SIZE_UNKNOWN;
        pages->stored = false;
    }
    pages->stale = pages->renewed = pages->open = false;
    if (pages->others == 0)
        drop_text(view, pages);
    (void)pthread_mutex_unlock(&view->lock);
}

SfViewHandle *sf_pages_owner(SfView *view, const Place *place)
{
    Pages *pages = pages_of(view, place);
    SfViewHandle *owner = NULL;

    if (!pages)
        return NULL;
    (void)pthread_mutex_lock(&view->lock);
    if (pages->shared && sf_keep_text(sf_view_keep(view), pages->shared->id).len > 0)
        owner = pages->shared;
    (void)pthread_mutex_unlock(&view->lock);
    return owner;
}

void sf_pages_settle(SfViewHandle *handle)
{
    SfView *view = handle->view;
    Pages *pages = view->nodes[handle->place.node].pages;

    (void)pthread_mutex_lock(&view->lock);
    pages->renewed = false;
    sf_text_reset(&pages->former);
    (void)pthread_mutex_unlock(&view->lock);
}

SfViewExpired sf_view_expire(SfView *view, uint64_t inode)
{
    Pages *pages = pages_at(view, inode);

    if (!pages)
        return SF_EXPIRED_NOT;
    (void)pthread_mutex_lock(&view->lock);
    bool expired = pages->open && pages->shared && !pages->stale;
    /* But where it was dropped nobody may ask for that text before it is old. */
    bool yet = expired && pages->renewed && sf_view_nsec() - pages->made_nsec < TAKEN_NSEC;
    expired &= !yet;
    pages->stale |= expired;
    if (expired)
        recall(pages);
    (void)pthread_mutex_unlock(&view->lock);
    return yet ? SF_EXPIRED_YET : expired ? SF_EXPIRED : SF_EXPIRED_NOT;
}

static bool is_fresh(const Pages *pages)
{
    return pages->renewed && sf_view_nsec() - pages->made_nsec < FRESH_NSEC;
}

bool sf_view_is_renewed(SfView *view, uint64_t inode)
{
    Pages *pages = pages_at(view, inode);

    if (!pages)
        return false;
    (void)pthread_mutex_lock(&view->lock);
    bool renewed = pages->open && is_fresh(pages);
    (void)pthread_mutex_unlock(&view->lock);
    return renewed;
}

bool sf_view_is_stale(SfView *view, uint64_t inode)
{
    Pages *pages = pages_at(view, inode);

    if (!pages)
        return false;
    (void)pthread_mutex_lock(&view->lock);
    bool stale = pages->open && pages->stale;
    (void)pthread_mutex_unlock(&view->lock);
    return stale;
}

/* Exchanges the text that the pages are to show. renewed: for one that the kernel may not take. */
static int show(Pages *pages, const char *text, size_t len, uint64_t changes, bool renewed)
{
    SfViewHandle *handle = pages->shared;
    SfView *view = handle->view;
    SfKeep *keep = sf_view_keep(view);
    SfKeepNote *note = sf_keep_note(keep, handle->id);

    int r = note ? sf_keep_put(keep, handle->id, text, len) : -EBADF;
    if (r < 0)
        return r;
    atomic_store(&note->waiter, changes); /* nobody waits on such a file */
    (void)pthread_mutex_lock(&view->lock);
    view->handle_bytes += len - handle->len;
    handle->len = len;
    pages->size = MAX(pages->size, len); /* until a thread has taken it in */
    pages->changes = changes;
    pages->renewed = renewed;
    pages->stored = false;
    pages->made_nsec = sf_view_nsec();
    (void)pthread_mutex_unlock(&view->lock);
    return 0;
}

/* A new text for a reader that began anew. */
static int renew(Pages *pages, SfViewRequest request)
{
    SF_SCRATCH SfText *text = sf_scratch_take();
    SfView *view = pages->shared->view;
    SfKeepNote *note = sf_keep_note(sf_view_keep(view), pages->shared->id);
    SfSlice now = sf_keep_text(sf_view_keep(view), pages->shared->id);

    int r = note ? sf_view_render(view, &pages->shared->place, text) : -EBADF;
    if (r < 0)
        return r;
    if (!pages->renewed) {
        sf_text_reset(&pages->former);
        sf_text_slice(&pages->former, now);
    }
    if (pages->former.error)
        return pages->former.error;
    atomic_store(&note->asked_by, request);
    return show(pages, text->data, text->len, pages->changes + 1, true);
}

/* The kernel has dropped the answer that showed the new text. It is to ask again before it reads
 * on: nothing else may be due that tells it to. */
static void take_back(Pages *pages)
{
    SfView *view = pages->shared->view;
    bool back = pages->former.len > 0 &&
                show(pages, pages->former.data, pages->former.len, pages->changes - 1, false) == 0;

    (void)pthread_mutex_lock(&view->lock);
    if (back)
        sf_text_reset(&pages->former);
    pages->stale = true;
    (void)pthread_mutex_unlock(&view->lock);
}

typedef enum Reading {
    READING_NOT,    /* it looks at attributes only, or that cannot be seen */
    READING_BEGINS, /* from the beginning */
    READING_ON,     /* from the middle or the end */
} Reading;

static Reading reading(SfView *view, Pages *pages, pid_t tid)
{
    uint64_t offset, now = sf_view_nsec();

    int r = sf_view_read_offset(view, tid, &offset);
    if (r == -EAGAIN && now - MAX(pages->made_nsec, pages->read_on_nsec) > UNSEEN_NSEC)
        return READING_BEGINS;
    if (r < 0)
        return READING_NOT;
    if (offset > 0 && offset < pages->shared->len)
        pages->read_on_nsec = now;
    return offset == 0 ? READING_BEGINS : READING_ON;
}

SfViewAsked sf_view_ask(SfView *view, uint64_t inode, pid_t tid, SfViewRequest request)
{
    Pages *pages = pages_at(view, inode);
    bool stale, renewed;

    if (!pages)
        return SF_ASKED_PLAIN;
    (void)pthread_mutex_lock(&view->lock);
    pages->offered_to = tid;
    stale = pages->open && pages->stale;
    renewed = pages->open && pages->renewed;
    (void)pthread_mutex_unlock(&view->lock);
    if (!stale && !renewed)
        return SF_ASKED_PLAIN;
    const SfKeepNote *note = sf_keep_note(sf_view_keep(view), pages->shared->id);
    Reading how = reading(view, pages, tid);
    /* Made by a process that died, for this very question. */
    if (request != 0 && note && atomic_load(&note->asked_by) == request)
        how = READING_NOT;
    if (how == READING_ON && renewed)
        take_back(pages);
    /* Who only looks gets an answer for itself: after it, who comes back is still to be asked. But
     * not while the answer to such a one is on its way, which is not to be told away. */
    if (how == READING_ON || (how == READING_NOT && !renewed))
        return SF_ASKED_STILL;
    /* One that was made a moment ago is on its way. */
    bool fresh = is_fresh(pages);
    if (how == READING_BEGINS && !fresh && renew(pages, request) < 0)
        return SF_ASKED_STILL;
    (void)pthread_mutex_lock(&view->lock);
    pages->stale = false;
    (void)pthread_mutex_unlock(&view->lock);
    return how == READING_NOT && fresh ? SF_ASKED_AFTER : SF_ASKED_LATER;
}

void sf_view_share(SfView *view)
{
    SfKeepNew entry = {.owner = sf_container_number(view->container), .kind = SF_KEEP_KIND_SHARING};

    if (view->sharing_id == 0 && (!sf_view_keep(view) || sf_keep_add(sf_view_keep(view), &entry, "",
                                                                     0, &view->sharing_id) < 0))
        view->sharing_id = 0; /* every read is asked for */
}

bool sf_view_shares(const SfView *view)
{
    return view->sharing_id != 0;
}

bool sf_view_is_shared(const SfViewHandle *handle)
{
    return handle->shared;
}

uint64_t sf_view_handle_inode(const SfViewHandle *handle)
{
    return handle->place.below ? SF_VIEW_BELOW + handle->place.below->number
                               : sf_tree()->nodes[handle->place.node].inode;
}

/* Others that were opened later may have been taken up before. */
static bool claim_again(SfView *view, const Place *place)
{
    bool free = false;

    if (place->below)
        return false;
    (void)pthread_mutex_lock(&view->lock);
    Pages *pages = need_pages(view, place->node);
    free = !pages->open;
    pages->open = true;
    (void)pthread_mutex_unlock(&view->lock);
    return free;
}

bool sf_pages_adopt(SfView *view, uint64_t id, const Place *place)
{
    const SfKeepNote *note = sf_keep_note(sf_view_keep(view), id);

    if (!note || !(atomic_load(&note->flags) & FLAG_OPEN) || !claim_again(view, place)) {
        sf_keep_remove(sf_view_keep(view), id);
        return false;
    }
    Pages *pages = pages_of(view, place);
    size_t len = sf_keep_text(sf_view_keep(view), id).len;
    pages->shared = sf_view_new_handle(view, id, place, len);
    pages->shared->shared = true;
    pages->size = SIZE_UNKNOWN; /* of a longer text before it, perhaps */
    pages->changes = atomic_load(&note->waiter);
    pages->made_nsec = sf_view_nsec();
    pages->stale = true; /* whether the kernel was told is not known: it may ask at any time */
    if (sf_view_add_handle(view, pages->shared))
        return true;
    mark_closed(pages->shared);
    sf_pages_unclaim(view, place, true);
    return false;
}

void sf_pages_free(Pages *pages, bool forget)
{
    if (!pages)
        return;
    if (pages->shared)
        sf_view_free_handle(pages->shared, forget);
    sf_text_clear(&pages->former);
    g_free(pages);
}

/* plain: of a file that does not use pages. */
static uint64_t shown_size(const SfView *view, const Pages *pages, uint64_t plain)
{
    if (!pages)
        return view->resumed ? plain : 0;
    if (pages->open)
        return pages->shared ? pages->shared->len : pages->size;
    if (pages->offered > 0)
        return pages->offered;
    return pages->size == SIZE_UNKNOWN ? plain : pages->size;
}

void sf_pages_stat(SfView *view, unsigned node, struct stat *stat)
{
    (void)pthread_mutex_lock(&view->lock);
    Pages *pages = view->nodes[node].pages;
    if (sf_view_shares(view) && S_ISREG(stat->st_mode))
        stat->st_size = (off_t)shown_size(view, pages, (uint64_t)stat->st_size);
    if (pages) {
        uint64_t size = (uint64_t)stat->st_size;
        pages->told_least = MIN(pages->told_least, size);
        pages->told_most = MAX(pages->told_most, size);
        if (size != pages->size)
            pages->other_nsec = sf_view_nsec();
        stat->st_mtim.tv_sec += (time_t)(pages->changes / NSEC_PER_SEC);
        stat->st_mtim.tv_nsec += (long)(pages->changes % NSEC_PER_SEC);
        if (stat->st_mtim.tv_nsec >= (long)NSEC_PER_SEC) {
            stat->st_mtim.tv_nsec -= (long)NSEC_PER_SEC;
            stat->st_mtim.tv_sec++;
        }
    }
    (void)pthread_mutex_unlock(&view->lock);
}
