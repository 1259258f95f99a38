/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpuset.effective_mems of cgroup v1: what holds over the whole hierarchy.
 */

#include "daemon/provider/cgroup_limit.h"

SF_CGROUP_LIMIT_PROVIDER(sys_cgroup1_cpuset_mems, SF_CONTROLLER_CPUSET, 1, SF_CGROUP_CPUSET_MEMS,
                         0444, sf_format_effective_mems);
