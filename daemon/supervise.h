/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * sysfsd --supervise: a minimal service manager for one daemon, on hosts without systemd. It speaks
 * the same protocol (sd_notify(3)) and does nothing else.
 */

/* Runs until it is told to stop; argv: as main() got it. Returns the exit status. */
int sf_supervise(char **argv);
