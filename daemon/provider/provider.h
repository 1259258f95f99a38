/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A provider is one virtual file, or a directory with all that is below it: what it says and when
 * it is there. The table of all of them is providers.def; each is one .c file of the same name in
 * this directory. Providers decide and format: they hold no state and no locks, and read only
 * through daemon/container and daemon/source.
 */

#include <stdbool.h>

#include "daemon/container/container.h"
#include "lib/base/text.h"

typedef struct SfProvider {
    const char *name; /* "proc_meminfo": the .c file */
    const char *path; /* in the view and on the host: "/proc/meminfo" */
    const struct SfProviderOps *ops;
} SfProvider;

/* What an entry below a provider's directory is to a container. */
typedef enum SfEntryShown {
    SF_ENTRY_HIDDEN,   /* not there, at this moment */
    SF_ENTRY_SHOWN,    /* there, at this moment: the kernel asks again before long */
    SF_ENTRY_CONSTANT, /* there as long as its directory is */
} SfEntryShown;

typedef struct SfProviderOps {
    /* Where the numbers come from, for people (sysfs-ctl inspect): "memory cgroup". */
    const char *source;
    /* It changes with limits, hotplug and the hardware alone: then it is read without being opened,
     * and a change is seen SF_CONSTANT_MSEC (daemon/view/view.h) later at most. */
    bool constant;
    /* Appends the whole text to *text (empty, error unset). 0 or negative errno, which the reader's
     * open(2) then gets. Thread-safe. */
    int (*render)(SfContainer *container, SfText *text);
    /* Whether this container gets the file; NULL: always. A file the host's kernel does not have is
     * never there. */
    bool (*available)(SfContainer *container);

    /* The mode of a file that is not the host's at this path; NULL: the host's own, and without one
     * there is no such file. */
    unsigned (*mode)(SfContainer *container);
    /* A file that a process can write to and wait on: a new fd, open for reading and writing, of
     * the kernel's own file for this container, to which such writes go and whose events are the
     * reader's. NULL: the file cannot be written. The caller closes. Negative errno. */
    int (*open_events)(SfContainer *container);

    /* A directory has these two in place of render. What is below it is the host's, but for the
     * files with a row of their own; path is relative to it ("cpu3/topology/core_cpus"). */
    SfEntryShown (*shows)(SfContainer *container, const char *path);
    /* Appends what the container reads where the host's file says host. Only files that everybody
     * on the host may read are asked for. Errors as render's. */
    int (*mask)(SfContainer *container, const char *path, SfSlice host, SfText *text);
    /* Whether a file below it says the same as long as the machine runs, or stays away; NULL: none
     * does. */
    bool (*fixed)(const char *path);
} SfProviderOps;

/* The table, in the order of providers.def. */
unsigned sf_provider_count(void);
const SfProvider *sf_provider_get(unsigned index);
/* Whether this container gets the file: its kernel has one and the provider gives it. The policy is
 * not asked. *ret_mode: permission bits. */
bool sf_provider_shown(const SfProvider *provider, SfContainer *container, unsigned *ret_mode);
/* NULL when no provider has this path. */
const SfProvider *sf_provider_find(const char *path);
/* The provider whose file is named so ("proc_meminfo"); NULL when there is none. */
const SfProvider *sf_provider_named(const char *name);
