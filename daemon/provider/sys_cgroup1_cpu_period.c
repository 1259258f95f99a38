/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu.cfs_period_us of cgroup v1: what holds over the whole hierarchy.
 */

#include "daemon/provider/cgroup_limit.h"

SF_CGROUP_LIMIT_PROVIDER(sys_cgroup1_cpu_period, SF_CONTROLLER_CPU, 1, SF_CGROUP_CPU_MAX, 0644,
                         sf_format_cfs_period);
