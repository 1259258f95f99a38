/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/cpuinfo: the host's text of the CPUs the container sees, under the host's numbers. Only the
 * lines that count CPUs are changed; must not know more of an architecture's format than
 * daemon/source/cpuinfo.h splits, so that fields of newer kernels pass as they are.
 */

#include "daemon/provider/provider.h"
#include "daemon/source/cpuinfo.h"

#include <string.h>

/* One package (socket) as far as it is visible. */
typedef struct Package {
    int64_t physical_id;
    unsigned siblings; /* visible CPUs */
    unsigned cores;    /* different core ids among them */
} Package;

typedef struct Packages {
    Package *packages; /* owned */
    unsigned count;
} Packages;

static int compare_parts(const void *a, const void *b)
{
    const SfCpuinfoPart *left = *(SfCpuinfoPart *const *)a, *right = *(SfCpuinfoPart *const *)b;
    if (left->physical_id != right->physical_id)
        return left->physical_id < right->physical_id ? -1 : 1;
    return (left->core_id > right->core_id) - (left->core_id < right->core_id);
}

static bool part_visible(const SfCpuinfoPart *part, const SfCpuSet *visible)
{
    return part->cpu < 0 || sf_cpuset_has(visible, (unsigned)part->cpu);
}

static int count_packages(const SfCpuinfo *info, const SfCpuSet *visible, Packages *ret_packages)
{
    SF_CLEANUP_FREE const SfCpuinfoPart **parts = calloc(info->count, sizeof(*parts));
    SF_CLEANUP_FREE Package *packages = calloc(info->count, sizeof(*packages));
    if (!parts || !packages)
        return -ENOMEM;
    unsigned n = 0, count = 0;
    for (unsigned i = 0; i < info->count; i++) {
        const SfCpuinfoPart *part = &info->parts[i];
        if (part->cpu >= 0 && part->physical_id >= 0 && part_visible(part, visible))
            parts[n++] = part;
    }
    if (n > 0)
        qsort(parts, n, sizeof(*parts), compare_parts);
    for (unsigned i = 0; i < n; i++) {
        bool same = i > 0 && parts[i]->physical_id == parts[i - 1]->physical_id;
        if (!same)
            packages[count++].physical_id = parts[i]->physical_id;
        packages[count - 1].siblings++;
        if (!same || parts[i]->core_id != parts[i - 1]->core_id)
            packages[count - 1].cores++;
    }
    ret_packages->packages = sf_steal_ptr(&packages);
    ret_packages->count = count;
    return 0;
}

static const Package *find_package(const Packages *packages, int64_t physical_id)
{
    for (unsigned i = 0; i < packages->count; i++) {
        if (packages->packages[i].physical_id == physical_id)
            return &packages->packages[i];
    }
    return NULL;
}

/* "siblings\t: 8": everything up to the number as it is, then `count`. */
static void put_counted(SfText *text, SfSlice line, SfSlice after_colon, unsigned count)
{
    SfSlice value = sf_slice_trim(after_colon);
    sf_text_append(text, line.data, (size_t)(value.data - line.data));
    sf_text_u64(text, count);
}

static void put_part(SfText *text, const SfCpuinfoPart *part, const Package *package,
                     unsigned visible_count)
{
    SfSlice rest = part->text, line;
    while (sf_slice_next_line(&rest, &line)) {
        SfSlice after = line, name = {0};
        bool named = sf_slice_next_field(&after, ':', &name);
        name = sf_slice_trim(name);
        if (named && package && sf_slice_eq(name, "siblings"))
            put_counted(text, line, after, package->siblings);
        else if (named && package && sf_slice_eq(name, "cpu cores"))
            put_counted(text, line, after, package->cores);
        else if (named && part->cpu < 0 && sf_slice_eq(name, "# processors")) /* s390x's header */
            put_counted(text, line, after, visible_count);
        else
            sf_text_slice(text, line);
        sf_text_putc(text, '\n');
    }
}

static int render_parts(SfContainer *container, const SfCpuinfo *info, SfText *text)
{
    SfCpuSet visible;
    int r = sf_container_visible_cpus(container, &visible);
    if (r < 0)
        return r;
    Packages packages = {0};
    r = count_packages(info, &visible, &packages);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < info->count; i++) {
        const SfCpuinfoPart *part = &info->parts[i];
        if (part_visible(part, &visible))
            put_part(text, part, find_package(&packages, part->physical_id),
                     sf_cpuset_count(&visible));
    }
    free(packages.packages);
    return 0;
}

static int render(SfContainer *container, SfText *text)
{
    SfSharedText *host = NULL;
    int r = sf_host_text(sf_container_host(container), SF_HOST_CPUINFO, &host);
    if (r < 0)
        return r;
    SfCpuinfo info;
    r = sf_cpuinfo_parse(host->data, host->len, &info);
    if (r == 0) {
        r = render_parts(container, &info, text);
        sf_cpuinfo_clear(&info);
    }
    (void)sf_shared_text_unref(host); /* always NULL */
    return r;
}

const SfProviderOps sf_provider_proc_cpuinfo_ops = {
    .source = "host's text, cpuset and cpu cgroups",
    .render = render,
};
