/* SPDX-License-Identifier: Apache-2.0 */

/*
 * doctor's checks of the cgroup layout: which controllers are where, and what is lost without them.
 */

#include "tools/ctl_doctor.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/number.h"

#define MOUNTINFO_MAX (4u << 20)

typedef struct Controller {
    const char *name;
    const char *v1_name; /* where v1 calls it otherwise */
    const char *without; /* what containers see without it */
    const char *remedy;
    char where[64];
} Controller;

typedef struct Layout {
    unsigned v1, v2; /* mounts */
    Controller controllers[4];
} Layout;

static const Layout empty_layout = {
    .controllers =
        {
            {"cpu", "cpu", "quotas are not seen", "a kernel with CONFIG_CFS_BANDWIDTH", ""},
            {"cpuset", "cpuset", "only quotas decide the number of CPUs",
             "a kernel with CONFIG_CPUSETS", ""},
            {"memory", "memory", "the host's memory is seen",
             "boot with cgroup_enable=memory, without cgroup_disable=memory", ""},
            {"io", "blkio", "disk statistics will be empty", "a kernel with CONFIG_BLK_CGROUP", ""},
        },
};

/* names: separated by `separator`. */
static void note_controllers(Layout *layout, SfSlice names, char separator, bool v1,
                             const char *where)
{
    SfSlice name;
    while (sf_slice_next_field(&names, separator, &name)) {
        for (size_t i = 0; i < sizeof(layout->controllers) / sizeof(layout->controllers[0]); i++) {
            Controller *c = &layout->controllers[i];
            if (sf_slice_eq(name, v1 ? c->v1_name : c->name))
                (void)snprintf(c->where, sizeof(c->where), "%s", where);
        }
    }
}

static void note_v2(Layout *layout, SfSlice mount_point)
{
    char path[PATH_MAX], text[1024];
    size_t len;
    (void)snprintf(path, sizeof(path), "%.*s/cgroup.controllers", (int)mount_point.len,
                   mount_point.data);
    if (sf_read_at(AT_FDCWD, path, text, sizeof(text), &len) == 0)
        note_controllers(layout, sf_slice_trim(sf_slice(text, len)), ' ', false, "v2");
}

/* One line of proc_pid_mountinfo(5): the type and the super options stand behind " - ". */
static void note_mount(Layout *layout, SfSlice line)
{
    SfSlice word, mount_point = {0}, type = {0}, source = {0}, options = {0};
    for (unsigned i = 0; sf_slice_next_word(&line, &word); i++) {
        if (i == 4)
            mount_point = word;
        if (i > 5 && sf_slice_eq(word, "-"))
            break;
    }
    if (!sf_slice_next_word(&line, &type) || !sf_slice_next_word(&line, &source) ||
        !sf_slice_next_word(&line, &options))
        return;
    if (sf_slice_eq(type, "cgroup2")) {
        layout->v2++;
        note_v2(layout, mount_point);
    } else if (sf_slice_eq(type, "cgroup")) {
        layout->v1++;
        note_controllers(layout, options, ',', true, "v1");
    }
}

static int read_layout(Layout *layout)
{
    SF_CLEANUP_FREE char *text = NULL;
    size_t len;
    *layout = empty_layout;
    int r = sf_read_alloc_at(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, &len);
    if (r < 0)
        return r;
    SfSlice rest = sf_slice(text, len), line;
    while (sf_slice_next_line(&rest, &line))
        note_mount(layout, line);
    return 0;
}

void sf_doctor_cgroups(SfDoctor *doctor)
{
    Layout layout;
    int r = read_layout(&layout);
    if (r < 0) {
        sf_doctor_add(doctor, "cgroups", SF_CHECK_FAIL, "mount /proc", "/proc/self/mountinfo: %s",
                      strerrordesc_np(-r));
        return;
    }
    if (layout.v1 + layout.v2 == 0) {
        sf_doctor_add(doctor, "cgroups", SF_CHECK_FAIL, "mount -t cgroup2 cgroup2 /sys/fs/cgroup",
                      "no cgroup hierarchy is mounted");
        return;
    }
    const char *kind = layout.v1 == 0 ? "v2" : layout.v2 == 0 ? "v1" : "hybrid";
    sf_doctor_add(doctor, "cgroups", SF_CHECK_OK, NULL, "%s", kind);
    for (size_t i = 0; i < sizeof(layout.controllers) / sizeof(layout.controllers[0]); i++) {
        const Controller *c = &layout.controllers[i];
        char name[64];
        (void)snprintf(name, sizeof(name), "controller %s", c->name);
        if (c->where[0])
            sf_doctor_add(doctor, name, SF_CHECK_OK, NULL, "%s", c->where);
        else
            sf_doctor_add(doctor, name, SF_CHECK_WARN, c->remedy, "not there: %s", c->without);
    }
}
