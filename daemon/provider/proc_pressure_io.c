/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/pressure/io: io.pressure of the container's cgroup.
 */

#include "daemon/provider/pressure.h"

SF_PRESSURE_PROVIDER(proc_pressure_io, SF_CGROUP_IO_PRESSURE, "io.pressure");
