/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the files of consistency*.c share: finding a text of a snapshot, numbers in it, and the
 * report.
 */

#include "tests/golden/consistency.h"

#include <stdint.h>

/* The text of that name, or an empty one. */
SfSlice consistency_text(const Snapshot *snapshot, const char *name);
/* The text that was taken again after the others; the first one where it was not. */
SfSlice consistency_text_again(const Snapshot *snapshot, const char *name);
/* "Key:  123 kB" of meminfo; 0 when there is no such line. */
uint64_t consistency_meminfo(SfSlice text, const char *key);
/* "key 123" of stat or vmstat; UINT64_MAX when there is no such line. */
uint64_t consistency_value(SfSlice text, const char *key);
/* Adds a line to the report unless `held`, which it returns. */
bool consistency_expect(bool held, SfText *report, const char *what, uint64_t a, uint64_t b);
