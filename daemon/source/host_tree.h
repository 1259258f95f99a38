/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What host.c and host_tree.c share.
 */

#include "daemon/source/host.h"

/* Splits a view's path in the directory fd that holds it (borrowed) and the rest of the path.
 * -ENOENT for a path that is neither below /proc nor below /sys, or would leave them. */
int sf_host_resolve(const SfHost *host, const char *path, int *ret_dir_fd,
                    const char **ret_rest) SF_WARN_UNUSED;
