/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Memory that outlives the process: texts of open files, states that must not jump back, and the
 * requests being answered, in a memory file whose fd somebody else holds (the service manager). A
 * process that is killed at any instant leaves it so that the next one finds each entry whole, as
 * it was or as it was to be. One process at a time has it; threads may share it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/number.h"

typedef struct SfKeep SfKeep;

/* Entries there can be, and threads with a request of their own. */
#define SF_KEEP_ENTRIES_MAX 262144u
#define SF_KEEP_JOURNALS 64u
/* Bytes of texts and states in all; more are -ENOSPC. */
#define SF_KEEP_HEAP_BYTES (UINT64_C(4) << 30)

/* fd: of a memory file that a former process had, taken over also on error; -1: a new one. A file
 * of another layout is -EBADMSG. Negative errno. */
int sf_keep_open(int fd, SfKeep **ret_keep) SF_WARN_UNUSED;
void sf_keep_close(SfKeep *keep);
int sf_keep_fd(const SfKeep *keep); /* borrowed */
/* One for a process that hands none around (tests); never closed. NULL: no memory. */
SfKeep *sf_keep_default(void);

/* What its user keeps in an entry beside the text. Each number by itself is written at once. */
typedef struct SfKeepNote {
    _Atomic uint64_t owner; /* whose it is, never 0 */
    _Atomic uint64_t kind, place, flags, opened_by, asked_by, waiter;
} SfKeepNote;

typedef struct SfKeepNew {
    uint64_t owner, kind, place, flags, opened_by;
} SfKeepNew;

/* Makes an entry with a text. *ret_id is never 0 and never given again. -ENOSPC, -ENOMEM. */
int sf_keep_add(SfKeep *keep, const SfKeepNew *entry, const char *text, size_t len,
                uint64_t *ret_id) SF_WARN_UNUSED;
/* Exchanges the text; the old one is invalid from then on. One thread at a time for one entry. */
int sf_keep_put(SfKeep *keep, uint64_t id, const char *text, size_t len) SF_WARN_UNUSED;
/* Borrowed until the next put or removal. */
SfSlice sf_keep_text(const SfKeep *keep, uint64_t id);
/* Of a living entry, else NULL. */
SfKeepNote *sf_keep_note(const SfKeep *keep, uint64_t id);
void sf_keep_remove(SfKeep *keep, uint64_t id);
/* Which slot an entry has, below SF_KEEP_ENTRIES_MAX: for tables beside it. */
unsigned sf_keep_slot(uint64_t id);

/* Calls found(id, data) for each entry that a former process has left. */
void sf_keep_each(SfKeep *keep, void (*found)(uint64_t id, void *data), void *data);
unsigned sf_keep_count(const SfKeep *keep);
/* How many more entries there can be, and bytes of texts: as it was a moment ago, no lock is taken.
 * A text takes up some more than it has. */
typedef struct SfKeepRoom {
    uint64_t total, free;
} SfKeepRoom;
SfKeepRoom sf_keep_entry_room(const SfKeep *keep);
SfKeepRoom sf_keep_byte_room(const SfKeep *keep);
/* Has this process use no more than so much of it (tests); before anything is added. bytes: a
 * multiple of 1 MiB. */
void sf_keep_limit(SfKeep *keep, unsigned entries, uint64_t bytes);
/* How many processes had it before this one. */
unsigned sf_keep_former(const SfKeep *keep);

/* Where a thread reads a request into, so that it is known when the process dies before the answer.
 * buffer has SF_KEEP_JOURNAL_BYTES. */
#define SF_KEEP_JOURNAL_BYTES (136u << 10)
/* Whose connection the request is from: a container's number, and above it the kind of connection;
 * 0: there is none. */
_Atomic uint64_t *sf_keep_journal_owner(SfKeep *keep, unsigned thread);
char *sf_keep_journal_buffer(SfKeep *keep, unsigned thread);
uint64_t sf_keep_journal_owner_of(uint64_t number, unsigned kind);
uint64_t sf_keep_journal_number(uint64_t owner);
/* How many processes have begun to serve what a former one left there, this one included. */
unsigned sf_keep_journal_try(SfKeep *keep, unsigned thread);
/* What `from` has, len bytes of a request, also in `to`: the owner last. */
void sf_keep_journal_copy(SfKeep *keep, unsigned from, unsigned to, uint32_t len);
/* Forgets the request: how often it was tried, its length, which it begins with, then the owner. */
void sf_keep_journal_clear(SfKeep *keep, unsigned thread);
