/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The identities of a container's files. Reads the texts as a program in the container would, with
 * none of the daemon's parsers of whole files: they are among what is judged here.
 */

#include "tests/golden/consistency.h"

#include <inttypes.h>
#include <string.h>

#include "lib/base/cpuset.h"
#include "tests/golden/consistency_trees.h"

#define MAX_COLUMNS 16

static SfSlice text_of(const Snapshot *snapshot, const char *name)
{
    for (unsigned i = 0; i < snapshot->count; i++) {
        if (strcmp(snapshot->names[i], name) == 0)
            return snapshot->texts[i];
    }
    return sf_slice("", 0);
}

/* Adds a line to the report unless `held`. */
static bool expect(bool held, SfText *report, const char *what, uint64_t a, uint64_t b)
{
    if (!held)
        sf_text_printf(report, "%s: %" PRIu64 " and %" PRIu64 "\n", what, a, b);
    return held;
}

/* "Key:  123 kB" of meminfo; 0 when there is no such line. */
static uint64_t meminfo_value(SfSlice text, const char *key)
{
    SfSlice line, name, word;
    uint64_t value;
    while (sf_slice_next_line(&text, &line)) {
        if (sf_slice_next_field(&line, ':', &name) && sf_slice_eq(name, key) &&
            sf_slice_next_word(&line, &word) && sf_slice_u64(word, &value) == 0)
            return value;
    }
    return 0;
}

/* Whether both texts have the same first words, line by line, from the first line on for which
 * `skip` is not the beginning. */
static bool same_lines(SfSlice a, SfSlice b, const char *skip)
{
    SfSlice line_a, line_b, word_a, word_b;
    for (;;) {
        bool more_a, more_b;
        do
            more_a = sf_slice_next_line(&a, &line_a);
        while (more_a && *skip && sf_slice_starts(line_a, skip));
        do
            more_b = sf_slice_next_line(&b, &line_b);
        while (more_b && *skip && sf_slice_starts(line_b, skip));
        if (!more_a || !more_b)
            return more_a == more_b;
        if (!sf_slice_next_word(&line_a, &word_a) || !sf_slice_next_word(&line_b, &word_b) ||
            word_a.len != word_b.len || memcmp(word_a.data, word_b.data, word_a.len) != 0)
            return false;
    }
}

/* x86, arm, ppc, riscv "processor : N"; s390x "cpu number : N". */
static unsigned cpuinfo_cpus(SfSlice text, SfCpuSet *ret_cpus)
{
    unsigned blocks = 0;
    SfSlice line, name;
    sf_cpuset_clear(ret_cpus);
    while (sf_slice_next_line(&text, &line)) {
        uint64_t cpu;
        if (!sf_slice_next_field(&line, ':', &name))
            continue;
        name = sf_slice_trim(name);
        if ((sf_slice_eq(name, "processor") || sf_slice_eq(name, "cpu number")) &&
            sf_slice_u64(sf_slice_trim(line), &cpu) == 0 && cpu < SF_CPUSET_MAX) {
            sf_cpuset_add(ret_cpus, (unsigned)cpu);
            blocks++;
        }
    }
    return blocks;
}

/* Takes the next cpu line off *rest. *ret_cpu is -1 for the total. */
static bool next_cpu_line(SfSlice *rest, int *ret_cpu, uint64_t columns[MAX_COLUMNS],
                          unsigned *ret_count)
{
    SfSlice line, name, word;
    while (sf_slice_next_line(rest, &line)) {
        if (!sf_slice_next_word(&line, &name) || !sf_slice_starts(name, "cpu"))
            continue;
        uint64_t cpu = 0;
        if (name.len > 3 && sf_slice_u64(sf_slice(name.data + 3, name.len - 3), &cpu) < 0)
            continue;
        *ret_cpu = name.len > 3 ? (int)cpu : -1;
        *ret_count = 0;
        while (*ret_count < MAX_COLUMNS && sf_slice_next_word(&line, &word)) {
            if (sf_slice_u64(word, &columns[*ret_count]) < 0)
                break;
            (*ret_count)++;
        }
        return true;
    }
    return false;
}

static unsigned stat_cpus(SfSlice text, SfCpuSet *ret_cpus)
{
    uint64_t columns[MAX_COLUMNS];
    unsigned count, lines = 0;
    int cpu;
    sf_cpuset_clear(ret_cpus);
    while (next_cpu_line(&text, &cpu, columns, &count)) {
        if (cpu < 0)
            continue;
        sf_cpuset_add(ret_cpus, (unsigned)cpu);
        lines++;
    }
    return lines;
}

static uint64_t stat_value(SfSlice text, const char *key)
{
    SfSlice line, word;
    uint64_t value;
    while (sf_slice_next_line(&text, &line)) {
        if (sf_slice_next_word(&line, &word) && sf_slice_eq(word, key) &&
            sf_slice_next_word(&line, &word) && sf_slice_u64(word, &value) == 0)
            return value;
    }
    return UINT64_MAX;
}

/* No digits anywhere that make 2^63 or more. */
static bool check_size(const Snapshot *now, SfText *report)
{
    bool held = true;
    for (unsigned i = 0; i < now->count; i++) {
        SfSlice text = now->texts[i];
        for (size_t at = 0; at < text.len;) {
            size_t end = at;
            while (end < text.len && text.data[end] >= '0' && text.data[end] <= '9')
                end++;
            uint64_t value = 0;
            if (end > at && (sf_slice_u64(sf_slice(text.data + at, end - at), &value) < 0 ||
                             value > INT64_MAX)) {
                sf_text_printf(report, "%s: %.*s is 2^63 or more\n", now->names[i], (int)(end - at),
                               text.data + at);
                held = false;
            }
            at = end > at ? end : at + 1;
        }
    }
    return held;
}

static bool check_cpus(const Snapshot *now, const HostTexts *host, SfText *report)
{
    SfSlice online_text = text_of(now, "sys_cpu_online");
    SfSlice present_text = text_of(now, "sys_cpu_present");
    SfSlice offline_text = text_of(now, "sys_cpu_offline");
    SfCpuSet online, present, offline, possible, cpuinfo, stat;
    if (sf_cpuset_parse_list(online_text.data, online_text.len, &online) < 0 ||
        sf_cpuset_parse_list(present_text.data, present_text.len, &present) < 0 ||
        sf_cpuset_parse_list(offline_text.data, offline_text.len, &offline) < 0 ||
        sf_cpuset_parse_list(host->cpu_possible.data, host->cpu_possible.len, &possible) < 0) {
        sf_text_puts(report, "a CPU list cannot be read\n");
        return false;
    }
    unsigned n = sf_cpuset_count(&online);
    unsigned blocks = cpuinfo_cpus(text_of(now, "proc_cpuinfo"), &cpuinfo);
    unsigned lines = stat_cpus(text_of(now, "proc_stat"), &stat);
    bool held = expect(n > 0, report, "no CPU online", n, 0);
    held &= expect(sf_cpuset_equal(&online, &present), report, "online, present", n,
                   sf_cpuset_count(&present));
    held &= expect(blocks == n && sf_cpuset_equal(&online, &cpuinfo), report,
                   "online, cpuinfo blocks", n, blocks);
    held &= expect(lines == n && sf_cpuset_equal(&online, &stat), report, "online, cpuN lines", n,
                   lines);
    SfCpuSet rest = possible;
    sf_cpuset_subtract(&rest, &online);
    held &= expect(sf_cpuset_equal(&rest, &offline), report, "possible - online, offline",
                   sf_cpuset_count(&rest), sf_cpuset_count(&offline));
    return held;
}

static bool check_meminfo(const Snapshot *now, const HostTexts *host, SfText *report)
{
    static const char *const parts[] = {
        "MemFree",        "MemAvailable", "Buffers",       "Cached",       "SwapCached",
        "Active",         "Inactive",     "Active(anon)",  "Active(file)", "Inactive(anon)",
        "Inactive(file)", "Unevictable",  "Mlocked",       "Dirty",        "Writeback",
        "AnonPages",      "Mapped",       "Shmem",         "Slab",         "SReclaimable",
        "SUnreclaim",     "KReclaimable", "AnonHugePages", "KernelStack",  "PageTables"};
    SfSlice text = text_of(now, "proc_meminfo");
    uint64_t total = meminfo_value(text, "MemTotal");
    bool held = expect(total > 0, report, "MemTotal", total, 0);
    held &= expect(total <= meminfo_value(host->meminfo, "MemTotal"), report,
                   "MemTotal, the host's", total, meminfo_value(host->meminfo, "MemTotal"));
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        held &= expect(meminfo_value(text, parts[i]) <= total, report, parts[i],
                       meminfo_value(text, parts[i]), total);
    uint64_t swap = meminfo_value(text, "SwapTotal"), swap_free = meminfo_value(text, "SwapFree");
    held &= expect(swap_free <= swap, report, "SwapFree, SwapTotal", swap_free, swap);
    held &= expect(swap <= meminfo_value(host->meminfo, "SwapTotal"), report,
                   "SwapTotal, the host's", swap, meminfo_value(host->meminfo, "SwapTotal"));
    uint64_t huge = meminfo_value(text, "HugePages_Total");
    uint64_t huge_free = meminfo_value(text, "HugePages_Free");
    held &= expect(huge_free <= huge, report, "HugePages_Free, _Total", huge_free, huge);
    held &= expect(same_lines(text, host->meminfo, ""), report, "meminfo: the host's lines", 0, 0);

    SfSlice swaps = text_of(now, "proc_swaps"), line, word;
    uint64_t size = 0, used = 0;
    bool has_header = sf_slice_next_line(&swaps, &line);
    if (has_header && sf_slice_next_line(&swaps, &line)) {
        (void)sf_slice_next_word(&line, &word); /* name and type; a missing number stays 0 and */
        (void)sf_slice_next_word(&line, &word); /* is found different below */
        if (sf_slice_next_word(&line, &word))
            held &= sf_slice_u64(word, &size) == 0;
        if (sf_slice_next_word(&line, &word))
            held &= sf_slice_u64(word, &used) == 0;
        held &= expect(size > 0, report, "swaps: a line of size", size, 0);
    }
    held &= expect(size == swap, report, "swaps, SwapTotal", size, swap);
    held &= expect(used == swap - swap_free, report, "swaps, swap used", used, swap - swap_free);
    return held;
}

static bool check_stat(const Snapshot *now, const HostTexts *host, SfText *report)
{
    SfSlice text = text_of(now, "proc_stat"), rest = text, host_rest = host->stat;
    uint64_t total[MAX_COLUMNS], sum[MAX_COLUMNS] = {0}, columns[MAX_COLUMNS];
    unsigned total_count = 0, count, lines = 0, host_count = 0;
    int cpu;
    if (!next_cpu_line(&rest, &cpu, total, &total_count) || cpu != -1) {
        sf_text_puts(report, "stat: no cpu line first\n");
        return false;
    }
    bool held = true;
    while (next_cpu_line(&rest, &cpu, columns, &count)) {
        held &= expect(count == total_count, report, "stat: columns", count, total_count);
        for (unsigned i = 0; i < count; i++)
            sum[i] += columns[i];
        lines++;
    }
    for (unsigned i = 0; i < total_count; i++) /* each line is cut off to ticks by itself */
        held &= expect(total[i] >= sum[i] && total[i] - sum[i] <= lines, report,
                       "stat: total, sum of the CPUs", total[i], sum[i]);
    if (next_cpu_line(&host_rest, &cpu, columns, &host_count))
        held &= expect(total_count == host_count, report, "stat: columns, the host's", total_count,
                       host_count);
    held &= expect(same_lines(text, host->stat, "cpu"), report, "stat: the host's lines", 0, 0);
    held &= expect(stat_value(text, "btime") == stat_value(host->stat, "btime"), report, "btime",
                   stat_value(text, "btime"), stat_value(host->stat, "btime"));
    held &= expect(stat_value(text, "procs_running") >= 1, report, "procs_running", 0, 1);
    return held;
}

/* The n-th word as hundredths, of a "12.34" text. */
static uint64_t hundredths(SfSlice text, unsigned n)
{
    SfSlice word, whole;
    for (unsigned i = 0; i <= n; i++) {
        if (!sf_slice_next_word(&text, &word))
            return UINT64_MAX;
    }
    word = sf_slice_trim(word);
    uint64_t seconds, rest;
    if (!sf_slice_next_field(&word, '.', &whole) || sf_slice_u64(whole, &seconds) < 0 ||
        sf_slice_u64(word, &rest) < 0)
        return UINT64_MAX;
    return seconds * 100 + rest;
}

/* Time: no CPU of stat saw more than the uptime; uptime's idle is stat's idle and steal. */
static bool check_time(const Snapshot *now, SfText *report)
{
    SfSlice uptime = text_of(now, "proc_uptime"), stat = text_of(now, "proc_stat");
    if (uptime.len == 0)
        return true; /* a time namespace of its own */
    uint64_t age = hundredths(uptime, 0), idle = hundredths(uptime, 1), columns[MAX_COLUMNS];
    unsigned count;
    int cpu;
    bool held =
        expect(age < UINT64_MAX && idle < UINT64_MAX, report, "uptime cannot be read", 0, 0);
    while (next_cpu_line(&stat, &cpu, columns, &count)) {
        uint64_t sum = 0;
        for (unsigned i = 0; i < count && i < 8; i++)
            sum += columns[i];
        /* The captured hosts all have 100 ticks a second, as user space sees it (USER_HZ). */
        if (cpu >= 0)
            held &= expect(sum <= age, report, "stat: time of a CPU, uptime", sum, age);
        else if (count >= 8)
            held &= expect(idle >= columns[3] + columns[7] && idle - columns[3] - columns[7] <= 2,
                           report, "uptime idle, stat idle + steal", idle, columns[3] + columns[7]);
    }
    return held;
}

static bool check_loadavg(const Snapshot *now, SfText *report)
{
    SfSlice text = text_of(now, "proc_loadavg"), word = {0}, running_word = {0};
    for (unsigned i = 0; i < 4; i++)
        (void)sf_slice_next_word(&text, &word); /* checked by what it leaves */
    uint64_t running, total;
    if (!sf_slice_next_field(&word, '/', &running_word) ||
        sf_slice_u64(running_word, &running) < 0 || sf_slice_u64(word, &total) < 0) {
        sf_text_puts(report, "loadavg cannot be read\n");
        return false;
    }
    bool held = expect(running <= total, report, "loadavg: running/total", running, total);
    uint64_t procs = stat_value(text_of(now, "proc_stat"), "procs_running");
    held &= expect(running == procs, report, "loadavg running, procs_running", running, procs);
    return held;
}

static bool check_trees(const Snapshot *now, SfText *report)
{
    SfSlice cpu_tree = text_of(now, "sys_cpu"), node_tree = text_of(now, "sys_node");
    SfSlice online = sf_slice_trim(text_of(now, "sys_cpu_online"));
    SfSlice meminfo = text_of(now, "proc_meminfo");
    SfCpuSet visible;
    bool held = true;
    if (sf_cpuset_parse_list(online.data, online.len, &visible) < 0)
        return expect(false, report, "online cannot be read", 0, 0);
    if (cpu_tree.len > 0)
        held &= consistency_check_cpu_tree(cpu_tree, &visible, report);
    if (node_tree.len > 0)
        held &= consistency_check_node_tree(node_tree, &visible, meminfo_value(meminfo, "MemTotal"),
                                            meminfo_value(meminfo, "MemFree"), report);
    return held;
}

bool consistency_check(const Snapshot *now, const HostTexts *host, SfText *report)
{
    bool held = check_size(now, report);
    held &= check_cpus(now, host, report);
    held &= check_meminfo(now, host, report);
    held &= check_stat(now, host, report);
    held &= check_time(now, report);
    held &= check_loadavg(now, report);
    held &= check_trees(now, report);
    return held;
}

bool consistency_check_order(const Snapshot *now, const Snapshot *later, SfText *report)
{
    SfSlice first = text_of(now, "proc_stat"), second = text_of(later, "proc_stat");
    uint64_t before[MAX_COLUMNS], after[MAX_COLUMNS];
    unsigned count_before, count_after;
    int cpu_before, cpu_after;
    bool held = true;
    while (next_cpu_line(&first, &cpu_before, before, &count_before) &&
           next_cpu_line(&second, &cpu_after, after, &count_after)) {
        for (unsigned i = 0; i < count_before && i < count_after; i++)
            held &= expect(cpu_before == cpu_after && before[i] <= after[i], report,
                           "stat decreases", before[i], after[i]);
    }
    SfSlice up_first = text_of(now, "proc_uptime"), up_second = text_of(later, "proc_uptime");
    for (unsigned i = 0; i < 2 && up_first.len > 0; i++)
        held &= expect(hundredths(up_first, i) <= hundredths(up_second, i), report,
                       "uptime decreases", hundredths(up_first, i), hundredths(up_second, i));
    return held;
}
