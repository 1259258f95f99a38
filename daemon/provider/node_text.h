/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A NUMA node's part of a container's numbers, line by line as the host prints its own.
 */

#include "daemon/container/container.h"
#include "lib/base/text.h"

/* The text of nodeN/NAME for a container, in the form of the host's. -ENOENT: this file has no
 * numbers of the container's in it. */
int sf_node_text(SfContainer *container, unsigned node, const char *name, SfSlice host,
                 SfText *text) SF_WARN_UNUSED;

/* Pure: the part that one of several gets of a whole, by weight: those with a smaller number have
 * `before` of `total` together, this one `weight`. Multiples of unit, which together make the whole
 * exactly (where it is a multiple itself). */
uint64_t sf_node_part(uint64_t whole, uint64_t before, uint64_t weight, uint64_t total,
                      uint64_t unit);
