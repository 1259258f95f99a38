/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The identities of a container's files. Reads the texts as a program in the container would, with
 * none of the daemon's parsers of whole files: they are among what is judged here.
 */

#include "tests/golden/consistency.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/cpuset.h"
#include "tests/golden/consistency_counters.h"
#include "tests/golden/consistency_text.h"
#include "tests/golden/consistency_trees.h"

#define MAX_COLUMNS 16
#define NSEC_PER_TICK 10000000u
/* SF_TASK_COUNT_MAX_AGE_NSEC of daemon/container */
#define TASKS_AGE_NSEC 100000000u

/* What a subtraction that went below zero leaves, and no real number comes near. */
#define SIZE_LIMIT (1ull << 62)

SfSlice consistency_text(const Snapshot *snapshot, const char *name)
{
    for (unsigned i = 0; i < snapshot->count; i++) {
        if (strcmp(snapshot->names[i], name) == 0)
            return snapshot->texts[i];
    }
    return sf_slice("", 0);
}

SfSlice consistency_text_again(const Snapshot *snapshot, const char *name)
{
    char again[64];
    (void)snprintf(again, sizeof(again), "%s again", name); /* names are short */
    SfSlice text = consistency_text(snapshot, again);
    return text.len > 0 ? text : consistency_text(snapshot, name);
}

bool consistency_expect(bool held, SfText *report, const char *what, uint64_t a, uint64_t b)
{
    if (!held)
        sf_text_printf(report, "%s: %" PRIu64 " and %" PRIu64 "\n", what, a, b);
    return held;
}

uint64_t consistency_meminfo(SfSlice text, const char *key)
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

uint64_t consistency_value(SfSlice text, const char *key)
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

/* No digits anywhere that make more than 2^62; but for what v1 prints of a limit that is none:
 * PAGE_COUNTER_MAX in bytes (include/linux/page_counter.h). */
static bool check_size(const Snapshot *now, const HostTexts *host, SfText *report)
{
    uint64_t no_limit = host->page_bytes > 0 ? INT64_MAX - INT64_MAX % host->page_bytes : 0;
    bool held = true;
    for (unsigned i = 0; i < now->count; i++) {
        SfSlice text = now->texts[i];
        bool limit = strstr(now->names[i], "_limit") != NULL;
        for (size_t at = 0; at < text.len;) {
            size_t end = at;
            while (end < text.len && text.data[end] >= '0' && text.data[end] <= '9')
                end++;
            uint64_t value = 0;
            if (end > at && (sf_slice_u64(sf_slice(text.data + at, end - at), &value) < 0 ||
                             (value > SIZE_LIMIT && !(limit && value == no_limit)))) {
                sf_text_printf(report, "%s: %.*s is more than 2^62\n", now->names[i],
                               (int)(end - at), text.data + at);
                held = false;
            }
            at = end > at ? end : at + 1;
        }
    }
    return held;
}

static bool check_cpus(const Snapshot *now, const HostTexts *host, SfText *report)
{
    SfSlice online_text = consistency_text(now, "sys_cpu_online");
    SfSlice present_text = consistency_text(now, "sys_cpu_present");
    SfSlice offline_text = consistency_text(now, "sys_cpu_offline");
    SfCpuSet online, present, offline, possible, cpuinfo, stat;
    if (sf_cpuset_parse_list(online_text.data, online_text.len, &online) < 0 ||
        sf_cpuset_parse_list(present_text.data, present_text.len, &present) < 0 ||
        sf_cpuset_parse_list(offline_text.data, offline_text.len, &offline) < 0 ||
        sf_cpuset_parse_list(host->cpu_possible.data, host->cpu_possible.len, &possible) < 0) {
        sf_text_puts(report, "a CPU list cannot be read\n");
        return false;
    }
    unsigned n = sf_cpuset_count(&online);
    unsigned blocks = cpuinfo_cpus(consistency_text(now, "proc_cpuinfo"), &cpuinfo);
    unsigned lines = stat_cpus(consistency_text(now, "proc_stat"), &stat);
    bool held = consistency_expect(n > 0, report, "no CPU online", n, 0);
    held &= consistency_expect(sf_cpuset_equal(&online, &present), report, "online, present", n,
                               sf_cpuset_count(&present));
    held &= consistency_expect(blocks == n && sf_cpuset_equal(&online, &cpuinfo), report,
                               "online, cpuinfo blocks", n, blocks);
    held &= consistency_expect(lines == n && sf_cpuset_equal(&online, &stat), report,
                               "online, cpuN lines", n, lines);
    SfCpuSet rest = possible;
    sf_cpuset_subtract(&rest, &online);
    held &=
        consistency_expect(sf_cpuset_equal(&rest, &offline), report, "possible - online, offline",
                           sf_cpuset_count(&rest), sf_cpuset_count(&offline));
    return held;
}

/* Sums of what does not overlap are within what is used, parts within what they are part of. */
static bool check_memory_groups(SfSlice text, SfText *report)
{
    static const char *const kinds[] = {"AnonPages",   "Cached",     "Slab",
                                        "KernelStack", "PageTables", "Percpu"};
    static const char *const lists[] = {"Active", "Inactive", "Unevictable"};
    static const char *const parts[][2] = {
        {"Shmem", "Cached"},        {"Mapped", "Cached"},           {"Dirty", "Cached"},
        {"Writeback", "Cached"},    {"AnonHugePages", "AnonPages"}, {"ShmemHugePages", "Shmem"},
        {"Active(anon)", "Active"}, {"Active(file)", "Active"},     {"SReclaimable", "Slab"}};
    uint64_t used = consistency_meminfo(text, "MemTotal") - consistency_meminfo(text, "MemFree");
    uint64_t of_kinds = 0, on_lists = 0;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        of_kinds += consistency_meminfo(text, kinds[i]);
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        on_lists += consistency_meminfo(text, lists[i]);
    bool held = consistency_expect(of_kinds <= used, report, "kinds of memory, MemTotal - MemFree",
                                   of_kinds, used);
    held &= consistency_expect(on_lists <= used, report, "memory on lists, MemTotal - MemFree",
                               on_lists, used);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        uint64_t part = consistency_meminfo(text, parts[i][0]);
        uint64_t whole = consistency_meminfo(text, parts[i][1]);
        held &= consistency_expect(part <= whole, report, parts[i][0], part, whole);
    }
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
    SfSlice text = consistency_text(now, "proc_meminfo");
    uint64_t total = consistency_meminfo(text, "MemTotal");
    bool held = consistency_expect(total > 0, report, "MemTotal", total, 0);
    held &= consistency_expect(total <= consistency_meminfo(host->meminfo, "MemTotal"), report,
                               "MemTotal, the host's", total,
                               consistency_meminfo(host->meminfo, "MemTotal"));
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        held &= consistency_expect(consistency_meminfo(text, parts[i]) <= total, report, parts[i],
                                   consistency_meminfo(text, parts[i]), total);
    held &= check_memory_groups(text, report);
    uint64_t swap = consistency_meminfo(text, "SwapTotal"),
             swap_free = consistency_meminfo(text, "SwapFree");
    held &= consistency_expect(swap_free <= swap, report, "SwapFree, SwapTotal", swap_free, swap);
    held &= consistency_expect(swap <= consistency_meminfo(host->meminfo, "SwapTotal"), report,
                               "SwapTotal, the host's", swap,
                               consistency_meminfo(host->meminfo, "SwapTotal"));
    uint64_t huge = consistency_meminfo(text, "HugePages_Total");
    uint64_t huge_free = consistency_meminfo(text, "HugePages_Free");
    held &=
        consistency_expect(huge_free <= huge, report, "HugePages_Free, _Total", huge_free, huge);
    held &= consistency_expect(same_lines(text, host->meminfo, ""), report,
                               "meminfo: the host's lines", 0, 0);

    return held;
}

static bool check_swaps(const Snapshot *now, SfText *report)
{
    SfSlice meminfo = consistency_text(now, "proc_meminfo");
    uint64_t swap = consistency_meminfo(meminfo, "SwapTotal");
    uint64_t swap_free = consistency_meminfo(meminfo, "SwapFree");
    SfSlice swaps = consistency_text(now, "proc_swaps"), line, word;
    uint64_t size = 0, used = 0;
    bool has_header = sf_slice_next_line(&swaps, &line);
    bool held = true;
    if (has_header && sf_slice_next_line(&swaps, &line)) {
        (void)sf_slice_next_word(&line, &word); /* name and type; a missing number stays 0 and */
        (void)sf_slice_next_word(&line, &word); /* is found different below */
        if (sf_slice_next_word(&line, &word))
            held &= sf_slice_u64(word, &size) == 0;
        if (sf_slice_next_word(&line, &word))
            held &= sf_slice_u64(word, &used) == 0;
        held &= consistency_expect(size > 0, report, "swaps: a line of size", size, 0);
    }
    held &= consistency_expect(size == swap, report, "swaps, SwapTotal", size, swap);
    SfSlice again = consistency_text_again(now, "proc_meminfo");
    uint64_t used_again =
        consistency_meminfo(again, "SwapTotal") - consistency_meminfo(again, "SwapFree");
    held &= consistency_expect(used <= size, report, "swaps: used, size", used, size);
    held &= consistency_expect(now->moving || used == swap - swap_free || used == used_again,
                               report, "swaps, swap used", used, swap - swap_free);
    return held;
}

static bool check_stat(const Snapshot *now, const HostTexts *host, SfText *report)
{
    SfSlice text = consistency_text(now, "proc_stat"), rest = text, host_rest = host->stat;
    uint64_t total[MAX_COLUMNS], sum[MAX_COLUMNS] = {0}, columns[MAX_COLUMNS];
    unsigned total_count = 0, count, lines = 0, host_count = 0;
    int cpu;
    if (!next_cpu_line(&rest, &cpu, total, &total_count) || cpu != -1) {
        sf_text_puts(report, "stat: no cpu line first\n");
        return false;
    }
    bool held = true;
    while (next_cpu_line(&rest, &cpu, columns, &count)) {
        held &=
            consistency_expect(count == total_count, report, "stat: columns", count, total_count);
        for (unsigned i = 0; i < count; i++)
            sum[i] += columns[i];
        lines++;
    }
    for (unsigned i = 0; i < total_count; i++) /* each line is cut off to ticks by itself */
        held &= consistency_expect(total[i] >= sum[i] &&
                                       (now->cpus_left || now->apart || total[i] - sum[i] <= lines),
                                   report, "stat: total, sum of the CPUs", total[i], sum[i]);
    if (next_cpu_line(&host_rest, &cpu, columns, &host_count))
        held &= consistency_expect(total_count == host_count, report, "stat: columns, the host's",
                                   total_count, host_count);
    held &= consistency_expect(same_lines(text, host->stat, "cpu"), report,
                               "stat: the host's lines", 0, 0);
    held &= consistency_expect(
        consistency_value(text, "btime") == consistency_value(host->stat, "btime"), report, "btime",
        consistency_value(text, "btime"), consistency_value(host->stat, "btime"));
    held &= consistency_expect(consistency_value(text, "procs_running") >= 1, report,
                               "procs_running", 0, 1);
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

/* Time: no CPU of stat saw more than the uptime; uptime's idle is stat's idle and steal, and what
 * idle came while the two were taken. */
static bool check_time(const Snapshot *now, const HostTexts *host, SfText *report)
{
    SfSlice uptime = consistency_text(now, "proc_uptime"),
            stat = consistency_text(now, "proc_stat");
    if (uptime.len == 0)
        return true; /* a time namespace of its own */
    uint64_t age = hundredths(uptime, 0), idle = hundredths(uptime, 1), columns[MAX_COLUMNS];
    unsigned count, cpus;
    SfCpuSet set;
    int cpu;
    cpus = stat_cpus(host->stat, &set);
    uint64_t slack = 2 + (now->spread_nsec * cpus + NSEC_PER_TICK - 1) / NSEC_PER_TICK;
    bool held = consistency_expect(age < UINT64_MAX && idle < UINT64_MAX, report,
                                   "uptime cannot be read", 0, 0);
    while (next_cpu_line(&stat, &cpu, columns, &count)) {
        uint64_t sum = 0;
        for (unsigned i = 0; i < count && i < 8; i++)
            sum += columns[i];
        /* The captured hosts all have 100 ticks a second, as user space sees it (USER_HZ). */
        if (cpu >= 0)
            held &= consistency_expect(sum <= age, report, "stat: time of a CPU, uptime", sum, age);
        else if (count >= 8)
            held &= consistency_expect(
                idle >= columns[3] + columns[7] && idle - columns[3] - columns[7] <= slack, report,
                "uptime idle, stat idle + steal", idle, columns[3] + columns[7]);
    }
    return held;
}

static bool check_loadavg(const Snapshot *now, SfText *report)
{
    SfSlice text = consistency_text(now, "proc_loadavg"), word = {0}, running_word = {0};
    for (unsigned i = 0; i < 4; i++)
        (void)sf_slice_next_word(&text, &word); /* checked by what it leaves */
    uint64_t running, total;
    if (!sf_slice_next_field(&word, '/', &running_word) ||
        sf_slice_u64(running_word, &running) < 0 || sf_slice_u64(word, &total) < 0) {
        sf_text_puts(report, "loadavg cannot be read\n");
        return false;
    }
    bool held =
        consistency_expect(running <= total, report, "loadavg: running/total", running, total);
    uint64_t procs = consistency_value(consistency_text(now, "proc_stat"), "procs_running");
    uint64_t again = consistency_value(consistency_text_again(now, "proc_stat"), "procs_running");
    /* The count is kept for a tenth of a second: one new one may come in between, not two. */
    bool late = now->moving && now->spread_nsec >= TASKS_AGE_NSEC;
    held &= consistency_expect(late || running == procs || running == again, report,
                               "loadavg running, procs_running", running, procs);
    return held;
}

static bool check_trees(const Snapshot *now, SfText *report)
{
    SfSlice cpu_tree = consistency_text(now, "sys_cpu"),
            node_tree = consistency_text(now, "sys_node");
    SfSlice online = sf_slice_trim(consistency_text(now, "sys_cpu_online"));
    SfSlice meminfo = consistency_text(now, "proc_meminfo");
    SfSlice again = consistency_text_again(now, "proc_meminfo");
    uint64_t free_kb = consistency_meminfo(meminfo, "MemFree");
    if (now->moving || free_kb != consistency_meminfo(again, "MemFree"))
        free_kb = UINT64_MAX;
    SfCpuSet visible;
    bool held = true;
    if (sf_cpuset_parse_list(online.data, online.len, &visible) < 0)
        return consistency_expect(false, report, "online cannot be read", 0, 0);
    if (cpu_tree.len > 0)
        held &= consistency_check_cpu_tree(cpu_tree, &visible, report);
    if (node_tree.len > 0)
        held &= consistency_check_node_tree(
            node_tree, &visible, consistency_meminfo(meminfo, "MemTotal"), free_kb, report);
    return held;
}

/* The limit that a program finds in its cgroup is the memory it finds in meminfo. "max", and what
 * v1 prints for it, are above what the host has. */
static bool check_limits(const Snapshot *now, const HostTexts *host, SfText *report)
{
    static const char *const files[] = {"sys_cgroup_memory_max", "sys_cgroup1_memory_limit"};
    uint64_t total = consistency_meminfo(consistency_text(now, "proc_meminfo"), "MemTotal");
    bool held = true;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        SfSlice text = sf_slice_trim(consistency_text(now, files[i]));
        uint64_t limit = UINT64_MAX, wanted = consistency_meminfo(host->meminfo, "MemTotal");
        if (text.len == 0)
            continue;
        if (!sf_slice_eq(text, "max"))
            held &= consistency_expect(sf_slice_u64(text, &limit) == 0, report, files[i], 0, 0);
        if (limit / 1024 < wanted)
            wanted = limit / 1024;
        held &= consistency_expect(total == wanted, report, files[i], wanted, total);
    }
    return held;
}

/* Visible CPUs are among those that the cgroup's file says. */
static bool check_cpuset(const Snapshot *now, const HostTexts *host, SfText *report)
{
    static const char *const files[] = {"sys_cgroup_cpuset_cpus", "sys_cgroup1_cpuset_cpus"};
    SfSlice online = sf_slice_trim(consistency_text(now, "sys_cpu_online"));
    SfCpuSet visible, allowed;
    bool held = true;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        SfSlice text = sf_slice_trim(consistency_text(now, files[i]));
        if (text.len == 0 || host->all_cpus)
            continue;
        if (sf_cpuset_parse_list(online.data, online.len, &visible) < 0 ||
            sf_cpuset_parse_list(text.data, text.len, &allowed) < 0)
            return consistency_expect(false, report, files[i], 0, 0);
        unsigned count = sf_cpuset_count(&visible);
        sf_cpuset_and(&visible, &allowed);
        held &= consistency_expect(sf_cpuset_count(&visible) == count, report, files[i],
                                   sf_cpuset_count(&visible), count);
    }
    return held;
}

bool consistency_check(const Snapshot *now, const HostTexts *host, SfText *report)
{
    bool held = check_size(now, host, report);
    held &= check_meminfo(now, host, report);
    held &= check_stat(now, host, report);
    held &= check_time(now, host, report);
    held &= check_loadavg(now, report);
    if (now->apart)
        return held;
    held &= check_swaps(now, report);
    held &= check_cpus(now, host, report);
    held &= check_trees(now, report);
    held &= check_limits(now, host, report);
    held &= check_cpuset(now, host, report);
    held &= consistency_check_counters(now, host, report);
    return held;
}

/* The line of one CPU (-1: the total). */
static bool find_cpu_line(SfSlice text, int wanted, uint64_t columns[MAX_COLUMNS],
                          unsigned *ret_count)
{
    int cpu;
    while (next_cpu_line(&text, &cpu, columns, ret_count)) {
        if (cpu == wanted)
            return true;
    }
    return false;
}

bool consistency_check_order(const Snapshot *now, const Snapshot *later, SfText *report)
{
    SfSlice first = consistency_text(now, "proc_stat"),
            second = consistency_text(later, "proc_stat");
    uint64_t before[MAX_COLUMNS], after[MAX_COLUMNS];
    unsigned count_before, count_after;
    int cpu;
    bool held = true;
    while (next_cpu_line(&first, &cpu, before, &count_before)) {
        if (!find_cpu_line(second, cpu, after, &count_after))
            continue; /* out of sight since */
        for (unsigned i = 0; i < count_before && i < count_after; i++)
            held &= consistency_expect(before[i] <= after[i], report, "stat decreases", before[i],
                                       after[i]);
    }
    SfSlice up_first = consistency_text(now, "proc_uptime"),
            up_second = consistency_text(later, "proc_uptime");
    for (unsigned i = 0; i < 2 && up_first.len > 0; i++)
        held &= consistency_expect(hundredths(up_first, i) <= hundredths(up_second, i), report,
                                   "uptime decreases", hundredths(up_first, i),
                                   hundredths(up_second, i));
    return consistency_order_counters(now, later, report) && held;
}
