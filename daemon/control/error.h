/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a control method answers when it does not do what was asked: one of the interface's errors,
 * with a sentence for people: one line, of bounded length.
 */

#include <jansson.h>

#include "lib/base/fd.h"

typedef struct SfControlError {
    const char *name; /* "NoSuchContainer": constant; NULL while there is no error */
    json_t *details;  /* owned; "message" and what else the interface says */
} SfControlError;

void sf_control_error_clear(SfControlError *error);

/* Each sets *error (which holds none) and returns -1, so that a method can return it. */
int sf_fail(SfControlError *error, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int sf_fail_parameter(SfControlError *error, const char *parameter, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Failed: r is a negative errno; its text ends the sentence. */
int sf_fail_errno(SfControlError *error, int r, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
