/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Rows of cells: aligned columns on a terminal, fields separated by one tab elsewhere. What is not
 * printable is replaced: names of cgroups are chosen by containers, and a terminal obeys what it
 * is shown.
 */

#include <stdint.h>

#include "lib/base/text.h"
#include "tools/ctl.h"

#define SF_TABLE_COLUMNS 8

typedef enum SfColour {
    SF_COLOUR_NONE,
    SF_COLOUR_BOLD,
    SF_COLOUR_GREEN,
    SF_COLOUR_YELLOW,
    SF_COLOUR_RED,
} SfColour;

typedef struct SfTable {
    unsigned columns; /* at most SF_TABLE_COLUMNS */
    unsigned right;   /* bit n: column n is aligned to the right */
    bool header;      /* the first row is one: bold on a terminal, left out elsewhere */
    bool indent;      /* on a terminal, two spaces before each row */
    SfText cells;     /* for each cell a byte for its colour, its text, NUL */
    unsigned count;   /* cells */
} SfTable;

/* Adds the next cell; rows are filled from left to right. */
void sf_table_cell(SfTable *table, SfColour colour, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Prints the rows and frees the cells. */
SfCtlExit sf_table_print(SfTable *table, const SfCtl *ctl);
/* A line of its own, bold on a terminal. */
void sf_ctl_heading(const SfCtl *ctl, const char *text);

/* Sizes and times for people, into buffer; return it. */
#define SF_HUMAN_MAX 32
typedef struct SfHuman {
    char text[SF_HUMAN_MAX];
} SfHuman;
SfHuman sf_human_bytes(uint64_t bytes); /* "256MiB", "1.5GiB" */
SfHuman sf_human_age(uint64_t usec);    /* "12s", "3m12s", "5h10m", "3d4h" */
