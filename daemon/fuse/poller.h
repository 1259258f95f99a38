/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Processes that wait with poll(2) on files of views: one thread waits on the kernel's files for
 * all of them and has the waiter's connection told when something happens there. It sleeps while
 * nobody waits.
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/view/view.h"

typedef struct SfPoller SfPoller;

/* tell: wakes the waiter of a connection, by the kernel's number of it; without any lock held. */
typedef void (*SfPollerTell)(void *data, uint64_t connection, uint64_t waiter);

int sf_poller_new(SfPollerTell tell, void *data, SfPoller **ret_poller) SF_WARN_UNUSED;
void sf_poller_free(SfPoller *poller);

/* Watches for the next event of an open file and tells it once. The file's fd is duplicated.
 * Negative errno. */
int sf_poller_watch(SfPoller *poller, uint64_t connection, SfViewEvents events,
                    uint64_t waiter) SF_WARN_UNUSED;
/* Whether the poller has seen an event of the file since it was asked last: the kernel tells each
 * once, and the waiter has not had this one. */
bool sf_poller_take_event(SfPoller *poller, SfViewEvents events);
/* The file is closed, or all of a connection's are. */
void sf_poller_forget(SfPoller *poller, SfViewEvents events);
void sf_poller_forget_connection(SfPoller *poller, uint64_t connection);
