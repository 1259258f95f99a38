/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/schedstat: the lines of the container's CPUs (kernel/sched/stats.c, show_schedstat), the
 * domains' masks cut to them. What the scheduler counts is the machine's: 0. The version and the
 * time stamp are neither counts nor anybody's.
 */

#include "daemon/provider/mask.h"
#include "daemon/provider/provider.h"
#include "daemon/provider/shared.h"

#include <errno.h>

/* From this version on a domain's name stands before its mask (Linux 6.14). */
#define VERSION_WITH_NAMES 17

/* "domain0 00000003 0 0 …" or "domain0 MC 00000003 0 …" */
static int put_domain(SfText *text, SfSlice line, uint64_t version, const SfCpuSet *visible)
{
    SfSlice rest = line, word;

    if (!sf_slice_next_word(&rest, &word) || !sf_slice_next_word(&rest, &word))
        return -EINVAL;
    if (version >= VERSION_WITH_NAMES && !sf_slice_next_word(&rest, &word))
        return -EINVAL;
    sf_text_append(text, line.data, (size_t)(word.data - line.data));
    int r = sf_mask_map(text, word, visible);
    while (r == 0 && sf_slice_next_word(&rest, &word))
        sf_text_puts(text, " 0");
    sf_text_putc(text, '\n');
    return r;
}

static int put_lines(SfText *text, SfSlice host, const SfCpuSet *visible)
{
    uint64_t version = 0, cpu;
    bool shown = false;
    SfSlice line, word;

    for (int r = 0; sf_slice_next_line(&host, &line);) {
        SfSlice rest = line;
        if (!sf_slice_next_word(&rest, &word))
            continue;
        if (sf_slice_starts(word, "domain")) {
            r = shown ? put_domain(text, line, version, visible) : 0;
        } else if (sf_slice_starts(word, "cpu")) {
            r = sf_slice_u64(sf_slice(word.data + 3, word.len - 3), &cpu);
            shown = r == 0 && cpu < SF_CPUSET_MAX && sf_cpuset_has(visible, (unsigned)cpu);
            if (shown)
                sf_format_zeroed(text, line);
        } else {
            if (sf_slice_eq(word, "version"))
                r = sf_slice_u64(sf_slice_trim(rest), &version);
            sf_text_slice(text, line);
            sf_text_putc(text, '\n');
        }
        if (r < 0)
            return r;
    }
    return 0;
}

static int render(SfContainer *container, SfText *text)
{
    SfSharedText *host = NULL;
    SfCpuSet visible;

    int r = sf_container_visible_cpus(container, &visible);
    if (r < 0)
        return r;
    r = sf_host_text(sf_container_host(container), SF_HOST_SCHEDSTAT, &host);
    if (r < 0)
        return r;
    r = put_lines(text, sf_slice(host->data, host->len), &visible);
    (void)sf_shared_text_unref(host); /* always NULL */
    return r;
}

const SfProviderOps sf_provider_proc_schedstat_ops = {
    .source = "host's names, cpuset and cpu cgroups",
    .render = render,
};
