/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each call is a job, each view in it an item. The items of one view are worked off one after the
 * other by at most one thread, so that a view whose cgroups hang holds one thread however often it
 * is asked for; while no thread gets on, one more is started. What is said of a container is
 * describe.c's.
 */

#include "daemon/control/reads.h"

#include <errno.h>
#include <glib.h>

#include "daemon/control/describe.h"

#define CONTROL "io.sysfsd.Control"
#define THREADS_MAX 32
#define TICK_MSEC 100
/* Ticks and not a time: a process that was stopped has not waited. */
#define PATIENCE_TICKS (SF_READS_PATIENCE_MSEC / TICK_MSEC)
/* A peer that was cut off leaves its job behind. */
#define MAX_JOBS SF_CONTROL_MAX_CLIENTS

typedef struct Item {
    struct Job *job;
    SfView *view;        /* a reference */
    json_t *description; /* owned; protected by lock */
    bool done;           /* no thread has it or will have it; protected by lock */
} Item;

typedef struct Job {
    SfCall *call;                 /* NULL: answered */
    char *points[SF_MOUNT_KINDS]; /* owned; of an inspected one; NULL: a line each */
    unsigned count;
    unsigned left; /* items that are not done; protected by lock */
    unsigned seen_left, idle_ticks;
    Item items[];
} Job;

/* What is to be read of one view. */
typedef struct Reading {
    SfView *view; /* borrowed from the items */
    GQueue items; /* Item, without the one at work; protected by lock */
} Reading;

static GMutex lock;
static GHashTable *readings; /* SfView -> Reading; protected by lock */
static unsigned done_count;  /* protected by lock */

/* The main thread's. */
static GThreadPool *pool;
static GQueue jobs = G_QUEUE_INIT; /* Job, not answered */
static unsigned ticker, seen_done;

static void free_job(Job *job)
{
    for (unsigned i = 0; i < job->count; i++) {
        json_decref(job->items[i].description);
        sf_view_unref(job->items[i].view);
    }
    for (SfViewMount kind = 0; kind < SF_MOUNT_KINDS; kind++)
        g_free(job->points[kind]);
    g_free(job);
}

/* NULL: none was made. The caller owns it. */
static json_t *take_description(Item *item)
{
    g_mutex_lock(&lock);
    json_t *description = g_steal_pointer(&item->description);
    g_mutex_unlock(&lock);
    return description;
}

static json_t *take_lines(Job *job)
{
    json_t *lines = json_array();

    for (unsigned i = 0; i < job->count; i++) {
        json_t *line = take_description(&job->items[i]);
        (void)json_array_append_new(lines,
                                    line ? line : sf_describe_unanswered(job->items[i].view));
    }
    return json_pack("{s:o}", "containers", lines);
}

static void answer(Job *job)
{
    SfCall *call = g_steal_pointer(&job->call);
    SfControlError error = {0};

    (void)g_queue_remove(&jobs, job);
    json_t *reply = job->points[SF_MOUNT_VIEW] ? take_description(&job->items[0]) : take_lines(job);
    if (reply) {
        sf_call_reply(call, reply);
    } else {
        (void)sf_fail_errno(&error, -ETIMEDOUT, "the cgroups of container %s do not answer",
                            sf_container_id(sf_view_container(job->items[0].view)));
        sf_call_fail(call, CONTROL, &error);
    }
}

/* All items are done. */
static gboolean finish(void *data)
{
    Job *job = data;

    if (job->call)
        answer(job);
    free_job(job);
    return G_SOURCE_REMOVE;
}

/* The next item of the view; NULL: none, and the reading is freed. */
static Item *next_item(Reading *reading)
{
    g_mutex_lock(&lock);
    Item *item = g_queue_pop_head(&reading->items);
    if (!item) {
        (void)g_hash_table_remove(readings, reading->view);
        g_free(reading);
    }
    g_mutex_unlock(&lock);
    return item;
}

static void run_reading(void *data, void *user_data)
{
    for (Item *item; (item = next_item(data));) {
        Job *job = item->job;
        json_t *description =
            job->points[SF_MOUNT_VIEW]
                ? sf_describe_container(item->view, (const char *const *)job->points)
                : sf_describe_line(item->view);
        g_mutex_lock(&lock);
        item->description = description;
        item->done = true;
        done_count++;
        bool last = --job->left == 0;
        g_mutex_unlock(&lock);
        /* Not g_idle_add(): its priority lets a busy socket hold back the answer. */
        if (last)
            (void)g_idle_add_full(G_PRIORITY_DEFAULT, finish, job, NULL);
    }
}

/* Answers with what there is. An item that a thread is at keeps the job until it is done. */
static void give_up(Job *job)
{
    g_mutex_lock(&lock);
    for (unsigned i = 0; i < job->count; i++) {
        Item *item = &job->items[i];
        Reading *reading = item->done ? NULL : g_hash_table_lookup(readings, item->view);
        if (reading && g_queue_remove(&reading->items, item)) {
            item->done = true;
            job->left--;
        }
    }
    bool over = job->left == 0;
    g_mutex_unlock(&lock);
    answer(job);
    if (over)
        free_job(job);
}

/* True when a job makes no progress. */
static bool is_idle(Job *job)
{
    g_mutex_lock(&lock);
    unsigned left = job->left;
    g_mutex_unlock(&lock);
    job->idle_ticks = left == job->seen_left ? job->idle_ticks + 1 : 0;
    job->seen_left = left;
    return left > 0 && job->idle_ticks >= PATIENCE_TICKS;
}

static unsigned under_way(unsigned *ret_done)
{
    g_mutex_lock(&lock);
    unsigned count = g_hash_table_size(readings);
    *ret_done = done_count;
    g_mutex_unlock(&lock);
    return count;
}

static gboolean on_tick(void *data)
{
    unsigned done, count = under_way(&done),
                   threads = (unsigned)g_thread_pool_get_max_threads(pool);

    /* At worst, without memory for one more, the next tick tries again. */
    if (done == seen_done && g_thread_pool_unprocessed(pool) > 0 && threads < THREADS_MAX)
        (void)g_thread_pool_set_max_threads(pool, (int)threads + 1, NULL);
    seen_done = done;
    for (GList *link = jobs.head, *next; link; link = next) {
        next = link->next;
        if (is_idle(link->data))
            give_up(link->data);
    }
    if (!g_queue_is_empty(&jobs))
        return G_SOURCE_CONTINUE;
    ticker = 0;
    (void)g_thread_pool_set_max_threads(pool, (int)MIN(count + 1, THREADS_MAX), NULL);
    return G_SOURCE_REMOVE;
}

void sf_reads_start(void)
{
    readings = g_hash_table_new(NULL, NULL);
    /* Exclusive: a thread that is shared between pools wakes up to see whether it is still wanted,
     * and a daemon at rest does nothing. */
    pool = g_thread_pool_new(run_reading, NULL, 1, TRUE, NULL);
}

void sf_reads_stop(void)
{
    if (!pool)
        return;
    if (ticker)
        g_source_remove(ticker);
    ticker = 0;
    g_thread_pool_free(g_steal_pointer(&pool), FALSE, TRUE);
    while (!g_queue_is_empty(&jobs))
        (void)g_main_context_iteration(NULL, TRUE);
    g_clear_pointer(&readings, g_hash_table_unref);
}

static void push_item(Item *item)
{
    Reading *reading = g_hash_table_lookup(readings, item->view);

    if (!reading) {
        reading = g_new0(Reading, 1);
        reading->view = item->view;
        g_queue_init(&reading->items);
        (void)g_hash_table_insert(readings, item->view, reading);
        g_queue_push_tail(&reading->items, item);
        /* False would mean: queued, and no thread could be added now. */
        (void)g_thread_pool_push(pool, reading, NULL);
        return;
    }
    g_queue_push_tail(&reading->items, item);
}

static void push_job(SfCall *call, SfView *const *views, unsigned count, const char *const *points)
{
    SfControlError error = {0};

    if (!pool || jobs.length >= MAX_JOBS) {
        if (pool)
            (void)sf_fail_errno(&error, -EBUSY, "%u requests wait for cgroups that do not answer",
                                jobs.length);
        else
            (void)sf_fail_errno(&error, -ESHUTDOWN, "the daemon stops");
        sf_call_fail(call, CONTROL, &error);
        return;
    }
    Job *job = g_malloc0(sizeof(*job) + count * sizeof(job->items[0]));
    job->call = call;
    for (SfViewMount kind = 0; points && kind < SF_MOUNT_KINDS; kind++)
        job->points[kind] = g_strdup(points[kind]);
    job->count = job->left = job->seen_left = count;
    g_queue_push_tail(&jobs, job);
    g_mutex_lock(&lock);
    for (unsigned i = 0; i < count; i++) {
        job->items[i].job = job;
        job->items[i].view = sf_view_ref(views[i]);
        push_item(&job->items[i]);
    }
    g_mutex_unlock(&lock);
    if (count == 0)
        (void)finish(job);
    else if (ticker == 0)
        ticker = g_timeout_add(TICK_MSEC, on_tick, NULL);
}

void sf_reads_list(SfCall *call, SfView *const *views, unsigned count)
{
    push_job(call, views, count, NULL);
}

void sf_reads_inspect(SfCall *call, SfView *view, const char *const points[SF_MOUNT_KINDS])
{
    push_job(call, &view, 1, points);
}
