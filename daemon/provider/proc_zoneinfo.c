/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/zoneinfo: the machine's zones (mm/vmstat.c, zoneinfo_show), of which no container has any.
 * The file has no header, so nothing is left of it.
 */

#include "daemon/provider/provider.h"

static int render(SfContainer *container, SfText *text)
{
    (void)container;
    (void)text;
    return 0;
}

const SfProviderOps sf_provider_proc_zoneinfo_ops = {
    .source = "none: empty",
    .render = render,
};
