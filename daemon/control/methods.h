/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What each method of the control socket does.
 */

#include "daemon/control/server.h"

/* Carries out one call; takes ownership of it. method and parameters (an object) are borrowed. */
void sf_methods_call(SfCall *call, const char *method, const json_t *parameters);
