/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu.max: what holds over the whole hierarchy.
 */

#include "daemon/provider/cgroup_limit.h"

SF_CGROUP_LIMIT_PROVIDER(sys_cgroup_cpu_max, SF_CONTROLLER_CPU, 2, SF_CGROUP_CPU_MAX, 0644,
                         sf_format_cpu_max);
