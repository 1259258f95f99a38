/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The control socket: accepts, frames, bounds and cuts off; what a call means is methods.c's. Main
 * thread only; nothing a peer does makes it wait.
 */

#include <jansson.h>
#include <stdbool.h>

#include "daemon/control/registry.h"

typedef struct SfControl SfControl;

/* A peer that has sent half a frame, nothing, or does not read is cut off after this long. */
#define SF_CONTROL_PATIENCE_MSEC 5000
/* Peers at once; past it the longest idle one is cut off. */
#define SF_CONTROL_MAX_CLIENTS 64

/* Makes runtime_dir/control.sock (0600), in place of what a former daemon left, and serves it.
 * Borrows the registry. Negative errno. */
int sf_control_new(SfRegistry *registry, SfControl **ret_control) SF_WARN_UNUSED;
/* Ends the peers and removes the socket. */
void sf_control_free(SfControl *control);
/* The socket is held: it stays when the control is freed, and who connects meanwhile waits. */
void sf_control_leave(SfControl *control);
unsigned sf_control_clients(const SfControl *control);
SfRegistry *sf_control_registry(const SfControl *control);
/* Boot time in nanoseconds when this began to serve. */
uint64_t sf_control_started_nsec(const SfControl *control);

/* A call being answered: by sf_call_reply() or sf_call_fail() once, now or later. The peer may be
 * gone by then. */
typedef struct SfCall SfCall;
/* Take ownership of call and of parameters or the error. Main thread. */
void sf_call_reply(SfCall *call, json_t *parameters);
void sf_call_fail(SfCall *call, const char *interface, SfControlError *error);
SfControl *sf_call_control(const SfCall *call);
/* The fd that came along; -1: none. Borrowed. */
int sf_call_fd(const SfCall *call);
/* Whether the peer that called has closed its socket, so that nobody takes the answer; false for a
 * call that wants none, and for a peer that will only send no more. */
bool sf_call_abandoned(const SfCall *call);
