/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A number that tells a text from the one before it: for texts of our own, where two that agree by
 * chance (one in 2^64) show an old value once more, not against who chooses both.
 */

#include <stddef.h>
#include <stdint.h>

/* Of all bytes, and of how many they are. */
uint64_t sf_hash(const char *data, size_t len);
