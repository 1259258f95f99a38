/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Numbers for the files below the directories that providers answer for. Which there are is the
 * host's to say and found out by looking, so a path gets its number when it is first seen; the same
 * for all views and for good. Nothing is numbered that the host does not have, so what a container
 * asks for cannot make this grow. Thread-safe.
 */

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/keep.h"

/* Paths there can be: 8192 CPUs would need more, and the rest of their files be missing. */
#define SF_HOST_NODES_MAX (1u << 18)

typedef struct SfHostNode {
    unsigned number;
    unsigned directory;   /* node of the provider's directory in the shared tree (tree.h) */
    char *path;           /* as in the view, "/sys/devices/system/cpu/cpu0"; never freed */
    const char *relative; /* the part of it below the provider's directory, "cpu0" */
} SfHostNode;

/* Numbers are kept: the kernel remembers them longer than a process lives. */
#define SF_KEEP_OWNER_SHARED UINT64_MAX

/* The node of a path, which begins with the provider's directory and a '/': prefix_len bytes. NULL
 * when there are SF_HOST_NODES_MAX. */
const SfHostNode *sf_host_node_intern(SfKeep *keep, unsigned directory, const char *path,
                                      unsigned prefix_len);
/* Takes up the number that a former process kept for a path: false when it is of no use. Before any
 * other path is numbered. */
bool sf_host_node_adopt(unsigned number, unsigned directory, const char *path, unsigned prefix_len);
/* NULL when no path has this number. */
const SfHostNode *sf_host_node_get(uint64_t number);
