/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The daemon's configuration file (sysfsd.conf(5)): a GKeyFile with known groups and keys only.
 */

#include <glib.h>
#include <stdbool.h>

#include "daemon/container/policy.h"

#define SF_CONFIG_DEFAULT_FILE "/etc/sysfsd.conf"
#define SF_CONFIG_MAX_CONTAINERS 16384 /* what the data plane has room for */

typedef struct SfConfig {
    GLogLevelFlags log_level; /* the least important level that is logged */
    unsigned workers;         /* 0: by the number of CPUs */
    unsigned max_containers;
    SfPolicy defaults;
} SfConfig;

void sf_config_init(SfConfig *config);
/* Reads file over what *config has; required false: a missing file is fine. On error *config is as
 * before and the GError names file, line and key. */
bool sf_config_load(SfConfig *config, const char *file, bool required, GError **error);
/* The same, but what is right in the file is taken also when something else in it is not. */
bool sf_config_load_parts(SfConfig *config, const char *file, bool required, GError **error);
/* "error", "warning", "info", "debug"; false for other words. */
bool sf_config_log_level(const char *word, GLogLevelFlags *ret_level);
