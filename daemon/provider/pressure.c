/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cgroup's own pressure files. Never the machine's: where the container has none, it has none.
 */

#include "daemon/provider/pressure.h"

#include <errno.h>

/* "some" and "full", each four numbers. */
#define PRESSURE_SIZE 512

/* On a hybrid host engines that know v1 alone leave all containers in one unified cgroup; the one
 * that counts the tasks is the container's own. */
static SfCgroup *own_cgroup(SfContainer *container)
{
    SfCgroup *cgroup = sf_container_task_cgroup(container);

    if (!cgroup || sf_cgroup_version_of(cgroup) != 2 || sf_cgroup_is_top(cgroup))
        return NULL;
    return cgroup;
}

static int read_pressure(SfContainer *container, SfCgroupFile file, char text[PRESSURE_SIZE],
                         size_t *ret_len)
{
    SfCgroup *cgroup = own_cgroup(container);

    return cgroup ? sf_cgroup_read(cgroup, file, text, PRESSURE_SIZE, ret_len) : -ENODATA;
}

bool sf_pressure_available(SfContainer *container, SfCgroupFile file)
{
    char text[PRESSURE_SIZE];
    size_t len;

    return read_pressure(container, file, text, &len) >= 0;
}

int sf_format_pressure(SfContainer *container, SfCgroupFile file, SfText *text)
{
    char own[PRESSURE_SIZE];
    size_t len;

    int r = read_pressure(container, file, own, &len);
    if (r < 0)
        return r;
    sf_text_append(text, own, len);
    return 0;
}

int sf_pressure_open(SfContainer *container, SfCgroupFile file)
{
    SfCgroup *cgroup = own_cgroup(container);

    return cgroup ? sf_cgroup_open(cgroup, file) : -ENODATA;
}
