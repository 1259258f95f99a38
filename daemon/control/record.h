/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The persisted record of a container, containers/ID.json: everything a later daemon needs to know
 * it again. Written whole or not at all.
 */

#include <jansson.h>

#include "daemon/container/container.h"

#define SF_RECORD_VERSION 1
#define SF_RECORD_MAX_BYTES (1u << 20)

/* Files of a view that are still to be attached in the container, by the daemon: each includes the
 * ones before. */
typedef enum SfAttachDue { SF_DUE_NOTHING, SF_DUE_CONSTANTS, SF_DUE_ALL } SfAttachDue;

/* directory_fd: of containers/. annotations may be NULL. -EFBIG past SF_RECORD_MAX_BYTES, or
 * another negative errno. */
int sf_record_write(int directory_fd, const char *boot_id, const SfContainer *container,
                    const json_t *annotations, SfAttachDue due) SF_WARN_UNUSED;
/* Writes down in a record that is there what is due from now on. Negative errno. */
int sf_record_set_due(int directory_fd, const char *id, SfAttachDue due) SF_WARN_UNUSED;
/* The record's JSON object (caller json_decref()s): -EBADMSG when the file is not a record of that
 * ID, -ENOENT. */
int sf_record_read(int directory_fd, const char *id, json_t **ret_record) SF_WARN_UNUSED;
/* What a record says of its container: borrowed from it, but for the policy and decoded. */
typedef struct SfRecord {
    SfContainerSpec spec;                          /* without pidfd and keep */
    SfPolicy policy;                               /* spec.policy */
    const char *cgroup_paths[SF_CONTROLLER_COUNT]; /* spec.cgroup_paths */
    const char *boot_id;
    SfAttachDue due;
    char *decoded[SF_CONTROLLER_COUNT]; /* owned; what of cgroup_paths JSON cannot say */
} SfRecord;
/* record: as read. -EBADMSG when something in it makes no sense. The caller clears on success. */
int sf_record_parse(const json_t *record, SfRecord *ret_record) SF_WARN_UNUSED;
void sf_record_clear(SfRecord *record);
/* Absent is fine. */
int sf_record_remove(int directory_fd, const char *id) SF_WARN_UNUSED;
/* "ID.json" -> "ID"; NULL when the name is not a record's. The caller frees. */
char *sf_record_id_of_file(const char *name);
