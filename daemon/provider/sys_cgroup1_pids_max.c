/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pids.max of cgroup v1: what holds over the whole hierarchy.
 */

#include "daemon/provider/cgroup_limit.h"

SF_CGROUP_LIMIT_PROVIDER(sys_cgroup1_pids_max, SF_CONTROLLER_PIDS, 1, SF_CGROUP_PIDS_MAX, 0644,
                         sf_format_least);
