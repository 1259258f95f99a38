/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The service manager's fd store: fds that outlive the process (sd_notify(3), FDSTORE=1). systemd
 * has one, and `sysfsd --supervise`.
 */

#include "daemon/control/registry.h"

/* Whether views are held for this process. Reads the environment only: before the next. */
bool sf_fd_store_has_views(void);
/* Takes what the service manager hands over (sd_listen_fds(3)); once, before the environment is
 * read by anybody else. Does nothing without a service manager. */
void sf_fd_store_begin(void);
/* As the registry wants it; all NULL when there is no store. */
SfFdStore sf_fd_store(void);
/* One that was held for a former daemon, or -1; the caller owns it. */
int sf_fd_store_take(const char *name);
/* So many containers' views find room when triggers have taken theirs; triggers have a little in
 * any case. Returns how many there is room for at most, UINT_MAX without a store. */
unsigned sf_fd_store_reserve(unsigned containers);
/* Negative errno, see SfFdStore.hold; 0 where there is no store. Thread-safe, as the next. */
int sf_fd_store_hold(const char *name, int fd) SF_WARN_UNUSED;
void sf_fd_store_drop(const char *name);
