/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What an OCI runtime tells its hooks: the container's state (on stdin) and, in the bundle, its
 * configuration (github.com/opencontainers/runtime-spec: runtime.md "State", config.md "Root",
 * "Annotations"). Reads; decides nothing.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "include/sysfsd/sysfsd.h"
#include "lib/base/fd.h"

#define SF_OCI_STATE_MAX (1u << 20)
#define SF_OCI_CONFIG_MAX (16u << 20)

typedef struct SfOciState {
    char *id;     /* owned; valid by sf_id_valid() */
    char *status; /* owned; "" when not said */
    char *bundle; /* owned; absolute, or NULL when not said */
    char *rootfs; /* owned; absolute, or NULL while not known */
    pid_t pid;    /* 0 when not said; some runtimes say 0 or 1 where it has no meaning */
    struct sysfsd_annotation
        *annotations; /* owned, keys and values too: those that begin with io.sysfsd. */
    size_t annotation_count;
    bool enable;   /* io.sysfsd.enable, true by default */
    bool required; /* io.sysfsd.required */
} SfOciState;
void sf_oci_state_clear(SfOciState *state);

/* Reads a state of at most SF_OCI_STATE_MAX bytes to its end. -EFBIG, -ENODATA when there is not
 * one byte, -ETIMEDOUT, or read(2)'s errno. The caller frees *ret_text. deadline_msec as in
 * lib/deadline.h. */
int sf_oci_state_read(int fd, int64_t deadline_msec, char **ret_text,
                      size_t *ret_len) SF_WARN_UNUSED;

/* -EBADMSG for what is not JSON (error says where), -EINVAL for a member that is missing or not
 * valid (error names it), -ENOMEM. */
int sf_oci_state_parse(const char *text, size_t len, SfOciState *ret_state, char *error,
                       size_t error_size) SF_WARN_UNUSED;

/* Adds what config.json says: root.path (made absolute with the bundle; it wins over the state's
 * own), annotations that the state does not have. Errors as above; *state is then as before. */
int sf_oci_config_parse(const char *text, size_t len, SfOciState *state, char *error,
                        size_t error_size) SF_WARN_UNUSED;

/* The same from config.json in the state's bundle. Also open(2)'s and read(2)'s errno. */
int sf_oci_config_read(SfOciState *state, char *error, size_t error_size) SF_WARN_UNUSED;
