/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Sets of CPU (or memory node) numbers in the kernel's two text forms: lists ("0-3,8", cpuset(7)
 * "List format") and masks ("00000000,000000ff", "Mask format"). A value type; copying it copies
 * the set.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/fd.h"

/* One past the highest number held. The kernel's own largest NR_CPUS is 8192 (x86 CONFIG_MAXSMP).
 */
#define SF_CPUSET_MAX 8192

typedef struct SfCpuSet {
    uint64_t bits[SF_CPUSET_MAX / 64];
} SfCpuSet;

void sf_cpuset_clear(SfCpuSet *set);
bool sf_cpuset_has(const SfCpuSet *set, unsigned cpu);
void sf_cpuset_add(SfCpuSet *set, unsigned cpu);
void sf_cpuset_remove(SfCpuSet *set, unsigned cpu);
unsigned sf_cpuset_count(const SfCpuSet *set);
bool sf_cpuset_empty(const SfCpuSet *set);
bool sf_cpuset_equal(const SfCpuSet *a, const SfCpuSet *b);
/* *set becomes the intersection of *set and *other. */
void sf_cpuset_and(SfCpuSet *set, const SfCpuSet *other);
/* *set loses what *other has. */
void sf_cpuset_subtract(SfCpuSet *set, const SfCpuSet *other);
/* Keeps only the n lowest numbers. */
void sf_cpuset_keep_lowest(SfCpuSet *set, unsigned n);

/* The lowest number >= from, or -1. */
int sf_cpuset_next(const SfCpuSet *set, unsigned from);
#define sf_cpuset_foreach(cpu, set)                                                                \
    for (int cpu = sf_cpuset_next(set, 0); cpu >= 0; cpu = sf_cpuset_next(set, (unsigned)cpu + 1))

/* List format, trailing newline and empty text (the empty set) accepted; "a-b:used/group" is not,
 * the kernel never prints it. -EINVAL on other text, -ERANGE at or past SF_CPUSET_MAX. *ret_set is
 * written only on success. */
int sf_cpuset_parse_list(const char *text, size_t len, SfCpuSet *ret_set) SF_WARN_UNUSED;
/* Mask format: comma-separated groups of up to 8 hexadecimal digits. Errors as above. */
int sf_cpuset_parse_mask(const char *text, size_t len, SfCpuSet *ret_set) SF_WARN_UNUSED;
/* Writes the list format with NUL (no newline). Returns its length, or -ENOBUFS. */
int sf_cpuset_format_list(const SfCpuSet *set, char *buffer, size_t size) SF_WARN_UNUSED;
/* Writes the mask format for `width` bits (the kernel uses nr_cpu_ids), as the kernel pads it.
 * -ENOBUFS. */
int sf_cpuset_format_mask(const SfCpuSet *set, unsigned width, char *buffer,
                          size_t size) SF_WARN_UNUSED;
