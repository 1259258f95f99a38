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
#include <sys/stat.h>

#include "daemon/source/process.h"
#include "lib/base/io.h"
#include "lib/base/scratch.h"

/* Cgroups of one container that are looked into; tasks in further ones are not counted. */
#define CGROUPS_MAX 16384
/* Text of one cgroup.threads: SF_TEXT_MAX holds two million numbers, pid_max is at most four. */
#define LIST_MAX (2 * SF_TEXT_MAX)
#define STATUS_SIZE 8192

typedef struct Walk {
    const char *list;                   /* the file read in each cgroup */
    int (*visit)(pid_t id, void *data); /* negative ends the walk */
    void *data;
    SfText *paths; /* each with its NUL: cgroups to visit, relative to the node */
    SfText *text;  /* of one list */
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

/* A list too long for a text. */
static int read_long_list(Walk *walk, int dir_fd)
{
    SF_CLEANUP_FREE char *text = NULL;
    size_t len;

    int r = sf_read_alloc_at(dir_fd, walk->list, LIST_MAX, &text, &len);
    return r < 0 ? r : visit_list(walk, sf_slice(text, len));
}

static int read_list(Walk *walk, int dir_fd)
{
    int r = sf_read_text_at(dir_fd, walk->list, false, walk->text);

    if (r == 0)
        return visit_list(walk, sf_slice(walk->text->data, walk->text->len));
    if (r == -EFBIG)
        r = read_long_list(walk, dir_fd);
    /* The cgroup is gone, or it is in a threaded subtree, where cgroup.procs cannot be read (its
     * domain's lists them). */
    return r == -ENOENT || r == -ENODEV || r == -EOPNOTSUPP ? 0 : r;
}

/* parent: where its path is among walk->paths. */
static void queue_child(Walk *walk, size_t parent, const char *name)
{
    SfText *paths = walk->paths;
    size_t parent_len = strlen(paths->data + parent), name_len = strlen(name);
    size_t size = parent_len + (parent_len > 0) + name_len + 1;

    if (walk->cgroups >= CGROUPS_MAX || size > PATH_MAX || size > SF_TEXT_MAX - paths->len)
        return;
    char *room = sf_text_room(paths, size); /* may move what the parent's path is in */
    if (!room)
        return; /* no memory: see walk_tree() */
    memcpy(room, paths->data + parent, parent_len);
    if (parent_len > 0)
        room[parent_len++] = '/';
    memcpy(room + parent_len, name, name_len + 1);
    sf_text_added(paths, size);
    walk->cgroups++;
}

/* Not fdopendir(3), which allocates. */
static void queue_children(Walk *walk, int dir_fd, size_t path)
{
    char buffer[8192] __attribute__((aligned(__alignof__(struct dirent64))));

    for (ssize_t n; (n = getdents64(dir_fd, buffer, sizeof(buffer))) > 0;) {
        for (ssize_t at = 0; at < n;) {
            const struct dirent64 *entry = (const struct dirent64 *)(const void *)(buffer + at);
            at += entry->d_reclen;
            /* kernfs and the file systems of captured trees fill in d_type. */
            if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 &&
                strcmp(entry->d_name, "..") != 0)
                queue_child(walk, path, entry->d_name);
        }
    }
}

/* kernfs counts a directory's subdirectories in its links (kernfs_refresh_inode()). */
static bool has_children(SfCgroup *cgroup, int dir_fd)
{
    struct stat st;

    return !sf_cgroup_is_genuine(cgroup) || fstat(dir_fd, &st) < 0 || st.st_nlink != 2;
}

static int open_below(SfCgroup *cgroup, const char *path)
{
    int fd =
        openat(sf_cgroup_dir_fd(cgroup), path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

/* The node itself: most have nothing below them, and then the directory that is open will do. */
static int walk_top(Walk *walk, SfCgroup *cgroup)
{
    int r = read_list(walk, sf_cgroup_dir_fd(cgroup));

    if (r < 0 || !has_children(cgroup, sf_cgroup_dir_fd(cgroup)))
        return r;
    SF_CLEANUP_FD int fd = open_below(cgroup, ".");
    if (fd < 0)
        return fd == -ENOENT || fd == -ENODEV ? 0 : fd;
    queue_children(walk, fd, 0);
    return 0;
}

static int walk_one(Walk *walk, SfCgroup *cgroup, size_t path)
{
    SF_CLEANUP_FD int fd = open_below(cgroup, walk->paths->data + path);
    if (fd < 0)
        return fd == -ENOENT || fd == -ENODEV ? 0 : fd;

    int r = read_list(walk, fd);
    if (r == 0 && has_children(cgroup, fd))
        queue_children(walk, fd, path);
    return r;
}

static int walk_tree(SfCgroup *cgroup, Walk *walk)
{
    SF_SCRATCH SfText *paths = sf_scratch_take();
    SF_SCRATCH SfText *text = sf_scratch_take();
    size_t at = 1;

    walk->paths = paths;
    walk->text = text;
    sf_text_append(paths, "", 1); /* the node's own */
    int r = paths->error ? paths->error : walk_top(walk, cgroup);
    while (r == 0 && at < paths->len) {
        size_t path = at;
        at += strlen(paths->data + at) + 1;
        r = walk_one(walk, cgroup, path);
    }
    return r < 0 ? r : paths->error;
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
    int r = sf_read_record_at(sf_host_proc_fd(host), path, text, sizeof(text), &len);
    return r < 0 ? r : sf_pid_status_parse_nspid(text, len, ret_inner_pid, &levels);
}

pid_t sf_task_inner_pid(const SfHost *host, pid_t tid)
{
    pid_t inner_pid;

    return tid > 0 && read_inner_pid(host, tid, &inner_pid) == 0 ? inner_pid : 0;
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
    if (inner_pids)
        count->highest_inner_pid = sf_task_inner_pid(host, count->highest_pid);
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
