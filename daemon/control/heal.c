/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attaches views in containers whose own lost its connection. It enters their namespaces by
 * lib/attach.c's child alone, and works off its list in one thread: a container that hangs delays
 * the others by the time limit, and the daemon not at all.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "daemon/control/registry_private.h"
#include "lib/attach.h"

#define ATTACH_MSEC 5000

typedef struct Job {
    SfContainer *container; /* a reference */
    char *points[SF_MOUNT_KINDS];
    GPtrArray *paths;            /* constant strings */
    GArray *writable, *constant; /* of each, bool */
} Job;

struct SfHealer {
    GMutex lock;
    GQueue jobs;     /* Job, owned; protected by lock */
    bool running;    /* the thread may take another job; protected by lock */
    bool stop;       /* protected by lock */
    GThread *thread; /* the main thread's; also one that has ended */
};

static void free_job(void *data)
{
    Job *job = data;

    sf_container_unref(job->container);
    g_ptr_array_unref(job->paths);
    g_array_unref(job->writable);
    g_array_unref(job->constant);
    for (SfViewMount kind = 0; kind < SF_MOUNT_KINDS; kind++)
        g_free(job->points[kind]);
    g_free(job);
}

void sf_healer_add(SfRegistry *registry, SfEntry *entry, bool constants)
{
    Job *job = g_new0(Job, 1);

    if (!registry->healer) {
        registry->healer = g_new0(SfHealer, 1);
        g_mutex_init(&registry->healer->lock);
        g_queue_init(&registry->healer->jobs);
    }
    job->container = sf_container_ref(entry->container);
    for (SfViewMount kind = 0; kind < SF_MOUNT_KINDS; kind++)
        job->points[kind] = g_strdup(entry->mounts[kind].point);
    job->paths = g_ptr_array_new();
    job->writable = g_array_new(FALSE, FALSE, sizeof(bool));
    job->constant = g_array_new(FALSE, FALSE, sizeof(bool));
    for (unsigned i = 0; i < sf_view_file_count(entry->view); i++) {
        SfViewFileInfo info;
        sf_view_file_info(entry->view, i, &info);
        if (info.covered || (constants && !info.constant))
            continue;
        g_ptr_array_add(job->paths, (char *)info.path);
        g_array_append_val(job->writable, info.writable);
        g_array_append_val(job->constant, info.constant);
    }
    g_mutex_lock(&registry->healer->lock);
    g_queue_push_tail(&registry->healer->jobs, job);
    g_mutex_unlock(&registry->healer->lock);
    registry->counts.healed++;
}

static int open_of_init(const Job *job, const char *what, int flags)
{
    char path[64];

    (void)g_snprintf(path, sizeof(path), "%d/%s", (int)sf_container_init_pid(job->container), what);
    int fd = openat(sf_host_proc_fd(sf_container_host(job->container)), path, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static void heal(const Job *job)
{
    SF_CLEANUP_FD int ns_fd = open_of_init(job, "ns/mnt", O_RDONLY);
    SF_CLEANUP_FD int root_fd = open_of_init(job, "root", O_PATH | O_DIRECTORY);
    const char *id = sf_container_id(job->container);
    SfAttachReport report;
    char text[512];

    if (ns_fd < 0 || root_fd < 0) {
        g_warning("cannot attach the view again: its init: %s, container=%s",
                  g_strerror(ns_fd < 0 ? -ns_fd : -root_fd), id);
        return;
    }
    SfAttachSpec spec = {.view = job->points[SF_MOUNT_VIEW],
                         .constants = job->points[SF_MOUNT_CONSTANTS],
                         .source_ns_fd = -1,
                         .target_ns_fd = ns_fd,
                         .root_fd = root_fd,
                         .paths = (const char *const *)job->paths->pdata,
                         .path_count = job->paths->len,
                         .writable = (const bool *)job->writable->data,
                         .constant = (const bool *)job->constant->data};
    if (sf_attach(&spec, ATTACH_MSEC, &report) < 0) {
        sf_attach_describe(&spec, &report, text, sizeof(text));
        g_warning("cannot attach the view again: %s, container=%s", text, id);
    } else {
        g_message("view healed: %u files attached again, container=%s", report.count, id);
    }
}

/* NULL: the thread ends. */
static Job *next_job(SfHealer *healer)
{
    g_mutex_lock(&healer->lock);
    Job *job = healer->stop ? NULL : g_queue_pop_head(&healer->jobs);
    healer->running = job != NULL;
    g_mutex_unlock(&healer->lock);
    return job;
}

static void *run(void *data)
{
    for (Job *job; (job = next_job(data));) {
        heal(job);
        free_job(job);
    }
    return NULL;
}

void sf_healer_start(SfRegistry *registry)
{
    SfHealer *healer = registry->healer;
    g_autoptr(GError) error = NULL;

    if (!healer)
        return;
    g_mutex_lock(&healer->lock);
    bool idle = !healer->running && !g_queue_is_empty(&healer->jobs);
    healer->running |= idle;
    g_mutex_unlock(&healer->lock);
    if (!idle)
        return;
    if (healer->thread)
        (void)g_thread_join(g_steal_pointer(&healer->thread)); /* it has no job any more */
    healer->thread = g_thread_try_new("heal", run, healer, &error);
    if (healer->thread)
        return;
    g_warning("views are not attached again yet: %s", error->message);
    g_mutex_lock(&healer->lock);
    healer->running = false;
    g_mutex_unlock(&healer->lock);
}

void sf_healer_free(SfHealer *healer)
{
    if (!healer)
        return;
    g_mutex_lock(&healer->lock);
    healer->stop = true;
    g_mutex_unlock(&healer->lock);
    if (healer->thread)
        (void)g_thread_join(healer->thread);
    g_queue_clear_full(&healer->jobs, free_job);
    g_mutex_clear(&healer->lock);
    g_free(healer);
}
