/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What more than one virtual file shows. Must not hold what only one needs: a file's rules are in
 * its own .c file.
 */

#include "daemon/provider/shared.h"

#include <glib.h>

#include "daemon/container/load.h"
#include "lib/base/scratch.h"

/* Every second CPU of SF_CPUSET_MAX, with up to four digits and a comma each, is the longest list.
 */
#define CPULIST_MAX (SF_CPUSET_MAX / 2 * 5 + 1)

void sf_format_cpulist(SfText *text, const SfCpuSet *cpus)
{
    char few[1024];
    int len = sf_cpuset_format_list(cpus, few, sizeof(few));

    if (len >= 0) {
        sf_text_append(text, few, (size_t)len);
    } else { /* a set with many holes in it */
        SF_SCRATCH SfText *many = sf_scratch_take();
        char *room = sf_text_room(many, CPULIST_MAX);
        len = room ? sf_cpuset_format_list(cpus, room, CPULIST_MAX) : -1;
        g_assert(!room || len >= 0);
        if (len >= 0)
            sf_text_append(text, room, (size_t)len);
        else
            text->error = many->error;
    }
    sf_text_putc(text, '\n');
}

void sf_format_zeroed(SfText *text, SfSlice host_line)
{
    /* The first word is the line's name and keeps its digits. */
    SfSlice rest = host_line, name;
    if (sf_slice_next_word(&rest, &name))
        sf_text_append(text, host_line.data, (size_t)(name.data + name.len - host_line.data));
    for (size_t i = 0; i < rest.len;) {
        size_t from = i;
        while (i < rest.len && !g_ascii_isdigit(rest.data[i]))
            i++;
        sf_text_append(text, rest.data + from, i - from);
        if (i == rest.len)
            break;
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
    sf_text_hundredths(text, load >> SF_LOAD_FSHIFT,
                       (unsigned)(((load & (SF_LOAD_FIXED_1 - 1)) * 100) >> SF_LOAD_FSHIFT));
}

static int shown_tasks(int (*count)(SfContainer *container, SfTaskCount *ret_count),
                       SfContainer *container, SfTaskCount *ret_tasks)
{
    SfTaskCount tasks = {0};
    int r = count(container, &tasks);
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

int sf_shown_task_states(SfContainer *container, SfTaskCount *ret_tasks)
{
    return shown_tasks(sf_container_task_states, container, ret_tasks);
}

int sf_shown_tasks(SfContainer *container, SfTaskCount *ret_tasks)
{
    return shown_tasks(sf_container_tasks, container, ret_tasks);
}
