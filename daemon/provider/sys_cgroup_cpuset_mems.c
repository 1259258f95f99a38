/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpuset.mems.effective: what holds over the whole hierarchy.
 */

#include "daemon/provider/cgroup_limit.h"

SF_CGROUP_LIMIT_PROVIDER(sys_cgroup_cpuset_mems, SF_CONTROLLER_CPUSET, 2, SF_CGROUP_CPUSET_MEMS,
                         0444, sf_format_effective_mems);
