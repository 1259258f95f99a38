/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Splits a byte stream into varlink frames and makes frames. Pure: no file descriptor is touched
 * here, so that the daemon's main loop and the blocking client share it. What a peer can make the
 * buffer hold is bounded here and nowhere else.
 */

#include "lib/wire.h"

#include <stdint.h>
#include <string.h>

void sf_wire_buffer_clear(SfWireBuffer *buffer)
{
    free(buffer->data);
    *buffer = (SfWireBuffer){0};
}

static int buffer_reserve(SfWireBuffer *buffer, size_t needed)
{
    if (needed <= buffer->capacity)
        return 0;
    size_t capacity = buffer->capacity ? buffer->capacity : 4096;
    while (capacity < needed)
        capacity *= 2;
    char *data = realloc(buffer->data, capacity);
    if (!data)
        return -ENOMEM;
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

int sf_wire_buffer_add(SfWireBuffer *buffer, const char *data, size_t len)
{
    if (len == 0)
        return 0;
    if (len > 2 * (size_t)SF_WIRE_FRAME_MAX - buffer->len)
        return -EMSGSIZE;
    /* The unfinished frame is what stands after the last NUL, old or new. */
    const char *last = memrchr(data, '\0', len);
    size_t unfinished = last ? len - (size_t)(last + 1 - data) : len;
    if (!last && buffer->len > 0) {
        const char *old =
            memrchr(buffer->data + buffer->scanned, '\0', buffer->len - buffer->scanned);
        unfinished += old ? buffer->len - (size_t)(old + 1 - buffer->data) : buffer->len;
    }
    if (unfinished >= SF_WIRE_FRAME_MAX)
        return -EMSGSIZE;
    int r = buffer_reserve(buffer, buffer->len + len);
    if (r < 0)
        return r;
    memcpy(buffer->data + buffer->len, data, len);
    buffer->len += len;
    return 0;
}

int sf_wire_next(SfWireBuffer *buffer, json_t **ret_message)
{
    if (buffer->scanned >= buffer->len)
        return 0;
    const char *end = memchr(buffer->data + buffer->scanned, '\0', buffer->len - buffer->scanned);
    if (!end) {
        buffer->scanned = buffer->len;
        return 0;
    }
    size_t frame_len = (size_t)(end - buffer->data);
    json_t *message = NULL;
    if (frame_len < SF_WIRE_FRAME_MAX)
        message = json_loadb(buffer->data, frame_len, JSON_REJECT_DUPLICATES, NULL);

    buffer->len -= frame_len + 1;
    memmove(buffer->data, end + 1, buffer->len);
    buffer->scanned = 0;

    if (!json_is_object(message)) {
        json_decref(message);
        return -EBADMSG;
    }
    *ret_message = message;
    return 1;
}

int sf_wire_encode(const json_t *message, char **ret_frame, size_t *ret_len)
{
    SF_CLEANUP_FREE char *frame = json_dumps(message, JSON_COMPACT);
    if (!frame)
        return -ENOMEM;
    size_t len = strlen(frame) + 1;
    if (len > SF_WIRE_FRAME_MAX)
        return -EMSGSIZE;
    *ret_len = len;
    *ret_frame = sf_steal_ptr(&frame);
    return 0;
}
