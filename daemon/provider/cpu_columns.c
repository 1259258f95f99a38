/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cuts columns. What the lines are called stays the host's; what they count is not passed on.
 */

#include "daemon/provider/cpu_columns.h"

#include <errno.h>

#include "daemon/provider/shared.h"
#include "lib/base/scratch.h"

/* A line below the head: what stands before its counts and what after them. */
typedef struct Line {
    SfSlice name, rest; /* borrowed from the host's text */
    bool counted;       /* it has a count a column; else it is of the machine ("ERR:") */
} Line;

/* The host's text for all containers. */
typedef struct Table {
    SfSlice margin; /* before the head's first column */
    SfText columns; /* the CPU's number of each, as unsigned */
    SfText lines;   /* of Line */
    SfText zeroed;  /* what lines without counts show, one after another */
    unsigned column_count, line_count;
} Table;

/* The head's CPU of a column. */
static int parse_cpu(SfSlice word, unsigned *ret_cpu)
{
    uint64_t cpu;

    if (!sf_slice_starts(word, "CPU") ||
        sf_slice_u64(sf_slice(word.data + 3, word.len - 3), &cpu) < 0)
        return -EINVAL;
    *ret_cpu = cpu < SF_CPUSET_MAX ? (unsigned)cpu : SF_CPUSET_MAX; /* which nobody has */
    return 0;
}

static int take_head(Table *table, SfSlice head)
{
    SfSlice rest = head, word;
    unsigned cpu;

    table->margin = sf_slice(head.data, 0);
    while (sf_slice_next_word(&rest, &word)) {
        if (parse_cpu(word, &cpu) < 0)
            return -EINVAL;
        if (table->column_count++ == 0)
            table->margin.len = (size_t)(word.data - head.data);
        sf_text_append(&table->columns, (const char *)&cpu, sizeof(cpu));
    }
    return 0;
}

/* Takes the counts off *rest; false when there are fewer: a line about the whole machine. */
static bool skip_counts(SfSlice *rest, unsigned columns)
{
    SfSlice word;
    uint64_t count;

    for (unsigned i = 0; i < columns; i++) {
        if (!sf_slice_next_word(rest, &word) || sf_slice_u64(word, &count) < 0)
            return false;
    }
    return true;
}

static void take_line(Table *table, SfSlice text)
{
    SfSlice rest = text, name;
    Line line = {0};

    if (!sf_slice_next_word(&rest, &name))
        return;
    line.name = sf_slice(text.data, (size_t)(name.data + name.len - text.data));
    line.counted = skip_counts(&rest, table->column_count);
    line.rest = rest;
    if (!line.counted) { /* only how long it is: the memory may still move */
        size_t before = table->zeroed.len;
        sf_format_zeroed(&table->zeroed, text);
        line.rest = sf_slice(NULL, table->zeroed.len - before);
    }
    sf_text_append(&table->lines, (const char *)&line, sizeof(line));
    table->line_count++;
}

static int make_table(const char *text, size_t len, void *made)
{
    SfSlice rest = sf_slice(text, len), line;
    Table *table = made;

    sf_text_reset(&table->columns);
    sf_text_reset(&table->lines);
    sf_text_reset(&table->zeroed);
    table->column_count = table->line_count = 0;
    int r = sf_slice_next_line(&rest, &line) ? take_head(table, line) : -EINVAL;
    while (r == 0 && sf_slice_next_line(&rest, &line))
        take_line(table, line);
    if (r == 0)
        r = table->columns.error ? table->columns.error
            : table->lines.error ? table->lines.error
                                 : table->zeroed.error;
    return r;
}

static void clear_table(void *made)
{
    Table *table = made;

    sf_text_clear(&table->columns);
    sf_text_clear(&table->lines);
    sf_text_clear(&table->zeroed);
}

static const SfDerivation table_derivation = {
    .size = sizeof(Table), .make = make_table, .clear = clear_table};

/* "           CPU0       CPU1       ", each "CPU%-8d". */
static unsigned put_head(SfText *text, const Table *table, const SfCpuSet *visible)
{
    const unsigned *cpus = (const unsigned *)(const void *)table->columns.data;
    unsigned shown = 0;

    sf_text_slice(text, table->margin);
    for (unsigned i = 0; i < table->column_count; i++) {
        if (!sf_cpuset_has(visible, cpus[i]))
            continue;
        size_t before = text->len;
        shown++;
        sf_text_puts(text, "CPU");
        sf_text_u64(text, cpus[i]);
        while (!text->error && text->len - before < 11)
            sf_text_putc(text, ' ');
    }
    sf_text_putc(text, '\n');
    return shown;
}

static void put_lines(SfText *text, const Table *table, unsigned shown)
{
    static const char COUNT[] = "          0"; /* " %10u" */
    SF_SCRATCH SfText *counts = sf_scratch_take();
    const Line *line = (const Line *)(const void *)table->lines.data;
    size_t zeroed = 0;

    for (unsigned i = 0; i < shown; i++)
        sf_text_append(counts, COUNT, sizeof(COUNT) - 1);
    if (counts->error)
        text->error = counts->error;
    for (unsigned i = 0; i < table->line_count; i++, line++) {
        if (!line->counted) {
            sf_text_append(text, table->zeroed.data + zeroed, line->rest.len);
            zeroed += line->rest.len;
            continue;
        }
        sf_text_slice(text, line->name);
        sf_text_append(text, counts->data, counts->len);
        sf_text_slice(text, line->rest);
        sf_text_putc(text, '\n');
    }
}

int sf_format_cpu_columns(SfContainer *container, SfHostText which, SfText *text)
{
    SfSharedText *host = NULL;
    SfCpuSet visible;

    int r = sf_container_visible_cpus(container, &visible);
    if (r < 0)
        return r;
    r = sf_host_derived(sf_container_host(container), which, &table_derivation, &host);
    if (r < 0)
        return r;
    unsigned shown = put_head(text, host->derived, &visible);
    put_lines(text, host->derived, shown);
    (void)sf_shared_text_unref(host); /* always NULL */
    return 0;
}
