/* SPDX-License-Identifier: Apache-2.0 */

#include "daemon/fuse/shown.h"

#include <string.h>

#define NSEC_PER_MSEC 1000000u

static SfShown take(SfShownList *list, unsigned index)
{
    SfShown file = list->files[index];

    list->count--;
    memmove(list->files + index, list->files + index + 1,
            (list->count - index) * sizeof(*list->files));
    return file;
}

bool sf_shown_add(SfShownList *list, const SfShown *file, SfShown *ret_first)
{
    bool full = list->count == SF_SHOWN_MAX;

    if (full)
        *ret_first = take(list, 0);
    list->files[list->count++] = *file;
    return full;
}

void sf_shown_remove(SfShownList *list, uint64_t key, uint64_t inode)
{
    for (unsigned i = 0; i < list->count; i++) {
        if (list->files[i].key == key && list->files[i].inode == inode)
            (void)take(list, i--);
    }
}

bool sf_shown_take_due(SfShownList *list, uint64_t now_nsec, SfShown *ret_file)
{
    if (list->count == 0 || list->files[0].due_nsec > now_nsec)
        return false;
    *ret_file = take(list, 0);
    return true;
}

int sf_shown_wait_msec(const SfShownList *list, uint64_t now_nsec)
{
    if (list->count == 0)
        return -1;
    uint64_t due_nsec = list->files[0].due_nsec;
    return due_nsec <= now_nsec ? 0 : (int)((due_nsec - now_nsec) / NSEC_PER_MSEC) + 1;
}
