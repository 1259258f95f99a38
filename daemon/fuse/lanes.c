/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which CPU belongs to which lane. It knows neither connections nor threads' work.
 */

#include "daemon/fuse/lanes.h"

#include <errno.h>
#include <glib.h>
#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Linux has no more (CONFIG_NR_CPUS of all architectures). */
#define MAX_CPUS 8192u
#define SET_BYTES CPU_ALLOC_SIZE(MAX_CPUS)

/* What the kernel takes for the shortest slice of a normal thread. */
#define SLICE_NSEC 100000

/* The first published form of the kernel's structure (linux/sched/types.h, which does not go with
 * glibc's sched.h). */
typedef struct SchedAttr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_nsec, deadline_nsec, period_nsec;
} SchedAttr;

struct SfLanes {
    unsigned count;
    bool bound;              /* else the CPUs are not known */
    uint16_t lane[MAX_CPUS]; /* by CPU number */
    cpu_set_t *allowed;      /* owned */
};

/* CPUs that are neighbours share a lane: of the allowed ones in equal parts, the others by number.
 */
static void share_out(SfLanes *lanes, unsigned most)
{
    unsigned cpus = (unsigned)CPU_COUNT_S(SET_BYTES, lanes->allowed);
    unsigned seen = 0;

    lanes->count = CLAMP(cpus, 1, most);
    for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++) {
        if (CPU_ISSET_S(cpu, SET_BYTES, lanes->allowed))
            lanes->lane[cpu] = (uint16_t)((uint64_t)seen++ * lanes->count / cpus);
        else
            lanes->lane[cpu] = (uint16_t)(cpu % lanes->count);
    }
}

SfLanes *sf_lanes_new(unsigned most)
{
    SfLanes *lanes = g_new0(SfLanes, 1);

    lanes->allowed = g_malloc0(SET_BYTES);
    lanes->bound = sched_getaffinity(0, SET_BYTES, lanes->allowed) == 0;
    share_out(lanes, most);
    return lanes;
}

void sf_lanes_free(SfLanes *lanes)
{
    if (!lanes)
        return;
    g_free(lanes->allowed);
    g_free(lanes);
}

unsigned sf_lanes_count(const SfLanes *lanes)
{
    return lanes->count;
}

unsigned sf_lanes_of_cpu(const SfLanes *lanes, unsigned cpu)
{
    return lanes->lane[cpu % MAX_CPUS];
}

int sf_lanes_bind(const SfLanes *lanes, unsigned lane, pthread_t thread)
{
    g_autofree cpu_set_t *own = g_malloc0(SET_BYTES);

    if (!lanes->bound)
        return -ENODATA;
    for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++) {
        if (CPU_ISSET_S(cpu, SET_BYTES, lanes->allowed) && lanes->lane[cpu] == lane)
            CPU_SET_S(cpu, SET_BYTES, own);
    }
    return -pthread_setaffinity_np(thread, SET_BYTES, own);
}

/* What a request needs is short. A thread with a short slice is run soon after it was woken, also
 * beside threads that are always busy, and gets no more time than others (since Linux 6.12; older
 * kernels take the call and go on as before). */
int sf_lanes_set_slice(void)
{
    SchedAttr attr = {.size = sizeof(attr)};

    if (syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0) < 0)
        return -errno;
    if (attr.policy != SCHED_OTHER)
        return 0;
    attr.size = sizeof(attr);
    attr.flags = 0;
    attr.runtime_nsec = SLICE_NSEC;
    return syscall(SYS_sched_setattr, 0, &attr, 0) < 0 ? -errno : 0;
}
