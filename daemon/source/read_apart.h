/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Reads of what another process can have the kernel wait for, done by processes of their own: a
 * thread of ours that waited there could not be killed, and no other daemon could start before it
 * had ended. There are a few such processes, made when they are needed; one that hangs is given up
 * and another takes its place, up to a bound. They end with the thread that had them made, as soon
 * as the kernel lets them.
 */

#include <stddef.h>

#include "daemon/source/host.h"

/* Longer texts are cut. */
#define SF_READ_APART_MAX 1024u

/* What fd has, from its beginning. The file must be open already; it is not kept.
 * -ETIMEDOUT: the kernel makes the reader wait. -EBUSY: not now (no CPU, memory or process).
 * -EAGAIN: nobody can be had to read (as many hang as there may be, or none can be made). Else what
 * read(2) says. Thread-safe. */
int sf_read_apart(const SfHost *host, int fd, char buffer[SF_READ_APART_MAX],
                  size_t *ret_len) SF_WARN_UNUSED;

/* Processes that were given up and have not ended. */
unsigned sf_read_apart_lost(void);
