/* SPDX-License-Identifier: Apache-2.0 */

#include "daemon/fuse/aside.h"

#include <stdatomic.h>
#include <string.h>

/* What a request begins with. 0: there is none. */
static _Atomic uint32_t *len_of(SfKeep *keep, unsigned journal)
{
    return (_Atomic uint32_t *)sf_keep_journal_buffer(keep, journal);
}

void sf_aside_prepare(SfKeep *keep, unsigned first)
{
    for (unsigned i = first; i < SF_KEEP_JOURNALS; i++) {
        /* What is left there of a process that died has an owner. */
        if (atomic_load(sf_keep_journal_owner(keep, i)) == 0)
            memset(sf_keep_journal_buffer(keep, i), 0, SF_ASIDE_BYTES);
    }
}

/* The length counts last, and is gone first: an owner alone says nothing. */
bool sf_aside_put(SfAside *aside, SfKeep *keep, unsigned first, uint64_t owner, const void *request,
                  size_t len)
{
    uint64_t nobody = 0;
    unsigned journal = first;

    if (aside->count == SF_ASIDE_MAX || len > SF_ASIDE_BYTES || len < sizeof(uint32_t))
        return false;
    while (journal < SF_KEEP_JOURNALS &&
           !atomic_compare_exchange_strong(sf_keep_journal_owner(keep, journal), &nobody, owner)) {
        nobody = 0;
        journal++;
    }
    if (journal == SF_KEEP_JOURNALS)
        return false;
    atomic_store(len_of(keep, journal), 0); /* what somebody left there that was served */
    memcpy(sf_keep_journal_buffer(keep, journal) + sizeof(uint32_t),
           (const char *)request + sizeof(uint32_t), len - sizeof(uint32_t));
    atomic_store(len_of(keep, journal), (uint32_t)len);
    aside->waits[aside->count].journal = journal;
    aside->waits[aside->count].len = len;
    memcpy(aside->waits[aside->count++].request, request, len);
    return true;
}

void sf_aside_clear(SfAside *aside, SfKeep *keep)
{
    for (unsigned i = 0; i < aside->count; i++)
        sf_keep_journal_clear(keep, aside->waits[i].journal);
    aside->count = 0;
}
