/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where the daemon's log goes: the journal when standard error is connected to it, else one line
 * each on standard error.
 */

#include <glib.h>

void sf_log_start(void);
/* The least important level that is written; may be changed at any time. */
void sf_log_set_level(GLogLevelFlags level);
