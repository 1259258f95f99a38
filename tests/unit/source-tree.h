/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A temporary directory that stands for a host: files are put into it, sf_host_open() reads it, and
 * it goes with the test. Include after cmocka.h.
 */

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct Tree {
    char root[64];
} Tree;

static inline void tree_init(Tree *tree)
{
    (void)snprintf(tree->root, sizeof(tree->root), "/tmp/sysfsd-test-XXXXXX");
    assert_non_null(mkdtemp(tree->root));
}

static inline void tree_path(const Tree *tree, const char *path, char *buffer, size_t size)
{
    int n = snprintf(buffer, size, "%s/%s", tree->root, path);
    assert_true(n > 0 && (size_t)n < size);
}

static inline void tree_mkdir(const Tree *tree, const char *path)
{
    char full[1024];

    tree_path(tree, path, full, sizeof(full));
    for (char *slash = strchr(full + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(full, 0755);
        *slash = '/';
    }
    (void)mkdir(full, 0755);
    struct stat st;
    assert_int_equal(stat(full, &st), 0);
}

static inline void tree_write(const Tree *tree, const char *path, const char *text)
{
    char full[1024], dir[1024];

    int n = snprintf(dir, sizeof(dir), "%s", path);
    assert_true(n >= 0 && (size_t)n < sizeof(dir));
    char *slash = strrchr(dir, '/');
    if (slash) {
        *slash = '\0';
        tree_mkdir(tree, dir);
    }
    tree_path(tree, path, full, sizeof(full));
    int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

static inline void tree_symlink(const Tree *tree, const char *path, const char *target)
{
    char full[1024];

    tree_path(tree, path, full, sizeof(full));
    assert_int_equal(symlink(target, full), 0);
}

static inline int tree_remove_one(const char *path, const struct stat *st, int type,
                                  struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void tree_remove(const Tree *tree, const char *path)
{
    char full[1024];

    tree_path(tree, path, full, sizeof(full));
    (void)nftw(full, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void tree_clear(Tree *tree)
{
    (void)nftw(tree->root, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
