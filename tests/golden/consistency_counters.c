/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold between the files that list counters and the others. Reads the texts as a program
 * in the container would.
 */

#include "tests/golden/consistency_counters.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/cpuset.h"
#include "tests/golden/consistency_text.h"

/* Words of a line of diskstats (Documentation/admin-guide/iostats.rst): major, minor, name, then
 * the counters, of which the ninth counts requests in flight and may fall. */
#define DISK_WORDS 24
#define DISK_FIRST 3
#define DISK_IN_FLIGHT 11

static bool numbered(SfSlice word, const char *prefix, SfCpuSet *set)
{
    size_t skip = strlen(prefix);
    uint64_t number;
    if (!sf_slice_starts(word, prefix) || word.len == skip ||
        sf_slice_u64(sf_slice(word.data + skip, word.len - skip), &number) < 0 ||
        number >= SF_CPUSET_MAX)
        return false;
    sf_cpuset_add(set, (unsigned)number);
    return true;
}

/* How many numbers a line begins with. */
static unsigned leading_numbers(SfSlice line)
{
    SfSlice word;
    uint64_t value;
    unsigned n = 0;
    while (sf_slice_next_word(&line, &word) && sf_slice_u64(word, &value) == 0)
        n++;
    return n;
}

/* interrupts, softirqs: a header with a word a CPU, and as many numbers in each line. ERR and MIS
 * count for the machine (arch/x86/kernel/irq.c, arch/arm64/kernel/irq.c). */
static bool check_cpu_columns(const Snapshot *now, const char *file, const SfCpuSet *visible,
                              SfText *report)
{
    SfSlice text = consistency_text(now, file), line, word, label;
    SfCpuSet header;
    unsigned n = sf_cpuset_count(visible), columns = 0;
    bool held = true;
    sf_cpuset_clear(&header);
    if (text.len == 0)
        return true;
    if (sf_slice_next_line(&text, &line)) {
        while (sf_slice_next_word(&line, &word) && numbered(word, "CPU", &header))
            columns++;
    }
    held &= consistency_expect(columns == n && sf_cpuset_equal(&header, visible), report, file,
                               columns, n);
    while (sf_slice_next_line(&text, &line)) {
        if (!sf_slice_next_field(&line, ':', &label))
            continue;
        label = sf_slice_trim(label);
        unsigned count = leading_numbers(line);
        bool machine = sf_slice_eq(label, "ERR") || sf_slice_eq(label, "MIS");
        if (count == (machine ? 1 : n))
            continue;
        sf_text_printf(report, "%s: %u columns of '%.*s' for %u CPUs\n", file, count,
                       (int)label.len, label.data, n);
        held = false;
    }
    return held;
}

static bool check_schedstat(const Snapshot *now, const SfCpuSet *visible, SfText *report)
{
    SfSlice text = consistency_text(now, "proc_schedstat"), line, word;
    SfCpuSet lines;
    unsigned count = 0;
    sf_cpuset_clear(&lines);
    if (text.len == 0)
        return true;
    while (sf_slice_next_line(&text, &line)) {
        if (sf_slice_next_word(&line, &word) && numbered(word, "cpu", &lines))
            count++;
    }
    return consistency_expect(count == sf_cpuset_count(visible) && sf_cpuset_equal(&lines, visible),
                              report, "schedstat: lines, visible CPUs", count,
                              sf_cpuset_count(visible));
}

/* Whether `text` has a line with these numbers and the name as its name_at-th word. */
static bool has_device(SfSlice text, const SfSlice *device, unsigned name_at)
{
    SfSlice line, word;
    while (sf_slice_next_line(&text, &line)) {
        unsigned at = 0, same = 0;
        for (; sf_slice_next_word(&line, &word); at++) {
            unsigned part = at == name_at ? 2 : at;
            if ((at < 2 || at == name_at) && word.len == device[part].len &&
                memcmp(word.data, device[part].data, word.len) == 0)
                same++;
        }
        if (same == 3)
            return true;
    }
    return false;
}

/* Every device of the one text is in the other. */
static bool has_devices(SfSlice some, unsigned some_name_at, SfSlice all, unsigned all_name_at,
                        const char *what, SfText *report)
{
    SfSlice line, word;
    uint64_t major;
    bool held = true;
    while (sf_slice_next_line(&some, &line)) {
        SfSlice device[3];
        unsigned at = 0;
        for (; sf_slice_next_word(&line, &word) && at <= some_name_at; at++) {
            if (at < 2 || at == some_name_at)
                device[at == some_name_at ? 2 : at] = word;
        }
        if (at <= some_name_at || sf_slice_u64(device[0], &major) < 0)
            continue; /* the header of partitions, and the empty line after it */
        if (has_device(all, device, all_name_at))
            continue;
        sf_text_printf(report, "%s: %.*s\n", what, (int)device[2].len, device[2].data);
        held = false;
    }
    return held;
}

/* A device that is touched for the first time while the container runs comes into diskstats, which
 * is taken later. */
static bool check_devices(const Snapshot *now, SfText *report)
{
    SfSlice partitions = consistency_text(now, "proc_partitions");
    SfSlice diskstats = consistency_text(now, "proc_diskstats");
    if (partitions.len == 0)
        return true; /* not shown: shown, it has a header */
    bool held = has_devices(partitions, 3, diskstats, 2, "in partitions, not in diskstats", report);
    if (!now->moving)
        held &= has_devices(diskstats, 2, partitions, 3, "in diskstats, not in partitions", report);
    return held;
}

/* Keys of vmstat and meminfo with the same key of memory.stat behind them. */
static const struct {
    const char *pages, *kb;
    const char *whole; /* meminfo holds it at most as large as this */
} memory_pairs[] = {
    {"nr_active_anon", "Active(anon)", NULL},
    {"nr_inactive_anon", "Inactive(anon)", NULL},
    {"nr_active_file", "Active(file)", NULL},
    {"nr_inactive_file", "Inactive(file)", NULL},
    {"nr_unevictable", "Unevictable", NULL},
    {"nr_anon_pages", "AnonPages", NULL},
    {"nr_slab_reclaimable", "SReclaimable", NULL},
    {"nr_slab_unreclaimable", "SUnreclaim", NULL},
    {"nr_page_table_pages", "PageTables", NULL},
    {"nr_sec_page_table_pages", "SecPageTables", NULL},
    {"nr_swapcached", "SwapCached", NULL},
    {"nr_mapped", "Mapped", "Cached"},
    {"nr_shmem", "Shmem", "Cached"},
    {"nr_dirty", "Dirty", "Cached"},
    {"nr_writeback", "Writeback", "Cached"},
};

/* meminfo cuts its parts off at what is used; then vmstat may say more, never less. */
static bool is_cut(SfSlice meminfo, uint64_t slack_kb)
{
    static const char *const kinds[] = {"AnonPages",   "Cached",     "Slab",
                                        "KernelStack", "PageTables", "SecPageTables",
                                        "Percpu",      "Zswap",      "VmallocUsed"};
    static const char *const lists[] = {"Active", "Inactive", "Unevictable"};
    uint64_t used =
        consistency_meminfo(meminfo, "MemTotal") - consistency_meminfo(meminfo, "MemFree");
    uint64_t of_kinds = slack_kb, on_lists = slack_kb;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        of_kinds += consistency_meminfo(meminfo, kinds[i]);
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        on_lists += consistency_meminfo(meminfo, lists[i]);
    return of_kinds >= used || on_lists >= used;
}

static bool check_vmstat(const Snapshot *now, const HostTexts *host, SfText *report)
{
    SfSlice vmstat = consistency_text(now, "proc_vmstat");
    SfSlice meminfo = consistency_text(now, "proc_meminfo");
    SfSlice again = consistency_text_again(now, "proc_meminfo");
    uint64_t page_kb = host->page_bytes / 1024;
    bool held = true;
    if (vmstat.len == 0 || now->moving || page_kb == 0)
        return true;
    bool cut = is_cut(meminfo, page_kb) || is_cut(again, page_kb);
    for (size_t i = 0; i < sizeof(memory_pairs) / sizeof(memory_pairs[0]); i++) {
        uint64_t pages = consistency_value(vmstat, memory_pairs[i].pages);
        uint64_t kb = consistency_meminfo(meminfo, memory_pairs[i].kb);
        if (pages == UINT64_MAX || kb != consistency_meminfo(again, memory_pairs[i].kb))
            continue; /* a line this kernel does not have; a value that changes just now */
        bool may_be_more = cut || (memory_pairs[i].whole &&
                                   kb >= consistency_meminfo(meminfo, memory_pairs[i].whole));
        held &= consistency_expect(pages == kb / page_kb || (may_be_more && pages > kb / page_kb),
                                   report, memory_pairs[i].pages, pages, kb / page_kb);
    }
    return held;
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=0": the total of a line, UINT64_MAX without one. */
static uint64_t pressure_total(SfSlice text, const char *kind)
{
    SfSlice line, word, key;
    uint64_t total;
    while (sf_slice_next_line(&text, &line)) {
        if (!sf_slice_next_word(&line, &word) || !sf_slice_eq(word, kind))
            continue;
        while (sf_slice_next_word(&line, &word)) {
            if (sf_slice_next_field(&word, '=', &key) && sf_slice_eq(key, "total") &&
                sf_slice_u64(word, &total) == 0)
                return total;
        }
    }
    return UINT64_MAX;
}

/* When all tasks wait some do. */
static bool check_pressure(const Snapshot *now, SfText *report)
{
    bool held = true;
    for (unsigned i = 0; i < now->count; i++) {
        if (!strstr(now->names[i], "pressure") || now->texts[i].len == 0)
            continue;
        uint64_t some = pressure_total(now->texts[i], "some");
        uint64_t full = pressure_total(now->texts[i], "full");
        held &= consistency_expect(some != UINT64_MAX || full != UINT64_MAX, report,
                                   "no total in a pressure file", i, 0);
        held &= consistency_expect(some == UINT64_MAX || full == UINT64_MAX || full <= some, report,
                                   "pressure: full, some", full, some);
    }
    return held;
}

bool consistency_check_counters(const Snapshot *now, const HostTexts *host, SfText *report)
{
    SfSlice online = sf_slice_trim(consistency_text(now, "sys_cpu_online"));
    SfCpuSet visible;
    if (sf_cpuset_parse_list(online.data, online.len, &visible) < 0)
        return consistency_expect(false, report, "online cannot be read", 0, 0);
    bool held = check_cpu_columns(now, "proc_interrupts", &visible, report);
    held &= check_cpu_columns(now, "proc_softirqs", &visible, report);
    held &= check_schedstat(now, &visible, report);
    held &= check_devices(now, report);
    held &= check_vmstat(now, host, report);
    held &= check_pressure(now, report);
    return held;
}

static unsigned split(SfSlice line, SfSlice words[DISK_WORDS])
{
    unsigned n = 0;
    while (n < DISK_WORDS && sf_slice_next_word(&line, &words[n]))
        n++;
    return n;
}

static bool order_disk(SfSlice before, SfSlice later, SfText *report)
{
    SfSlice words[DISK_WORDS], others[DISK_WORDS], line;
    unsigned n = split(before, words);
    bool held = true;
    while (sf_slice_next_line(&later, &line)) {
        unsigned m = split(line, others);
        if (n <= DISK_FIRST || m < n || words[2].len != others[2].len ||
            memcmp(words[2].data, others[2].data, words[2].len) != 0)
            continue;
        for (unsigned i = DISK_FIRST; i < n; i++) {
            uint64_t a = 0, b = 0;
            bool numbers = sf_slice_u64(words[i], &a) == 0 && sf_slice_u64(others[i], &b) == 0;
            held &= consistency_expect(numbers && (i == DISK_IN_FLIGHT || a <= b), report,
                                       "diskstats decreases", a, b);
        }
        return held;
    }
    /* A device that was touched stays. */
    return consistency_expect(false, report, "diskstats: a device is gone", 0, 0);
}

static bool order_vmstat(SfSlice before, SfSlice later, SfText *report)
{
    SfSlice line, next, word, other;
    bool held = true;
    while (sf_slice_next_line(&before, &line) && sf_slice_next_line(&later, &next)) {
        uint64_t a, b;
        /* The events (include/linux/vm_event_item.h); nr_* are states. */
        if (!sf_slice_starts(line, "pg") || !sf_slice_next_word(&line, &word) ||
            !sf_slice_next_word(&next, &other) || word.len != other.len ||
            memcmp(word.data, other.data, word.len) != 0)
            continue;
        if (sf_slice_u64(sf_slice_trim(line), &a) == 0 &&
            sf_slice_u64(sf_slice_trim(next), &b) == 0 && a > b) {
            sf_text_printf(report, "vmstat: %.*s decreases\n", (int)word.len, word.data);
            held = false;
        }
    }
    return held;
}

bool consistency_order_counters(const Snapshot *now, const Snapshot *later, SfText *report)
{
    SfSlice disks = consistency_text(now, "proc_diskstats"), line;
    bool held = true;
    while (sf_slice_next_line(&disks, &line))
        held &= order_disk(line, consistency_text(later, "proc_diskstats"), report);
    held &= order_vmstat(consistency_text(now, "proc_vmstat"),
                         consistency_text(later, "proc_vmstat"), report);
    for (unsigned i = 0; i < now->count; i++) {
        static const char *const kinds[] = {"some", "full"};
        if (!strstr(now->names[i], "pressure"))
            continue;
        SfSlice text = consistency_text(later, now->names[i]);
        for (unsigned k = 0; k < 2 && text.len > 0; k++) {
            uint64_t a = pressure_total(now->texts[i], kinds[k]);
            uint64_t b = pressure_total(text, kinds[k]);
            held &= consistency_expect(a <= b, report, "pressure total decreases", a, b);
        }
    }
    return held;
}
