/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes a container from a living process, and answers who it is, how old, how many tasks and how
 * loaded. It reads what never changes once; it never enters a namespace, never follows init when
 * that moves to another cgroup, and logs nothing.
 */

#include "daemon/container/container_private.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base/fd.h"
#include "lib/base/id.h"

#define NSEC_PER_SEC 1000000000ull

static SfContainer *container_alloc(SfHost *host, const SfContainerSpec *spec)
{
    SfContainer *container = calloc(1, sizeof(*container));

    if (container == NULL)
        return NULL;
    g_atomic_ref_count_init(&container->refs);
    (void)pthread_mutex_init(&container->tasks_lock, NULL); /* glibc's neither allocate nor fail */
    (void)pthread_mutex_init(&container->load_lock, NULL);
    (void)pthread_mutex_init(&container->nodes_lock, NULL);
    (void)pthread_mutex_init(&container->state_lock, NULL);
    container->keep = spec->keep != NULL ? spec->keep : sf_keep_default();
    container->number = spec->number;
    while (container->number == 0) {
        uint64_t number;
        if (getrandom(&number, sizeof(number), 0) < 0)
            number = sf_host_boottime_nsec(host); /* before the pool is ready */
        container->number = number & SF_CONTAINER_NUMBER_MAX;
    }
    container->host = host;
    container->init_pid = spec->init_pid;
    container->pidfd = -1;
    container->registered_nsec = sf_host_boottime_nsec(host);
    if (spec->policy != NULL)
        container->policy = *spec->policy;
    else
        sf_policy_init(&container->policy);
    container->id = strdup(spec->id);
    container->bundle = spec->bundle != NULL ? strdup(spec->bundle) : NULL;
    container->cpu_account = sf_cpu_account_new();
    if (container->id == NULL || container->cpu_account == NULL ||
        (spec->bundle != NULL && container->bundle == NULL))
        return sf_container_unref(container);
    return container;
}

static void container_free(SfContainer *container)
{
    for (unsigned i = 0; i < SF_CONTROLLER_COUNT; i++)
        (void)sf_cgroup_unref(container->cgroups[i]); /* NULL is what it returns */
    sf_cpu_account_free(container->cpu_account);
    (void)sf_load_sampler_unref(container->sampler);
    (void)pthread_mutex_destroy(
        &container->tasks_lock); /* nobody holds them: no reference is left */
    (void)pthread_mutex_destroy(&container->load_lock);
    (void)pthread_mutex_destroy(&container->nodes_lock);
    (void)pthread_mutex_destroy(&container->state_lock);
    sf_text_clear(&container->state_text);
    free(container->node_pages);
    (void)sf_close(container->pidfd);
    free(container->id);
    free(container->bundle);
    free(container);
}

SfContainer *sf_container_ref(SfContainer *container)
{
    g_atomic_ref_count_inc(&container->refs);
    return container;
}

SfContainer *sf_container_unref(SfContainer *container)
{
    if (container != NULL && g_atomic_ref_count_dec(&container->refs))
        container_free(container);
    return NULL;
}

static int take_pidfd(SfContainer *container, const SfContainerSpec *spec)
{
    if (spec->pidfd < 0)
        return sf_process_pidfd(spec->init_pid, &container->pidfd);
    container->pidfd = fcntl(spec->pidfd, F_DUPFD_CLOEXEC, 3);
    return container->pidfd < 0 ? -errno : 0;
}

static int read_identity(SfContainer *container, const SfContainerSpec *spec)
{
    uint64_t own_time;
    SfPidStat stat;

    int r = sf_pid_stat_read(container->host, container->init_pid, &stat);
    if (r < 0)
        return r;
    if (spec->start_ticks != 0 && spec->start_ticks != stat.start_ticks)
        return -ESRCH;
    container->start_ticks = stat.start_ticks;
    r = sf_process_namespaces(container->host, container->init_pid, &container->namespaces);
    if (r < 0)
        return r;
    /* Of the first user namespace the maps are known: 0 and 0, as calloc(3) left them. */
    if (container->namespaces.user != SF_USER_NAMESPACE_INIT) {
        r = sf_process_root_ids(container->host, container->init_pid, &container->root_uid,
                                &container->root_gid);
        if (r < 0)
            return r;
    }
    /* Not /proc/1/ns: that may be denied even to root, and the daemon lives in the host's. */
    r = sf_process_own_namespace(container->host, "time", &own_time);
    if (r < 0 && r != -ENOENT)
        return r;
    container->time_namespace =
        container->namespaces.time != 0 && r == 0 && container->namespaces.time != own_time;
    return 0;
}

static const char *given_path(const SfContainerSpec *spec, unsigned controller)
{
    return spec->cgroup_paths != NULL ? spec->cgroup_paths[controller] : NULL;
}

/* The cgroup of an earlier controller that is in the same hierarchy and is asked for in the same
 * way: on v2 all are one. */
static SfCgroup *find_resolved(const SfContainer *container, const SfCgroups *cgroups,
                               const SfContainerSpec *spec, unsigned controller)
{
    const char *path = given_path(spec, controller);

    for (unsigned i = 0; i < controller; i++) {
        if (container->cgroups[i] != NULL && g_strcmp0(given_path(spec, i), path) == 0 &&
            sf_cgroups_share(cgroups, (SfController)i, (SfController)controller))
            return sf_cgroup_ref(container->cgroups[i]);
    }
    return NULL;
}

/* A hierarchy that is not there, or of which the daemon's mounts do not show this part, leaves
 * NULL. */
static int resolve_cgroups(SfContainer *container, SfCgroups *cgroups, const SfContainerSpec *spec)
{
    SF_CLEANUP_FREE char *memberships = NULL;
    size_t len;

    int r = sf_cgroups_read_memberships(cgroups, container->init_pid, &memberships, &len);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < SF_CONTROLLER_COUNT; i++) {
        const char *path = given_path(spec, i);
        SfCgroup *cgroup = find_resolved(container, cgroups, spec, i);
        r = 0;
        if (cgroup == NULL && path != NULL)
            r = sf_cgroup_at(cgroups, (SfController)i, path, &cgroup);
        else if (cgroup == NULL)
            r = sf_cgroup_of(cgroups, (SfController)i, sf_slice(memberships, len), &cgroup);
        if (r < 0 && r != -ENODATA && r != -ENOENT)
            return r;
        if (r == 0)
            container->cgroups[i] = cgroup;
    }
    return 0;
}

static SfCgroup *own_cgroup(const SfContainer *container, unsigned controller)
{
    SfCgroup *cgroup = container->cgroups[controller];

    return cgroup != NULL && !sf_cgroup_is_top(cgroup) ? cgroup : NULL;
}

/* On a hybrid host an engine that knows only v1 leaves its containers in its own cgroup of the
 * unified tree, all of them together: the unified one counts as the container's only where a v1
 * hierarchy has the same path, or none has any. */
static SfCgroup *choose_task_cgroup(const SfContainer *container)
{
    SfCgroup *unified = own_cgroup(container, SF_CONTROLLER_UNIFIED);
    SfCgroup *first = NULL;

    for (unsigned i = 0; i < SF_CONTROLLER_COUNT; i++) {
        SfCgroup *cgroup = own_cgroup(container, i);
        if (cgroup == NULL || sf_cgroup_version_of(cgroup) != 1)
            continue;
        if (unified != NULL && strcmp(sf_cgroup_path(cgroup), sf_cgroup_path(unified)) == 0)
            return unified;
        if (first == NULL)
            first = cgroup;
    }
    return first != NULL ? first : unified;
}

/* A pid is another process's once its own has ended: as long as the pidfd has not become readable,
 * what was read by pid before was read of the process the pidfd names. */
static int check_alive(const SfContainer *container)
{
    struct pollfd item = {.fd = container->pidfd, .events = POLLIN};
    int r;

    do
        r = poll(&item, 1, 0);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return -errno;
    return r > 0 ? -ESRCH : 0;
}

int sf_container_new(SfHost *host, SfCgroups *cgroups, const SfContainerSpec *spec,
                     SfContainer **ret_container)
{
    if (!sf_id_valid(spec->id) || spec->init_pid <= 0)
        return -EINVAL;

    g_autoptr(SfContainer) container = container_alloc(host, spec);
    if (container == NULL)
        return -ENOMEM;
    int r = take_pidfd(container, spec);
    if (r < 0)
        return r;
    r = read_identity(container, spec);
    if (r == 0)
        r = resolve_cgroups(container, cgroups, spec);
    /* Files of a process that has just ended fail in many ways: that it has ended is what there is
     * to say. */
    int alive = check_alive(container);
    if (alive < 0)
        return alive;
    if (r < 0)
        return r;
    container->task_cgroup = choose_task_cgroup(container);
    container->sampler = sf_load_sampler_ref_default();
    *ret_container = g_steal_pointer(&container);
    return 0;
}

const char *sf_container_id(const SfContainer *container)
{
    return container->id;
}

const char *sf_container_bundle(const SfContainer *container)
{
    return container->bundle;
}

pid_t sf_container_init_pid(const SfContainer *container)
{
    return container->init_pid;
}

int sf_container_pidfd(const SfContainer *container)
{
    return container->pidfd;
}

uint64_t sf_container_start_ticks(const SfContainer *container)
{
    return container->start_ticks;
}

uint64_t sf_container_registered_nsec(const SfContainer *container)
{
    return container->registered_nsec;
}

uint64_t sf_container_number(const SfContainer *container)
{
    return container->number;
}

SfKeep *sf_container_keep(const SfContainer *container)
{
    return container->keep;
}

uid_t sf_container_root_uid(const SfContainer *container)
{
    return container->root_uid;
}

gid_t sf_container_root_gid(const SfContainer *container)
{
    return container->root_gid;
}

const SfNamespaces *sf_container_namespaces(const SfContainer *container)
{
    return &container->namespaces;
}

bool sf_container_has_time_namespace(const SfContainer *container)
{
    return container->time_namespace;
}

const SfPolicy *sf_container_policy(const SfContainer *container)
{
    return &container->policy;
}

SfHost *sf_container_host(const SfContainer *container)
{
    return container->host;
}

SfCgroup *sf_container_cgroup(const SfContainer *container, SfController controller)
{
    return container->cgroups[controller];
}

SfCgroup *sf_container_task_cgroup(const SfContainer *container)
{
    return container->task_cgroup;
}

uint64_t sf_container_age_nsec(const SfContainer *container)
{
    uint64_t hz = sf_host_ticks_per_sec(container->host);
    uint64_t ticks = container->start_ticks;
    uint64_t start_nsec =
        sf_add_sat(sf_mul_sat(ticks / hz, NSEC_PER_SEC), ticks % hz * NSEC_PER_SEC / hz);

    return sf_sub_sat(sf_host_boottime_nsec(container->host), start_nsec);
}

/* Counts them, and remembers the count. */
static int count_tasks(SfContainer *container, bool inner_pid, SfTaskCount *ret_count)
{
    uint64_t now_nsec = sf_host_boottime_nsec(container->host);
    SfTaskCount count;

    int r = sf_cgroup_count_tasks(container->task_cgroup, container->host, inner_pid, &count);
    if (r < 0)
        return r;
    uint64_t took_nsec = sf_sub_sat(sf_host_boottime_nsec(container->host), now_nsec);
    uint64_t keep_nsec =
        MAX(SF_TASK_COUNT_MAX_AGE_NSEC, sf_mul_sat(took_nsec, SF_TASK_COUNT_COST_SHARE));
    pthread_mutex_lock(&container->tasks_lock);
    if (!container->tasks_counted || now_nsec >= container->tasks_at_nsec) {
        container->tasks = count;
        container->tasks_at_nsec = now_nsec;
        container->tasks_until_nsec = sf_add_sat(now_nsec, keep_nsec);
        container->tasks_counted = true;
        container->tasks_inner_pid = inner_pid;
    }
    pthread_mutex_unlock(&container->tasks_lock);
    *ret_count = count;
    return 0;
}

/* Asked for the first time of this count. */
static void add_inner_pid(SfContainer *container, SfTaskCount *count)
{
    count->highest_inner_pid = sf_task_inner_pid(container->host, count->highest_pid);
    pthread_mutex_lock(&container->tasks_lock);
    if (container->tasks.highest_pid == count->highest_pid) {
        container->tasks.highest_inner_pid = count->highest_inner_pid;
        container->tasks_inner_pid = true;
    }
    pthread_mutex_unlock(&container->tasks_lock);
}

static int get_tasks(SfContainer *container, bool inner_pid, SfTaskCount *ret_count)
{
    SfTaskCount count;
    bool inner_pid_known = false;

    if (container->task_cgroup == NULL)
        return -ENODATA;
    uint64_t now_nsec = sf_host_boottime_nsec(container->host);
    pthread_mutex_lock(&container->tasks_lock);
    bool fresh = container->tasks_counted && now_nsec < container->tasks_until_nsec;
    if (fresh) {
        count = container->tasks;
        inner_pid_known = container->tasks_inner_pid;
    }
    pthread_mutex_unlock(&container->tasks_lock);
    if (!fresh)
        return count_tasks(container, inner_pid, ret_count);
    if (inner_pid && !inner_pid_known)
        add_inner_pid(container, &count);
    *ret_count = count;
    return 0;
}

int sf_container_tasks(SfContainer *container, SfTaskCount *ret_count)
{
    return get_tasks(container, true, ret_count);
}

int sf_container_task_states(SfContainer *container, SfTaskCount *ret_count)
{
    return get_tasks(container, false, ret_count);
}

static int update_load(SfContainer *container)
{
    SfTaskCount count;

    int r = sf_container_task_states(container, &count);
    if (r < 0)
        return r;
    /* The clock after the count: the count is not older than the average it goes into. */
    uint64_t now_nsec = sf_host_boottime_nsec(container->host);
    pthread_mutex_lock(&container->load_lock);
    sf_load_update(&container->load, sf_add_sat(count.running, count.uninterruptible), now_nsec);
    pthread_mutex_unlock(&container->load_lock);
    return 0;
}

bool sf_container_load_wanted(SfContainer *container)
{
    uint64_t now_nsec = sf_host_boottime_nsec(container->host);

    pthread_mutex_lock(&container->load_lock);
    bool wanted = sf_load_wanted(&container->load, now_nsec);
    pthread_mutex_unlock(&container->load_lock);
    return wanted;
}

void sf_container_load_sample(SfContainer *container)
{
    int r = update_load(container);

    if (r < 0) /* no fd, no memory: it passes, and the next interval makes up for it */
        g_debug("%s: count of tasks: %s", container->id, g_strerror(-r));
    else
        sf_container_remember(container);
}

int sf_container_load(SfContainer *container, uint64_t ret_load[3])
{
    uint64_t now_nsec = sf_host_boottime_nsec(container->host);

    if (container->task_cgroup == NULL)
        return -ENODATA;
    pthread_mutex_lock(&container->load_lock);
    const SfLoad *load = &container->load;
    bool due = load->sampled_nsec == 0 ||
               sf_sub_sat(now_nsec, load->sampled_nsec) >= SF_LOAD_INTERVAL_NSEC;
    pthread_mutex_unlock(&container->load_lock);
    if (due) {
        int r = update_load(container);
        if (r < 0)
            return r;
    }
    pthread_mutex_lock(&container->load_lock);
    bool first = container->load.read_nsec == 0;
    container->load.read_nsec = now_nsec > 0 ? now_nsec : 1; /* 0 would mean never */
    for (unsigned i = 0; i < 3; i++)
        ret_load[i] = container->load.averages[i];
    pthread_mutex_unlock(&container->load_lock);
    if (due || first)
        sf_container_remember(container);
    if (container->sampler != NULL && !atomic_load(&container->followed))
        sf_load_sampler_follow(container->sampler, container);
    return 0;
}
