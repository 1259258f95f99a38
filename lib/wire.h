/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Frames of the control socket: varlink's wire format, one JSON object ended by a NUL byte, in
 * either direction.
 */

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

#include "lib/base/fd.h"

#define SF_WIRE_FRAME_MAX (1u << 20)
#define SF_WIRE_SOCKET_NAME "control.sock"

/* Bytes received and not yet taken as frames. Zero-initialise. */
typedef struct SfWireBuffer {
    char *data; /* owned */
    size_t len, capacity;
    size_t
        scanned; /* bytes at the front known to hold no NUL, so that no byte is looked at twice */
} SfWireBuffer;

void sf_wire_buffer_clear(SfWireBuffer *buffer);
/* Adds received bytes. -EMSGSIZE when a frame would pass SF_WIRE_FRAME_MAX or more than two frames'
 * worth of bytes wait to be taken, -ENOMEM; the buffer is then as before. */
int sf_wire_buffer_add(SfWireBuffer *buffer, const char *data, size_t len) SF_WARN_UNUSED;
/* Takes the next whole frame: 1 and *ret_message (a JSON object, caller json_decref()s), 0 when
 * more bytes are needed, -EBADMSG when the frame is not a JSON object (deeper than jansson's limit
 * included). */
int sf_wire_next(SfWireBuffer *buffer, json_t **ret_message) SF_WARN_UNUSED;
/* The frame of a message, NUL included; the caller frees. -EMSGSIZE, -ENOMEM. */
int sf_wire_encode(const json_t *message, char **ret_frame, size_t *ret_len) SF_WARN_UNUSED;
