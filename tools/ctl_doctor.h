/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The report that the checks of `sysfs-ctl doctor` add to.
 */

#include <jansson.h>

#include "tools/ctl.h"

typedef enum SfCheckResult { SF_CHECK_OK, SF_CHECK_WARN, SF_CHECK_FAIL } SfCheckResult;

typedef struct SfDoctor {
    const SfCtl *ctl;
    json_t *checks; /* array of {name, result, detail, remedy} */
    unsigned count[3];
} SfDoctor;

/* Adds one result. remedy: what to do about it; NULL when it is SF_CHECK_OK. */
void sf_doctor_add(SfDoctor *doctor, const char *name, SfCheckResult result, const char *remedy,
                   const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Groups of checks. */
void sf_doctor_host(SfDoctor *doctor);
void sf_doctor_cgroups(SfDoctor *doctor);
void sf_doctor_engines(SfDoctor *doctor);
