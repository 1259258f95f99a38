/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Prints rows of cells for people, and sizes and times in their units. Knows nothing of what the
 * cells mean.
 */

#include "tools/ctl_table.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CELL_MAX 4096
#define COLUMN_GAP 2

/* SGR sequences, ECMA-48 8.3.117. */
static const char *const colours[] = {
    [SF_COLOUR_NONE] = "",           [SF_COLOUR_BOLD] = "\033[1m", [SF_COLOUR_GREEN] = "\033[32m",
    [SF_COLOUR_YELLOW] = "\033[33m", [SF_COLOUR_RED] = "\033[31m",
};
#define COLOUR_END "\033[0m"

/* C0 and, in their UTF-8 form, C1 control characters. */
static void make_printable(char *text)
{
    for (char *p = text; *p; p++) {
        unsigned char c = (unsigned char)p[0], next = (unsigned char)p[1];
        if (c < ' ' || c == 0x7f)
            *p = '?';
        else if (c == 0xc2 && next >= 0x80 && next < 0xa0)
            p[0] = p[1] = '?';
    }
}

void sf_table_cell(SfTable *table, SfColour colour, const char *format, ...)
{
    char text[CELL_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args); /* cut short is good enough */
    va_end(args);
    make_printable(text);
    sf_text_putc(&table->cells, (char)('0' + (int)colour));
    sf_text_append(&table->cells, text, strlen(text) + 1);
    table->count++;
}

static void print_cell(const SfTable *table, const SfCtl *ctl, const char *cell, unsigned row,
                       unsigned column, const size_t *widths)
{
    SfColour colour = (SfColour)(cell[0] - '0');
    const char *text = cell + 1;
    if (table->header && row == 0)
        colour = SF_COLOUR_BOLD;
    bool last = column + 1 == table->columns;
    int padding = ctl->terminal ? (int)(widths[column] - strlen(text)) : 0;
    bool right = table->right & 1u << column;

    if (ctl->terminal && table->indent && column == 0)
        (void)fputs("  ", stdout);
    if (right)
        printf("%*s", padding, "");
    if (ctl->colour && colour != SF_COLOUR_NONE)
        printf("%s%s" COLOUR_END, colours[colour], text);
    else
        (void)fputs(text, stdout);
    if (last)
        (void)putchar('\n');
    else if (!ctl->terminal)
        (void)putchar('\t');
    else
        printf("%*s", (right ? 0 : padding) + COLUMN_GAP, "");
}

SfCtlExit sf_table_print(SfTable *table, const SfCtl *ctl)
{
    if (table->cells.error) {
        sf_text_clear(&table->cells);
        return sf_ctl_fail(SF_CTL_FAILED, "output: out of memory");
    }
    size_t widths[SF_TABLE_COLUMNS] = {0};
    const char *cell = table->cells.data;
    for (unsigned i = 0; i < table->count; i++, cell += strlen(cell) + 1) {
        size_t width = strlen(cell + 1);
        if (width > widths[i % table->columns])
            widths[i % table->columns] = width;
    }
    cell = table->cells.data;
    for (unsigned i = 0; i < table->count; i++, cell += strlen(cell) + 1) {
        if (table->header && !ctl->terminal && i < table->columns)
            continue;
        print_cell(table, ctl, cell, i / table->columns, i % table->columns, widths);
    }
    sf_text_clear(&table->cells);
    table->count = 0;
    return SF_CTL_OK;
}

void sf_ctl_heading(const SfCtl *ctl, const char *text)
{
    if (ctl->colour)
        printf("\n%s%s" COLOUR_END "\n", colours[SF_COLOUR_BOLD], text);
    else
        printf("\n%s\n", text);
}

SfHuman sf_human_bytes(uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    SfHuman human;
    uint64_t scale = 1;
    unsigned unit = 0;
    while (unit + 1 < sizeof(units) / sizeof(units[0]) && bytes / scale >= 1024) {
        scale *= 1024;
        unit++;
    }
    if (bytes % scale == 0 || bytes / scale >= 100)
        (void)snprintf(human.text, sizeof(human.text), "%" PRIu64 "%s", bytes / scale, units[unit]);
    else
        (void)snprintf(human.text, sizeof(human.text), "%.1f%s", (double)bytes / (double)scale,
                       units[unit]);
    return human;
}

SfHuman sf_human_age(uint64_t usec)
{
    SfHuman human;
    uint64_t sec = usec / 1000000;
    uint64_t min = sec / 60, hours = min / 60, days = hours / 24;
    if (days > 0)
        (void)snprintf(human.text, sizeof(human.text), "%" PRIu64 "d%" PRIu64 "h", days,
                       hours % 24);
    else if (hours > 0)
        (void)snprintf(human.text, sizeof(human.text), "%" PRIu64 "h%" PRIu64 "m", hours, min % 60);
    else if (min > 0)
        (void)snprintf(human.text, sizeof(human.text), "%" PRIu64 "m%" PRIu64 "s", min, sec % 60);
    else
        (void)snprintf(human.text, sizeof(human.text), "%" PRIu64 "s", sec);
    return human;
}
