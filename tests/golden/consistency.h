/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What must hold between the files of one container at one instant, and between two instants,
 * whatever the numbers are. Works on texts alone, so that it can judge a live container as well.
 */

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/text.h"

/* The texts of one instant, by the provider's name ("proc_meminfo"); a file that is not shown is
 * not among them. Everything is borrowed. */
typedef struct Snapshot {
    const char *const *names;
    const SfSlice *texts;
    unsigned count;
} Snapshot;

/* What the host prints, for the comparisons that need it. */
typedef struct HostTexts {
    SfSlice meminfo, stat, cpu_possible;
} HostTexts;

/* Each check that fails adds one line to *report. Returns whether all held. */
bool consistency_check(const Snapshot *now, const HostTexts *host, SfText *report);
/* `later` was taken after `now` from the same container: no counter may be smaller. */
bool consistency_check_order(const Snapshot *now, const Snapshot *later, SfText *report);
