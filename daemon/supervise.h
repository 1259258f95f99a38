/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * sysfsd --supervise: a minimal service manager for one daemon, on hosts without systemd. It speaks
 * the same protocol (sd_notify(3)) and does nothing else.
 */

/* What a daemon tells that does not start because another one serves, see sd_notify(3): EBUSY. */
#define SF_NOTIFY_REFUSED "ERRNO=16"

/* Runs until it is told to stop; argv: as main() got it. Returns the exit status. */
int sf_supervise(char **argv);
