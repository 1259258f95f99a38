/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/swaps: one line for what the container may swap, as mm/swapfile.c swap_show() prints one.
 * Must agree with SwapTotal and SwapFree of /proc/meminfo and not name the host's swap devices.
 */

#include "daemon/provider/provider.h"

#include <inttypes.h>
#include <string.h>

#define KB 1024u
/* From this many kB on, the kernel (since 5.8) leaves out the tab that keeps the columns straight.
 */
#define WIDE_KB 10000000u

/* Name, type and priority are those that lxcfs shows and that programs have therefore met. */
static void put_swap(SfText *text, uint64_t size_kb, uint64_t used_kb, bool straight)
{
    /* Filename is padded to 40 columns; the type takes as many as "partition" and its tab do. */
    sf_text_printf(text, "%-40s%s%" PRIu64 "\t%s%" PRIu64 "\t%s%d\n", "none", "virtual\t\t",
                   size_kb, straight && size_kb < WIDE_KB ? "\t" : "", used_kb,
                   straight && used_kb < WIDE_KB ? "\t" : "", 0);
}

static int render(SfContainer *container, SfText *text)
{
    SfSharedText *host = NULL;
    int r = sf_host_text(sf_container_host(container), SF_HOST_SWAPS, &host);
    if (r < 0)
        return r;
    /* The header is the host's own: kernels before 5.8 print "Size\tUsed" with one tab, and the
     * lines below it the same way. */
    SfSlice rest = sf_slice(host->data, host->len), header;
    bool straight = true;
    if (sf_slice_next_line(&rest, &header)) {
        sf_text_slice(text, header);
        sf_text_putc(text, '\n');
        straight = memmem(header.data, header.len, "Size\t\t", 6) != NULL;
    }
    host = sf_shared_text_unref(host);

    SfContainerSwap swap;
    r = sf_container_swap(container, &swap);
    if (r == -ENODATA)
        return 0; /* as in meminfo: no swap that is known to be the container's */
    if (r < 0)
        return r;
    if (swap.limit.value / KB > 0)
        put_swap(text, swap.limit.value / KB, swap.used_bytes / KB, straight);
    return 0;
}

const SfProviderOps sf_provider_proc_swaps_ops = {
    .source = "memory cgroup",
    .render = render,
};
