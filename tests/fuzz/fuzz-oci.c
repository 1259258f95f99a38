/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A container state, then a bundle configuration, of any bytes.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/id.h"
#include "lib/oci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    static const char STATE[] = "{\"ociVersion\":\"1.0.2\",\"id\":\"c\",\"status\":\"creating\","
                                "\"pid\":1,\"bundle\":\"/b\"}";
    SfOciState state = {0};
    char error[256];

    if (sf_oci_state_parse(text, size, &state, error, sizeof(error)) == 0 && !sf_id_valid(state.id))
        abort();
    sf_oci_state_clear(&state);
    if (sf_oci_state_parse(STATE, strlen(STATE), &state, error, sizeof(error)) < 0)
        abort();
    (void)!sf_oci_config_parse(text, size, &state, error, sizeof(error));
    sf_oci_state_clear(&state);
    return 0;
}
