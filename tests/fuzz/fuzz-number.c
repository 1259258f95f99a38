/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Slices and numbers of any bytes: what is accepted must be what the digits say.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/number.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    SfSlice all = sf_slice(text, size), rest = all, part;
    uint64_t value;
    int64_t number;
    char printed[24];

    if (sf_slice_u64(all, &value) == 0) {
        while (all.len > 1 && all.data[0] == '0')
            all = sf_slice(all.data + 1, all.len - 1);
        (void)snprintf(printed, sizeof(printed), "%llu", (unsigned long long)value);
        if (!sf_slice_eq(all, printed))
            abort();
    }
    (void)!sf_slice_i64(all, &number);
    (void)!sf_slice_limit(all, &value);
    while (sf_slice_next_line(&rest, &part)) {
        SfSlice word;
        while (sf_slice_next_word(&part, &word)) {
            if (word.len == 0 || memchr(word.data, ' ', word.len))
                abort();
        }
    }
    rest = sf_slice_trim(sf_slice(text, size));
    while (sf_slice_next_field(&rest, ':', &part))
        (void)sf_slice_starts(part, "name=");
    return 0;
}
