/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Pressure stall information of the container's own cgroup, as the files of /proc/pressure show the
 * machine's (Documentation/accounting/psi.rst): the same two lines, the same triggers.
 */

#include "daemon/provider/provider.h"

/* The container has a cgroup of its own on v2, or on the unified tree of a hybrid host, and the
 * kernel accounts its pressure. */
bool sf_pressure_available(SfContainer *container, SfCgroupFile file);
int sf_format_pressure(SfContainer *container, SfCgroupFile file, SfText *text) SF_WARN_UNUSED;
/* A new fd for a trigger on the cgroup's file; the caller closes. Negative errno. */
int sf_pressure_open(SfContainer *container, SfCgroupFile file) SF_WARN_UNUSED;

/* Defines the provider of one of the files. */
#define SF_PRESSURE_PROVIDER(name, of_file, what)                                                  \
    static int render(SfContainer *container, SfText *text)                                        \
    {                                                                                              \
        return sf_format_pressure(container, of_file, text);                                       \
    }                                                                                              \
    static bool available(SfContainer *container)                                                  \
    {                                                                                              \
        return sf_pressure_available(container, of_file);                                          \
    }                                                                                              \
    static int open_events(SfContainer *container)                                                 \
    {                                                                                              \
        return sf_pressure_open(container, of_file);                                               \
    }                                                                                              \
    const SfProviderOps sf_provider_##name##_ops = {                                               \
        .source = what " of the cgroup",                                                           \
        .render = render,                                                                          \
        .available = available,                                                                    \
        .open_events = open_events,                                                                \
    }
