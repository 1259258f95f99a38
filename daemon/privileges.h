/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the daemon may do, once it is set up. SECURITY.md says what each capability is for.
 */

#include "lib/base/fd.h"

/* Gives up every capability but the ones in use, for this process and what it might execute, and
 * sets no_new_privs. Capabilities are per thread: called before any is started. -EPERM when one
 * that is needed is missing: *ret_missing is its name (constant). */
int sf_privileges_drop(const char **ret_missing) SF_WARN_UNUSED;
