/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One blocking call to the daemon with a deadline. Used by libsysfsd and the tools.
 */

#include <sys/types.h>
#include <jansson.h>

#include "lib/base/fd.h"

#define SF_DEFAULT_RUNTIME_DIR "/run/sysfsd"
#define SF_CONTROL_INTERFACE "io.sysfsd.Control"

typedef struct SfReply {
    json_t *parameters; /* owned; never NULL on success */
    char *error;   /* owned; NULL when the daemon did what was asked, else the varlink error name */
    char *message; /* owned; the daemon's sentence (parameters.message of an error), or NULL */
} SfReply;
void sf_reply_clear(SfReply *reply);

/* Calls method (with its interface prefix) on runtime_dir's socket. fd (or -1) travels by
 * SCM_RIGHTS. timeout_msec covers connect, send and receive together. 0 when a reply came (look at
 * reply->error), else -errno: -ENOENT and -ECONNREFUSED mean no daemon, -EACCES or -EPERM a socket
 * that is not ours (it or the process behind it is not uid 0's), -ETIMEDOUT, -ECONNRESET (closed
 * without a reply), -EBADMSG. parameters is borrowed. */
int sf_client_call(const char *runtime_dir, const char *method, json_t *parameters, int fd,
                   int timeout_msec, SfReply *ret_reply) SF_WARN_UNUSED;

/* The same against a socket and a process of `owner` instead of uid 0, for tests. */
int sf_client_call_owned(const char *runtime_dir, uid_t owner, const char *method,
                         json_t *parameters, int fd, int timeout_msec,
                         SfReply *ret_reply) SF_WARN_UNUSED;
