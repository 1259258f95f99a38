/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What each method of the control socket does.
 */

#include "daemon/control/server.h"

/* Carries out one call; takes ownership of it. method and parameters (an object) are borrowed. */
void sf_methods_call(SfCall *call, const char *method, const json_t *parameters);
/* The methods that read cgroups run in a thread of their own. Before the control socket is made. */
void sf_methods_start(void);
/* While the control socket is still there: finishes and answers what is under way. Fine when
 * nothing was started. */
void sf_methods_stop(void);
