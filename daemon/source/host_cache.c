/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host-wide texts for all containers together: read and taken apart at most once in the time that
 * they may be old. It knows where they are and how the kernel prints them, not what they say.
 */

#include "daemon/source/host_cache.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/io.h"
#include "lib/base/text.h"

/* In refs: the host is gone, and whoever gives the last reference back frees the text. */
#define ORPHAN (1 << 30)
/* refs of a text that is being written: not to be taken. */
#define WRITING (-1)

typedef struct SfCachedText {
    SfSharedText shared;            /* first: what is handed out */
    atomic_int refs;                /* 0: nobody's, to be written anew */
    SfText text;                    /* shared.data's memory */
    const SfDerivation *derivation; /* what `made` is; NULL: nothing was made of this text */
    int make_error;                 /* what making it said */
    const SfDerivation *made_by;    /* whose memory `made` is; NULL: there is none */
    void *made;
    struct SfCachedText *next;
} SfCachedText;

static const struct {
    bool in_sys;
    const char *path;
    bool one_record; /* see sf_read_text_fd() */
    bool shape;      /* may be SF_HOST_SHAPE_MAX_AGE_NSEC old */
} HOST_TEXTS[SF_HOST_TEXT_COUNT] = {
    [SF_HOST_MEMINFO] = {false, "meminfo", true, false},
    [SF_HOST_STAT] = {false, "stat", true, true},
    [SF_HOST_CPUINFO] = {false, "cpuinfo", false, false},
    [SF_HOST_LOADAVG] = {false, "loadavg", true, false},
    [SF_HOST_SWAPS] = {false, "swaps", false, true},
    [SF_HOST_VMSTAT] = {false, "vmstat", false, true},
    [SF_HOST_DISKSTATS] = {false, "diskstats", false, false},
    [SF_HOST_PARTITIONS] = {false, "partitions", false, false},
    [SF_HOST_INTERRUPTS] = {false, "interrupts", false, false},
    [SF_HOST_SOFTIRQS] = {false, "softirqs", true, false},
    [SF_HOST_SCHEDSTAT] = {false, "schedstat", false, false},
    [SF_HOST_PAGETYPEINFO] = {false, "pagetypeinfo", false, false},
    [SF_HOST_SLABINFO] = {false, "slabinfo", false, false},
    [SF_HOST_CPU_ONLINE] = {true, "devices/system/cpu/online", true, false},
    [SF_HOST_CPU_POSSIBLE] = {true, "devices/system/cpu/possible", true, false},
    [SF_HOST_HUGE_PAGE_BYTES] = {true, "kernel/mm/transparent_hugepage/hpage_pmd_size", true, true},
};

static void made_clear(SfCachedText *text)
{
    if (text->made_by && text->made_by->clear)
        text->made_by->clear(text->made);
    free(text->made);
    text->made = NULL;
    text->made_by = NULL;
}

static void cached_free(SfCachedText *text)
{
    made_clear(text);
    sf_text_clear(&text->text);
    free(text);
}

SfSharedText *sf_shared_text_unref(SfSharedText *shared)
{
    SfCachedText *text = (SfCachedText *)shared;

    if (text && atomic_fetch_sub_explicit(&text->refs, 1, memory_order_acq_rel) == (ORPHAN | 1))
        cached_free(text);
    return NULL;
}

void sf_host_cache_init(SfHostTextCache *cache)
{
    cache->fd = -1;
    cache->all = NULL;
    atomic_init(&cache->current, NULL);
    (void)pthread_mutex_init(&cache->refresh, NULL); /* cannot fail without attributes */
}

void sf_host_cache_clear(SfHostTextCache *cache)
{
    SfCachedText *current = atomic_exchange(&cache->current, NULL);

    if (current)
        (void)sf_shared_text_unref(&current->shared); /* always NULL */
    for (SfCachedText *text = cache->all, *next; text; text = next) {
        next = text->next;
        if (atomic_fetch_or(&text->refs, ORPHAN) == 0)
            cached_free(text);
    }
    (void)sf_close(cache->fd);
    (void)pthread_mutex_destroy(&cache->refresh); /* nobody can hold it: the host is being freed */
}

/* A reference to what can be had now; NULL: nothing yet. */
static SfCachedText *ref_current(SfHostTextCache *cache)
{
    for (;;) {
        SfCachedText *text = atomic_load_explicit(&cache->current, memory_order_acquire);
        if (!text)
            return NULL;
        int refs = atomic_load_explicit(&text->refs, memory_order_relaxed);
        while (refs > 0) {
            if (atomic_compare_exchange_weak_explicit(&text->refs, &refs, refs + 1,
                                                      memory_order_acquire, memory_order_relaxed))
                return text;
        }
        /* Replaced between the two looks, and given back by all: there is a newer one. */
    }
}

static bool is_fresh(const SfCachedText *text, SfHostText which, uint64_t now,
                     const SfDerivation *derivation)
{
    uint64_t max_age =
        HOST_TEXTS[which].shape ? SF_HOST_SHAPE_MAX_AGE_NSEC : SF_HOST_TEXT_MAX_AGE_NSEC;

    /* A test's clock may go back; such a text is not trusted. */
    return now >= text->shared.read_at_nsec && now - text->shared.read_at_nsec <= max_age &&
           (!derivation || text->derivation == derivation);
}

/* The current text with a reference, if it is good enough. */
static SfCachedText *take_fresh(SfHost *host, SfHostText which, const SfDerivation *derivation)
{
    SfCachedText *text = ref_current(sf_host_cache(host, which));

    if (!text || is_fresh(text, which, sf_host_boottime_nsec(host), derivation))
        return text;
    (void)sf_shared_text_unref(&text->shared); /* always NULL */
    return NULL;
}

/* A text to write into, nobody's yet. Under refresh. */
static SfCachedText *claim(SfHostTextCache *cache)
{
    for (SfCachedText *text = cache->all; text; text = text->next) {
        int nobody = 0;
        if (atomic_compare_exchange_strong_explicit(&text->refs, &nobody, WRITING,
                                                    memory_order_acquire, memory_order_relaxed))
            return text;
    }
    /* No more than threads that hold one at a time, and the current one. */
    SfCachedText *text = calloc(1, sizeof(*text));
    if (!text)
        return NULL;
    atomic_init(&text->refs, WRITING);
    text->next = cache->all;
    cache->all = text;
    return text;
}

static int open_text(SfHost *host, SfHostText which)
{
    int dir_fd = HOST_TEXTS[which].in_sys ? sf_host_sys_fd(host) : sf_host_proc_fd(host);

    if (dir_fd < 0)
        return -ENOENT;
    int fd = openat(dir_fd, HOST_TEXTS[which].path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int make(SfCachedText *text, const SfDerivation *derivation)
{
    if (text->made_by != derivation) {
        made_clear(text);
        text->made = calloc(1, derivation->size);
        if (!text->made)
            return -ENOMEM;
        text->made_by = derivation;
    }
    return derivation->make(text->shared.data, text->shared.len, text->made);
}

/* Reads into a claimed text. The fd is kept: /proc/stat allocates its whole buffer at open
 * (fs/proc/stat.c stat_open). Under refresh: two readers of one seq_file of several records would
 * tear each other's text. */
static int fill(SfHost *host, SfHostText which, const SfDerivation *derivation, SfCachedText *text)
{
    SfHostTextCache *cache = sf_host_cache(host, which);
    /* Before the read: the text is at least as new as its stamp says. */
    uint64_t now = sf_host_boottime_nsec(host);

    if (cache->fd < 0)
        cache->fd = open_text(host, which);
    if (cache->fd < 0)
        return cache->fd;
    int r = sf_read_text_fd(cache->fd, HOST_TEXTS[which].one_record, &text->text);
    if (r < 0) {
        (void)sf_close(cache->fd);
        cache->fd = -1;
        return r;
    }
    text->shared = (SfSharedText){text->text.data, text->text.len, now, NULL};
    text->derivation = derivation;
    text->make_error = derivation ? make(text, derivation) : 0;
    if (derivation && text->make_error == 0)
        text->shared.derived = text->made;
    return 0;
}

/* Under refresh. */
static int renew(SfHost *host, SfHostText which, const SfDerivation *derivation,
                 SfCachedText **ret_text)
{
    SfHostTextCache *cache = sf_host_cache(host, which);
    SfCachedText *text = claim(cache);

    if (!text)
        return -ENOMEM;
    int r = fill(host, which, derivation, text);
    if (r < 0) {
        atomic_store_explicit(&text->refs, 0, memory_order_release);
        return r;
    }
    atomic_store_explicit(&text->refs, 2, memory_order_release); /* the cache's and the caller's */
    SfCachedText *old = atomic_exchange_explicit(&cache->current, text, memory_order_acq_rel);
    if (old)
        (void)sf_shared_text_unref(&old->shared); /* always NULL */
    *ret_text = text;
    return 0;
}

int sf_host_derived(SfHost *host, SfHostText which, const SfDerivation *derivation,
                    SfSharedText **ret_text)
{
    SfHostTextCache *cache = sf_host_cache(host, which);
    SfCachedText *text = take_fresh(host, which, derivation);
    int r = 0;

    if (!text) {
        pthread_mutex_lock(&cache->refresh);
        text = take_fresh(host, which, derivation); /* another's, while we waited */
        if (!text)
            r = renew(host, which, derivation, &text);
        pthread_mutex_unlock(&cache->refresh);
    }
    if (r < 0)
        return r;
    if (derivation && text->make_error < 0) {
        r = text->make_error;
        (void)sf_shared_text_unref(&text->shared); /* always NULL */
        return r;
    }
    *ret_text = &text->shared;
    return 0;
}

int sf_host_text(SfHost *host, SfHostText which, SfSharedText **ret_text)
{
    return sf_host_derived(host, which, NULL, ret_text);
}
