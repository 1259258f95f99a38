/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Lanes: each has some of the CPUs this process may run on, and threads that are bound to them. A
 * connection is served in the lane of the CPU its reader runs on: there one wakes the other without
 * an interrupt to another CPU and without waiting for that one to leave its idle state, which costs
 * more than all else of a request.
 */

#include <pthread.h>
#include <stdbool.h>

#include "lib/base/fd.h"

typedef struct SfLanes SfLanes;

/* At most `most` (1 or more); NULL: no memory. */
SfLanes *sf_lanes_new(unsigned most);
void sf_lanes_free(SfLanes *lanes);
unsigned sf_lanes_count(const SfLanes *lanes); /* at least 1 */
/* Where readers on that CPU are served; any CPU, also one that is not ours. */
unsigned sf_lanes_of_cpu(const SfLanes *lanes, unsigned cpu);
/* Binds a thread to the lane's CPUs. Negative errno: it then runs anywhere, which is only slower.
 */
int sf_lanes_bind(const SfLanes *lanes, unsigned lane, pthread_t thread);
/* Has the calling thread run soon after it is woken. Negative errno: it is as others are. */
int sf_lanes_set_slice(void);
