/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Host texts with a column for each CPU: those of the CPUs a container sees.
 */

#include "daemon/container/container.h"
#include "lib/base/text.h"

/* Appends a text of the form of /proc/interrupts (kernel/irq/proc.c, show_interrupts) or
 * /proc/softirqs (fs/proc/softirqs.c): a head with a "CPUn" a column, lines with a count below
 * each. All counts are 0: none of them is a container's. Negative errno; -EINVAL for another form.
 */
int sf_format_cpu_columns(SfContainer *container, SfHostText which, SfText *text) SF_WARN_UNUSED;
