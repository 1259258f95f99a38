/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.swap.max: what holds over the whole hierarchy.
 */

#include "daemon/provider/cgroup_limit.h"

SF_CGROUP_LIMIT_PROVIDER(sys_cgroup_memory_swap_max, SF_CONTROLLER_MEMORY, 2, SF_CGROUP_SWAP_MAX,
                         0644, sf_format_least);
