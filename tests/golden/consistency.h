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
 * not among them. Everything is borrowed.
 *
 * The texts of a live container are taken one after the other. Those that others are compared with
 * may be there twice, the second time as "proc_stat again": what changes by itself in between must
 * then agree with one of the two. proc_uptime is taken after proc_stat. */
typedef struct Snapshot {
    const char *const *names;
    const SfSlice *texts;
    unsigned count;
    uint64_t spread_nsec; /* between taking proc_stat and proc_uptime; 0: one instant */
    bool moving;    /* the container ran meanwhile: what it uses is not compared between files */
    bool apart;     /* limits changed meanwhile: only what must hold within each file is checked */
    bool cpus_left; /* a CPU was seen that is not now: the total of stat keeps what it had */
} Snapshot;

/* What the host prints, for the comparisons that need it. */
typedef struct HostTexts {
    SfSlice meminfo, stat, cpu_possible;
    uint64_t page_bytes;
    bool all_cpus; /* the container's policy shows it the host's CPUs */
} HostTexts;

/* Each check that fails adds one line to *report. Returns whether all held. */
bool consistency_check(const Snapshot *now, const HostTexts *host, SfText *report);
/* `later` was taken after `now` from the same container: no counter may be smaller. */
bool consistency_check_order(const Snapshot *now, const Snapshot *later, SfText *report);
