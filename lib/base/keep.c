/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The memory file: a head, the journals, a table of entries, and a heap of texts.
 *
 * Only what is in the file survives, and of it only what a living entry points to: which blocks of
 * the heap are free is each process's own knowledge, made anew from the entries. So nothing has to
 * be undone after a death. An entry lives from the moment its owner is written, last; a text is
 * exchanged by writing the other of two descriptions and then which one holds.
 *
 * The heap is cut in segments, each of blocks of one power of two. What must not be here: any idea
 * of what the texts are.
 */

#include "lib/base/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/base/fd.h"
#include "lib/base/text.h"

#define MAGIC UINT64_C(0x7065656b66737973) /* "sysfkeep" */

#define HEAD_BYTES 4096u
#define TABLE_OFFSET (UINT64_C(16) << 20)
#define HEAP_OFFSET (UINT64_C(64) << 20)
#define SEGMENT_BYTES (UINT64_C(1) << 20)
#define SEGMENTS ((unsigned)(SF_KEEP_HEAP_BYTES / SEGMENT_BYTES))
#define CLASS_MIN 6u  /* 64 bytes */
#define CLASS_MAX 20u /* a segment; larger texts have segments of their own */
#define CLASSES (CLASS_MAX + 1)
/* From here on the memory of a free block is given back. */
#define CLASS_PUNCH 16u
/* Up to this one (8 KiB) a thread has some free blocks of its own. */
#define CLASS_OWN 13u
#define OWN_BLOCKS 4u

typedef struct Head {
    uint64_t magic;
    uint64_t layout;         /* sizes of what follows; another build may have others */
    _Atomic uint32_t used;   /* entries ever used */
    _Atomic uint32_t former; /* processes that had it before */
} Head;

typedef struct Description {
    uint64_t offset; /* in the heap */
    uint64_t len;
} Description;

typedef struct Entry {
    SfKeepNote note; /* owner 0: free */
    _Atomic uint32_t generation;
    _Atomic uint32_t current; /* which of the two holds */
    Description text[2];
} Entry;

/* So that one that exchanges a text needs no lock. Lost with the thread, until another process
 * looks for free blocks. */
typedef struct OwnBlocks {
    uint64_t serial; /* whose they are */
    unsigned count[CLASS_OWN + 1];
    uint64_t offset[CLASS_OWN + 1][OWN_BLOCKS];
} OwnBlocks;

static _Thread_local OwnBlocks own_blocks;

struct SfKeep {
    uint64_t serial; /* of this process's keeps */
    int fd;
    char *map;
    Head *head;
    Entry *entries;
    char *heap;
    uint32_t entries_max; /* constant once something is added, as the next */
    unsigned segments_max;
    _Atomic uint64_t taken_bytes; /* of blocks that living texts have */
    _Atomic unsigned count;       /* living entries */

    pthread_mutex_t lock;   /* protects everything below; held for list work */
    uint32_t *free_entries; /* a stack */
    unsigned free_count;
    uint64_t *free_blocks[CLASSES]; /* a stack of offsets each */
    unsigned block_count[CLASSES], block_room[CLASSES];
    unsigned segments;                     /* the file has */
    unsigned char segment_class[SEGMENTS]; /* 0: free; CLASS_MAX + 1: part of a large text */
};

static uint64_t layout(void)
{
    return (uint64_t)sizeof(Entry) << 32 | SF_KEEP_JOURNAL_BYTES;
}

static unsigned class_of(size_t len)
{
    unsigned class = CLASS_MIN;

    while (class <= CLASS_MAX && len > (UINT64_C(1) << class))
        class ++;
    return class;
}

/* What a text takes up in the heap. */
static uint64_t block_bytes(size_t len)
{
    unsigned class = class_of(len);

    if (len == 0)
        return 0;
    return class <= CLASS_MAX ? UINT64_C(1) << class
                              : (len + SEGMENT_BYTES - 1) / SEGMENT_BYTES * SEGMENT_BYTES;
}

/* A text of one length is there instead of one of another. */
static void account(SfKeep *keep, size_t before, size_t now)
{
    uint64_t more = block_bytes(now) - block_bytes(before); /* or less: it wraps */

    if (more != 0)
        atomic_fetch_add(&keep->taken_bytes, more);
}

static int push_block(SfKeep *keep, unsigned class, uint64_t offset)
{
    if (keep->block_count[class] == keep->block_room[class]) {
        unsigned room = keep->block_room[class] ? keep->block_room[class] * 2 : 64;
        uint64_t *grown = realloc(keep->free_blocks[class], room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        keep->free_blocks[class] = grown;
        keep->block_room[class] = room;
    }
    keep->free_blocks[class][keep->block_count[class]++] = offset;
    return 0;
}

/* A run of free segments, at the end of the file if need be; -ENOSPC. */
static int take_segments(SfKeep *keep, unsigned wanted, unsigned char class)
{
    unsigned run = 0, at = 0;

    for (; at < keep->segments_max && run < wanted; at++)
        run = keep->segment_class[at] == 0 ? run + 1 : 0;
    if (run < wanted)
        return -ENOSPC;
    if (at > keep->segments) {
        if (ftruncate(keep->fd, (off_t)(HEAP_OFFSET + at * SEGMENT_BYTES)) < 0)
            return -errno;
        keep->segments = at;
    }
    for (unsigned i = at - wanted; i < at; i++)
        keep->segment_class[i] = class;
    return (int)(at - wanted);
}

static void give_back(SfKeep *keep, uint64_t offset, uint64_t len)
{
    (void)fallocate(keep->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    (off_t)(HEAP_OFFSET + offset), (off_t)len); /* costs only memory if not */
}

/* Under the lock, as what follows. */
static int take_block(SfKeep *keep, size_t len, uint64_t *ret_offset)
{
    unsigned class = class_of(len);

    if (class > CLASS_MAX) {
        int first = take_segments(keep, (unsigned)((len + SEGMENT_BYTES - 1) / SEGMENT_BYTES),
                                  CLASS_MAX + 1);
        if (first < 0)
            return first;
        *ret_offset = (uint64_t)first * SEGMENT_BYTES;
        return 0;
    }
    if (keep->block_count[class] == 0) {
        int segment = take_segments(keep, 1, (unsigned char)class);
        if (segment < 0)
            return segment;
        uint64_t start = (uint64_t)segment * SEGMENT_BYTES;
        for (uint64_t at = SEGMENT_BYTES; at > 0; at -= UINT64_C(1) << class) {
            if (push_block(keep, class, start + at - (UINT64_C(1) << class)) < 0)
                break; /* less of them then */
        }
        if (keep->block_count[class] == 0)
            return -ENOMEM;
    }
    *ret_offset = keep->free_blocks[class][--keep->block_count[class]];
    return 0;
}

/* The thread's own free blocks of this keep. */
static OwnBlocks *own(const SfKeep *keep)
{
    if (own_blocks.serial != keep->serial)
        own_blocks = (OwnBlocks){.serial = keep->serial};
    return &own_blocks;
}

/* Not under the lock, as what is above. */
static int take(SfKeep *keep, size_t len, uint64_t *ret_offset)
{
    unsigned class = class_of(len);

    if (class <= CLASS_OWN && own(keep)->count[class] > 0) {
        *ret_offset = own_blocks.offset[class][--own_blocks.count[class]];
        return 0;
    }
    (void)pthread_mutex_lock(&keep->lock);
    int r = take_block(keep, len, ret_offset);
    (void)pthread_mutex_unlock(&keep->lock);
    return r;
}

static void free_block(SfKeep *keep, const Description *text)
{
    unsigned class = class_of(text->len);

    if (text->len == 0)
        return;
    if (class > CLASS_MAX) {
        uint64_t first = text->offset / SEGMENT_BYTES;
        uint64_t n = (text->len + SEGMENT_BYTES - 1) / SEGMENT_BYTES;
        give_back(keep, text->offset, n * SEGMENT_BYTES);
        for (uint64_t i = first; i < first + n; i++)
            keep->segment_class[i] = 0;
        return;
    }
    if (class >= CLASS_PUNCH)
        give_back(keep, text->offset, UINT64_C(1) << class);
    (void)push_block(keep, class,
                     text->offset); /* without memory the block is lost until the next start */
}

static void give(SfKeep *keep, const Description *text)
{
    unsigned class = class_of(text->len);

    if (text->len == 0)
        return;
    if (class <= CLASS_OWN && own(keep)->count[class] < OWN_BLOCKS) {
        own_blocks.offset[class][own_blocks.count[class]++] = text->offset;
        return;
    }
    (void)pthread_mutex_lock(&keep->lock);
    free_block(keep, text);
    (void)pthread_mutex_unlock(&keep->lock);
}

/* ---- taking over ---- */

static bool is_whole(const SfKeep *keep, const Description *text)
{
    return text->len <= SF_TEXT_MAX && text->offset + text->len <= keep->segments * SEGMENT_BYTES;
}

/* Which segments the living texts are in. An entry that points elsewhere was not written by us. */
static void mark_segments(SfKeep *keep, uint32_t used)
{
    for (uint32_t i = 0; i < used; i++) {
        Entry *entry = &keep->entries[i];
        if (atomic_load(&entry->note.owner) == 0)
            continue;
        const Description *text = &entry->text[atomic_load(&entry->current) & 1];
        unsigned class = class_of(text->len);
        if (!is_whole(keep, text)) {
            atomic_store(&entry->note.owner, 0);
            continue;
        }
        account(keep, 0, text->len);
        if (text->len == 0)
            continue;
        uint64_t first = text->offset / SEGMENT_BYTES;
        uint64_t n = class > CLASS_MAX ? (text->len + SEGMENT_BYTES - 1) / SEGMENT_BYTES : 1;
        for (uint64_t k = first; k < first + n && k < keep->segments; k++)
            keep->segment_class[k] = (unsigned char)class;
    }
}

static int compare_offsets(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* The blocks of used segments that no living text is in. */
static int find_free_blocks(SfKeep *keep, uint32_t used)
{
    SF_CLEANUP_FREE uint64_t *living = calloc(used + 1u, sizeof(*living));
    size_t n = 0, next = 0;

    if (!living)
        return -ENOMEM;
    for (uint32_t i = 0; i < used; i++) {
        const Entry *entry = &keep->entries[i];
        const Description *text = &entry->text[atomic_load(&entry->current) & 1];
        if (atomic_load(&entry->note.owner) != 0 && text->len > 0)
            living[n++] = text->offset;
    }
    qsort(living, n, sizeof(*living), compare_offsets);
    for (unsigned segment = 0; segment < keep->segments; segment++) {
        unsigned class = keep->segment_class[segment];
        uint64_t start = segment * SEGMENT_BYTES;
        if (class == 0 || class > CLASS_MAX)
            continue;
        for (uint64_t at = start; at < start + SEGMENT_BYTES; at += UINT64_C(1) << class) {
            while (next < n && living[next] < at)
                next++;
            if ((next == n || living[next] != at) && push_block(keep, class, at) < 0)
                return -ENOMEM;
        }
    }
    return 0;
}

static int take_over(SfKeep *keep)
{
    uint32_t used = atomic_load(&keep->head->used);

    if (keep->head->magic != MAGIC || keep->head->layout != layout() || used > SF_KEEP_ENTRIES_MAX)
        return -EBADMSG;
    atomic_fetch_add(&keep->head->former, 1);
    mark_segments(keep, used);
    for (uint32_t i = used; i-- > 0;) {
        if (atomic_load(&keep->entries[i].note.owner) != 0)
            keep->count++;
        else
            keep->free_entries[keep->free_count++] = i;
    }
    return find_free_blocks(keep, used);
}

static int map_file(SfKeep *keep, bool fresh)
{
    struct stat st;

    if (fresh && ftruncate(keep->fd, (off_t)HEAP_OFFSET) < 0)
        return -errno;
    if (fstat(keep->fd, &st) < 0)
        return -errno;
    if (st.st_size < (off_t)HEAP_OFFSET)
        return -EBADMSG;
    keep->segments =
        (unsigned)sf_min_u64(((uint64_t)st.st_size - HEAP_OFFSET) / SEGMENT_BYTES, SEGMENTS);
    keep->map = mmap(NULL, HEAP_OFFSET + SF_KEEP_HEAP_BYTES, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_NORESERVE, keep->fd, 0);
    if (keep->map == MAP_FAILED) {
        keep->map = NULL;
        return -errno;
    }
    keep->head = (Head *)keep->map;
    keep->entries = (Entry *)(keep->map + TABLE_OFFSET);
    keep->heap = keep->map + HEAP_OFFSET;
    if (fresh) {
        keep->head->layout = layout();
        keep->head->magic = MAGIC;
    }
    return 0;
}

int sf_keep_open(int fd, SfKeep **ret_keep)
{
    bool fresh = fd < 0;
    SF_CLEANUP_FD int guard = fresh ? memfd_create("sysfsd", MFD_CLOEXEC) : fd;
    SfKeep *keep = guard < 0 ? NULL : calloc(1, sizeof(*keep));
    int r = guard < 0 ? -errno : -ENOMEM;

    _Static_assert(TABLE_OFFSET + SF_KEEP_ENTRIES_MAX * sizeof(Entry) <= HEAP_OFFSET, "table");
    _Static_assert(HEAD_BYTES + SF_KEEP_JOURNALS * SF_KEEP_JOURNAL_BYTES <= TABLE_OFFSET,
                   "journals");
    if (!keep)
        return r;
    static _Atomic uint64_t serial;
    keep->serial = atomic_fetch_add(&serial, 1) + 1;
    keep->fd = sf_steal_fd(&guard);
    keep->entries_max = SF_KEEP_ENTRIES_MAX;
    keep->segments_max = SEGMENTS;
    (void)pthread_mutex_init(&keep->lock, NULL); /* cannot fail without attributes */
    keep->free_entries = malloc(SF_KEEP_ENTRIES_MAX * sizeof(*keep->free_entries));
    r = keep->free_entries ? map_file(keep, fresh) : -ENOMEM;
    if (r == 0 && !fresh)
        r = take_over(keep);
    if (r < 0) {
        sf_keep_close(keep);
        return r;
    }
    *ret_keep = keep;
    return 0;
}

void sf_keep_close(SfKeep *keep)
{
    if (!keep)
        return;
    if (keep->map)
        (void)munmap(keep->map, HEAP_OFFSET + SF_KEEP_HEAP_BYTES);
    for (unsigned i = 0; i < CLASSES; i++)
        free(keep->free_blocks[i]);
    free(keep->free_entries);
    (void)pthread_mutex_destroy(&keep->lock);
    (void)sf_close(keep->fd);
    free(keep);
}

int sf_keep_fd(const SfKeep *keep)
{
    return keep->fd;
}

static SfKeep *the_default; /* written once, under pthread_once() */

static void make_default(void)
{
    if (sf_keep_open(-1, &the_default) < 0)
        the_default = NULL;
}

SfKeep *sf_keep_default(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, make_default); /* cannot fail with a valid control variable */
    return the_default;
}

/* ---- entries ---- */

unsigned sf_keep_slot(uint64_t id)
{
    return (unsigned)(id & UINT32_MAX) - 1;
}

static uint64_t id_of(const SfKeep *keep, uint32_t slot)
{
    return (uint64_t)atomic_load(&keep->entries[slot].generation) << 32 | (slot + 1u);
}

static Entry *find(const SfKeep *keep, uint64_t id)
{
    uint32_t slot = sf_keep_slot(id);

    if (slot >= SF_KEEP_ENTRIES_MAX || slot >= atomic_load(&keep->head->used))
        return NULL;
    Entry *entry = &keep->entries[slot];
    return atomic_load(&entry->note.owner) != 0 &&
                   atomic_load(&entry->generation) == (uint32_t)(id >> 32)
               ? entry
               : NULL;
}

/* A block with the text in it; an empty text has none. */
static int write_text(SfKeep *keep, const char *text, size_t len, Description *ret_text)
{
    Description fresh = {0, len};
    int r = 0;

    if (len > SF_TEXT_MAX)
        return -EFBIG;
    if (len > 0)
        r = take(keep, len, &fresh.offset);
    if (r < 0)
        return r;
    if (len > 0)
        memcpy(keep->heap + fresh.offset, text, len);
    *ret_text = fresh;
    return 0;
}

static int take_slot(SfKeep *keep, uint32_t *ret_slot)
{
    int r = 0;

    (void)pthread_mutex_lock(&keep->lock);
    uint32_t used = atomic_load(&keep->head->used);
    if (keep->free_count > 0) {
        *ret_slot = keep->free_entries[--keep->free_count];
    } else if (used < keep->entries_max) {
        *ret_slot = used;
        atomic_store(&keep->head->used, used + 1);
    } else {
        r = -ENOSPC;
    }
    keep->count += r == 0;
    (void)pthread_mutex_unlock(&keep->lock);
    return r;
}

int sf_keep_add(SfKeep *keep, const SfKeepNew *new, const char *text, size_t len, uint64_t *ret_id)
{
    Description fresh;
    uint32_t slot;

    int r = write_text(keep, text, len, &fresh);
    if (r < 0)
        return r;
    r = take_slot(keep, &slot);
    if (r < 0) {
        give(keep, &fresh);
        return r;
    }
    Entry *entry = &keep->entries[slot];
    atomic_fetch_add(&entry->generation, 1);
    entry->text[0] = fresh;
    atomic_store(&entry->current, 0);
    atomic_store(&entry->note.kind, new->kind);
    atomic_store(&entry->note.place, new->place);
    atomic_store(&entry->note.flags, new->flags);
    atomic_store(&entry->note.opened_by, new->opened_by);
    atomic_store(&entry->note.asked_by, 0);
    atomic_store(&entry->note.waiter, 0);
    *ret_id = id_of(keep, slot);
    account(keep, 0, len);
    atomic_store(&entry->note.owner, new->owner); /* from here on it lives */
    return 0;
}

int sf_keep_put(SfKeep *keep, uint64_t id, const char *text, size_t len)
{
    Entry *entry = find(keep, id);
    Description fresh;

    if (!entry)
        return -ENOENT;
    int r = write_text(keep, text, len, &fresh);
    if (r < 0)
        return r;
    uint32_t now = atomic_load(&entry->current) & 1;
    Description old = entry->text[now];
    entry->text[!now] = fresh;
    atomic_store(&entry->current, !now);
    account(keep, old.len, len);
    give(keep, &old);
    return 0;
}

SfSlice sf_keep_text(const SfKeep *keep, uint64_t id)
{
    const Entry *entry = find(keep, id);

    if (!entry)
        return sf_slice("", 0);
    const Description *text = &entry->text[atomic_load(&entry->current) & 1];
    return sf_slice(text->len > 0 ? keep->heap + text->offset : "", text->len);
}

SfKeepNote *sf_keep_note(const SfKeep *keep, uint64_t id)
{
    Entry *entry = find(keep, id);

    return entry ? &entry->note : NULL;
}

void sf_keep_remove(SfKeep *keep, uint64_t id)
{
    Entry *entry = find(keep, id);

    if (!entry)
        return;
    Description old = entry->text[atomic_load(&entry->current) & 1];
    atomic_store(&entry->note.owner, 0);
    account(keep, old.len, 0);
    give(keep, &old);
    (void)pthread_mutex_lock(&keep->lock);
    keep->free_entries[keep->free_count++] = sf_keep_slot(id);
    keep->count--;
    (void)pthread_mutex_unlock(&keep->lock);
}

void sf_keep_each(SfKeep *keep, void (*found)(uint64_t id, void *data), void *data)
{
    uint32_t used = atomic_load(&keep->head->used);

    for (uint32_t i = 0; i < used; i++) {
        if (atomic_load(&keep->entries[i].note.owner) != 0)
            found(id_of(keep, i), data);
    }
}

unsigned sf_keep_count(const SfKeep *keep)
{
    return atomic_load(&keep->count);
}

static SfKeepRoom room(uint64_t total, uint64_t used)
{
    return (SfKeepRoom){total, total - sf_min_u64(total, used)};
}

SfKeepRoom sf_keep_entry_room(const SfKeep *keep)
{
    return room(keep->entries_max, atomic_load(&keep->count));
}

SfKeepRoom sf_keep_byte_room(const SfKeep *keep)
{
    return room(keep->segments_max * SEGMENT_BYTES, atomic_load(&keep->taken_bytes));
}

void sf_keep_limit(SfKeep *keep, unsigned entries, uint64_t bytes)
{
    keep->entries_max = (uint32_t)sf_min_u64(entries, SF_KEEP_ENTRIES_MAX);
    keep->segments_max = (unsigned)sf_min_u64(bytes / SEGMENT_BYTES, SEGMENTS);
}

unsigned sf_keep_former(const SfKeep *keep)
{
    return atomic_load(&keep->head->former);
}

/* ---- journals ---- */

#define JOURNAL_KIND_SHIFT 56

static char *journal(SfKeep *keep, unsigned thread)
{
    return keep->map + HEAD_BYTES + (uint64_t)thread * SF_KEEP_JOURNAL_BYTES;
}

/* In the last bytes of its room: the buffer begins at a page. */
_Atomic uint64_t *sf_keep_journal_owner(SfKeep *keep, unsigned thread)
{
    return (_Atomic uint64_t *)(journal(keep, thread) + SF_KEEP_JOURNAL_BYTES - sizeof(uint64_t));
}

static _Atomic uint32_t *journal_tries(SfKeep *keep, unsigned thread)
{
    return (_Atomic uint32_t *)(journal(keep, thread) + SF_KEEP_JOURNAL_BYTES -
                                2 * sizeof(uint64_t));
}

char *sf_keep_journal_buffer(SfKeep *keep, unsigned thread)
{
    return journal(keep, thread);
}

uint64_t sf_keep_journal_owner_of(uint64_t number, unsigned kind)
{
    return number | (uint64_t)kind << JOURNAL_KIND_SHIFT;
}

uint64_t sf_keep_journal_number(uint64_t owner)
{
    return owner & ((UINT64_C(1) << JOURNAL_KIND_SHIFT) - 1);
}

unsigned sf_keep_journal_try(SfKeep *keep, unsigned thread)
{
    return atomic_fetch_add(journal_tries(keep, thread), 1) + 1;
}

void sf_keep_journal_copy(SfKeep *keep, unsigned from, unsigned to, uint32_t len)
{
    uint64_t owner = atomic_load(sf_keep_journal_owner(keep, from));

    memcpy(journal(keep, to), journal(keep, from), len);
    atomic_store(journal_tries(keep, to), atomic_load(journal_tries(keep, from)));
    atomic_store(sf_keep_journal_owner(keep, to), owner);
}

void sf_keep_journal_clear(SfKeep *keep, unsigned thread)
{
    atomic_store(journal_tries(keep, thread), 0);
    atomic_store((_Atomic uint32_t *)sf_keep_journal_buffer(keep, thread), 0);
    atomic_store(sf_keep_journal_owner(keep, thread), 0);
}
