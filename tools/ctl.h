/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the verbs of sysfs-ctl share: options, exit codes, calls to the daemon, output.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <jansson.h>

#include "lib/base/text.h"
#include "lib/client.h"

#define SF_CTL_TIMEOUT_MSEC 5000

/* Exit codes, sysfs-ctl(1). */
typedef enum SfCtlExit {
    SF_CTL_OK = 0,
    SF_CTL_FAILED = 1,
    SF_CTL_USAGE = 2,
    SF_CTL_NO_CONTAINER = 3,
    SF_CTL_UNREACHABLE = 4,
} SfCtlExit;

typedef struct SfCtl {
    const char *runtime_dir;
    bool json;
    bool terminal; /* stdout is one: aligned columns with a header */
    bool colour;
    pid_t pid;      /* --pid, 0: not given */
    const char *id; /* --id, NULL: not given */
} SfCtl;

/* The verbs. args: what follows the verb, argc of it, the number checked by the caller. */
SfCtlExit sf_ctl_list(const SfCtl *ctl, int argc, char **args);
SfCtlExit sf_ctl_status(const SfCtl *ctl, int argc, char **args);
SfCtlExit sf_ctl_inspect(const SfCtl *ctl, int argc, char **args);
SfCtlExit sf_ctl_cat(const SfCtl *ctl, int argc, char **args);
SfCtlExit sf_ctl_diff(const SfCtl *ctl, int argc, char **args);
SfCtlExit sf_ctl_attach(const SfCtl *ctl, int argc, char **args);
SfCtlExit sf_ctl_detach(const SfCtl *ctl, int argc, char **args);
SfCtlExit sf_ctl_doctor(const SfCtl *ctl, int argc, char **args);

/* One line on stderr, control characters replaced. Returns `code`. */
SfCtlExit sf_ctl_fail(SfCtlExit code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Calls a method of the control interface ("List"). parameters: takes ownership, may be NULL where
 * the method has none; `object` is what the call is about, for the error's line. On SF_CTL_OK the
 * caller json_decref()s *ret_parameters; else the error has been told. */
SfCtlExit sf_ctl_call(const SfCtl *ctl, const char *method, json_t *parameters, const char *object,
                      json_t **ret_parameters);
/* Inspect of CTR: an ID, a unique prefix or pid:N. The reply has a valid "id". */
SfCtlExit sf_ctl_find(const SfCtl *ctl, const char *name, json_t **ret_container);
/* Why the daemon could not be called. */
const char *sf_ctl_transport_error(int error);

/* Prints the document; takes ownership of it (NULL: out of memory). */
SfCtlExit sf_ctl_print_json(json_t *document);

/* Members of a reply; "" and 0 when they are not there. Strings are borrowed. */
const char *sf_ctl_string(const json_t *object, const char *key);
uint64_t sf_ctl_number(const json_t *object, const char *key);
