/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/loadavg of the container's tasks, in the format of fs/proc/loadavg.c. Must not average
 * itself: what is remembered between reads is daemon/container's.
 */

#include "daemon/provider/provider.h"
#include "daemon/provider/shared.h"

static int render(SfContainer *container, SfText *text)
{
    uint64_t load[3] = {0};
    int r = sf_container_load(container, load);
    if (r < 0 && r != -ENODATA)
        return r;
    SfTaskCount tasks;
    r = sf_shown_tasks(container, &tasks);
    if (r < 0)
        return r;

    for (unsigned i = 0; i < 3; i++) {
        sf_format_load(text, load[i]);
        sf_text_putc(text, ' ');
    }
    sf_text_u64(text, tasks.running);
    sf_text_putc(text, '/');
    sf_text_u64(text, tasks.total);
    sf_text_putc(text, ' ');
    sf_text_u64(text, (uint64_t)tasks.highest_inner_pid);
    sf_text_putc(text, '\n');
    return 0;
}

const SfProviderOps sf_provider_proc_loadavg_ops = {
    .source = "tasks of the cgroup",
    .render = render,
};
