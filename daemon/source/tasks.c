/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Walks a cgroup and all below it and counts tasks by state. The tree belongs to a container, which
 * makes and removes cgroups and tasks while it is walked: everything that is gone is passed over,
 * and everything it could make too much of has a limit. One directory fd is open at a time,
 * whatever the depth.
 */

#include "daemon/source/tasks.h"

#include <dirent.h>
#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "daemon/source/process.h"
#include "lib/base/io.h"
#include "lib/base/text.h"

/* Cgroups of one container that are looked into; tasks in further ones are not counted. */
#define CGROUPS_MAX 16384
/* Text of one cgroup.threads: SF_TEXT_MAX holds two million numbers, pid_max is at most four. */
#define LIST_MAX (2 * SF_TEXT_MAX)
#define STATUS_SIZE 8192

typedef struct Walk {
    const char *list;                   /* the file read in each cgroup */
    int (*visit)(pid_t id, void *data); /* negative ends the walk */
    void *data;
    GQueue paths; /* owned strings: cgroups to visit, relative to the node */
    unsigned cgroups;
} Walk;

static int visit_list(Walk *walk, SfSlice text)
{
    SfSlice line;

    while (sf_slice_next_line(&text, &line)) {
        uint64_t id;
        if (sf_slice_u64(line, &id) < 0 || id > INT_MAX)
            return -EINVAL;
        if (id == 0)
            continue; /* a task of a pid namespace that ours does not see */
        int r = walk->visit((pid_t)id, walk->data);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_list(Walk *walk, int dir_fd)
{
    SF_CLEANUP_FREE char *text = NULL;
    size_t len;

    int r = sf_read_alloc_at(dir_fd, walk->list, LIST_MAX, &text, &len);
    /* The cgroup is gone, or it is in a threaded subtree, where cgroup.procs cannot be read (its
     * domain's lists them). */
    if (r == -ENOENT || r == -ENODEV || r == -EOPNOTSUPP)
        return 0;
    return r < 0 ? r : visit_list(walk, sf_slice(text, len));
}

static void queue_child(Walk *walk, const char *path, const char *name)
{
    if (walk->cgroups >= CGROUPS_MAX || strlen(path) + strlen(name) + 2 > PATH_MAX)
        return;
    walk->cgroups++;
    g_queue_push_tail(&walk->paths, *path ? g_strconcat(path, "/", name, NULL) : g_strdup(name));
}

/* Takes dir_fd over. */
static void queue_children(Walk *walk, int dir_fd, const char *path)
{
    DIR *dir = fdopendir(dir_fd);

    if (!dir) {
        (void)sf_close(dir_fd);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(dir));) {
        /* kernfs and the file systems of captured trees fill in d_type. */
        if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 &&
            strcmp(entry->d_name, "..") != 0)
            queue_child(walk, path, entry->d_name);
    }
    (void)closedir(dir); /* nothing to lose: it was only read */
}

static int walk_one(Walk *walk, SfCgroup *cgroup, const char *path)
{
    SF_CLEANUP_FD int fd = openat(sf_cgroup_dir_fd(cgroup), *path ? path : ".",
                                  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENODEV ? 0 : -errno;

    int r = read_list(walk, fd);
    if (r < 0)
        return r;
    queue_children(walk, sf_steal_fd(&fd), path);
    return 0;
}

static int walk_tree(SfCgroup *cgroup, Walk *walk)
{
    int r = 0;

    g_queue_init(&walk->paths);
    g_queue_push_tail(&walk->paths, g_strdup(""));
    for (char *path; r == 0 && (path = g_queue_pop_head(&walk->paths));) {
        r = walk_one(walk, cgroup, path);
        g_free(path);
    }
    g_queue_clear_full(&walk->paths, g_free);
    return r;
}

typedef struct Counter {
    const SfHost *host;
    SfTaskCount count;
    uint64_t examined; /* tasks whose state was read or that were gone */
} Counter;

static int count_task(pid_t tid, void *data)
{
    Counter *counter = data;
    SfPidStat stat;

    if (counter->examined >= SF_TASKS_MAX) {
        counter->count.total++;
        return 0;
    }
    int r = sf_pid_stat_read(counter->host, tid, &stat);
    if (r == -ESRCH)
        return 0;
    if (r < 0)
        return r;
    counter->examined++;
    counter->count.total++;
    if (stat.state == 'R')
        counter->count.running++;
    else if (stat.state == 'D')
        counter->count.uninterruptible++;
    if (tid > counter->count.highest_pid)
        counter->count.highest_pid = tid;
    return 0;
}

static uint64_t in_proportion(uint64_t seen, uint64_t examined, uint64_t total)
{
    /* At most SF_TASKS_MAX times the number of pids there can be: no overflow. */
    return examined > 0 && examined < total ? seen * total / examined : seen;
}

static int read_inner_pid(const SfHost *host, pid_t tid, pid_t *ret_inner_pid)
{
    char path[32], text[STATUS_SIZE];
    size_t len;
    unsigned levels;

    (void)snprintf(path, sizeof(path), "%d/status", tid); /* at most 18 bytes */
    int r = sf_read_at(sf_host_proc_fd(host), path, text, sizeof(text), &len);
    return r < 0 ? r : sf_pid_status_parse_nspid(text, len, ret_inner_pid, &levels);
}

int sf_cgroup_count_tasks(SfCgroup *cgroup, const SfHost *host, bool inner_pids,
                          SfTaskCount *ret_count)
{
    Counter counter = {.host = host};
    Walk walk = {
        .list = sf_cgroup_version_of(cgroup) == 2 ? "cgroup.threads" : "tasks",
        .visit = count_task,
        .data = &counter,
    };

    int r = walk_tree(cgroup, &walk);
    if (r < 0)
        return r;

    SfTaskCount *count = &counter.count;
    count->running = in_proportion(count->running, counter.examined, count->total);
    count->uninterruptible = in_proportion(count->uninterruptible, counter.examined, count->total);
    /* The task may have ended since; then there is no answer, which 0 says. */
    if (inner_pids && count->highest_pid > 0 &&
        read_inner_pid(host, count->highest_pid, &count->highest_inner_pid) < 0)
        count->highest_inner_pid = 0;
    *ret_count = *count;
    return 0;
}

static int collect_pid(pid_t pid, void *data)
{
    g_array_append_val((GArray *)data, pid);
    return 0;
}

int sf_cgroup_pids(SfCgroup *cgroup, pid_t **ret_pids, unsigned *ret_count)
{
    g_autoptr(GArray) pids = g_array_new(FALSE, FALSE, sizeof(pid_t));
    Walk walk = {.list = "cgroup.procs", .visit = collect_pid, .data = pids};

    int r = walk_tree(cgroup, &walk);
    if (r < 0)
        return r;
    *ret_count = pids->len;
    *ret_pids =
        (pid_t *)(void *)g_array_free(g_steal_pointer(&pids), FALSE); /* g_free() is free() */
    return 0;
}
