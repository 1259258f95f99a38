/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The host's texts about sets of CPUs (or nodes), cut down to those a container sees and otherwise
 * as they were: for the files below a provider's directory. A text of another form than the kernel
 * prints here is -EINVAL, never passed on.
 */

#include "lib/base/cpuset.h"
#include "lib/base/text.h"

/* List format ("0-3,8"). */
int sf_mask_list(SfText *text, SfSlice host, const SfCpuSet *visible) SF_WARN_UNUSED;
/* Mask format ("00000000,000000ff"): the host's width and padding stay. */
int sf_mask_map(SfText *text, SfSlice host, const SfCpuSet *visible) SF_WARN_UNUSED;
/* Numbers with a blank after or between them ("0 1 2 3"), as cpufreq prints sets. */
int sf_mask_words(SfText *text, SfSlice host, const SfCpuSet *visible) SF_WARN_UNUSED;

/* A path's last component. */
const char *sf_path_name(const char *path);
/* The number in a path's first component "PREFIXn", exactly as the kernel writes it; -1 where it is
 * not of that form. */
int sf_path_number(const char *path, const char *prefix);
