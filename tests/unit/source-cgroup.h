/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A tree of one version with a cgroup "/box/ctr", for the tests of single controllers' files.
 * Include after cmocka.h.
 */

#include "daemon/source/cgroup.h"
#include "source-tree.h"

typedef struct Box {
    Tree tree;
    SfHost *host;
    SfCgroups *cgroups;
    SfCgroup *cgroup; /* "/box/ctr" */
    unsigned version;
} Box;

/* Every v1 controller in one hierarchy: what the kernel allows too. */
#define BOX_V1_MOUNT                                                                               \
    "40 22 0:40 / /sys/fs/cgroup rw - cgroup cgroup "                                              \
    "rw,cpu,cpuacct,cpuset,memory,blkio,pids,hugetlb\n"
#define BOX_V2_MOUNT "40 22 0:40 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"

static inline void box_open(Box *box, unsigned version, SfController controller)
{
    box->version = version;
    tree_init(&box->tree);
    tree_write(&box->tree, "proc/self/mountinfo", version == 2 ? BOX_V2_MOUNT : BOX_V1_MOUNT);
    tree_write(&box->tree, "sys/fs/cgroup/cgroup.controllers",
               "cpuset cpu io memory hugetlb pids\n");
    tree_mkdir(&box->tree, "sys/fs/cgroup/box/ctr");
    assert_int_equal(sf_host_open(&(SfHostOptions){.root = box->tree.root}, &box->host), 0);
    assert_int_equal(sf_cgroups_open(box->host, &box->cgroups), 0);
    assert_int_equal(sf_cgroup_at(box->cgroups, controller, "/box/ctr", &box->cgroup), 0);
}

static inline void box_close(Box *box)
{
    sf_cgroup_unref(box->cgroup);
    sf_cgroups_free(box->cgroups);
    sf_host_free(box->host);
    tree_clear(&box->tree);
}

/* Writes a file of the cgroup `path` below the mount ("" for the top). */
static inline void box_write(const Box *box, const char *path, const char *file, const char *text)
{
    char full[512];

    (void)snprintf(full, sizeof(full), "sys/fs/cgroup/%s/%s", path, file);
    tree_write(&box->tree, full, text);
}
