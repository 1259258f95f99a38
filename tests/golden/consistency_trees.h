/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The part of consistency.c that is about directories; their texts are as view_dump.h makes them.
 */

#include "lib/base/cpuset.h"
#include "lib/base/text.h"

/* Each check that fails adds a line to *report; whether all held. free_kb UINT64_MAX: not compared.
 */
bool consistency_check_cpu_tree(SfSlice dump, const SfCpuSet *visible, SfText *report);
bool consistency_check_node_tree(SfSlice dump, const SfCpuSet *visible, uint64_t total_kb,
                                 uint64_t free_kb, SfText *report);
