/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Files below /sys/fs/cgroup that are one limit each: what holds over the whole hierarchy, so that
 * a program which reads only its own cgroup gets what an ancestor (a pod, a slice) really allows.
 */

#include "daemon/provider/provider.h"

typedef struct SfCgroupLimit {
    SfController controller;
    unsigned version;  /* of the hierarchy that has the file under this name */
    SfCgroupFile file; /* must be there for the container's own cgroup */
} SfCgroupLimit;

/* The container has a cgroup of its own (not a hierarchy's top) in that version, and the file. */
bool sf_cgroup_limit_available(SfContainer *container, const SfCgroupLimit *limit);

/* What such a file can say; each appends it. Negative errno. */

/* The least of the file's values over the cgroup and its ancestors: a number, or where nobody
 * limits what the own file says ("max", v1's largest number). */
int sf_format_least(SfContainer *container, const SfCgroupLimit *limit,
                    SfText *text) SF_WARN_UNUSED;
/* The smallest quota over the hierarchy with the period it is for; without any, "max" and the own
 * period (kernel/sched/core.c, cpu_period_quota_print). */
int sf_format_cpu_max(SfContainer *container, const SfCgroupLimit *limit,
                      SfText *text) SF_WARN_UNUSED;
/* The same in v1's two files; no quota is -1. */
int sf_format_cfs_quota(SfContainer *container, const SfCgroupLimit *limit,
                        SfText *text) SF_WARN_UNUSED;
int sf_format_cfs_period(SfContainer *container, const SfCgroupLimit *limit,
                         SfText *text) SF_WARN_UNUSED;
/* What the kernel allows over the hierarchy, which the file says itself. */
int sf_format_effective_cpus(SfContainer *container, const SfCgroupLimit *limit,
                             SfText *text) SF_WARN_UNUSED;
int sf_format_effective_mems(SfContainer *container, const SfCgroupLimit *limit,
                             SfText *text) SF_WARN_UNUSED;

/* Defines the provider of such a file: its name, where it says what, its mode on every host, and
 * how it is said. */
#define SF_CGROUP_LIMIT_PROVIDER(name, of_controller, of_version, of_file, mode_bits, format)      \
    static const SfCgroupLimit limit = {of_controller, of_version, of_file};                       \
    static int render(SfContainer *container, SfText *text)                                        \
    {                                                                                              \
        return format(container, &limit, text);                                                    \
    }                                                                                              \
    static bool available(SfContainer *container)                                                  \
    {                                                                                              \
        return sf_cgroup_limit_available(container, &limit);                                       \
    }                                                                                              \
    static unsigned mode(SfContainer *container)                                                   \
    {                                                                                              \
        (void)container;                                                                           \
        return mode_bits;                                                                          \
    }                                                                                              \
    const SfProviderOps sf_provider_##name##_ops = {                                               \
        .source = "cgroup and its ancestors",                                                      \
        .render = render,                                                                          \
        .available = available,                                                                    \
        .mode = mode,                                                                              \
    }
