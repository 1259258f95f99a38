/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Container IDs become file names and mount points: what is allowed is decided here and nowhere
 * else.
 */

#include <stdbool.h>

#define SF_ID_MAX 128

/* 1-128 bytes of [A-Za-z0-9_.-], and neither "." nor "..". NULL is not valid. */
bool sf_id_valid(const char *id);
