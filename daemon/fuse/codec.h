/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One libfuse session that decodes the requests of all connections and encodes the replies. libfuse
 * is written for one connection a session, and a session costs a pthread key, of which a process
 * has 1024; so the session here never sees a file descriptor: requests are handed to it as bytes,
 * and its replies come back through a callback that writes them to the connection which the calling
 * thread is serving.
 */

#include <stddef.h>

#include "daemon/view/view.h"

/* The largest WRITE or READ a request can carry; the kernel cuts larger ones. */
#define SF_FUSE_MAX_IO (128u << 10)
/* What read(2) on /dev/fuse insists on: max_write and the headers (fs/fuse/dev.c,
 * fuse_dev_do_read). */
#define SF_FUSE_BUFFER_BYTES (SF_FUSE_MAX_IO + 4096)

typedef struct SfCodec SfCodec;

/* -ENOMEM. */
int sf_codec_new(SfCodec **ret_codec) SF_WARN_UNUSED;
void sf_codec_free(SfCodec *codec);

/* Decodes one request read from fd, serves it from view, writes the one reply (if its kind has one)
 * to fd. The buffer may be changed. */
void sf_codec_serve(SfCodec *codec, int fd, SfView *view, char *request, size_t len);

/* Answers a connection's INIT. The first goes through libfuse and its reply is kept; to every later
 * connection the same reply is written, since libfuse knows one INIT a session. -EPROTO when the
 * request is none; -errno of the write. Not thread-safe: the main thread mounts. */
int sf_codec_answer_init(SfCodec *codec, int fd, char *request, size_t len) SF_WARN_UNUSED;
