/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What more than one virtual file shows, so that they cannot disagree.
 */

#include "daemon/container/container.h"
#include "lib/base/cpuset.h"
#include "lib/base/text.h"

/* A set of CPUs as sysfs prints it (drivers/base/cpu.c): list format and a newline; the empty set
 * is a newline alone. */
void sf_format_cpulist(SfText *text, const SfCpuSet *cpus);

/* The host's line with each number in it replaced by 0 and a newline after it: same words, columns
 * and blanks. What the kernel counts for the machine only is shown like that. */
void sf_format_zeroed(SfText *text, SfSlice host_line);

/* Appends the lines of a host text that keep() wants. Negative errno of reading it. */
int sf_format_host_lines(SfContainer *container, SfHostText which,
                         bool (*keep)(SfSlice line, void *data), void *data,
                         SfText *text) SF_WARN_UNUSED;

/* A load average of SF_LOAD_FSHIFT bits as fs/proc/loadavg.c prints it: two decimals, rounded. */
void sf_format_load(SfText *text, uint64_t load);

/* The container's tasks as it sees them: sf_container_task_states() with the reader counted as
 * running, which the kernel does (vmstat(8) takes itself off again) and which here sleeps until it
 * is answered. With no cgroup to count in, init is all that is known. Negative errno, never
 * -ENODATA.
 */
int sf_shown_task_states(SfContainer *container, SfTaskCount *ret_tasks) SF_WARN_UNUSED;
/* The same of sf_container_tasks(). */
int sf_shown_tasks(SfContainer *container, SfTaskCount *ret_tasks) SF_WARN_UNUSED;
