/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Descriptions of containers for callers of the control socket. They read cgroups, which may take
 * long or hang in the kernel: they are made in threads, and a container that does not answer costs
 * its own description. Main thread only.
 */

#include "daemon/control/server.h"
#include "daemon/view/view.h"

/* A description that makes no progress for this long is given up. */
#define SF_READS_PATIENCE_MSEC 2000

/* Before the first call. */
void sf_reads_start(void);
/* While the control socket is still there: finishes and answers what is under way. Fine when
 * nothing was started. */
void sf_reads_stop(void);
/* Answers call, which is taken over, with a line of each view; views: borrowed. */
void sf_reads_list(SfCall *call, SfView *const *views, unsigned count);
/* Answers call, which is taken over, with everything of one. */
void sf_reads_inspect(SfCall *call, SfView *view, const char *const points[SF_MOUNT_KINDS]);
