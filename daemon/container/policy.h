/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What an administrator or an annotation decides for one container. Parsed from "io.sysfsd.*"
 * annotations over the configuration's defaults; a plain value, copied into the container.
 */

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/fd.h"

typedef enum SfCpuPolicy {
    SF_CPU_POLICY_QUOTA,  /* cpuset, then at most ceil(quota) CPUs */
    SF_CPU_POLICY_CPUSET, /* the quota is not looked at */
    SF_CPU_POLICY_HOST,   /* every online CPU of the host */
} SfCpuPolicy;

/* "io.sysfsd.views": rules are applied in order, the last that matches decides; a path names a file
 * or everything below it. */
#define SF_POLICY_MAX_RULES 32
#define SF_POLICY_PATH_MAX 128
typedef struct SfViewRule {
    bool show;
    char path[SF_POLICY_PATH_MAX];
} SfViewRule;

typedef struct SfPolicy {
    bool enable;   /* false: the container gets no view at all */
    bool required; /* used by the hook alone; kept for inspect */
    SfCpuPolicy cpu;
    SfViewRule rules[SF_POLICY_MAX_RULES];
    unsigned rule_count;
} SfPolicy;

void sf_policy_init(SfPolicy *policy); /* enable, not required, quota, no rules */
/* Applies one annotation. Keys without the prefix "io.sysfsd." are passed over (0). An unknown
 * io.sysfsd key is -ENOENT, a value that does not fit -EINVAL; both leave *policy as it was and
 * write a sentence naming key and value into error. */
int sf_policy_apply(SfPolicy *policy, const char *key, const char *value, char *error,
                    size_t error_size) SF_WARN_UNUSED;
/* Sets what the annotation "io.sysfsd.NAME" sets. A failure is as above; *ret_what (constant) says
 * what is wrong with it. */
int sf_policy_set(SfPolicy *policy, const char *name, const char *value,
                  const char **ret_what) SF_WARN_UNUSED;
/* Whether a path of the view is shown under these rules. */
bool sf_policy_shows(const SfPolicy *policy, const char *path);
const char *sf_cpu_policy_name(SfCpuPolicy policy);
