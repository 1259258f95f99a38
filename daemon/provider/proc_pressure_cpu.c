/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/pressure/cpu: cpu.pressure of the container's cgroup.
 */

#include "daemon/provider/pressure.h"

SF_PRESSURE_PROVIDER(proc_pressure_cpu, SF_CGROUP_CPU_PRESSURE, "cpu.pressure");
