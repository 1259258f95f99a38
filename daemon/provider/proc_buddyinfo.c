/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/buddyinfo: the machine's free pages by order (mm/vmstat.c, frag_show), of which no
 * container has any. The file has no header, so nothing is left of it.
 */

#include "daemon/provider/provider.h"

static int render(SfContainer *container, SfText *text)
{
    (void)container;
    (void)text;
    return 0;
}

const SfProviderOps sf_provider_proc_buddyinfo_ops = {
    .source = "none: empty",
    .render = render,
};
