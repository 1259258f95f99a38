/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What more than one virtual file shows. Must not hold what only one needs: a file's rules are in
 * its own .c file.
 */

#include "daemon/provider/shared.h"

#include <glib.h>
#include <inttypes.h>

#include "daemon/container/load.h"

/* Every second CPU of SF_CPUSET_MAX, with up to four digits and a comma each, is the longest list.
 */
#define CPULIST_MAX (SF_CPUSET_MAX / 2 * 5 + 1)

void sf_format_cpulist(SfText *text, const SfCpuSet *cpus)
{
    g_autofree char *buffer = g_malloc(CPULIST_MAX);
    int len = sf_cpuset_format_list(cpus, buffer, CPULIST_MAX);
    g_assert(len >= 0);
    sf_text_append(text, buffer, (size_t)len);
    sf_text_putc(text, '\n');
}

void sf_format_zeroed(SfText *text, SfSlice host_line)
{
    /* The first word is the line's name and keeps its digits. */
    SfSlice rest = host_line, name;
    if (sf_slice_next_word(&rest, &name))
        sf_text_append(text, host_line.data, (size_t)(name.data + name.len - host_line.data));
    for (size_t i = 0; i < rest.len;) {
        if (!g_ascii_isdigit(rest.data[i])) {
            sf_text_putc(text, rest.data[i++]);
            continue;
        }
        while (i < rest.len && g_ascii_isdigit(rest.data[i]))
            i++;
        sf_text_putc(text, '0');
    }
    sf_text_putc(text, '\n');
}

int sf_format_host_lines(SfContainer *container, SfHostText which,
                         bool (*keep)(SfSlice line, void *data), void *data, SfText *text)
{
    SfSharedText *host = NULL;
    int r = sf_host_text(sf_container_host(container), which, &host);
    if (r < 0)
        return r;
    SfSlice rest = sf_slice(host->data, host->len), line;
    while (sf_slice_next_line(&rest, &line)) {
        if (!keep(line, data))
            continue;
        sf_text_slice(text, line);
        sf_text_putc(text, '\n');
    }
    (void)sf_shared_text_unref(host); /* always NULL */
    return 0;
}

void sf_format_load(SfText *text, uint64_t load)
{
    /* The kernel asks get_avenrun() for an offset of FIXED_1/200, half a hundredth; its LOAD_INT
     * and LOAD_FRAC then cut off. */
    load = sf_add_sat(load, SF_LOAD_FIXED_1 / 200);
    sf_text_printf(text, "%" PRIu64 ".%02" PRIu64, load >> SF_LOAD_FSHIFT,
                   ((load & (SF_LOAD_FIXED_1 - 1)) * 100) >> SF_LOAD_FSHIFT);
}

int sf_shown_tasks(SfContainer *container, SfTaskCount *ret_tasks)
{
    SfTaskCount tasks = {0};
    int r = sf_container_tasks(container, &tasks);
    if (r < 0 && r != -ENODATA)
        return r;
    if (tasks.total == 0)
        tasks.total = 1;
    if (tasks.highest_inner_pid == 0)
        tasks.highest_inner_pid = 1;
    /* A reader that is not in the container (sysfs-ctl cat) must not make more run than there are.
     */
    tasks.running = sf_min_u64(tasks.running + 1, tasks.total);
    *ret_tasks = tasks;
    return 0;
}
