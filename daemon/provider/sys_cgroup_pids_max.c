/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pids.max: what holds over the whole hierarchy.
 */

#include "daemon/provider/cgroup_limit.h"

SF_CGROUP_LIMIT_PROVIDER(sys_cgroup_pids_max, SF_CONTROLLER_PIDS, 2, SF_CGROUP_PIDS_MAX, 0644,
                         sf_format_least);
