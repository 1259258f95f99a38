/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpuset.effective_cpus of cgroup v1: what holds over the whole hierarchy.
 */

#include "daemon/provider/cgroup_limit.h"

SF_CGROUP_LIMIT_PROVIDER(sys_cgroup1_cpuset_cpus, SF_CONTROLLER_CPUSET, 1, SF_CGROUP_CPUSET_CPUS,
                         0444, sf_format_effective_cpus);
