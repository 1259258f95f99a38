/* SPDX-License-Identifier: Apache-2.0 */

#include "lib/base/hash.h"

#include <string.h>

/* Each step can be undone, so texts that differ in one word only never agree. */
uint64_t sf_hash(const char *data, size_t len)
{
    const uint64_t factor = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t sum = len, word;

    for (size_t at = 0; at < len; at += sizeof(word)) {
        size_t rest = len - at;
        word = 0;
        memcpy(&word, data + at, rest < sizeof(word) ? rest : sizeof(word));
        sum = (sum ^ word) * factor;
        sum ^= sum >> 29;
    }
    return sum;
}
