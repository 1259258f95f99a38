/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/golden/captured_root.h"

#include <errno.h>
#include <ftw.h>
#include <glib/gstdio.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool copy_file(const char *from, const char *to, bool is_link, GError **error)
{
    g_autofree char *text = NULL;
    gsize len;
    if (!g_file_get_contents(from, &text, &len, error))
        return false;
    if (!is_link)
        return g_file_set_contents_full(to, text, (gssize)len, G_FILE_SET_CONTENTS_NONE, 0644,
                                        error);
    if (symlink(g_strchomp(text), to) == 0)
        return true;
    g_set_error(error, G_FILE_ERROR, (int)g_file_error_from_errno(errno), "%s: %s", to,
                g_strerror(errno));
    return false;
}

static bool copy_directory(const char *from, const char *to, GError **error)
{
    if (g_mkdir(to, 0755) < 0) {
        g_set_error(error, G_FILE_ERROR, (int)g_file_error_from_errno(errno), "%s: %s", to,
                    g_strerror(errno));
        return false;
    }
    g_autoptr(GDir) directory = g_dir_open(from, 0, error);
    bool ok = directory != NULL;
    for (const char *name; ok && (name = g_dir_read_name(directory));) {
        g_autofree char *source = g_build_filename(from, name, NULL);
        g_autofree char *target = g_build_filename(to, name, NULL);
        ok = g_file_test(source, G_FILE_TEST_IS_DIR)
                 ? copy_directory(source, target, error)
                 : copy_file(source, target, g_str_has_suffix(from, "/ns"), error);
    }
    return ok;
}

static bool put(const char *root, const char *path, const char *text, const char *link,
                GError **error)
{
    g_autofree char *full = g_build_filename(root, path, NULL);
    g_autofree char *directory = g_path_get_dirname(full);
    if (g_mkdir_with_parents(directory, 0755) == 0) {
        if (text)
            return g_file_set_contents_full(full, text, -1, G_FILE_SET_CONTENTS_NONE, 0644, error);
        if (symlink(link, full) == 0)
            return true;
    }
    g_set_error(error, G_FILE_ERROR, (int)g_file_error_from_errno(errno), "%s: %s", full,
                g_strerror(errno));
    return false;
}

/* Makes the files that tree.txt beside root has, in the form of view_dump.h. */
static bool unpack(const char *root, const char *copy, GError **error)
{
    g_autofree char *name = g_strconcat(root, "/../tree.txt", NULL);
    g_autofree char *packed = NULL;
    if (!g_file_test(name, G_FILE_TEST_EXISTS))
        return true;
    if (!g_file_get_contents(name, &packed, NULL, error))
        return false;
    g_auto(GStrv) lines = g_strsplit(packed, "\n", -1);
    for (unsigned i = 0; lines[i] && *lines[i];) {
        char *path = lines[i++];
        char *arrow = strstr(path, " -> ");
        g_autoptr(GString) text = g_string_new(NULL);
        for (; lines[i] && lines[i][0] == '\t'; i++)
            g_string_append_printf(text, "%s\n", lines[i] + 1);
        if (arrow)
            *arrow = '\0';
        if (!put(copy, path, arrow ? NULL : text->str, arrow ? arrow + 4 : NULL, error))
            return false;
    }
    return true;
}

char *captured_root_new(const char *root, GError **error)
{
    g_autofree char *base = g_dir_make_tmp("sysfsd-golden-XXXXXX", error);
    if (!base)
        return NULL;
    char *copy = g_build_filename(base, "root", NULL);
    if (copy_directory(root, copy, error) && unpack(root, copy, error))
        return copy;
    captured_root_free(copy);
    return NULL;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *where)
{
    return remove(path);
}

void captured_root_free(char *copy)
{
    if (!copy)
        return;
    g_autofree char *base = g_path_get_dirname(copy);
    (void)nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS); /* a leftover in /tmp fails no test */
    g_free(copy);
}
