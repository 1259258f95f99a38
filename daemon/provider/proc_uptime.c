/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/uptime: the container's age and the time its CPUs were not used by it (fs/proc/uptime.c).
 * Must not be shown to a container with a time namespace of its own: there the kernel's file is
 * already right, and programs compare it with a clock that the namespace shifts.
 */

#include "daemon/provider/provider.h"

#include "lib/base/scratch.h"

#define NSEC_PER_SEC 1000000000u
#define NSEC_PER_CENTISEC (NSEC_PER_SEC / 100)

/* The kernel's "%lu.%02lu": hundredths cut off, not rounded. */
static void put_seconds(SfText *text, uint64_t nsec)
{
    sf_text_hundredths(text, nsec / NSEC_PER_SEC,
                       (unsigned)(nsec % NSEC_PER_SEC / NSEC_PER_CENTISEC));
}

/* Visible CPUs x age - CPU time used, both of one moment. Taken from the times that /proc/stat
 * shows (there the same is split into idle and steal), because those remember: a CPU set that
 * shrinks or a burst of work on CPUs that are not shown never makes them decrease. */
static int read_times(SfContainer *container, uint64_t *ret_age_nsec, uint64_t *ret_idle_nsec)
{
    SF_SCRATCH SfText *memory = sf_scratch_take();
    SfCpuTimes times;
    int r = sf_container_cpu_times(container, memory, &times);
    if (r == 0) {
        *ret_age_nsec = times.age_nsec;
        *ret_idle_nsec = sf_add_sat(times.total.idle_nsec, times.total.steal_nsec);
        return 0;
    }
    if (r != -ENODATA)
        return r;
    /* Without any CPU accounting, as /proc/stat: nothing is known to have been used. */
    SfCpuSet visible;
    r = sf_container_visible_cpus(container, &visible);
    if (r < 0)
        return r;
    *ret_age_nsec = sf_container_age_nsec(container);
    *ret_idle_nsec = sf_mul_sat(*ret_age_nsec, sf_cpuset_count(&visible));
    return 0;
}

static int render(SfContainer *container, SfText *text)
{
    uint64_t age, idle;
    int r = read_times(container, &age, &idle);
    if (r < 0)
        return r;
    put_seconds(text, age);
    sf_text_putc(text, ' ');
    put_seconds(text, idle);
    sf_text_putc(text, '\n');
    return 0;
}

static bool available(SfContainer *container)
{
    return !sf_container_has_time_namespace(container);
}

const SfProviderOps sf_provider_proc_uptime_ops = {
    .source = "start time of init, cpu accounting cgroup",
    .render = render,
    .available = available,
};
