/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cuts columns. What the lines are called stays the host's; what they count is not passed on.
 */

#include "daemon/provider/cpu_columns.h"

#include <errno.h>

#include "daemon/provider/shared.h"

/* The head's CPU of a column. */
static int parse_cpu(SfSlice word, uint64_t *ret_cpu)
{
    if (!sf_slice_starts(word, "CPU"))
        return -EINVAL;
    return sf_slice_u64(sf_slice(word.data + 3, word.len - 3), ret_cpu);
}

/* "           CPU0       CPU1       ", each "CPU%-8d". */
static int put_head(SfText *text, SfSlice head, const SfCpuSet *visible, unsigned *ret_columns,
                    unsigned *ret_shown)
{
    SfSlice rest = head, word;
    unsigned columns = 0, shown = 0;
    uint64_t cpu;

    while (sf_slice_next_word(&rest, &word)) {
        if (parse_cpu(word, &cpu) < 0)
            return -EINVAL;
        if (columns++ == 0)
            sf_text_append(text, head.data, (size_t)(word.data - head.data));
        if (cpu >= SF_CPUSET_MAX || !sf_cpuset_has(visible, (unsigned)cpu))
            continue;
        shown++;
        sf_text_slice(text, word);
        for (size_t width = word.len; width < 11; width++)
            sf_text_putc(text, ' ');
    }
    sf_text_putc(text, '\n');
    *ret_columns = columns;
    *ret_shown = shown;
    return 0;
}

/* Takes the counts off *rest; false when there are fewer: a line about the whole machine ("ERR:").
 */
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

static void put_line(SfText *text, SfSlice line, unsigned columns, unsigned shown)
{
    SfSlice rest = line, name;

    if (!sf_slice_next_word(&rest, &name))
        return;
    size_t name_end = (size_t)(name.data + name.len - line.data);
    if (!skip_counts(&rest, columns)) {
        sf_format_zeroed(text, line);
        return;
    }
    sf_text_append(text, line.data, name_end);
    for (unsigned i = 0; i < shown; i++)
        sf_text_puts(text, "          0"); /* " %10u" */
    sf_text_slice(text, rest);
    sf_text_putc(text, '\n');
}

int sf_format_cpu_columns(SfContainer *container, SfHostText which, SfText *text)
{
    SfSharedText *host = NULL;
    unsigned columns, shown;
    SfCpuSet visible;

    int r = sf_container_visible_cpus(container, &visible);
    if (r < 0)
        return r;
    r = sf_host_text(sf_container_host(container), which, &host);
    if (r < 0)
        return r;
    SfSlice rest = sf_slice(host->data, host->len), line;
    r = sf_slice_next_line(&rest, &line) ? put_head(text, line, &visible, &columns, &shown)
                                         : -EINVAL;
    while (r == 0 && sf_slice_next_line(&rest, &line))
        put_line(text, line, columns, shown);
    (void)sf_shared_text_unref(host); /* always NULL */
    return r;
}
