/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * /proc/cpuinfo of the host split into what belongs to one CPU and what belongs to the machine.
 * Formats: x86 (arch/x86/kernel/cpu/proc.c), arm64 and arm, ppc64, riscv: blocks that begin
 * "processor : N"; s390x: a header with one "processor N: ..." line a CPU, then blocks "cpu number
 * : N". Fields not known here pass unchanged.
 */

#include <stdint.h>

#include "daemon/source/host.h"
#include "lib/base/cpuset.h"
#include "lib/base/number.h"

/* Lines whose value is a count of CPUs. */
typedef enum SfCpuinfoCount {
    SF_CPUINFO_SIBLINGS,   /* "siblings", of x86 blocks */
    SF_CPUINFO_CORES,      /* "cpu cores", of x86 blocks */
    SF_CPUINFO_PROCESSORS, /* "# processors", of s390x's header */
} SfCpuinfoCount;
typedef struct SfCpuinfoCounted {
    SfCpuinfoCount what;
    SfSlice value; /* in the part's text, up to the end of its line */
} SfCpuinfoCounted;
#define SF_CPUINFO_COUNTED_MAX 4

/* A run of the text that is one unit of the decision "shown or not". */
typedef struct SfCpuinfoPart {
    SfSlice text; /* borrowed from the parsed text, newline(s) at its end included */
    int cpu;      /* the CPU it describes; -1: it belongs to the machine and is always shown */
    int64_t physical_id, core_id; /* of x86 blocks; -1 when not printed */
    unsigned package; /* number of its physical_id among those there are; 0 without one */
    unsigned counted_count;
    SfCpuinfoCounted counted[SF_CPUINFO_COUNTED_MAX]; /* in the text's order */
} SfCpuinfoPart;

typedef struct SfCpuinfo {
    SfCpuinfoPart *parts; /* owned */
    unsigned count, capacity;
    /* Numbers of the parts with a physical_id, by that and then core_id; owned. */
    unsigned *by_core;
    unsigned by_core_count, package_count;
} SfCpuinfo;

/* SfCpuinfo made of SF_HOST_CPUINFO (sf_host_derived()). */
extern const SfDerivation sf_cpuinfo_derivation;

/* Pure; *ret_info borrows from text. -EINVAL when no CPU is found, -ENOMEM. Release with
 * sf_cpuinfo_clear(). */
int sf_cpuinfo_parse(const char *text, size_t len, SfCpuinfo *ret_info) SF_WARN_UNUSED;
void sf_cpuinfo_clear(SfCpuinfo *info);
