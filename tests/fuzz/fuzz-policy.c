/* SPDX-License-Identifier: Apache-2.0 */

/*
 * An annotation: key, newline, value. What is refused must change nothing.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/container/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    char error[256];
    SfPolicy policy, before;
    char *copy = malloc(size + 1);

    if (!copy)
        return 0;
    memcpy(copy, text, size);
    copy[size] = '\0';
    char *value = strchr(copy, '\n');
    if (value) {
        *value++ = '\0';
        memset(&policy, 0, sizeof(policy));
        sf_policy_init(&policy);
        memcpy(&before, &policy, sizeof(policy)); /* padding too */
        if (sf_policy_apply(&policy, copy, value, error, sizeof(error)) < 0 &&
            memcmp(&policy, &before, sizeof(policy)) != 0)
            abort();
        (void)sf_policy_shows(&policy, "/proc/meminfo");
        (void)sf_policy_shows(&policy, value);
        (void)sf_cpu_policy_name(policy.cpu);
    }
    free(copy);
    return 0;
}
