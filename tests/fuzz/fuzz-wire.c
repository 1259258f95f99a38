/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Frames of the control socket: the bytes arrive whole and in small pieces, and what comes out is a
 * JSON object.
 */

#include <stdint.h>
#include <stdlib.h>

#include "lib/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    SfWireBuffer whole = {0}, pieces = {0};
    json_t *message;

    if (sf_wire_buffer_add(&whole, text, size) == 0) {
        while (sf_wire_next(&whole, &message) > 0) {
            if (!json_is_object(message))
                abort();
            json_decref(message);
        }
    }
    sf_wire_buffer_clear(&whole);
    for (size_t at = 0; at < size; at += 7) {
        if (sf_wire_buffer_add(&pieces, text + at, size - at < 7 ? size - at : 7) < 0)
            break;
        int r;
        while ((r = sf_wire_next(&pieces, &message)) > 0)
            json_decref(message);
        if (r < 0)
            break;
    }
    sf_wire_buffer_clear(&pieces);
    return 0;
}
