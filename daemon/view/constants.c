/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that change with limits and hotplug only, as they are served to a connection on which
 * nothing is opened (SF_MOUNT_CONSTANTS): the kernel reads them from its pages, and asks for
 * attributes when those are SF_CONSTANT_MSEC old. Size and time are made of the text, so that the
 * answer is another exactly when the text is, and the kernel then drops the pages in the asking
 * thread (AUTO_INVAL_DATA).
 *
 * What the pages are filled from is the text whose size was told last, also where the file's has
 * changed since: a text that does not fit its size would be cut, or be followed by NUL bytes.
 */

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "daemon/view/view_private.h"
#include "lib/base/hash.h"
#include "lib/base/scratch.h"

#define NSEC_PER_SEC UINT64_C(1000000000)
/* Files whose attributes are known. */
#define HELD 16
/* A longer text goes when the pages have all of it: each container may have one of each file. */
#define SMALL_BYTES 4096u
/* Where nobody can say from where a thread reads, a text this old is made anew. */
#define UNSEEN_NSEC (UINT64_C(1000) * 1000 * 1000)
/* Who reads on after so long finds what is there now. */
#define GOES_ON_NSEC (60 * NSEC_PER_SEC)

/* What was told of a file last. */
typedef struct Held {
    uint64_t inode; /* 0: none */
    uint64_t made_nsec;
    size_t len;
    long stamp; /* nanoseconds of its time */
    bool has_text;
    SfText text; /* owned */
} Held;

struct SfConstants {
    pthread_mutex_t lock; /* of the rest; held for copying only */
    unsigned next;        /* the one that has been there for longest */
    Held held[HELD];
};

static SfConstants *new_constants(void)
{
    SfConstants *constants = g_new0(SfConstants, 1);

    (void)pthread_mutex_init(&constants->lock, NULL); /* cannot fail without attributes */
    return constants;
}

void sf_constants_free(SfConstants *constants)
{
    if (!constants)
        return;
    for (unsigned i = 0; i < HELD; i++)
        sf_text_clear(&constants->held[i].text);
    (void)pthread_mutex_destroy(&constants->lock);
    g_free(constants);
}

/* Made when the first one is read: most views have it, those of containers that are only registered
 * do not. */
static SfConstants *constants_of(SfView *view)
{
    SfConstants *constants = atomic_load(&view->constants);

    if (constants)
        return constants;
    SfConstants *fresh = new_constants();
    if (atomic_compare_exchange_strong(&view->constants, &constants, fresh))
        return fresh;
    sf_constants_free(fresh); /* another thread was first */
    return constants;
}

static Held *find(SfConstants *constants, uint64_t inode)
{
    for (unsigned i = 0; i < HELD; i++) {
        if (constants->held[i].inode == inode)
            return &constants->held[i];
    }
    return NULL;
}

static void show(struct stat *stat, size_t len, long stamp)
{
    stat->st_size = (off_t)len;
    stat->st_mtim.tv_nsec = stamp;
}

/* fill: pages are being filled. *ret_changed: it is another text than before. */
static long hold(SfView *view, uint64_t inode, const SfText *text, bool fill, bool *ret_changed)
{
    SfConstants *constants = constants_of(view);
    long stamp = (long)(sf_hash(text->data, text->len) % NSEC_PER_SEC);

    (void)pthread_mutex_lock(&constants->lock);
    Held *held = find(constants, inode);
    if (!held) {
        held = &constants->held[constants->next++ % HELD];
        sf_text_clear(&held->text); /* another file's, which may have been large */
        *held = (Held){.text = SF_TEXT_INIT};
    }
    *ret_changed = held->inode == inode && (held->len != text->len || held->stamp != stamp);
    bool same = held->inode == inode && !*ret_changed;
    if (fill || !same || held->has_text || text->len <= SMALL_BYTES) { /* else the pages have it */
        sf_text_reset(&held->text);
        sf_text_append(&held->text, text->data, text->len);
        held->has_text = !held->text.error; /* no memory: made again when it is read */
    }
    held->inode = inode;
    held->len = text->len;
    held->stamp = stamp;
    held->made_nsec = sf_view_nsec();
    (void)pthread_mutex_unlock(&constants->lock);
    return stamp;
}

/* What is held of a file but its text: false when nothing is. */
static bool what_is_held(SfView *view, uint64_t inode, Held *ret_held)
{
    SfConstants *constants = constants_of(view);

    (void)pthread_mutex_lock(&constants->lock);
    const Held *held = find(constants, inode);
    if (held)
        *ret_held = *held;
    (void)pthread_mutex_unlock(&constants->lock);
    ret_held->text = (SfText)SF_TEXT_INIT;
    return held != NULL;
}

/* Appends that part of the text that is held: false when none is. */
static bool copy_held(SfView *view, uint64_t inode, uint64_t offset, size_t size, SfText *text)
{
    SfConstants *constants = constants_of(view);

    (void)pthread_mutex_lock(&constants->lock);
    Held *held = find(constants, inode);
    bool found = held && held->has_text;
    if (found) {
        size_t from = (size_t)MIN(offset, (uint64_t)held->len);
        size_t len = MIN(size, held->len - from);
        sf_text_append(text, held->text.data + from, len);
        if (from + len == held->len && held->len > SMALL_BYTES) {
            sf_text_clear(&held->text);
            held->has_text = false;
        }
    }
    (void)pthread_mutex_unlock(&constants->lock);
    return found;
}

/* The text of now, held. */
static int make(SfView *view, uint64_t inode, bool fill, SfText *text, long *ret_stamp,
                bool *ret_changed)
{
    Place place;

    if (!sf_view_place(view, inode, &place))
        return -ENOENT;
    if (!place.below && !sf_view_provider(place.node))
        return -EISDIR;
    int r = sf_view_render(view, &place, text);
    if (r >= 0)
        *ret_stamp = hold(view, inode, text, fill, ret_changed);
    return r;
}

/* What cannot be made now is what it was: the pages have that. A file that cannot be read at all
 * has attributes all the same; who reads it gets the error, if the kernel asks: it does not where
 * the file is empty. */
static bool make_and_show(SfView *view, SfConstantAnswer *answer)
{
    SF_SCRATCH SfText *text = sf_scratch_take();
    uint64_t inode = answer->stat.st_ino;
    Held held;
    long stamp;

    if (make(view, inode, false, text, &stamp, &answer->changed) >= 0)
        show(&answer->stat, text->len, stamp);
    else if (what_is_held(view, inode, &held))
        show(&answer->stat, held.len, held.stamp);
    else {
        answer->stat.st_size = MAX(answer->stat.st_size, (off_t)SMALL_BYTES);
        return false;
    }
    return true;
}

static bool is_fixed(const SfView *view, uint64_t inode)
{
    Place place;

    if (!sf_view_place(view, inode, &place) || !place.below)
        return false;
    const SfProviderOps *ops = sf_view_provider(place.node)->ops;
    return ops->fixed && ops->fixed(place.below->relative);
}

/* A name that the host does not have, and will not, in a directory that is there: those of a CPU
 * come and go with it. */
static bool is_never(SfView *view, uint64_t parent, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    bool constant;
    Place place;

    if (!sf_view_place(view, parent, &place) || !place.below ||
        sf_view_stat_below(view, place.below, &st, &constant) < 0)
        return false;
    const SfProviderOps *ops = sf_view_provider(place.node)->ops;
    int n = g_snprintf(path, sizeof(path), "%s/%s", place.below->relative, name);
    return n > 0 && (size_t)n < sizeof(path) && ops->fixed && ops->fixed(path);
}

int sf_constant_lookup(SfView *view, uint64_t parent, const char *name,
                       SfConstantAnswer *ret_answer)
{
    *ret_answer = (SfConstantAnswer){0};
    int r = sf_view_lookup(view, parent, name, &ret_answer->stat, &ret_answer->constant);

    ret_answer->never = r == -ENOENT && !ret_answer->constant && is_never(view, parent, name);
    ret_answer->fixed = ret_answer->constant;
    if (r >= 0 && S_ISREG(ret_answer->stat.st_mode)) {
        ret_answer->fixed =
            make_and_show(view, ret_answer) && is_fixed(view, ret_answer->stat.st_ino);
    }
    return r;
}

/* Whether the thread goes on reading what it has begun: it shall find the rest of that text. */
static bool goes_on(SfView *view, pid_t tid, uint64_t made_nsec)
{
    uint64_t offset;

    uint64_t age_nsec = sf_view_nsec() - made_nsec;
    int r = sf_view_read_offset(view, tid, &offset);
    if (r == -EAGAIN)
        return age_nsec <= UNSEEN_NSEC;
    return age_nsec <= GOES_ON_NSEC && (r < 0 || offset > 0);
}

int sf_constant_getattr(SfView *view, uint64_t inode, bool opened, pid_t tid,
                        SfConstantAnswer *ret_answer)
{
    Held held;

    *ret_answer = (SfConstantAnswer){0};
    int r = sf_view_getattr(view, inode, &ret_answer->stat, &ret_answer->fixed);
    if (r < 0 || !S_ISREG(ret_answer->stat.st_mode))
        return r;
    ret_answer->fixed = is_fixed(view, inode);
    if (opened && what_is_held(view, inode, &held) && goes_on(view, tid, held.made_nsec))
        show(&ret_answer->stat, held.len, held.stamp);
    else
        ret_answer->fixed &= make_and_show(view, ret_answer);
    return 0;
}

void sf_constants_each_told(SfView *view, void (*each)(uint64_t inode, void *data), void *data)
{
    SfConstants *constants = atomic_load(&view->constants);
    uint64_t inodes[HELD];
    unsigned count = 0;

    if (!constants)
        return;
    (void)pthread_mutex_lock(&constants->lock);
    for (unsigned i = 0; i < HELD; i++) {
        if (constants->held[i].inode != 0)
            inodes[count++] = constants->held[i].inode;
    }
    (void)pthread_mutex_unlock(&constants->lock);
    for (unsigned i = 0; i < count; i++)
        each(inodes[i], data);
}

int sf_constant_read(SfView *view, uint64_t inode, uint64_t offset, size_t size, SfText *text,
                     bool *ret_changed)
{
    SF_SCRATCH SfText *whole = sf_scratch_take();
    long stamp;

    *ret_changed = false;
    if (copy_held(view, inode, offset, size, text))
        return text->error;
    int r = make(view, inode, true, whole, &stamp, ret_changed);
    if (r >= 0 && offset < whole->len)
        sf_text_append(text, whole->data + offset, MIN(size, whole->len - (size_t)offset));
    return r < 0 ? r : text->error;
}
