/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes the files of a view, those that are compared one after the other. A text is of the moment
 * of its first read at the latest, so each is read as soon as it is open.
 */

#include "tests/live/live_snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/io.h"

static const struct {
    const char *name, *path;
} table[] = {
#define SF_PROVIDER(name, path) {#name, path},
#include "daemon/provider/providers.def"
#undef SF_PROVIDER
};
#define TABLE_SIZE (sizeof(table) / sizeof(table[0]))

/* Taken first, in this order; then the rest of the table. */
static const struct {
    const char *provider, *name;
} first[] = {
    {"proc_stat", "proc_stat"},
    {"proc_loadavg", "proc_loadavg"},
    {"proc_stat", "proc_stat again"},
    {"proc_uptime", "proc_uptime"},
    {"proc_meminfo", "proc_meminfo"},
    {"proc_swaps", "proc_swaps"},
    {"proc_vmstat", "proc_vmstat"},
    {"sys_node", "sys_node"},
    {"proc_meminfo", "proc_meminfo again"},
    {"proc_partitions", "proc_partitions"},
    {"proc_diskstats", "proc_diskstats"},
};
#define FIRST_SIZE (sizeof(first) / sizeof(first[0]))
_Static_assert(TABLE_SIZE + FIRST_SIZE <= LIVE_TEXTS_MAX, "room for all files");

static uint64_t now_nsec(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with this clock */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int read_text(int fd, SfText *text)
{
    char buffer[16384];
    for (;;) {
        ssize_t n = read(fd, buffer, sizeof(buffer));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return text->error;
        sf_text_append(text, buffer, (size_t)n);
    }
}

/* The form of view_dump.h: the path, and the text with a tab before each line. */
static void dump_file(int dir_fd, const char *name, const char *path, SfText *text)
{
    SF_CLEANUP_TEXT SfText content = SF_TEXT_INIT;
    SF_CLEANUP_FD int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    int r = fd < 0 ? -errno : read_text(fd, &content);
    if (r < 0) {
        sf_text_printf(text, "%s: %s\n", path, strerror(-r));
        return;
    }
    SfSlice rest = sf_slice(content.data ? content.data : "", content.len), line;
    sf_text_printf(text, "%s\n", path);
    while (sf_slice_next_line(&rest, &line)) {
        sf_text_putc(text, '\t');
        sf_text_slice(text, line);
        sf_text_putc(text, '\n');
    }
}

/* Directories more than `depth` below are named, but not looked into. */
static void dump_directory(int fd, const char *prefix, unsigned depth, SfText *text)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        (void)close(fd);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(dir));) {
        char path[PATH_MAX];
        struct stat st;
        if (entry->d_name[0] == '.')
            continue;
        int len = snprintf(path, sizeof(path), "%s%s", prefix, entry->d_name);
        if (len < 0 || (size_t)len + 2 > sizeof(path))
            continue;
        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
            sf_text_printf(text, "%s: listed, but: %s\n", path, strerror(errno));
        } else if (S_ISDIR(st.st_mode)) {
            path[len] = '/';
            path[len + 1] = '\0';
            sf_text_printf(text, "%s\n", path);
            if (depth == 0)
                continue;
            int below =
                openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (below >= 0)
                dump_directory(below, path, depth - 1, text);
        } else if (S_ISREG(st.st_mode)) {
            dump_file(dirfd(dir), entry->d_name, path, text);
        }
    }
    (void)closedir(dir); /* only read */
}

/* Reads one file; a directory is taken whole. */
static int take(LiveSnapshot *live, int root_fd, const char *name, const char *path, bool whole,
                SfText *report)
{
    struct stat st;
    unsigned n = live->snapshot.count;
    SF_CLEANUP_FD int fd = openat(root_fd, path + 1, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0; /* not shown to this container */
    if (fd < 0 || fstat(fd, &st) < 0) {
        sf_text_printf(report, "%s cannot be opened: %s\n", name, strerror(errno));
        return -EIO;
    }
    live->names[n] = name;
    sf_text_reset(&live->texts[n]);
    live->snapshot.count++;
    int r = 0;
    if (S_ISDIR(st.st_mode)) {
        unsigned depth = whole ? UINT_MAX : strcmp(name, "sys_node") == 0;
        dump_directory(sf_steal_fd(&fd), "", depth, &live->texts[n]);
    } else {
        r = read_text(fd, &live->texts[n]);
    }
    if (r < 0)
        sf_text_printf(report, "%s cannot be read: %s\n", name, strerror(-r));
    return r;
}

static bool is_first(const char *provider)
{
    for (size_t i = 0; i < FIRST_SIZE; i++) {
        if (strcmp(first[i].provider, provider) == 0)
            return true;
    }
    return false;
}

bool live_snapshot_take(LiveSnapshot *live, int root_fd, bool whole, SfText *report)
{
    bool ok = true;
    uint64_t begin = now_nsec();
    live->snapshot = (Snapshot){.names = live->names, .texts = live->slices};
    for (size_t i = 0; i < FIRST_SIZE; i++) {
        for (size_t k = 0; k < TABLE_SIZE; k++) {
            if (strcmp(table[k].name, first[i].provider) == 0)
                ok &= take(live, root_fd, first[i].name, table[k].path, whole, report) >= 0;
        }
        if (strcmp(first[i].name, "proc_uptime") == 0)
            live->snapshot.spread_nsec = now_nsec() - begin;
    }
    for (size_t k = 0; k < TABLE_SIZE; k++) {
        if (!is_first(table[k].name))
            ok &= take(live, root_fd, table[k].name, table[k].path, whole, report) >= 0;
    }
    live->whole_nsec = now_nsec() - begin;
    for (unsigned i = 0; i < live->snapshot.count; i++) {
        const SfText *text = &live->texts[i];
        live->slices[i] = sf_slice(text->data ? text->data : "", text->len);
    }
    return ok;
}

void live_snapshot_clear(LiveSnapshot *live)
{
    for (unsigned i = 0; i < LIVE_TEXTS_MAX; i++)
        sf_text_clear(&live->texts[i]);
}

void live_snapshot_save(const LiveSnapshot *live, const char *directory, const char *prefix)
{
    for (unsigned i = 0; i < live->snapshot.count; i++) {
        char path[PATH_MAX];
        (void)snprintf(path, sizeof(path), "%s/%s-%s", directory, prefix, live->names[i]);
        FILE *file = fopen(path, "we");
        if (!file)
            continue; /* for a person to look at: the report is what counts */
        (void)fwrite(live->slices[i].data, 1, live->slices[i].len, file);
        (void)fclose(file);
    }
}
