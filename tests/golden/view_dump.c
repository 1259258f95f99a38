/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/golden/view_dump.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <string.h>

static void dump_directory(SfView *view, uint64_t inode, const char *prefix, SfText *text);

static void dump_file(SfView *view, uint64_t inode, const char *path, SfText *text)
{
    SfViewHandle *handle;
    SfSlice rest, line;
    int r = sf_view_open(view, inode, O_RDONLY, 0, &handle);
    if (r < 0) {
        sf_text_printf(text, "%s: %s\n", path, g_strerror(-r));
        return;
    }
    r = sf_view_read(view, handle, 0, SIZE_MAX, false, 0, &rest);
    g_assert(r >= 0);
    sf_text_printf(text, "%s\n", path);
    while (sf_slice_next_line(&rest, &line))
        sf_text_printf(text, "\t%.*s\n", (int)line.len, line.data);
    sf_view_release(view, handle);
}

static void dump_link(SfView *view, uint64_t inode, const char *path, SfText *text)
{
    char target[PATH_MAX];
    int r = sf_view_read_link(view, inode, target, sizeof(target));
    sf_text_printf(text, "%s -> %s\n", path, r < 0 ? g_strerror(-r) : target);
}

static int compare_strings(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static GPtrArray *names_of(SfView *view, uint64_t inode)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    SfViewHandle *handle;
    SfViewEntry entry;
    SfSlice rest;
    int r = sf_view_open_directory(view, inode, 0, &handle);
    g_assert(r >= 0);
    r = sf_view_read_directory(view, handle, 2, 0, &rest); /* not "." and ".." */
    g_assert(r >= 0);
    while (sf_view_next_entry(&rest, &entry))
        g_ptr_array_add(names, g_strdup(entry.name));
    sf_view_release(view, handle);
    g_ptr_array_sort(names, compare_strings);
    return names;
}

static void dump_directory(SfView *view, uint64_t inode, const char *prefix, SfText *text)
{
    g_autoptr(GPtrArray) names = names_of(view, inode);
    if (names->len == 0)
        sf_text_printf(text, "%s\n", prefix);
    for (unsigned i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autofree char *path = g_strconcat(prefix, name, NULL);
        struct stat st;
        bool constant;
        int r = sf_view_lookup(view, inode, name, &st, &constant);
        if (r < 0) {
            sf_text_printf(text, "%s: listed, but: %s\n", path, g_strerror(-r));
        } else if (S_ISDIR(st.st_mode)) {
            g_autofree char *below = g_strconcat(path, "/", NULL);
            dump_directory(view, st.st_ino, below, text);
        } else if (S_ISLNK(st.st_mode)) {
            dump_link(view, st.st_ino, path, text);
        } else {
            dump_file(view, st.st_ino, path, text);
        }
    }
}

int view_dump(SfView *view, const char *path, SfText *text)
{
    g_auto(GStrv) names = g_strsplit(path + 1, "/", -1);
    uint64_t inode = SF_VIEW_ROOT;
    struct stat st = {.st_mode = S_IFDIR};
    bool constant;

    for (unsigned i = 0; names[i]; i++) {
        int r = sf_view_lookup(view, inode, names[i], &st, &constant);
        if (r < 0)
            return r;
        inode = st.st_ino;
    }
    if (!S_ISDIR(st.st_mode))
        return -ENOTDIR;
    dump_directory(view, inode, "", text);
    return 0;
}
