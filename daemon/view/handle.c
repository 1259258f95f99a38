/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an open file or directory holds. A text is made once, by the open that asks for it, so a
 * reader never sees two instants mixed; a listing likewise. Must not know which provider answers.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "daemon/view/view_private.h"
#include "lib/base/fd.h"

/* Bytes of text that all open files of one view may hold together (ENFILE past it; the first is
 * always allowed). */
#define MAX_HANDLE_BYTES (32u << 20)

struct SfViewHandle {
    GList link; /* in SfView.open_files */
    Place place;
    bool directory;
    bool begun; /* somebody has read from the text's beginning */
    char *text; /* owned; NULL when empty */
    size_t len;
    SfViewEvents events; /* its fd is owned */
};

static uint64_t monotonic_nsec(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int render(SfView *view, const Place *place, SfText *text)
{
    Node *node = &view->nodes[place->node];
    uint64_t begin = monotonic_nsec();
    int r = place->below ? sf_view_render_below(view, place->below, text)
                         : sf_view_provider(place->node)->ops->render(view->container, text);

    if (r >= 0 && text->error)
        r = text->error;
    if (r >= 0 && !place->below && text->len > atomic_load(&node->size))
        atomic_store(&node->size, sf_view_size_for(text->len));
    sf_view_count_open(node, r, monotonic_nsec() - begin);
    return r;
}

static int list(SfView *view, const Place *place, SfText *text)
{
    int r = sf_view_list(view, place, text);

    return r < 0 ? r : text->error;
}

/* Puts the handle among the open files; false when the view has too many. */
static bool add_handle(SfView *view, SfViewHandle *handle)
{
    (void)pthread_mutex_lock(&view->lock);
    bool fits = view->open_files.length < SF_VIEW_MAX_HANDLES &&
                (view->handle_bytes == 0 || view->handle_bytes + handle->len <= MAX_HANDLE_BYTES);
    if (handle->events.fd >= 0)
        fits = fits && view->event_count < SF_VIEW_MAX_EVENTS;
    if (fits) {
        view->event_count += handle->events.fd >= 0;
        g_queue_push_tail_link(&view->open_files, &handle->link);
        view->handle_bytes += handle->len;
    }
    (void)pthread_mutex_unlock(&view->lock);
    return fits;
}

static void free_handle(SfViewHandle *handle)
{
    (void)sf_close(handle->events.fd);
    free(handle->text); /* SfText's memory is malloc's */
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

static int open_place(SfView *view, const Place *place, bool directory, int flags,
                      SfViewHandle **ret_handle)
{
    static _Atomic uint64_t last_id;
    SF_CLEANUP_TEXT SfText text = SF_TEXT_INIT;
    SF_CLEANUP_FD int events_fd = directory ? -1 : open_events(view, place, flags);

    if (events_fd < -1)
        return events_fd;
    int r = directory ? list(view, place, &text) : render(view, place, &text);
    if (r < 0)
        return r;
    SfViewHandle *handle = g_new0(SfViewHandle, 1);
    handle->link.data = handle;
    handle->place = *place;
    handle->directory = directory;
    handle->text = sf_text_steal(&text, &handle->len);
    handle->events = (SfViewEvents){sf_steal_fd(&events_fd), atomic_fetch_add(&last_id, 1) + 1};
    if (!add_handle(view, handle)) {
        free_handle(handle);
        return -ENFILE;
    }
    *ret_handle = handle;
    return 0;
}

int sf_view_open(SfView *view, uint64_t inode, int flags, SfViewHandle **ret_handle)
{
    struct stat st;
    bool constant;
    Place place;

    if (!sf_view_place(view, inode, &place))
        return -ENOENT;
    int r = sf_view_getattr(view, inode, &st, &constant);
    if (r < 0)
        return r;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    if (S_ISLNK(st.st_mode))
        return -ELOOP;
    return open_place(view, &place, false, flags, ret_handle);
}

int sf_view_open_directory(SfView *view, uint64_t inode, SfViewHandle **ret_handle)
{
    struct stat st;
    bool constant;
    Place place;

    if (!sf_view_place(view, inode, &place))
        return -ENOENT;
    int r = sf_view_getattr(view, inode, &st, &constant);
    if (r < 0)
        return r;
    return S_ISDIR(st.st_mode) ? open_place(view, &place, true, O_RDONLY, ret_handle) : -ENOTDIR;
}

static int make_again(SfView *view, SfViewHandle *handle)
{
    SF_CLEANUP_TEXT SfText text = SF_TEXT_INIT;
    size_t len;

    int r =
        handle->directory ? list(view, &handle->place, &text) : render(view, &handle->place, &text);
    if (r < 0)
        return r;
    char *fresh = sf_text_steal(&text, &len);
    (void)pthread_mutex_lock(&view->lock);
    view->handle_bytes +=
        len - handle->len; /* an open file may grow past MAX_HANDLE_BYTES by a little */
    (void)pthread_mutex_unlock(&view->lock);
    free(handle->text);
    handle->text = fresh;
    handle->len = len;
    return 0;
}

/* At its beginning a handle that was read before gets what is there now. */
static int begin(SfView *view, SfViewHandle *handle)
{
    int r = handle->begun ? make_again(view, handle) : 0;

    if (r >= 0)
        handle->begun = true;
    return r;
}

int sf_view_read(SfView *view, SfViewHandle *handle, uint64_t offset, size_t size, bool for_cache,
                 SfSlice *ret_slice)
{
    int r = offset == 0 && !for_cache ? begin(view, handle) : 0;

    if (r < 0)
        return r;
    if (offset >= handle->len)
        *ret_slice = sf_slice("", 0);
    else
        *ret_slice = sf_slice(handle->text + offset, MIN(size, handle->len - (size_t)offset));
    return 0;
}

int sf_view_read_directory(SfView *view, SfViewHandle *handle, uint64_t index, SfSlice *ret_rest)
{
    int r = index == 0 ? begin(view, handle) : 0;
    SfViewEntry entry;

    if (r < 0)
        return r;
    *ret_rest = sf_slice(handle->text, handle->len);
    while (index > 0 && sf_view_next_entry(ret_rest, &entry))
        index--;
    return 0;
}

void sf_view_release(SfView *view, SfViewHandle *handle)
{
    if (!handle)
        return;
    (void)pthread_mutex_lock(&view->lock);
    g_queue_unlink(&view->open_files, &handle->link);
    view->handle_bytes -= handle->len;
    view->event_count -= handle->events.fd >= 0;
    (void)pthread_mutex_unlock(&view->lock);
    free_handle(handle);
}

SfViewEvents sf_view_events(const SfViewHandle *handle)
{
    return handle->events;
}

int sf_view_write(SfViewHandle *handle, const char *data, size_t len)
{
    ssize_t n;

    if (handle->events.fd < 0)
        return -EBADF;
    do
        n = write(handle->events.fd, data, MIN(len, INT_MAX));
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : (int)n;
}

unsigned sf_view_poll(const SfViewHandle *handle)
{
    /* What procfs says of a file that nobody waits on, and PSI of one without a trigger
     * (fs/select.c, DEFAULT_POLLMASK). */
    struct pollfd state = {.fd = handle->events.fd, .events = POLLIN | POLLPRI | POLLOUT};

    if (handle->events.fd < 0 || poll(&state, 1, 0) < 0)
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
