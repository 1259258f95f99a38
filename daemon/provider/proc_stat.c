/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/stat: CPU times of the container on the CPUs it sees, in the running kernel's lines and
 * columns (fs/proc/stat.c). What the kernel counts for the machine only (interrupts, context
 * switches, forks) is 0; btime stays the host's, because ps(1) adds start times since the host's
 * boot to it. Must not account time itself: daemon/container does and remembers.
 */

#include "daemon/provider/provider.h"
#include "daemon/provider/shared.h"
#include "daemon/source/proc_stat.h"

#include <string.h>

#define NSEC_PER_SEC 1000000000u

/* One cpu line. Ticks are cut off from nanoseconds line by line, the total's own too, as the kernel
 * does it: the total is the sum exactly in nanoseconds and may differ by less than a tick a CPU. */
static void put_cpu(SfText *text, const SfCpuTime *time, unsigned columns, uint64_t nsec_per_tick)
{
    /* user nice system idle iowait irq softirq steal, then guest, guest_nice and what may come. The
     * kernel has no iowait, irq and softirq time of a cgroup. */
    const uint64_t nsec[] = {
        time->user_nsec, time->nice_nsec, time->system_nsec, time->idle_nsec, 0, 0, 0,
        time->steal_nsec};
    for (unsigned i = 0; i < columns; i++) {
        sf_text_putc(text, ' ');
        sf_text_u64(text, i < sizeof(nsec) / sizeof(nsec[0]) ? nsec[i] / nsec_per_tick : 0);
    }
    sf_text_putc(text, '\n');
}

/* Without any CPU accounting no use of a CPU is known: all idle since the container started. */
static int idle_times(SfContainer *container, SfCpuTimes *ret_times)
{
    SfCpuSet visible;
    int r = sf_container_visible_cpus(container, &visible);
    if (r < 0)
        return r;
    SfCpuTimes times = {.count = sf_cpuset_count(&visible)};
    times.cpus = calloc(times.count, sizeof(times.cpus[0]));
    if (!times.cpus)
        return -ENOMEM;
    uint64_t age = sf_container_age_nsec(container);
    unsigned i = 0;
    sf_cpuset_foreach (cpu, &visible)
        times.cpus[i++] = (SfCpuTime){.cpu = (unsigned)cpu, .idle_nsec = age};
    times.total.idle_nsec = sf_mul_sat(age, times.count);
    *ret_times = times;
    return 0;
}

static int put_cpus(SfContainer *container, SfText *text, unsigned columns)
{
    SfCpuTimes times = {0};
    int r = sf_container_cpu_times(container, &times);
    if (r == -ENODATA)
        r = idle_times(container, &times);
    if (r < 0)
        return r;
    uint64_t nsec_per_tick = NSEC_PER_SEC / sf_host_ticks_per_sec(sf_container_host(container));
    sf_text_puts(text, "cpu "); /* and the blank before the first number: two, as the kernel's */
    put_cpu(text, &times.total, columns, nsec_per_tick);
    for (unsigned i = 0; i < times.count; i++) {
        sf_text_puts(text, "cpu");
        sf_text_u64(text, times.cpus[i].cpu);
        put_cpu(text, &times.cpus[i], columns, nsec_per_tick);
    }
    sf_cpu_times_clear(&times);
    return 0;
}

static void put_count(SfText *text, const char *name, uint64_t count)
{
    sf_text_puts(text, name);
    sf_text_putc(text, ' ');
    sf_text_u64(text, count);
    sf_text_putc(text, '\n');
}

/* The lines after the CPUs', in the host's order. Lines this code does not know are 0 as well. */
static int put_others(SfContainer *container, SfText *text, SfSlice host)
{
    SfTaskCount tasks;
    int r = sf_shown_tasks(container, &tasks);
    if (r < 0)
        return r;
    SfSlice line;
    while (sf_slice_next_line(&host, &line)) {
        SfSlice rest = line, name;
        if (!sf_slice_next_word(&rest, &name) || sf_slice_starts(name, "cpu"))
            continue;
        if (sf_slice_eq(name, "btime")) {
            sf_text_slice(text, line);
            sf_text_putc(text, '\n');
        } else if (sf_slice_eq(name, "procs_running")) {
            put_count(text, "procs_running", tasks.running);
        } else if (sf_slice_eq(name, "procs_blocked")) {
            put_count(text, "procs_blocked", tasks.uninterruptible);
        } else {
            sf_format_zeroed(text, line);
        }
    }
    return 0;
}

static int render(SfContainer *container, SfText *text)
{
    SfSharedText *host = NULL;
    int r = sf_host_text(sf_container_host(container), SF_HOST_STAT, &host);
    if (r < 0)
        return r;
    SfProcStat stat;
    r = sf_proc_stat_parse(host->data, host->len, &stat);
    if (r == 0)
        r = put_cpus(container, text, stat.cpu_columns);
    if (r == 0)
        r = put_others(container, text, sf_slice(host->data, host->len));
    (void)sf_shared_text_unref(host); /* always NULL */
    return r;
}

const SfProviderOps sf_provider_proc_stat_ops = {
    .source = "cpuacct or cpu.stat of the cgroup, its tasks",
    .render = render,
};
