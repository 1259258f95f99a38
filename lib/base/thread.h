/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>

#include "lib/base/fd.h"

/* Starts a thread to which no signal is delivered: the process's are its main thread's. name: at
 * most 15 bytes, for people. Negative errno of pthread_create(3); *ret_thread is set on success
 * only, and is to be joined. */
int sf_thread_start(const char *name, void *(*run)(void *data), void *data,
                    pthread_t *ret_thread) SF_WARN_UNUSED;
