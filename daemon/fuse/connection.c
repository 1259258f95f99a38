/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making and ending FUSE mounts, and the slot table behind them. Besides lib/attach.c the only
 * caller of mount(2).
 */

#include "daemon/fuse/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mount.h>

#include "daemon/fuse/server.h"

#define CHUNK 256
#define CHUNKS (SF_CONNECTION_MAX / CHUNK)
#define CLOSING (1ull << 31)
#define REFERENCES (CLOSING - 1)
/* The INIT request is in the queue when mount(2) returns (fs/fuse/inode.c, fuse_send_init); this is
 * a guard, not a wait. */
#define INIT_WAIT_MSEC 1000

struct SfConnectionTable {
    pthread_mutex_t lock; /* protects free and used */
    SfConnection *free;   /* list of slots that were used before */
    uint32_t used;        /* slots ever used */
    SfConnection
        *chunks[CHUNKS]; /* written once each, before the first slot of the chunk is used */
};

SfConnectionTable *sf_connection_table_new(void)
{
    SfConnectionTable *table = g_new0(SfConnectionTable, 1);

    (void)pthread_mutex_init(&table->lock, NULL); /* cannot fail without attributes */
    return table;
}

void sf_connection_table_free(SfConnectionTable *table)
{
    if (!table)
        return;
    for (unsigned i = 0; i < CHUNKS; i++)
        g_free(table->chunks[i]);
    (void)pthread_mutex_destroy(&table->lock);
    g_free(table);
}

static SfConnection *slot_new(SfConnectionTable *table)
{
    uint32_t index = table->used;
    SfConnection *slot;

    if (index >= SF_CONNECTION_MAX)
        return NULL;
    if (!table->chunks[index / CHUNK])
        table->chunks[index / CHUNK] = g_new0(SfConnection, CHUNK);
    table->used++;
    slot = &table->chunks[index / CHUNK][index % CHUNK];
    slot->index = index;
    slot->fd = -1;
    return slot;
}

static SfConnection *slot_take(SfConnectionTable *table)
{
    (void)pthread_mutex_lock(&table->lock);
    SfConnection *slot = table->free;
    if (slot)
        table->free = slot->next_free;
    else
        slot = slot_new(table);
    (void)pthread_mutex_unlock(&table->lock);
    return slot;
}

/* The slot's next user has another generation: an event of this one that is still on its way finds
 * nothing. */
static void slot_give_back(SfConnectionTable *table, SfConnection *slot)
{
    uint64_t generation = atomic_load(&slot->state) >> 32;

    atomic_store(&slot->state, ((generation + 1) & UINT32_MAX) << 32 | CLOSING);
    (void)pthread_mutex_lock(&table->lock);
    slot->next_free = table->free;
    table->free = slot;
    (void)pthread_mutex_unlock(&table->lock);
}

static int mount_fuse(int fd, const char *mount_point)
{
    char options[128];

    /* The kernel checks modes and owners itself, by the attributes the view gives
     * (default_permissions), for processes of every user namespace below ours (allow_other). */
    (void)g_snprintf(options, sizeof(options),
                     "fd=%d,rootmode=40555,user_id=0,group_id=0,allow_other,default_permissions",
                     fd);
    if (mount("sysfsd", mount_point, "fuse.sysfsd", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME,
              options) < 0)
        return -errno;
    return 0;
}

static int take_init(SfCodec *codec, SfViewMount kind, int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    g_autofree char *request = g_malloc(SF_FUSE_BUFFER_BYTES);

    int r = poll(&ready, 1, INIT_WAIT_MSEC);
    if (r <= 0)
        return r < 0 ? -errno : -ETIMEDOUT;
    ssize_t n = read(fd, request, SF_FUSE_BUFFER_BYTES);
    if (n < 0)
        return -errno;
    return sf_codec_answer_init(codec, kind, fd, request, (size_t)n);
}

static int slot_fill(SfConnectionTable *table, int fd, SfView *view, SfViewMount kind,
                     const char *mount_point, SfConnection **ret_connection)
{
    SF_CLEANUP_FD int guard = fd;
    SfConnection *slot = slot_take(table);

    if (!slot)
        return -ENOSPC;
    slot->fd = sf_steal_fd(&guard);
    slot->view = sf_view_ref(view);
    slot->kind = kind;
    slot->mount_point = g_strdup(mount_point);
    atomic_store(&slot->lane, 0);
    atomic_store(&slot->look_every, 1);
    atomic_store(&slot->look_in, 1);
    sf_flood_reset(&slot->flood);
    atomic_store(&slot->state, (atomic_load(&slot->state) & ~(CLOSING | REFERENCES)) | 1);
    *ret_connection = slot;
    return 0;
}

/* A mounted connection that has negotiated. */
static int open_mount(SfCodec *codec, SfViewMount kind, const char *mount_point)
{
    SF_CLEANUP_FD int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;

    int r = mount_fuse(fd, mount_point);
    if (r < 0)
        return r;
    r = take_init(codec, kind, fd);
    if (r < 0) {
        (void)umount2(mount_point, MNT_DETACH | UMOUNT_NOFOLLOW); /* nothing else can be done */
        return r;
    }
    return sf_steal_fd(&fd);
}

int sf_connection_open(SfConnectionTable *table, SfCodec *codec, SfView *view, SfViewMount kind,
                       const char *mount_point, SfConnection **ret_connection)
{
    int fd = open_mount(codec, kind, mount_point);
    if (fd < 0)
        return fd;
    int r = slot_fill(table, fd, view, kind, mount_point, ret_connection);
    if (r < 0)
        (void)umount2(mount_point, MNT_DETACH | UMOUNT_NOFOLLOW); /* nothing else can be done */
    return r;
}

int sf_connection_adopt(SfConnectionTable *table, int fd, SfView *view, SfViewMount kind,
                        const char *mount_point, SfConnection **ret_connection)
{
    return slot_fill(table, fd, view, kind, mount_point, ret_connection);
}

/* The superblock of a mount that is never made: the kernel sends INIT when it makes that
 * (fs/fuse/inode.c, fuse_fill_super). Linux 5.2. */
static int make_superblock(int fuse_fd, int *ret_fd)
{
    static const char *const options[][2] = {
        {"rootmode", "40555"}, {"user_id", "0"}, {"group_id", "0"}};
    char number[16];

    SF_CLEANUP_FD int fd = fsopen("fuse", FSOPEN_CLOEXEC);
    if (fd < 0)
        return -errno;
    (void)g_snprintf(number, sizeof(number), "%d", fuse_fd);
    int r = fsconfig(fd, FSCONFIG_SET_STRING, "fd", number, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(options) && r == 0; i++)
        r = fsconfig(fd, FSCONFIG_SET_STRING, options[i][0], options[i][1], 0);
    if (r < 0 || fsconfig(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -errno;
    *ret_fd = sf_steal_fd(&fd);
    return 0;
}

static int prime_unmounted(SfCodec *codec)
{
    SF_CLEANUP_FD int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    SF_CLEANUP_FD int superblock_fd = -1;

    if (fd < 0)
        return -errno;
    int r = make_superblock(fd, &superblock_fd);
    return r < 0 ? r : take_init(codec, SF_MOUNT_VIEW, fd);
}

int sf_connection_prime(SfCodec *codec, const char *mount_point)
{
    if (sf_codec_is_ready(codec))
        return 0;
    if (!mount_point)
        return prime_unmounted(codec);
    int fd = open_mount(codec, SF_MOUNT_VIEW, mount_point);
    if (fd < 0)
        return fd;
    int r = umount2(mount_point, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 ? -errno : 0;
    (void)sf_close(fd);
    return r;
}

void sf_connection_close(SfConnection *connection)
{
    atomic_fetch_or(&connection->state, CLOSING);
    if (umount2(connection->mount_point, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL)
        g_warning("cannot unmount %s: %s", connection->mount_point, g_strerror(errno));
}

void sf_connection_leave(SfConnection *connection)
{
    atomic_fetch_or(&connection->state, CLOSING);
}

uint64_t sf_connection_key(const SfConnection *connection)
{
    return (uint64_t)connection->index << 32 | atomic_load(&connection->state) >> 32;
}

SfConnection *sf_connection_acquire(SfConnectionTable *table, uint64_t key)
{
    uint64_t index = key >> 32, generation = key & UINT32_MAX;
    SfConnection *connection = &table->chunks[index / CHUNK][index % CHUNK];
    uint64_t state = atomic_load(&connection->state);

    do {
        if (state >> 32 != generation || (state & CLOSING))
            return NULL;
    } while (!atomic_compare_exchange_weak(&connection->state, &state, state + 1));
    return connection;
}

bool sf_connection_release(SfConnection *connection)
{
    return (atomic_fetch_sub(&connection->state, 1) & REFERENCES) == 1;
}

void sf_connection_free(SfConnectionTable *table, SfConnection *connection)
{
    connection->fd = sf_close(connection->fd);
    connection->view = sf_view_unref(connection->view);
    g_clear_pointer(&connection->mount_point, g_free);
    slot_give_back(table, connection);
}

int sf_server_unmount_stale(const char *mount_point)
{
    unsigned layers = 0;

    while (umount2(mount_point, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
        layers++;
    if (errno != EINVAL && errno != ENOENT)
        return -errno;
    return (int)layers;
}
