/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/pagetypeinfo: the machine's page blocks (mm/vmstat.c, pagetypeinfo_show), of which no
 * container has any: the headers without the zones' lines.
 */

#include "daemon/provider/provider.h"
#include "daemon/provider/shared.h"

static bool is_header(SfSlice line, void *data)
{
    (void)data;
    return !sf_slice_starts(line, "Node");
}

static int render(SfContainer *container, SfText *text)
{
    return sf_format_host_lines(container, SF_HOST_PAGETYPEINFO, is_header, NULL, text);
}

const SfProviderOps sf_provider_proc_pagetypeinfo_ops = {
    .source = "host's headers",
    .render = render,
};
