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
#include "lib/base/scratch.h"

#include <errno.h>

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
static int idle_times(SfContainer *container, SfText *memory, SfCpuTimes *ret_times)
{
    SfCpuSet visible;
    int r = sf_container_visible_cpus(container, &visible);
    if (r < 0)
        return r;
    uint64_t age = sf_container_age_nsec(container);
    SfCpuTimes times = {0};
    sf_text_reset(memory);
    sf_cpuset_foreach (cpu, &visible) {
        SfCpuTime time = {.cpu = (unsigned)cpu, .idle_nsec = age};
        sf_text_append(memory, (const char *)&time, sizeof(time));
        times.count++;
    }
    if (memory->error)
        return memory->error;
    times.cpus = (const SfCpuTime *)(const void *)memory->data;
    times.total.idle_nsec = sf_mul_sat(age, times.count);
    *ret_times = times;
    return 0;
}

static int put_cpus(SfContainer *container, SfText *text, unsigned columns)
{
    SF_SCRATCH SfText *memory = sf_scratch_take();
    SfCpuTimes times;
    int r = sf_container_cpu_times(container, memory, &times);
    if (r == -ENODATA)
        r = idle_times(container, memory, &times);
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
    return 0;
}

/* What stands between two numbers of the container's, and which comes after it. */
typedef struct Piece {
    size_t end; /* in the tail; it begins where the one before it ends */
    enum { NOTHING, RUNNING, BLOCKED } number;
} Piece;

/* Of the host's text: each of the two lines once, and what stands before, between and after. */
#define PIECES_MAX 3

/* What all containers take from the host's text: columns, and the lines after the CPUs', in the
 * host's order. */
typedef struct Shape {
    SfProcStat stat;
    SfText tail;
    Piece pieces[PIECES_MAX];
    unsigned piece_count;
} Shape;

static void clear_shape(void *made)
{
    sf_text_clear(&((Shape *)made)->tail);
}

/* A piece ends here. False when the host's text has a line twice. */
static bool end_piece(Shape *shape, int number)
{
    if (shape->piece_count == PIECES_MAX)
        return false;
    shape->pieces[shape->piece_count++] = (Piece){shape->tail.len, number};
    return true;
}

static bool add_line(Shape *shape, SfSlice line, SfSlice name)
{
    SfText *tail = &shape->tail;
    bool running = sf_slice_eq(name, "procs_running");

    if (sf_slice_eq(name, "btime")) {
        sf_text_slice(tail, line);
        sf_text_putc(tail, '\n');
    } else if (running || sf_slice_eq(name, "procs_blocked")) {
        sf_text_slice(tail, name);
        sf_text_putc(tail, ' ');
        if (!end_piece(shape, running ? RUNNING : BLOCKED))
            return false;
        sf_text_putc(tail, '\n');
    } else { /* lines this code does not know are 0 as well */
        sf_format_zeroed(tail, line);
    }
    return true;
}

static int make_shape(const char *text, size_t len, void *made)
{
    SfSlice host = sf_slice(text, len), line;
    Shape *shape = made;

    sf_text_reset(&shape->tail);
    shape->piece_count = 0;
    int r = sf_proc_stat_parse(text, len, &shape->stat);
    while (r == 0 && sf_slice_next_line(&host, &line)) {
        SfSlice rest = line, name;
        if (!sf_slice_next_word(&rest, &name) || sf_slice_starts(name, "cpu"))
            continue;
        if (!add_line(shape, line, name))
            r = -EINVAL;
    }
    if (r == 0 && !end_piece(shape, NOTHING))
        r = -EINVAL;
    return r < 0 ? r : shape->tail.error;
}

static const SfDerivation shape_derivation = {
    .size = sizeof(Shape), .make = make_shape, .clear = clear_shape};

static int put_others(SfContainer *container, SfText *text, const Shape *shape)
{
    SfTaskCount tasks;
    size_t at = 0;
    int r = sf_shown_task_states(container, &tasks);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < shape->piece_count; i++) {
        const Piece *piece = &shape->pieces[i];
        if (piece->end > at)
            sf_text_append(text, shape->tail.data + at, piece->end - at);
        if (piece->number != NOTHING)
            sf_text_u64(text, piece->number == RUNNING ? tasks.running : tasks.uninterruptible);
        at = piece->end;
    }
    return 0;
}

static int render(SfContainer *container, SfText *text)
{
    SfSharedText *host = NULL;
    int r = sf_host_derived(sf_container_host(container), SF_HOST_STAT, &shape_derivation, &host);
    if (r < 0)
        return r;
    const Shape *shape = host->derived;
    r = put_cpus(container, text, shape->stat.cpu_columns);
    if (r == 0)
        r = put_others(container, text, shape);
    (void)sf_shared_text_unref(host); /* always NULL */
    return r;
}

const SfProviderOps sf_provider_proc_stat_ops = {
    .source = "cpuacct or cpu.stat of the cgroup, its tasks",
    .render = render,
};
