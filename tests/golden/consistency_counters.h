/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The part of consistency.c that is about lists of counters: per CPU (interrupts, softirqs,
 * schedstat), per device (diskstats, partitions), vmstat and pressure. Each identity holds only
 * where its files are shown.
 */

#include "tests/golden/consistency.h"

/* Each check that fails adds a line to *report; whether all held. */
bool consistency_check_counters(const Snapshot *now, const HostTexts *host, SfText *report);
/* No counter of `later` is smaller than in `now`. */
bool consistency_order_counters(const Snapshot *now, const Snapshot *later, SfText *report);
