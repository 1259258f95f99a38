/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Writing and reading the notes. Whether a container gets a view is the daemon's to say.
 */

#include "lib/pending.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/id.h"
#include "lib/base/io.h"
#include "lib/base/number.h"

#define STAT_MAX 4096

/* When the process started, in clock ticks since boot. */
static int start_of(pid_t pid, uint64_t *ret_ticks)
{
    char path[64], text[STAT_MAX];
    SfSlice word = {0};
    size_t len;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int r = sf_read_at(AT_FDCWD, path, text, sizeof(text), &len);
    if (r < 0)
        return r == -ENOENT ? -ESRCH : r;
    if (sf_slice_stat_field(sf_slice(text, len), 22, &word) < 0)
        return -EBADMSG;
    return sf_slice_u64(word, ret_ticks);
}

static void read_boot_id(char *text, size_t size)
{
    size_t len = 0;

    if (sf_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", text, size, &len) < 0)
        len = 0;
    while (len > 0 && text[len - 1] == '\n')
        len--;
    text[len] = '\0';
}

/* Opens a directory of our own, made when it is not there. */
static int open_own(int directory_fd, const char *path)
{
    struct stat st;

    if (mkdirat(directory_fd, path, 0700) < 0 && errno != EEXIST)
        return -errno;
    SF_CLEANUP_FD int fd =
        openat(directory_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
        return -EPERM;
    return sf_steal_fd(&fd);
}

static json_t *annotations_of(const struct sysfsd_attach_args *args)
{
    json_t *object = json_object();

    for (size_t i = 0; object && i < args->annotation_count; i++)
        (void)json_object_set_new(object, args->annotations[i].key,
                                  json_string(args->annotations[i].value));
    return object;
}

int sf_pending_write(const char *runtime_dir, const struct sysfsd_attach_args *args)
{
    char boot_id[64], name[NAME_MAX + 1];
    uint64_t ticks;

    int r = start_of(args->pid, &ticks);
    if (r < 0)
        return r;
    read_boot_id(boot_id, sizeof(boot_id));
    SF_CLEANUP_FD int top_fd = open_own(AT_FDCWD, runtime_dir);
    SF_CLEANUP_FD int fd = top_fd < 0 ? top_fd : open_own(top_fd, SF_PENDING_NAME);
    if (fd < 0)
        return fd;
    json_t *note =
        json_pack("{s:s, s:i, s:I, s:s, s:s*, s:s*, s:o}", "id", args->id, "pid", (int)args->pid,
                  "start_ticks", (json_int_t)ticks, "boot_id", boot_id, "bundle", args->bundle,
                  "rootfs", args->rootfs, "annotations", annotations_of(args));
    SF_CLEANUP_FREE char *text = note ? json_dumps(note, JSON_INDENT(2)) : NULL;
    json_decref(note);
    if (!text)
        return -ENOMEM;
    (void)snprintf(name, sizeof(name), "%s.json", args->id);
    return sf_write_atomic_at(fd, name, text, strlen(text), 0600);
}

void sf_pending_remove(const char *runtime_dir, const char *id)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/" SF_PENDING_NAME "/%s.json", runtime_dir, id);

    if (n > 0 && (size_t)n < sizeof(path))
        (void)unlink(path); /* mostly there is none */
}

void sf_pending_clear(SfPending *pending)
{
    json_decref(pending->json);
    *pending = (SfPending){0};
}

static bool is_named(const char *id, const char *file)
{
    size_t len = strlen(id);

    return sf_id_valid(id) && strncmp(file, id, len) == 0 && strcmp(file + len, ".json") == 0;
}

/* As sf_write_atomic_at() names it; an ID may begin with a dot as well. */
bool sf_pending_is_unfinished(const char *file)
{
    size_t len = strlen(file), suffix = strlen(".json");

    return file[0] == '.' && (len < suffix || strcmp(file + len - suffix, ".json") != 0);
}

int sf_pending_read(int directory_fd, const char *file, SfPending *ret_pending)
{
    SF_CLEANUP_FREE char *text = NULL;
    char boot_id[64];
    uint64_t ticks;
    size_t len;

    int r = sf_read_alloc_at(directory_fd, file, SF_PENDING_MAX_BYTES, &text, &len);
    if (r < 0)
        return r;
    SfPending pending = {.json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL)};
    json_int_t pid = json_integer_value(json_object_get(pending.json, "pid"));
    json_int_t started = json_integer_value(json_object_get(pending.json, "start_ticks"));
    const char *boot = json_string_value(json_object_get(pending.json, "boot_id"));
    pending.id = json_string_value(json_object_get(pending.json, "id"));
    pending.bundle = json_string_value(json_object_get(pending.json, "bundle"));
    pending.rootfs = json_string_value(json_object_get(pending.json, "rootfs"));
    pending.annotations = json_object_get(pending.json, "annotations");
    read_boot_id(boot_id, sizeof(boot_id));
    if (!pending.id || !is_named(pending.id, file) || pid <= 0 || pid > INT32_MAX || !boot ||
        !json_is_object(pending.annotations)) {
        r = -EBADMSG;
    } else {
        pending.pid = (pid_t)pid;
        pending.start_ticks = (uint64_t)started;
        r = start_of(pending.pid, &ticks);
        if (r == 0 && (ticks != pending.start_ticks || strcmp(boot, boot_id) != 0))
            r = -ESRCH;
    }
    if (r < 0) {
        sf_pending_clear(&pending);
        return r;
    }
    *ret_pending = pending;
    return 0;
}
