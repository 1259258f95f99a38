/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/cpuinfo: the host's text of the CPUs the container sees, under the host's numbers. Only the
 * lines that count CPUs are changed; must not know more of an architecture's format than
 * daemon/source/cpuinfo.h splits, so that fields of newer kernels pass as they are.
 */

#include "daemon/provider/provider.h"
#include "daemon/source/cpuinfo.h"
#include "lib/base/scratch.h"

#include <string.h>

/* One package (socket) as far as it is visible. */
typedef struct Package {
    unsigned siblings; /* visible CPUs */
    unsigned cores;    /* different core ids among them */
} Package;

static bool part_visible(const SfCpuinfoPart *part, const SfCpuSet *visible)
{
    return part->cpu < 0 || sf_cpuset_has(visible, (unsigned)part->cpu);
}

/* One Package for each number of a package, in memory. */
static int count_packages(const SfCpuinfo *info, const SfCpuSet *visible, SfText *memory)
{
    const SfCpuinfoPart *before = NULL;
    size_t size = info->package_count * sizeof(Package);

    if (!sf_text_room(memory, size))
        return memory->error;
    memset(memory->data, 0, size);
    Package *packages = (Package *)(void *)memory->data;
    for (unsigned i = 0; i < info->by_core_count; i++) {
        const SfCpuinfoPart *part = &info->parts[info->by_core[i]];
        if (!part_visible(part, visible))
            continue;
        packages[part->package].siblings++;
        if (!before || before->package != part->package || before->core_id != part->core_id)
            packages[part->package].cores++;
        before = part;
    }
    return 0;
}

/* The part with the container's counts in place of the host's. */
static void put_part(SfText *text, const SfCpuinfoPart *part, const Package *package,
                     unsigned visible_count)
{
    const char *from = part->text.data, *end = from + part->text.len;

    for (unsigned i = 0; i < part->counted_count; i++) {
        const SfCpuinfoCounted *counted = &part->counted[i];
        unsigned count = visible_count;
        if (counted->what != SF_CPUINFO_PROCESSORS && !package)
            continue;
        if (counted->what == SF_CPUINFO_SIBLINGS)
            count = package->siblings;
        else if (counted->what == SF_CPUINFO_CORES)
            count = package->cores;
        sf_text_append(text, from, (size_t)(counted->value.data - from));
        sf_text_u64(text, count);
        from = counted->value.data + counted->value.len;
    }
    sf_text_append(text, from, (size_t)(end - from));
    if (part->text.len > 0 && end[-1] != '\n')
        sf_text_putc(text, '\n');
}

static int render_parts(SfContainer *container, const SfCpuinfo *info, SfText *text)
{
    SF_SCRATCH SfText *memory = sf_scratch_take();
    SfCpuSet visible;
    int r = sf_container_visible_cpus(container, &visible);
    if (r == 0)
        r = count_packages(info, &visible, memory);
    if (r < 0)
        return r;
    const Package *packages = (const Package *)(const void *)memory->data;
    unsigned count = sf_cpuset_count(&visible);
    for (unsigned i = 0; i < info->count; i++) {
        const SfCpuinfoPart *part = &info->parts[i];
        if (part_visible(part, &visible))
            put_part(text, part, part->physical_id >= 0 ? &packages[part->package] : NULL, count);
    }
    return 0;
}

static int render(SfContainer *container, SfText *text)
{
    SfSharedText *host = NULL;
    int r = sf_host_derived(sf_container_host(container), SF_HOST_CPUINFO, &sf_cpuinfo_derivation,
                            &host);
    if (r < 0)
        return r;
    r = render_parts(container, host->derived, text);
    (void)sf_shared_text_unref(host); /* always NULL */
    return r;
}

const SfProviderOps sf_provider_proc_cpuinfo_ops = {
    .source = "host's text, cpuset and cpu cgroups",
    .constant = true,
    .render = render,
};
