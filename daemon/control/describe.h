/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the control interface tells of a container, as JSON. Reads cgroups and so may block: called
 * off the main thread, on references.
 */

#include <jansson.h>

#include "daemon/view/view.h"

/* type Container of the interface. */
json_t *sf_describe_line(SfView *view);
/* The same of a view whose cgroups do not answer: nothing is read. */
json_t *sf_describe_unanswered(SfView *view);
/* The reply of Inspect. points: where the view is mounted. */
json_t *sf_describe_container(SfView *view, const char *const points[SF_MOUNT_KINDS]);
/* type File of the interface, for the files of the view. */
json_t *sf_describe_files_to_bind(SfView *view);
