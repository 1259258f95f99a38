/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/pressure/memory: memory.pressure of the container's cgroup.
 */

#include "daemon/provider/pressure.h"

SF_PRESSURE_PROVIDER(proc_pressure_memory, SF_CGROUP_MEMORY_PRESSURE, "memory.pressure");
