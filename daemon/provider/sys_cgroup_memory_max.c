/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.max: what holds over the whole hierarchy.
 */

#include "daemon/provider/cgroup_limit.h"

SF_CGROUP_LIMIT_PROVIDER(sys_cgroup_memory_max, SF_CONTROLLER_MEMORY, 2, SF_CGROUP_MEMORY_MAX, 0644,
                         sf_format_least);
