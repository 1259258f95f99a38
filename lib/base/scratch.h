/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Texts of the calling thread's own that keep their memory from one use to the next: what is done
 * for each request then allocates nothing once they have grown. Taken and given back by the same
 * thread, in any order; freed with it.
 */

#include "lib/base/text.h"

/* In use at one time by a thread: a bound on nesting, which is ours to keep. */
#define SF_SCRATCH_TEXTS 16u
/* A text that has grown past this gives its memory back when it is not in use. */
#define SF_SCRATCH_KEEP_BYTES (512u << 10)

/* Empty, never NULL. Its memory must not be handed on (sf_text_steal()). */
SfText *sf_scratch_take(void);
/* NULL is accepted. */
void sf_scratch_give(SfText *text);

static inline void sf_scratch_cleanup(SfText **text)
{
    sf_scratch_give(*text);
}
/* SF_SCRATCH SfText *text = sf_scratch_take(); */
#define SF_SCRATCH __attribute__((cleanup(sf_scratch_cleanup)))
