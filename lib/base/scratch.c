/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One small set of texts a thread, in its static memory: taking one needs no lock and no
 * allocation. What a text is used for is not known here.
 */

#include "lib/base/scratch.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct Scratch {
    SfText texts[SF_SCRATCH_TEXTS];
    unsigned busy;   /* a bit a text */
    bool registered; /* its memory is freed when the thread ends */
} Scratch;

static _Thread_local Scratch scratch;
static pthread_key_t key; /* set by make_key() once */

static void clear(void *data)
{
    Scratch *own = data;

    for (unsigned i = 0; i < SF_SCRATCH_TEXTS; i++)
        sf_text_clear(&own->texts[i]);
    own->registered = false; /* should another destructor come here after us */
}

static void make_key(void)
{
    /* Without a key the texts of ended threads would be lost: no more than the daemon's few. */
    (void)pthread_key_create(&key, clear);
}

static void register_thread(Scratch *own)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, make_key); /* cannot fail with a valid control variable */
    (void)pthread_setspecific(key, own); /* fails as the key does */
    own->registered = true;
}

SfText *sf_scratch_take(void)
{
    Scratch *own = &scratch;
    unsigned index = (unsigned)__builtin_ctz(~own->busy);

    assert(index < SF_SCRATCH_TEXTS);
    if (!own->registered)
        register_thread(own);
    own->busy |= 1u << index;
    return &own->texts[index];
}

void sf_scratch_give(SfText *text)
{
    Scratch *own = &scratch;

    if (!text)
        return;
    ptrdiff_t index = text - own->texts;
    assert(index >= 0 && index < (ptrdiff_t)SF_SCRATCH_TEXTS && own->busy & 1u << index);
    if (text->capacity > SF_SCRATCH_KEEP_BYTES)
        sf_text_clear(text);
    else
        sf_text_reset(text);
    own->busy &= ~(1u << index);
}
