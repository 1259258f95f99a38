/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/pressure/irq: irq.pressure of the container's cgroup.
 */

#include "daemon/provider/pressure.h"

SF_PRESSURE_PROVIDER(proc_pressure_irq, SF_CGROUP_IRQ_PRESSURE, "irq.pressure");
