/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.limit_in_bytes of cgroup v1: what holds over the whole hierarchy.
 */

#include "daemon/provider/cgroup_limit.h"

SF_CGROUP_LIMIT_PROVIDER(sys_cgroup1_memory_limit, SF_CONTROLLER_MEMORY, 1, SF_CGROUP_MEMORY_MAX,
                         0644, sf_format_least);
