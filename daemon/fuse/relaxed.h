/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Numbers of a connection: touched by who serves it only, and handed from one worker to the next by
 * epoll, so each is read and written as if it were alone.
 */

#include <stdatomic.h>

static inline unsigned sf_relaxed_get(const _Atomic unsigned *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

static inline void sf_relaxed_put(_Atomic unsigned *number, unsigned value)
{
    atomic_store_explicit(number, value, memory_order_relaxed);
}
