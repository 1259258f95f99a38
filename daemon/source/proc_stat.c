/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The parser of /proc/stat: its shape and the few host numbers a container's text is made with. CPU
 * times of the host are deliberately not kept: no container may be shown them.
 */

#include "daemon/source/proc_stat.h"

#include <stdbool.h>

static int count_columns(SfSlice rest, unsigned *ret_columns)
{
    SfSlice word;
    uint64_t value;
    unsigned columns = 0;

    for (; sf_slice_next_word(&rest, &word); columns++) {
        if (sf_slice_u64(word, &value) < 0)
            return -EINVAL;
    }
    if (columns == 0)
        return -EINVAL;
    *ret_columns = columns;
    return 0;
}

static int one_number(SfSlice rest, uint64_t *ret_value)
{
    SfSlice word;

    if (!sf_slice_next_word(&rest, &word) || sf_slice_u64(word, ret_value) < 0 ||
        sf_slice_next_word(&rest, &word))
        return -EINVAL;
    return 0;
}

static const char *const LINE_NAMES[] = {
    [SF_PROC_STAT_INTR] = "intr",
    [SF_PROC_STAT_CTXT] = "ctxt",
    [SF_PROC_STAT_BTIME] = "btime",
    [SF_PROC_STAT_PROCESSES] = "processes",
    [SF_PROC_STAT_PROCS_RUNNING] = "procs_running",
    [SF_PROC_STAT_PROCS_BLOCKED] = "procs_blocked",
    [SF_PROC_STAT_SOFTIRQ] = "softirq",
};
#define LINE_COUNT (sizeof(LINE_NAMES) / sizeof(LINE_NAMES[0]))

static int line_by_name(SfSlice name)
{
    for (unsigned i = 0; i < LINE_COUNT; i++) {
        if (sf_slice_eq(name, LINE_NAMES[i]))
            return (int)i;
    }
    return -1;
}

static int parse_known(SfProcStatLine line, SfSlice rest, SfProcStat *stat)
{
    switch (line) {
    case SF_PROC_STAT_INTR:
        return count_columns(rest, &stat->intr_columns);
    case SF_PROC_STAT_SOFTIRQ:
        return count_columns(rest, &stat->softirq_columns);
    case SF_PROC_STAT_CTXT:
        return one_number(rest, &stat->ctxt);
    case SF_PROC_STAT_BTIME:
        return one_number(rest, &stat->btime_sec);
    case SF_PROC_STAT_PROCESSES:
        return one_number(rest, &stat->processes);
    case SF_PROC_STAT_PROCS_RUNNING:
        return one_number(rest, &stat->procs_running);
    case SF_PROC_STAT_PROCS_BLOCKED:
        return one_number(rest, &stat->procs_blocked);
    }
    return -EINVAL;
}

static int parse_line(SfSlice line, SfProcStat *stat)
{
    SfSlice name;

    if (!sf_slice_next_word(&line, &name))
        return 0;
    if (sf_slice_eq(name, "cpu"))
        return count_columns(line, &stat->cpu_columns);

    int known = line_by_name(name);
    if (known < 0)
        return 0;
    /* The kernel prints each once; more would be another file than the one described here. */
    if (stat->line_count == sizeof(stat->lines))
        return -EINVAL;
    stat->lines[stat->line_count++] = (uint8_t)known;
    return parse_known((SfProcStatLine)known, line, stat);
}

int sf_proc_stat_parse(const char *text, size_t len, SfProcStat *ret_stat)
{
    SfSlice rest = sf_slice(text, len);
    SfSlice line;
    SfProcStat stat = {0};

    while (sf_slice_next_line(&rest, &line)) {
        int r = parse_line(line, &stat);
        if (r < 0)
            return r;
    }
    if (stat.cpu_columns == 0)
        return -EINVAL;
    *ret_stat = stat;
    return 0;
}
