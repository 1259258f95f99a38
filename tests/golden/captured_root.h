/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lays the root of a captured host out in a temporary directory. In a scenario the links of
 * /proc/PID/ns are plain files that hold the link's text: a scenario survives archives, patches and
 * file systems that have no symbolic links. What is many small files is one, tree.txt beside root,
 * in the form of view_dump.h with paths below root.
 */
#pragma once

#include <glib.h>

/**
 * captured_root_new() - copies root, with each file below a directory ns turned into a link.
 *
 * Return: the copy's path, for captured_root_free(); NULL with error set.
 */
char *captured_root_new(const char *root, GError **error);

/** captured_root_free() - removes the copy and frees its path; NULL is fine. */
void captured_root_free(char *copy);
