/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attaches the files of views in containers: where theirs lost its connection, or none was
 * attached. It enters their namespaces by lib/attach.c's child alone, and works off its list in one
 * thread: a container that hangs delays the others by the time limit, and the daemon not at all.
 * What is due stands in the container's record until it is done, so that a later daemon goes on.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/control/registry_private.h"
#include "lib/attach.h"

#define ATTACH_MSEC 5000
#define LEFT_SEC 2
#define PAUSE_MIN_MSEC 200
#define PAUSE_MAX_MSEC 60000

typedef struct Job {
    SfContainer *container; /* a reference */
    SfAttachDue due;
    char *points[SF_MOUNT_KINDS];
    GPtrArray *paths;            /* constant strings */
    GArray *writable, *constant; /* of each, bool */
    bool told;                   /* that it failed */
    pid_t left;                  /* the last try's child, which the kernel keeps; 0: none */
    int result;                  /* 0, or the last try's negative errno */
} Job;

struct SfHealer {
    SfRegistry *registry;
    GMutex lock;
    GQueue jobs;          /* Job, owned; protected by lock */
    GQueue done;          /* Job, owned, with its result; protected by lock */
    unsigned done_source; /* GLib source that looks at them; 0: none; protected by lock */
    bool running;         /* the thread may take another job; protected by lock */
    bool stop;            /* protected by lock */
    /* The main thread's: */
    GThread *thread; /* also one that has ended */
    GQueue later;    /* Job, owned, to be tried again */
    unsigned later_source, pause_msec;
    GArray *left; /* pid_t, children of jobs that are gone, which the kernel keeps */
    unsigned left_source;
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

/* Of want: it passes, or is put off. */
static bool is_want(int r)
{
    return r == -ENOMEM || r == -EMFILE || r == -ENFILE;
}

int sf_healer_note_due(SfEntry *entry, SfAttachDue due)
{
    if (entry->due >= due)
        return 0;
    int r = sf_record_set_due(entry->registry->containers_fd, entry->id, due);
    if (is_want(r))
        return r;
    if (r < 0)
        g_warning("cannot write down that files are to be attached: %s, container=%s",
                  g_strerror(-r), entry->id);
    entry->due_unwritten = r < 0;
    entry->due = due;
    return 0;
}

static Job *new_job(const SfEntry *entry)
{
    Job *job = g_new0(Job, 1);

    job->container = sf_container_ref(entry->container);
    job->due = entry->due;
    for (SfViewMount kind = 0; kind < SF_MOUNT_KINDS; kind++)
        job->points[kind] = g_strdup(entry->mounts[kind].point);
    job->paths = g_ptr_array_new();
    job->writable = g_array_new(FALSE, FALSE, sizeof(bool));
    job->constant = g_array_new(FALSE, FALSE, sizeof(bool));
    for (unsigned i = 0; i < sf_view_file_count(entry->view); i++) {
        SfViewFileInfo info;
        sf_view_file_info(entry->view, i, &info);
        if (info.covered || (job->due == SF_DUE_CONSTANTS && !info.constant))
            continue;
        g_ptr_array_add(job->paths, (char *)info.path);
        g_array_append_val(job->writable, info.writable);
        g_array_append_val(job->constant, info.constant);
    }
    return job;
}

static SfHealer *healer_of(SfRegistry *registry)
{
    if (registry->healer)
        return registry->healer;
    SfHealer *healer = registry->healer = g_new0(SfHealer, 1);
    healer->registry = registry;
    healer->pause_msec = PAUSE_MIN_MSEC;
    healer->left = g_array_new(FALSE, FALSE, sizeof(pid_t));
    g_mutex_init(&healer->lock);
    g_queue_init(&healer->jobs);
    g_queue_init(&healer->done);
    g_queue_init(&healer->later);
    return healer;
}

static void push_job(SfHealer *healer, Job *job)
{
    g_mutex_lock(&healer->lock);
    g_queue_push_tail(&healer->jobs, job);
    g_mutex_unlock(&healer->lock);
}

void sf_healer_add(SfEntry *entry)
{
    if (entry->due == SF_DUE_NOTHING || entry->healing)
        return;
    entry->healing = true;
    push_job(healer_of(entry->registry), new_job(entry));
    entry->registry->counts.healed++;
}

static int open_of_init(const Job *job, const char *what, int flags)
{
    char path[64];

    (void)g_snprintf(path, sizeof(path), "%d/%s", (int)sf_container_init_pid(job->container), what);
    int fd = openat(sf_host_proc_fd(sf_container_host(job->container)), path, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static bool has_ended(const SfContainer *container)
{
    struct pollfd item = {.fd = sf_container_pidfd(container), .events = POLLIN};

    return poll(&item, 1, 0) != 0;
}

/* Want of something, or a wait that was too long: another time it may go well. All else is the
 * container's doing, and is tried once by each daemon. */
static bool may_pass(int r)
{
    return is_want(r) || r == -EAGAIN || r == -EINTR || r == -ETIMEDOUT || r == -EIO ||
           r == -ENOSPC;
}

static void tell_failure(Job *job, const char *why)
{
    bool again = may_pass(job->result);

    if (!job->told || !again)
        g_warning("cannot attach the view again%s: %s, container=%s",
                  again ? " now, and will try again" : "", why, sf_container_id(job->container));
    job->told = true;
}

/* They have no exit signal that would tell of their end. */
static bool is_left(pid_t child)
{
    return child != 0 && waitpid(child, NULL, WNOHANG | __WALL) == 0;
}

static void heal(Job *job)
{
    SF_CLEANUP_FD int ns_fd = open_of_init(job, "ns/mnt", O_RDONLY);
    SF_CLEANUP_FD int root_fd = open_of_init(job, "root", O_PATH | O_DIRECTORY);
    SfAttachReport report;
    char text[512];

    /* One at a time: nobody can tell how many more would be kept. */
    if (is_left(job->left)) {
        job->result = -ETIMEDOUT;
        return;
    }
    job->left = 0;
    /* Only then the number was its own when they were opened. */
    if (has_ended(job->container)) {
        job->result = -ESRCH;
        return;
    }
    if (ns_fd < 0 || root_fd < 0) {
        job->result = ns_fd < 0 ? ns_fd : root_fd;
        (void)g_snprintf(text, sizeof(text), "its init: %s", g_strerror(-job->result));
        tell_failure(job, text);
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
                         .constant = (const bool *)job->constant->data,
                         .again = true};
    job->result = sf_attach(&spec, ATTACH_MSEC, &report);
    job->left = report.left;
    if (job->result < 0) {
        sf_attach_describe(&spec, &report, text, sizeof(text));
        tell_failure(job, text);
    } else if (report.count > 0) {
        g_message("view healed: %u files attached again, container=%s", report.count,
                  sf_container_id(job->container));
    }
}

static gboolean on_left(void *data)
{
    SfHealer *healer = data;

    for (unsigned i = healer->left->len; i-- > 0;) {
        if (!is_left(g_array_index(healer->left, pid_t, i)))
            g_array_remove_index_fast(healer->left, i);
    }
    if (healer->left->len > 0)
        return G_SOURCE_CONTINUE;
    healer->left_source = 0;
    return G_SOURCE_REMOVE;
}

/* Takes a job that nobody tries again. */
static void end_job(SfHealer *healer, Job *job)
{
    if (is_left(job->left)) {
        g_array_append_val(healer->left, job->left);
        if (!healer->left_source)
            healer->left_source = g_timeout_add_seconds(LEFT_SEC, on_left, healer);
    }
    free_job(job);
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

/* The entry a job is of, while its container has not ended. */
static SfEntry *entry_of(const SfHealer *healer, const Job *job)
{
    SfEntry *entry =
        g_hash_table_lookup(healer->registry->entries, sf_container_id(job->container));

    return entry && entry->container == job->container ? entry : NULL;
}

static void end_due(SfEntry *entry)
{
    int r = sf_record_set_due(entry->registry->containers_fd, entry->id, SF_DUE_NOTHING);

    if (r < 0 && !entry->due_unwritten) /* the next daemon finds all attached */
        g_warning("cannot write down that the files are attached: %s, container=%s", g_strerror(-r),
                  entry->id);
    entry->due = SF_DUE_NOTHING;
    entry->due_unwritten = false;
    entry->attached = true;
    sf_registry_hold(entry);
}

/* True: it is to be tried again. */
static bool finish(const SfHealer *healer, const Job *job)
{
    SfEntry *entry = entry_of(healer, job);

    if (!entry)
        return false;
    if (may_pass(job->result))
        return true;
    entry->healing = false;
    if (job->due < entry->due)
        sf_healer_add(entry);
    else if (job->result == 0)
        end_due(entry);
    return false;
}

static gboolean on_later(void *data)
{
    SfHealer *healer = data;

    healer->later_source = 0; /* removed by what is returned */
    healer->pause_msec = MIN(2 * healer->pause_msec, PAUSE_MAX_MSEC);
    for (Job *job; (job = g_queue_pop_head(&healer->later));) {
        if (entry_of(healer, job))
            push_job(healer, job);
        else
            end_job(healer, job);
    }
    sf_healer_start(healer->registry);
    return G_SOURCE_REMOVE;
}

static Job *next_done(SfHealer *healer)
{
    g_mutex_lock(&healer->lock);
    Job *job = g_queue_pop_head(&healer->done);
    if (!job)
        healer->done_source = 0;
    g_mutex_unlock(&healer->lock);
    return job;
}

static gboolean on_done(void *data)
{
    SfHealer *healer = data;

    for (Job *job; (job = next_done(healer));) {
        if (job->result == 0)
            healer->pause_msec = PAUSE_MIN_MSEC;
        if (finish(healer, job))
            g_queue_push_tail(&healer->later, job);
        else
            end_job(healer, job);
    }
    if (!g_queue_is_empty(&healer->later) && !healer->later_source)
        healer->later_source = g_timeout_add(healer->pause_msec, on_later, healer);
    sf_healer_start(healer->registry);
    return G_SOURCE_REMOVE;
}

static void *run(void *data)
{
    SfHealer *healer = data;

    for (Job *job; (job = next_job(healer));) {
        heal(job);
        g_mutex_lock(&healer->lock);
        g_queue_push_tail(&healer->done, job);
        if (!healer->done_source)
            healer->done_source = g_idle_add_full(G_PRIORITY_DEFAULT, on_done, healer, NULL);
        g_mutex_unlock(&healer->lock);
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
    if (healer->done_source)
        g_source_remove(healer->done_source);
    if (healer->later_source)
        g_source_remove(healer->later_source);
    if (healer->left_source)
        g_source_remove(healer->left_source);
    for (Job *job; (job = next_done(healer));) {
        (void)finish(healer, job); /* nothing is tried again from here */
        free_job(job);
    }
    g_queue_clear_full(&healer->later, free_job);
    g_queue_clear_full(&healer->jobs, free_job);
    g_array_unref(healer->left);
    g_mutex_clear(&healer->lock);
    g_free(healer);
}
