/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The FUSE operations, each a few lines between the kernel's question and the view's answer, and
 * the arrangement that lets one libfuse session serve all connections (codec.h). Everything is
 * answered synchronously, by the thread that took the request: that is what makes a thread-local
 * "connection being served" right.
 */

#define FUSE_USE_VERSION 314

#include "daemon/fuse/codec.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <glib.h>
#include <limits.h>
#include <linux/fuse.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>

#include "lib/base/scratch.h"

/* Set in the number of a request that the kernel sends again (linux/fuse.h, since 6.9). */
#define UNIQUE_RESEND (UINT64_C(1) << 63)

/* Most replies, and most texts, are shorter. */
#define FLAT_BYTES 4096

#define CACHE_FOREVER_SEC (365.0 * 24 * 3600)
/* A changed limit is seen after that at the latest. */
#define CACHE_SHORT_SEC 0.1
/* Of names that were absent while a CPU came, say. */
#define CACHE_NEVER_SEC 10

struct SfCodec {
    struct fuse_session *session; /* owned */
    SfPoller *poller;             /* borrowed */
    SfCodecHooks hooks;
    /* The reply to the first INIT, kept whole. Written and read by the main thread only. */
    char init_reply[sizeof(struct fuse_out_header) + sizeof(struct fuse_init_out)];
    size_t init_reply_len; /* 0: no INIT was answered yet */
    bool shares;           /* what was negotiated allows files to share pages */
};

/* What the calling thread is serving; set around every call into libfuse. */
typedef struct Serving {
    struct fuse_session *session;
    const SfCodec *codec;
    int fd;
    uint64_t key;
    SfView *view;
    SfViewMount kind;
    SfViewRequest request;
    uint64_t waiter; /* of a POLL */
    bool again;
    SfCodecTurn turn;
    uint64_t told;
    SfCodec *keep_init; /* the reply is INIT's: keep it in this codec */
    int reply_error;    /* negative errno of writing the reply */
    SfCodecServed served;
} Serving;

static _Thread_local Serving *serving;

/* Every negative errno becomes a reply here. */
static void reply_error(fuse_req_t req, int r)
{
    (void)fuse_reply_err(req, -r); /* a failing write is noted in serving->reply_error */
}

/* How long names and attributes hold: those that never change while the view is mounted, and those
 * that a changed limit takes away. What is not there, and may be in a moment, is asked for each
 * time. */
static double cache_sec(bool constant)
{
    return constant ? CACHE_FOREVER_SEC : CACHE_SHORT_SEC;
}

/* The kernel's idea of a file's size may no longer be the view's: it shall ask before it uses it
 * again. No pages are touched: that would wait for a READ that only we can answer. */
static void forget_size(fuse_ino_t inode)
{
    (void)fuse_lowlevel_notify_inval_inode(serving->session, inode, -1,
                                           0); /* ENOENT: it has none */
}

static void op_init(void *data, struct fuse_conn_info *conn)
{
    SfCodec *codec = data;

    /* Pages go when a time or a size changes, and with nothing else of ours (daemon/view/pages.c).
     */
    codec->shares = (conn->capable & FUSE_CAP_AUTO_INVAL_DATA) != 0;
    conn->want |= conn->capable & FUSE_CAP_AUTO_INVAL_DATA;
    conn->want &= ~(unsigned)FUSE_CAP_ATOMIC_O_TRUNC;
    conn->max_write = SF_FUSE_MAX_IO;
    conn->max_readahead = 0;
    /* RELEASE is sent in the background, and of these the kernel has so many in the queue at once:
     * with its default of 12, more readers than that would open faster than they can close. */
    conn->max_background = UINT16_MAX;
}

/* The kernel remembers that there is none by the number 0, for absent_sec. */
static void reply_entry(fuse_req_t req, int r, struct fuse_entry_param *entry, bool constant,
                        double absent_sec)
{
    if (r < 0 && !(r == -ENOENT && absent_sec > 0)) {
        reply_error(req, r);
        return;
    }
    entry->ino = r < 0 ? 0 : entry->attr.st_ino;
    entry->entry_timeout = r < 0 ? absent_sec : cache_sec(constant);
    (void)fuse_reply_entry(req, entry);
}

static void lookup_constant(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    SfConstantAnswer answer;
    int r = sf_constant_lookup(serving->view, parent, name, &answer);
    struct fuse_entry_param entry = {.attr = answer.stat, .attr_timeout = cache_sec(answer.fixed)};

    double absent_sec = answer.constant ? CACHE_FOREVER_SEC : answer.never ? CACHE_NEVER_SEC : 0;
    reply_entry(req, r, &entry, answer.constant, absent_sec);
    if (answer.changed)
        forget_size(answer.stat.st_ino);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param entry = {0};
    bool constant;

    if (serving->kind == SF_MOUNT_CONSTANTS) {
        lookup_constant(req, parent, name);
        return;
    }
    int r = sf_view_lookup(serving->view, parent, name, &entry.attr, &constant);
    bool stale = r >= 0 && sf_view_is_stale(serving->view, entry.attr.st_ino);
    entry.attr_timeout = stale ? 0 : cache_sec(constant);
    reply_entry(req, r, &entry, constant, constant ? CACHE_FOREVER_SEC : 0);
}

static void getattr_of_constant(fuse_req_t req, fuse_ino_t inode, bool opened)
{
    SfConstantAnswer answer;
    int r = sf_constant_getattr(serving->view, inode, opened, fuse_req_ctx(req)->pid, &answer);

    if (r < 0)
        reply_error(req, r);
    else
        (void)fuse_reply_attr(req, &answer.stat, cache_sec(answer.fixed));
    if (answer.changed)
        forget_size(inode);
}

/* The answer to who only looks has the kernel drop every other one that is on its way: also one
 * that was to show a new text to a reader which began anew, and which would then read the old one
 * once more. So such a question is answered last, when no other is left that the kernel has asked.
 */
static SfViewAsked ask(fuse_req_t req, fuse_ino_t inode)
{
    if (serving->turn == SF_CODEC_WAITED) /* it has been looked at */
        return sf_view_is_stale(serving->view, inode)     ? SF_ASKED_STILL
               : sf_view_is_renewed(serving->view, inode) ? SF_ASKED_AFTER
                                                          : SF_ASKED_PLAIN;
    return sf_view_ask(serving->view, inode, fuse_req_ctx(req)->pid, serving->request);
}

static void op_getattr(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *fi)
{
    struct stat st;
    bool constant;

    if (serving->kind == SF_MOUNT_CONSTANTS) {
        getattr_of_constant(req, inode, fi != NULL);
        return;
    }
    SfViewAsked asked = ask(req, inode);
    bool may_wait = asked == SF_ASKED_STILL || asked == SF_ASKED_AFTER;
    if (may_wait && serving->turn == SF_CODEC_MAY_WAIT) {
        serving->served.waits = true;
        fuse_reply_none(req);
        return;
    }
    if (asked == SF_ASKED_LATER || asked == SF_ASKED_AFTER)
        serving->served.shown = inode;
    else if (asked == SF_ASKED_STILL && serving->told != inode)
        forget_size(inode); /* first: the answer is then good for this question only */
    serving->served.told = asked == SF_ASKED_STILL ? inode : 0;
    int r = sf_view_getattr(serving->view, inode, &st, &constant);
    if (r < 0)
        reply_error(req, r);
    else
        (void)fuse_reply_attr(req, &st, cache_sec(constant));
}

static void op_readlink(fuse_req_t req, fuse_ino_t inode)
{
    char text[PATH_MAX];
    int r = sf_view_read_link(serving->view, inode, text, sizeof(text));

    if (r < 0)
        reply_error(req, r);
    else
        (void)fuse_reply_readlink(req, text);
}

static void op_setattr(fuse_req_t req, fuse_ino_t inode, struct stat *st, int to_set,
                       struct fuse_file_info *fi)
{
    bool constant;
    int r = to_set & FUSE_SET_ATTR_SIZE ? sf_view_truncate(serving->view, inode) : -EPERM;

    if (r >= 0)
        r = sf_view_getattr(serving->view, inode, st, &constant);
    if (r < 0)
        reply_error(req, r);
    else
        (void)fuse_reply_attr(req, st, cache_sec(constant));
}

/* An opener that was killed meanwhile sends no RELEASE for the handle. Nor does one that had its
 * answer from a process that died: then this answer is refused. */
static void reply_open(fuse_req_t req, const struct fuse_file_info *fi, SfViewHandle *handle)
{
    (void)fuse_reply_open(req, fi);
    if (serving->reply_error < 0)
        sf_view_abandon(handle);
    else if (serving->again)
        sf_view_forget_earlier(serving->view, handle);
}

/* The open file that a request is about. NULL: the request was replied to. */
static SfViewHandle *handle_of(fuse_req_t req, const struct fuse_file_info *fi)
{
    SfViewHandle *handle = sf_view_handle(serving->view, fi->fh);

    if (!handle) /* kept by nobody when the process before this one died */
        reply_error(req, -ESTALE);
    return handle;
}

/* Of the text, what begins at the offset: nothing at its end, where it only makes the file larger
 * and waits for no page. */
static int store(fuse_ino_t inode, SfSlice text, size_t offset)
{
    struct fuse_bufvec buffer = FUSE_BUFVEC_INIT(text.len - offset);

    buffer.buf[0].mem = (void *)(text.data + offset); /* only read */
    int r = fuse_lowlevel_notify_store(serving->session, inode, (off_t)offset, &buffer, 0);
    r = r < 0 ? r : serving->reply_error;
    serving->reply_error = 0;
    return r;
}

/* share: not for a question that a dead process may have answered: whether that answer has arrived
 * is not known, and then the pages must stay. */
static int open_file(fuse_ino_t inode, int flags, pid_t tid, bool share, SfViewOpened *ret_opened)
{
    *ret_opened = (SfViewOpened){0};
    if (!share)
        return sf_view_open(serving->view, inode, flags, serving->request, &ret_opened->handle);
    int r = sf_view_open_shared(serving->view, inode, flags, tid, serving->request, ret_opened);
    if (r >= 0 && ret_opened->ask)
        forget_size(inode);
    if (r >= 0 && ret_opened->grow)
        (void)store(inode, ret_opened->text, ret_opened->text.len); /* read(2) needs no size */
    if (r < 0 || !ret_opened->store || store(inode, ret_opened->text, 0) >= 0)
        return r;
    sf_view_abandon(ret_opened->handle); /* no memory for pages */
    return open_file(inode, flags, tid, false, ret_opened);
}

static void op_open(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *fi)
{
    SfViewOpened opened;
    struct stat before, after;
    bool constant, sized = sf_view_shares(serving->view);

    if (serving->kind == SF_MOUNT_CONSTANTS) {
        reply_error(req, -ENOSYS); /* it never asks again (fs/fuse/file.c, fuse_file_open) */
        return;
    }
    int r = sized ? 0 : sf_view_getattr(serving->view, inode, &before, &constant);
    if (r >= 0)
        r = open_file(inode, fi->flags, fuse_req_ctx(req)->pid, !serving->again, &opened);
    if (r < 0) {
        reply_error(req, r);
        return;
    }
    fi->fh = sf_view_handle_id(opened.handle);
    fi->direct_io = !opened.paged; /* then each open has its own text */
    fi->keep_cache = !opened.drop; /* the pages may be another's */
    fi->noflush = 1;
    if (opened.paged)
        serving->served.shown = inode;
    else if (!sized && sf_view_getattr(serving->view, inode, &after, &constant) >= 0 &&
             after.st_size != before.st_size)
        forget_size(inode);
    reply_open(req, fi, opened.handle);
}

/* The page cache fills itself. */
static void read_constant(fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset)
{
    SF_SCRATCH SfText *text = sf_scratch_take();
    bool changed;
    int r = sf_constant_read(serving->view, inode, (uint64_t)offset, size, text, &changed);

    if (r < 0)
        reply_error(req, r);
    else
        (void)fuse_reply_buf(req, text->data, text->len);
    if (changed)
        forget_size(inode);
}

static void op_read(fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset,
                    struct fuse_file_info *fi)
{
    if (serving->kind == SF_MOUNT_CONSTANTS) {
        read_constant(req, inode, size, offset);
        return;
    }
    /* read(2) comes with the reader's lock owner (fs/fuse/file.c, fuse_direct_io), the page cache
     * filling itself has none. */
    bool for_cache = fi->lock_owner == 0;
    SfViewHandle *handle = handle_of(req, fi);
    SfSlice slice;

    if (!handle)
        return;
    int r = sf_view_read(serving->view, handle, (uint64_t)offset, size, for_cache, serving->request,
                         &slice);

    if (r < 0) {
        reply_error(req, r);
        return;
    }
    if (sf_view_is_shared(handle))
        serving->served.shown = inode;
    (void)fuse_reply_buf(req, slice.data, slice.len); /* the handle may be closed from here on */
    /* Where a cached read ended, the kernel now believes the file to end (fuse_read_update_size);
     * the next text may be longer. Not so where the pages are known: their size is. */
    if (for_cache && !sf_view_shares(serving->view))
        forget_size(inode);
}

static void op_write(fuse_req_t req, fuse_ino_t inode, const char *data, size_t size, off_t offset,
                     struct fuse_file_info *fi)
{
    const SfCodecHooks *hooks = &serving->codec->hooks;
    SfViewHandle *handle = handle_of(req, fi);

    if (!handle)
        return;
    int r = sf_view_write(handle, data, size, serving->request);
    if (r < 0) {
        reply_error(req, r);
        return;
    }
    if (hooks->hold_events)
        hooks->hold_events(hooks->data, sf_view_events(handle));
    (void)fuse_reply_write(req, (size_t)r);
}

/* Watched first: an event that comes before the question is then either found by it or told. The
 * kernel's number of the waiter is in the request; libfuse's handle of it is of no use to another
 * process. */
static void op_poll(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *fi,
                    struct fuse_pollhandle *poll_handle)
{
    bool wait = poll_handle != NULL;
    SfViewHandle *handle = handle_of(req, fi);
    int r = 0;

    if (poll_handle)
        fuse_pollhandle_destroy(poll_handle);
    if (!handle)
        return;
    SfViewEvents events = sf_view_events(handle);
    if (events.fd >= 0 && wait) {
        sf_view_set_waiter(handle, serving->waiter);
        r = sf_poller_watch(serving->codec->poller, serving->key, events, serving->waiter);
    }
    if (r < 0) {
        reply_error(req, r);
        return;
    }
    unsigned state = sf_view_poll(handle);
    if (events.fd >= 0 && sf_poller_take_event(serving->codec->poller, events))
        state |= POLLPRI;
    (void)fuse_reply_poll(req, state);
}

static void drop_events(const SfCodec *codec, SfViewEvents events)
{
    if (codec->hooks.drop_events)
        codec->hooks.drop_events(codec->hooks.data, events);
}

void sf_codec_end_files(const SfCodec *codec, SfView *view)
{
    SfViewEvents events[SF_VIEW_MAX_EVENTS];
    unsigned count = sf_view_has_ended(view) ? sf_view_all_events(view, events) : 0;

    for (unsigned i = 0; i < count; i++)
        drop_events(codec, events[i]);
}

static void op_release(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *fi)
{
    SfViewHandle *handle = sf_view_handle(serving->view, fi->fh);

    /* Without one: released by a process that died before it could say so. */
    if (handle && sf_view_events(handle).fd >= 0) {
        sf_poller_forget(serving->codec->poller, sf_view_events(handle));
        drop_events(serving->codec, sf_view_events(handle));
    }
    if (handle && sf_view_is_shared(handle))
        serving->served.closed = inode;
    sf_view_release(serving->view, handle);
    reply_error(req, 0);
}

static void op_opendir(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *fi)
{
    SfViewHandle *handle;
    int r = sf_view_open_directory(serving->view, inode, serving->request, &handle);

    if (r < 0) {
        reply_error(req, r);
        return;
    }
    fi->fh = sf_view_handle_id(handle);
    reply_open(req, fi, handle);
}

/* An entry's offset is the number of the next one. */
static void op_readdir(fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset,
                       struct fuse_file_info *fi)
{
    char buffer[4096];
    size_t room = MIN(size, sizeof(buffer)), used = 0;
    SfViewHandle *handle = handle_of(req, fi);
    SfViewEntry entry;
    SfSlice rest;

    if (!handle)
        return;
    int r =
        sf_view_read_directory(serving->view, handle, (uint64_t)offset, serving->request, &rest);

    if (r < 0) {
        reply_error(req, r);
        return;
    }
    while (sf_view_next_entry(&rest, &entry)) {
        struct stat st = {.st_ino = entry.inode, .st_mode = entry.mode};
        size_t need = fuse_add_direntry(req, buffer + used, room - used, entry.name, &st, ++offset);
        if (need > room - used)
            break;
        used += need;
    }
    (void)fuse_reply_buf(req, buffer, used);
}

static void op_statfs(fuse_req_t req, fuse_ino_t inode)
{
    struct statvfs st = {.f_bsize = 4096, .f_frsize = 4096, .f_namemax = 255}; /* as procfs */

    (void)fuse_reply_statfs(req, &st);
}

static const struct fuse_lowlevel_ops operations = {
    .init = op_init,
    .lookup = op_lookup,
    .getattr = op_getattr,
    .readlink = op_readlink,
    .setattr = op_setattr,
    .open = op_open,
    .read = op_read,
    .write = op_write,
    .poll = op_poll,
    .release = op_release,
    .opendir = op_opendir,
    .readdir = op_readdir,
    .releasedir = op_release,
    .statfs = op_statfs,
};

/* The parts, one behind the other, as far as they fit: how long that is. */
static size_t join(const struct iovec *iov, int count, char *buffer, size_t size)
{
    size_t len = 0;

    for (int i = 0; i < count && len + iov[i].iov_len <= size; i++) {
        memcpy(buffer + len, iov[i].iov_base, iov[i].iov_len);
        len += iov[i].iov_len;
    }
    return len;
}

/* In one piece: the kernel looks up the page of each part anew (0.3 us). */
static ssize_t write_flat(const struct iovec *iov, int count)
{
    _Alignas(FLAT_BYTES) char flat[FLAT_BYTES];

    return write(serving->fd, flat, join(iov, count, flat, sizeof(flat)));
}

/* libfuse's replies come out here. It is told that all went well: it would only print what went
 * wrong (ENOENT: the asking process was killed; ENODEV: the view was unmounted), both of which are
 * ordinary. */
static ssize_t write_reply(int fd, struct iovec *iov, int count, void *data)
{
    size_t len = 0;
    ssize_t n;

    for (int i = 0; i < count; i++)
        len += iov[i].iov_len;
    if (serving->keep_init)
        serving->keep_init->init_reply_len = join(iov, count, serving->keep_init->init_reply,
                                                  sizeof(serving->keep_init->init_reply));
    do
        n = len <= FLAT_BYTES ? write_flat(iov, count) : writev(serving->fd, iov, count);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        serving->reply_error = -errno;
    return (ssize_t)len;
}

/* libfuse insists on having one; requests are read by the server. */
static ssize_t read_nothing(int fd, void *buffer, size_t len, void *data)
{
    errno = ENOSYS;
    return -1;
}

G_GNUC_PRINTF(2, 0)
static void log_libfuse(enum fuse_log_level level, const char *format, va_list arguments)
{
    char *message = g_strdup_vprintf(format, arguments);

    g_debug("libfuse: %s", g_strchomp(message));
    g_free(message);
}

int sf_codec_new(SfPoller *poller, const SfCodecHooks *hooks, SfCodec **ret_codec)
{
    static const struct fuse_custom_io io = {.writev = write_reply, .read = read_nothing};
    char *argv[] = {(char *)"sysfsd", NULL};
    struct fuse_args args = FUSE_ARGS_INIT(1, argv);
    SfCodec *codec = g_new0(SfCodec, 1);

    codec->poller = poller;
    if (hooks)
        codec->hooks = *hooks;
    fuse_set_log_func(log_libfuse);
    codec->session = fuse_session_new(&args, &operations, sizeof(operations), codec);
    fuse_opt_free_args(&args);
    if (!codec->session) {
        g_free(codec);
        return -ENOMEM;
    }
    /* The session closes the fd it is given when it is destroyed; it is used for nothing else. */
    SF_CLEANUP_FD int placeholder = open("/dev/null", O_RDWR | O_CLOEXEC);
    int r = placeholder < 0 ? -errno : fuse_session_custom_io(codec->session, &io, placeholder);
    if (r < 0) {
        sf_codec_free(codec);
        return r;
    }
    (void)sf_steal_fd(&placeholder); /* the session's now */
    *ret_codec = codec;
    return 0;
}

void sf_codec_free(SfCodec *codec)
{
    if (!codec)
        return;
    fuse_session_destroy(codec->session);
    g_free(codec);
}

/* Hands one request to libfuse; returns the error of writing its reply. */
static int process(SfCodec *codec, Serving *now, char *request, size_t len)
{
    struct fuse_buf buffer = {.mem = request, .size = len};

    serving = now;
    fuse_session_process_buf(codec->session, &buffer);
    serving = NULL;
    return now->reply_error;
}

SfCodecServed sf_codec_serve(SfCodec *codec, const SfCodecPeer *peer, char *request, size_t len,
                             bool again)
{
    const struct fuse_in_header *header = (const struct fuse_in_header *)request;
    const struct fuse_poll_in *poll_in = (const struct fuse_poll_in *)(header + 1);
    Serving now = {.session = codec->session,
                   .codec = codec,
                   .fd = peer->fd,
                   .key = peer->key,
                   .view = peer->view,
                   .kind = peer->kind,
                   .turn = peer->turn,
                   .told = peer->told,
                   .again = again};

    /* The kernel never does that; without a header there is nobody to answer. */
    if (len < sizeof(*header))
        return now.served;
    /* Each connection counts its own, in steps of two (FUSE_REQ_ID_STEP); the view's open files are
     * of both. */
    now.request = (header->unique & ~UNIQUE_RESEND) | (peer->kind == SF_MOUNT_CONSTANTS);
    now.again |= (header->unique & UNIQUE_RESEND) != 0;
    if (header->opcode == FUSE_POLL && len >= sizeof(*header) + sizeof(*poll_in))
        now.waiter = poll_in->kh;
    switch (header->opcode) {
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET: /* inodes are not counted; neither has a reply */
    case FUSE_INTERRUPT: /* its ids are per connection and libfuse would match another's; no reply
                            is due */
    case FUSE_NOTIFY_REPLY:
    case FUSE_DESTROY: /* libfuse would take it for the end of the whole session; only fuseblk waits
                          for a reply */
        break;
    default:
        (void)process(codec, &now, request, len);
    }
    return now.served;
}

void sf_codec_forget_attributes(SfCodec *codec, const SfCodecPeer *peer, uint64_t inode)
{
    Serving now = {.session = codec->session, .fd = peer->fd};

    serving = &now;
    forget_size(inode);
    serving = NULL;
}

bool sf_codec_shares(const SfCodec *codec)
{
    return codec->shares;
}

void sf_codec_refuse(int fd, const char *request, int error)
{
    const struct fuse_in_header *header = (const struct fuse_in_header *)request;
    struct fuse_out_header reply = {
        .len = sizeof(reply), .error = -error, .unique = header->unique & ~UNIQUE_RESEND};
    ssize_t n;
    do
        n = write(fd, &reply, sizeof(reply));
    while (n < 0 && errno == EINTR); /* ENOENT: nobody waits any more */
}

void sf_codec_tell_event(int fd, uint64_t waiter)
{
    struct {
        struct fuse_out_header header;
        struct fuse_notify_poll_wakeup_out wakeup;
    } message = {.header = {.len = sizeof(message), .error = FUSE_NOTIFY_POLL},
                 .wakeup = {.kh = waiter}};
    ssize_t n;

    do
        n = write(fd, &message, sizeof(message));
    while (n < 0 && errno == EINTR); /* ENOENT: nobody waits any more */
}

int sf_codec_answer_init(SfCodec *codec, SfViewMount kind, int fd, char *request, size_t len)
{
    const struct fuse_in_header *header = (const struct fuse_in_header *)request;
    struct {
        struct fuse_out_header header;
        struct fuse_init_out init;
    } reply;

    if (len < sizeof(*header) + sizeof(uint32_t) * 4 || header->opcode != FUSE_INIT)
        return -EPROTO;
    if (codec->init_reply_len == 0) {
        Serving now = {.fd = fd, .keep_init = codec};
        return process(codec, &now, request, len);
    }
    memcpy(&reply, codec->init_reply, sizeof(reply));
    reply.header.unique = header->unique;
    if (kind == SF_MOUNT_CONSTANTS)
        reply.init.max_readahead = SF_FUSE_MAX_IO; /* else a request for each page */
    return write(fd, &reply, codec->init_reply_len) < 0 ? -errno : 0;
}

bool sf_codec_is_ready(const SfCodec *codec)
{
    return codec->init_reply_len > 0;
}
