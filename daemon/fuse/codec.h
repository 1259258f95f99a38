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

#include "daemon/fuse/poller.h"
#include "daemon/view/view.h"

/* The largest WRITE or READ a request can carry; the kernel cuts larger ones. */
#define SF_FUSE_MAX_IO (128u << 10)
/* What read(2) on /dev/fuse insists on: max_write and the headers (fs/fuse/dev.c,
 * fuse_dev_do_read). */
#define SF_FUSE_BUFFER_BYTES (SF_FUSE_MAX_IO + 4096)

typedef struct SfCodec SfCodec;

/* Files that are waited on outlive the process only if their fd is held elsewhere. */
typedef struct SfCodecHooks {
    void (*hold_events)(void *data, SfViewEvents events); /* something was written to it */
    void (*drop_events)(void *data, SfViewEvents events); /* it is closed */
    void *data;
} SfCodecHooks;

/* hooks: copied; NULL: nobody holds them. poller: where processes wait that poll(2) a file;
 * borrowed, outlives the codec. -ENOMEM. */
int sf_codec_new(SfPoller *poller, const SfCodecHooks *hooks, SfCodec **ret_codec) SF_WARN_UNUSED;
void sf_codec_free(SfCodec *codec);

/* Whether a question may be left unanswered until others have been. */
typedef enum SfCodecTurn {
    SF_CODEC_NOW,
    SF_CODEC_MAY_WAIT,
    SF_CODEC_WAITED, /* it was left */
} SfCodecTurn;

/* The connection that a request comes from. */
typedef struct SfCodecPeer {
    int fd;
    uint64_t key; /* what the poller shall know it by */
    SfView *view; /* borrowed */
    SfViewMount kind;
    SfCodecTurn turn;
    uint64_t told; /* WAITED: of this inode the kernel was told since it asked; 0: none */
} SfCodecPeer;

/* What a request did to a file whose text is in the pages. */
typedef struct SfCodecServed {
    uint64_t shown;  /* inode: sf_view_expire() is due after SF_VIEW_SHARED_MSEC; 0: none */
    uint64_t closed; /* inode; 0: none */
    uint64_t told;   /* inode whose attributes the kernel was told to ask for anew; 0: none */
    bool waits; /* there was no answer: to be served once more, when no other request is left */
} SfCodecServed;

/* Decodes one request, serves it from the peer's view, writes the one reply (if its kind has one)
 * to its fd. The buffer may be changed. again: a process that died may have served it already. */
SfCodecServed sf_codec_serve(SfCodec *codec, const SfCodecPeer *peer, char *request, size_t len,
                             bool again);
/* Tells the kernel that a file's attributes may have changed. Waits for nobody. */
void sf_codec_forget_attributes(SfCodec *codec, const SfCodecPeer *peer, uint64_t inode);
/* The connection of a view's open files is gone: no request comes that closes them. Of a view that
 * has ended nothing is held any longer; another one goes on elsewhere. */
void sf_codec_end_files(const SfCodec *codec, SfView *view);
/* New connections drop the pages of a file whose time or size changes. */
bool sf_codec_shares(const SfCodec *codec);

/* Answers a request, which is not served, with that errno. request: its header at least. */
void sf_codec_refuse(int fd, const char *request, int error);

/* Tells the kernel that a file which somebody polls has an event. */
void sf_codec_tell_event(int fd, uint64_t waiter);

/* Answers the INIT of a connection of that kind. The first goes through libfuse and its reply is
 * kept; to every later connection the same reply is written, since libfuse knows one INIT a
 * session. -EPROTO when the request is none; -errno of the write. Not thread-safe: the main thread
 * mounts. */
int sf_codec_answer_init(SfCodec *codec, SfViewMount kind, int fd, char *request,
                         size_t len) SF_WARN_UNUSED;
bool sf_codec_is_ready(const SfCodec *codec); /* an INIT was answered */
