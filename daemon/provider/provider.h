/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A provider is one virtual file: what it says and when it is there. The table of all of them is
 * providers.def; each is one .c file of the same name in this directory. Providers decide and
 * format: they hold no state and no locks, and read only through daemon/container and
 * daemon/source.
 */

#include <stdbool.h>

#include "daemon/container/container.h"
#include "lib/base/text.h"

typedef struct SfProvider {
    const char *name; /* "proc_meminfo": the .c file */
    const char *path; /* in the view and on the host: "/proc/meminfo" */
    const struct SfProviderOps *ops;
} SfProvider;

typedef struct SfProviderOps {
    /* Where the numbers come from, for people (sysfs-ctl inspect): "memory cgroup". */
    const char *source;
    /* Appends the whole text to *text (empty, error unset). 0 or negative errno, which the reader's
     * open(2) then gets. Thread-safe. */
    int (*render)(SfContainer *container, SfText *text);
    /* Whether this container gets the file; NULL: always. A file the host's kernel does not have is
     * never there. */
    bool (*available)(SfContainer *container);
} SfProviderOps;

/* The table, in the order of providers.def. */
unsigned sf_provider_count(void);
const SfProvider *sf_provider_get(unsigned index);
/* NULL when no provider has this path. */
const SfProvider *sf_provider_find(const char *path);
