/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Cuts /proc/cpuinfo into parts that belong to one CPU or to the machine. It decides nothing about
 * what is shown, and changes no byte: the parts put together are the text.
 *
 * What the architectures print (show_cpuinfo in arch/ARCH/kernel):
 *   x86, arm64, riscv      blocks "processor : N" ... ended by an empty line
 *   arm, powerpc           the same, then lines of the machine ("Hardware", "timebase", "platform")
 *   mips, loongarch        lines of the machine, then the blocks
 *   s390                   lines of the machine, a line "processor N: version = ..." a CPU, then
 * blocks that begin with an empty line and "cpu number : N"
 */

#include "daemon/source/cpuinfo.h"

#include <string.h>

#define FIRST_CAPACITY 16
#define CPU_NONE (-1)

typedef enum LineKind {
    LINE_OTHER,
    LINE_EMPTY,
    LINE_BLOCK, /* begins a CPU's block */
    LINE_ALONE, /* describes a CPU on this one line */
} LineKind;

/* The value of a "key : value" line with exactly this key. */
static bool key_value(SfSlice line, const char *key, SfSlice *ret_value)
{
    SfSlice name;

    if (line.len == 0 || !memchr(line.data, ':', line.len) ||
        !sf_slice_next_field(&line, ':', &name) || !sf_slice_eq(sf_slice_trim(name), key))
        return false;
    *ret_value = sf_slice_trim(line);
    return true;
}

static bool cpu_number(SfSlice value, int *ret_cpu)
{
    uint64_t number;

    if (sf_slice_u64(value, &number) < 0 || number >= SF_CPUSET_MAX)
        return false;
    *ret_cpu = (int)number;
    return true;
}

/* s390's "processor 0: version = FF,  identification = ...". */
static bool line_is_alone(SfSlice line, int *ret_cpu)
{
    SfSlice name, word;

    if (!sf_slice_starts(line, "processor ") || !memchr(line.data, ':', line.len) ||
        !sf_slice_next_field(&line, ':', &name))
        return false;
    return sf_slice_next_word(&name, &word) && sf_slice_next_word(&name, &word) && name.len == 0 &&
           cpu_number(word, ret_cpu);
}

static LineKind classify(SfSlice line, int *ret_cpu)
{
    SfSlice value;

    if (sf_slice_trim(line).len == 0)
        return LINE_EMPTY;
    /* Most lines are neither and are told by their first letter. */
    if (line.data[0] != 'p' && line.data[0] != 'c')
        return LINE_OTHER;
    if ((key_value(line, "processor", &value) || key_value(line, "cpu number", &value)) &&
        cpu_number(value, ret_cpu))
        return LINE_BLOCK;
    if (line_is_alone(line, ret_cpu))
        return LINE_ALONE;
    return LINE_OTHER;
}

static int add_part(SfCpuinfo *info, const char *start, int cpu)
{
    if (info->count == info->capacity) {
        unsigned wanted = info->capacity ? info->capacity * 2 : FIRST_CAPACITY;
        SfCpuinfoPart *parts = reallocarray(info->parts, wanted, sizeof(*parts));
        if (!parts)
            return -ENOMEM;
        info->parts = parts;
        unsigned *by_core = reallocarray(info->by_core, wanted, sizeof(*by_core));
        if (!by_core)
            return -ENOMEM;
        info->by_core = by_core;
        info->capacity = wanted;
    }
    info->parts[info->count++] =
        (SfCpuinfoPart){.text = sf_slice(start, 0), .cpu = cpu, .physical_id = -1, .core_id = -1};
    return 0;
}

/* A line that counts CPUs is remembered by where its value is. Further ones of a part than a kernel
 * prints are left as they are. */
static void take_counted(SfSlice line, SfCpuinfoPart *part)
{
    static const struct {
        const char *key;
        SfCpuinfoCount what;
    } COUNTED[] = {{"siblings", SF_CPUINFO_SIBLINGS},
                   {"cpu cores", SF_CPUINFO_CORES},
                   {"# processors", SF_CPUINFO_PROCESSORS}};

    if (line.data[0] != 's' && line.data[0] != 'c' && line.data[0] != '#')
        return;
    for (size_t i = 0; i < sizeof(COUNTED) / sizeof(COUNTED[0]); i++) {
        SfSlice value;
        bool of_machine = COUNTED[i].what == SF_CPUINFO_PROCESSORS;
        if (of_machine != (part->cpu < 0) || part->counted_count == SF_CPUINFO_COUNTED_MAX ||
            !key_value(line, COUNTED[i].key, &value))
            continue;
        value.len = (size_t)(line.data + line.len - value.data);
        part->counted[part->counted_count++] = (SfCpuinfoCounted){COUNTED[i].what, value};
        return;
    }
}

static void take_topology(SfSlice line, SfCpuinfoPart *part)
{
    SfSlice value;
    int64_t number;

    if (part->cpu < 0 || line.len == 0)
        return;
    if (line.data[0] == 'p' && key_value(line, "physical id", &value) &&
        sf_slice_i64(value, &number) == 0)
        part->physical_id = number;
    else if (line.data[0] == 'c' && key_value(line, "core id", &value) &&
             sf_slice_i64(value, &number) == 0)
        part->core_id = number;
}

typedef struct Cutter {
    SfCpuinfo info;
    bool open;               /* the last part may take further lines */
    const char *empty_start; /* an empty line that ended the last part; it leads the next one when
                                that is s390's */
} Cutter;

static int cut_line(Cutter *cutter, SfSlice line)
{
    int cpu = CPU_NONE;
    LineKind kind = classify(line, &cpu);
    SfCpuinfo *info = &cutter->info;

    if (kind == LINE_EMPTY) {
        if (info->count == 0)
            return add_part(info, line.data, CPU_NONE);
        cutter->open = false;
        cutter->empty_start = line.data;
        return 0;
    }
    if (kind == LINE_OTHER && cutter->open) {
        take_topology(line, &info->parts[info->count - 1]);
        take_counted(line, &info->parts[info->count - 1]);
        return 0;
    }

    const char *start = line.data;
    if (kind == LINE_BLOCK && line.data[0] == 'c' && cutter->empty_start)
        start = cutter->empty_start;
    cutter->open = kind != LINE_ALONE;
    cutter->empty_start = NULL;
    int r = add_part(info, start, cpu);
    if (r == 0)
        take_counted(line, &info->parts[info->count - 1]);
    return r;
}

/* Each part goes to where the next one starts. */
static void set_lengths(SfCpuinfo *info, const char *end)
{
    for (unsigned i = 0; i < info->count; i++) {
        const char *next = i + 1 < info->count ? info->parts[i + 1].text.data : end;
        info->parts[i].text.len = (size_t)(next - info->parts[i].text.data);
    }
}

static bool has_cpu(const SfCpuinfo *info)
{
    for (unsigned i = 0; i < info->count; i++) {
        if (info->parts[i].cpu >= 0)
            return true;
    }
    return false;
}

static int compare_cores(const SfCpuinfoPart *left, const SfCpuinfoPart *right)
{
    if (left->physical_id != right->physical_id)
        return left->physical_id < right->physical_id ? -1 : 1;
    return (left->core_id > right->core_id) - (left->core_id < right->core_id);
}

/* Shell's sort: in place, where qsort(3) may allocate. */
static void sort_cores(SfCpuinfo *info)
{
    for (unsigned gap = info->by_core_count / 2; gap > 0; gap /= 2) {
        for (unsigned i = gap; i < info->by_core_count; i++) {
            unsigned part = info->by_core[i], at = i;
            for (; at >= gap; at -= gap) {
                unsigned before = info->by_core[at - gap];
                if (compare_cores(&info->parts[before], &info->parts[part]) <= 0)
                    break;
                info->by_core[at] = before;
            }
            info->by_core[at] = part;
        }
    }
}

static void number_packages(SfCpuinfo *info)
{
    info->by_core_count = info->package_count = 0;
    for (unsigned i = 0; i < info->count; i++) {
        if (info->parts[i].cpu >= 0 && info->parts[i].physical_id >= 0)
            info->by_core[info->by_core_count++] = i;
    }
    sort_cores(info);
    for (unsigned i = 0; i < info->by_core_count; i++) {
        SfCpuinfoPart *part = &info->parts[info->by_core[i]];
        if (i == 0 || part->physical_id != info->parts[info->by_core[i - 1]].physical_id)
            info->package_count++;
        part->package = info->package_count - 1;
    }
}

/* With the memory that *info has. */
static int parse_again(const char *text, size_t len, SfCpuinfo *info)
{
    SfSlice rest = sf_slice(text, len);
    SfSlice line;
    Cutter cutter = {.info = *info};
    int r = 0;

    cutter.info.count = 0;
    while (r == 0 && sf_slice_next_line(&rest, &line))
        r = cut_line(&cutter, line);
    if (r == 0 && !has_cpu(&cutter.info))
        r = -EINVAL;
    *info = cutter.info;
    if (r < 0)
        return r;
    set_lengths(info, text + len);
    number_packages(info);
    return 0;
}

int sf_cpuinfo_parse(const char *text, size_t len, SfCpuinfo *ret_info)
{
    SfCpuinfo info = {0};

    int r = parse_again(text, len, &info);
    if (r < 0)
        sf_cpuinfo_clear(&info);
    else
        *ret_info = info;
    return r;
}

void sf_cpuinfo_clear(SfCpuinfo *info)
{
    free(info->parts);
    free(info->by_core);
    *info = (SfCpuinfo){0};
}

static int derive(const char *text, size_t len, void *made)
{
    return parse_again(text, len, made);
}

static void clear_derived(void *made)
{
    sf_cpuinfo_clear(made);
}

const SfDerivation sf_cpuinfo_derivation = {
    .size = sizeof(SfCpuinfo), .make = derive, .clear = clear_derived};
