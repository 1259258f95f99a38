/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/vmstat: the running kernel's keys in its order (mm/vmstat.c), with what memory.stat has of
 * them. Amounts are those of /proc/meminfo, in pages; events are counted by the cgroup under the
 * same names. What the kernel counts for the machine only is 0.
 */

#include "daemon/provider/provider.h"
#include "daemon/provider/shown_memory.h"

#include <stdlib.h>
#include <string.h>

/* The unit an amount has here; meminfo has all in kB. */
typedef enum Unit {
    PAGES,
    HUGE_PAGES, /* of transparent_hugepage's size (mm/vmstat.c, vmstat_item_print_in_thp) */
    KILOBYTES,
} Unit;

static const struct {
    const char *name;
    SfMemoryKey key;
    Unit unit;
} AMOUNTS[] = {
    {"nr_inactive_anon", SF_MEMORY_INACTIVE_ANON, PAGES},
    {"nr_active_anon", SF_MEMORY_ACTIVE_ANON, PAGES},
    {"nr_inactive_file", SF_MEMORY_INACTIVE_FILE, PAGES},
    {"nr_active_file", SF_MEMORY_ACTIVE_FILE, PAGES},
    {"nr_unevictable", SF_MEMORY_UNEVICTABLE, PAGES},
    {"nr_zone_inactive_anon", SF_MEMORY_INACTIVE_ANON, PAGES},
    {"nr_zone_active_anon", SF_MEMORY_ACTIVE_ANON, PAGES},
    {"nr_zone_inactive_file", SF_MEMORY_INACTIVE_FILE, PAGES},
    {"nr_zone_active_file", SF_MEMORY_ACTIVE_FILE, PAGES},
    {"nr_zone_unevictable", SF_MEMORY_UNEVICTABLE, PAGES},
    {"nr_slab_reclaimable", SF_MEMORY_SLAB_RECLAIMABLE, PAGES},
    {"nr_slab_unreclaimable", SF_MEMORY_SLAB_UNRECLAIMABLE, PAGES},
    {"nr_anon_pages", SF_MEMORY_ANON, PAGES},
    {"nr_mapped", SF_MEMORY_FILE_MAPPED, PAGES},
    {"nr_file_pages", SF_MEMORY_FILE, PAGES},
    {"nr_dirty", SF_MEMORY_FILE_DIRTY, PAGES},
    {"nr_writeback", SF_MEMORY_FILE_WRITEBACK, PAGES},
    {"nr_shmem", SF_MEMORY_SHMEM, PAGES},
    {"nr_shmem_hugepages", SF_MEMORY_SHMEM_THP, HUGE_PAGES},
    {"nr_file_hugepages", SF_MEMORY_FILE_THP, HUGE_PAGES},
    {"nr_anon_transparent_hugepages", SF_MEMORY_ANON_THP, HUGE_PAGES},
    {"nr_kernel_stack", SF_MEMORY_KERNEL_STACK, KILOBYTES},
    {"nr_page_table_pages", SF_MEMORY_PAGETABLES, PAGES},
    {"nr_sec_page_table_pages", SF_MEMORY_SEC_PAGETABLES, PAGES},
    {"nr_swapcached", SF_MEMORY_SWAPCACHED, PAGES},
};

/* What v1 counts under a name of ours: its pgpgin and pgpgout, for one, are charged pages and not
 * what /proc/vmstat calls so. */
static const char *const V1_EVENTS[] = {"pgfault", "pgmajfault"};

/* Lines of memory.stat that are looked at; kernels print about 70. */
#define EVENTS_MAX 256

typedef struct Event {
    SfSlice name; /* in the text of memory.stat */
    uint64_t value;
} Event;

typedef struct Figures {
    SfShownMemory shown;
    uint64_t page_kb, huge_page_kb; /* huge_page_kb 0: this kernel has none */
    Event events[EVENTS_MAX];       /* none where there is no memory.stat */
    unsigned event_count;
} Figures;

static bool find_amount(const Figures *f, SfSlice name, uint64_t *ret_value)
{
    for (size_t i = 0; i < sizeof(AMOUNTS) / sizeof(AMOUNTS[0]); i++) {
        if (!sf_slice_eq(name, AMOUNTS[i].name))
            continue;
        uint64_t kb = f->shown.kb[AMOUNTS[i].key];
        uint64_t unit = AMOUNTS[i].unit == KILOBYTES ? 1
                        : AMOUNTS[i].unit == PAGES   ? f->page_kb
                                                     : f->huge_page_kb;
        *ret_value = unit > 0 ? kb / unit : 0;
        return true;
    }
    return false;
}

static bool is_event(SfSlice name, unsigned version)
{
    if (version == 2)
        return true; /* amounts have other names there than here */
    for (size_t i = 0; i < sizeof(V1_EVENTS) / sizeof(V1_EVENTS[0]); i++) {
        if (sf_slice_eq(name, V1_EVENTS[i]))
            return true;
    }
    return false;
}

/* Each line of memory.stat once, under the name that it may have here. v1's plain keys count the
 * cgroup alone, the total_ ones what is below it too. */
static void take_events(Figures *f, SfSlice stat, unsigned version)
{
    SfSlice line, name;
    uint64_t value;

    while (f->event_count < EVENTS_MAX && sf_slice_next_line(&stat, &line)) {
        if (!sf_slice_next_word(&line, &name))
            continue;
        if (version == 1 && !sf_slice_starts(name, "total_"))
            continue;
        if (version == 1)
            name = sf_slice(name.data + 6, name.len - 6);
        if (is_event(name, version) && sf_slice_u64(sf_slice_trim(line), &value) == 0)
            f->events[f->event_count++] = (Event){name, value};
    }
}

/* 0 where memory.stat does not have it. */
static uint64_t event(const Figures *f, SfSlice name)
{
    for (unsigned i = 0; i < f->event_count; i++) {
        const Event *event = &f->events[i];
        if (event->name.len == name.len && memcmp(event->name.data, name.data, name.len) == 0)
            return event->value;
    }
    return 0;
}

static void put_lines(SfText *text, SfSlice host, const Figures *f)
{
    SfSlice line, name;

    while (sf_slice_next_line(&host, &line)) {
        uint64_t value;
        if (!sf_slice_next_word(&line, &name))
            continue;
        if (!find_amount(f, name, &value))
            value = event(f, name);
        sf_text_slice(text, name);
        sf_text_putc(text, ' ');
        sf_text_u64(text, value);
        sf_text_putc(text, '\n');
    }
}

/* 0 where the kernel has no transparent huge pages. */
static uint64_t huge_page_kb(SfHost *host)
{
    SfSharedText *text = NULL;
    uint64_t bytes = 0;

    if (sf_host_text(host, SF_HOST_HUGE_PAGE_BYTES, &text) < 0)
        return 0;
    if (sf_slice_u64(sf_slice_trim(sf_slice(text->data, text->len)), &bytes) < 0)
        bytes = 0;
    (void)sf_shared_text_unref(text); /* always NULL */
    return bytes / 1024;
}

static int read_shown(SfContainer *container, SfShownMemory *ret_shown)
{
    SfSharedText *text = NULL;
    SfMeminfo meminfo;

    int r = sf_host_text(sf_container_host(container), SF_HOST_MEMINFO, &text);
    if (r < 0)
        return r;
    r = sf_meminfo_parse(text->data, text->len, &meminfo);
    (void)sf_shared_text_unref(text); /* always NULL */
    return r < 0 ? r : sf_shown_memory(container, &meminfo, ret_shown);
}

/* -ENODATA where nothing is counted for this container; the top counts the machine. */
static int read_stat(SfContainer *container, unsigned *ret_version, char **ret_stat,
                     size_t *ret_len)
{
    SfCgroup *cgroup = sf_container_cgroup(container, SF_CONTROLLER_MEMORY);

    if (!cgroup || sf_cgroup_is_top(cgroup))
        return -ENODATA;
    *ret_version = sf_cgroup_version_of(cgroup);
    return sf_cgroup_read_alloc(cgroup, SF_CGROUP_MEMORY_STAT, ret_stat, ret_len);
}

static int render(SfContainer *container, SfText *text)
{
    SfHost *host = sf_container_host(container);
    SF_CLEANUP_FREE char *stat = NULL;
    unsigned version = 0;
    size_t len = 0;
    Figures figures = {.page_kb = sf_host_page_bytes(host) / 1024,
                       .huge_page_kb = huge_page_kb(host)};

    int r = read_shown(container, &figures.shown);
    if (r < 0)
        return r;
    r = read_stat(container, &version, &stat, &len);
    if (r < 0 && r != -ENODATA)
        return r;
    if (r == 0)
        take_events(&figures, sf_slice(stat, len), version);

    SfSharedText *names = NULL;
    r = sf_host_text(host, SF_HOST_VMSTAT, &names);
    if (r < 0)
        return r;
    put_lines(text, sf_slice(names->data, names->len), &figures);
    (void)sf_shared_text_unref(names); /* always NULL */
    return 0;
}

const SfProviderOps sf_provider_proc_vmstat_ops = {
    .source = "memory cgroup",
    .render = render,
};
