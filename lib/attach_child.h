/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the child process of lib/attach.c does. Private to the two.
 */

#include <stdbool.h>

#include "lib/attach.h"

typedef struct SfAttachTarget {
    char *source;    /* the view's file, absolute in the source namespace */
    char *directory; /* of the target, relative to the container's root; owns name's memory too */
    const char *name;
    unsigned fs_magic; /* what statfs(2) has to say of the directory; of a cgroup's: 0 */
    bool writable;
    bool constant; /* of the mount for constants */
    int tree_fd;   /* mount of the source, until it is attached */
    bool bound;
} SfAttachTarget;

typedef struct SfAttachPlan {
    const SfAttachSpec *spec;
    SfAttachTarget *targets; /* written by the child, in its own copy of the memory */
    unsigned target_count;
    bool detach;
} SfAttachPlan;

/* Closes all files but report_fd and the spec's, works the plan off and writes one SfAttachReport
 * to report_fd. Async-signal-safe: the caller may have had threads. */
void sf_attach_child(const SfAttachPlan *plan, int report_fd) __attribute__((noreturn));

/* st_dev of the mount whose root is at `view`; -ESTALE when no mount is. Sends no request to the
 * FUSE server. */
int sf_attach_view_dev(const char *view, dev_t *ret_dev) SF_WARN_UNUSED;
