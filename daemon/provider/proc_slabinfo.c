/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/slabinfo: the host's header (mm/slab_common.c, print_slabinfo_header) and, where the kernel
 * tells it (v1 before 5.9), the slabs of the container's cgroup. They never become the host's.
 */

#include "daemon/provider/provider.h"
#include "daemon/provider/shared.h"

static bool is_header_line(SfSlice line)
{
    return sf_slice_starts(line, "slabinfo - version") || sf_slice_starts(line, "#");
}

static bool is_header(SfSlice line, void *data)
{
    (void)data;
    return is_header_line(line);
}

/* Newer kernels keep the file, with one line in it that names a tool. */
static void put_slabs(SfText *text, SfSlice own)
{
    SfSlice line;

    while (sf_slice_next_line(&own, &line)) {
        if (is_header_line(line))
            continue;
        sf_text_slice(text, line);
        sf_text_putc(text, '\n');
    }
}

static int render(SfContainer *container, SfText *text)
{
    SF_CLEANUP_FREE char *own = NULL;
    size_t len;

    int r = sf_format_host_lines(container, SF_HOST_SLABINFO, is_header, NULL, text);
    if (r < 0)
        return r;
    SfCgroup *cgroup = sf_container_cgroup(container, SF_CONTROLLER_MEMORY);
    if (!cgroup || sf_cgroup_is_top(cgroup))
        return 0;
    r = sf_cgroup_read_alloc(cgroup, SF_CGROUP_SLABINFO, &own, &len);
    /* The file may be there and not readable any more (5.9 to 5.15: EIO, EOPNOTSUPP). */
    if (r < 0)
        return r == -ENOMEM || r == -ENODEV ? r : 0;
    put_slabs(text, sf_slice(own, len));
    return 0;
}

const SfProviderOps sf_provider_proc_slabinfo_ops = {
    .source = "host's header, memory cgroup",
    .render = render,
};
