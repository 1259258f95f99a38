/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * /proc/stat of the host (fs/proc/stat.c): what a container's text takes from it: which lines and
 * columns this kernel prints, btime, and the totals of the per-CPU lines.
 */

#include <stdint.h>

#include "lib/base/number.h"

typedef struct SfProcStat {
    unsigned cpu_columns;     /* numbers on a cpu line: 10 since 2.6.33 */
    unsigned intr_columns;    /* numbers after "intr", the total included */
    unsigned softirq_columns; /* numbers after "softirq", the total included */
    uint64_t btime_sec;       /* seconds since the epoch */
    uint64_t processes;
    uint64_t ctxt;
    uint64_t procs_running;
    uint64_t procs_blocked;
    /* The line names after the cpu lines, in the kernel's order, as SfProcStatLine values. */
    unsigned line_count;
    uint8_t lines[16];
} SfProcStat;

typedef enum SfProcStatLine {
    SF_PROC_STAT_INTR,
    SF_PROC_STAT_CTXT,
    SF_PROC_STAT_BTIME,
    SF_PROC_STAT_PROCESSES,
    SF_PROC_STAT_PROCS_RUNNING,
    SF_PROC_STAT_PROCS_BLOCKED,
    SF_PROC_STAT_SOFTIRQ,
} SfProcStatLine;

/* Pure. Unknown lines are passed over. -EINVAL when a known line is malformed or there is no "cpu"
 * line. */
int sf_proc_stat_parse(const char *text, size_t len, SfProcStat *ret_stat) SF_WARN_UNUSED;
