/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.high: what holds over the whole hierarchy.
 */

#include "daemon/provider/cgroup_limit.h"

SF_CGROUP_LIMIT_PROVIDER(sys_cgroup_memory_high, SF_CONTROLLER_MEMORY, 2, SF_CGROUP_MEMORY_HIGH,
                         0644, sf_format_least);
