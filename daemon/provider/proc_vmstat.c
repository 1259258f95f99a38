/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/vmstat: the running kernel's keys in its order (mm/vmstat.c), with what memory.stat has of
 * them. Amounts are those of /proc/meminfo, in pages; events are counted by the cgroup under the
 * same names. What the kernel counts for the machine only is 0.
 */

#include "daemon/provider/provider.h"
#include "daemon/provider/shown_memory.h"

#include <string.h>

#include "lib/base/scratch.h"

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

#define AMOUNT_COUNT (sizeof(AMOUNTS) / sizeof(AMOUNTS[0]))

/* What v1 counts under a name of ours: its pgpgin and pgpgout, for one, are charged pages and not
 * what /proc/vmstat calls so. */
static const char *const V1_EVENTS[] = {"pgfault", "pgmajfault"};

/* One line of the host's text. */
typedef struct Name {
    SfSlice text; /* borrowed from it */
    uint32_t hash;
    int amount; /* in AMOUNTS; -1: none, so it may be an event */
} Name;

/* The host's lines, for all containers. */
typedef struct Names {
    SfText memory; /* of the Name's */
    unsigned count;
} Names;

/* FNV-1a */
static uint32_t hash_of(SfSlice name)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (unsigned char)name.data[i]) * 16777619u;
    return hash;
}

static int find_amount(SfSlice name)
{
    for (size_t i = 0; i < AMOUNT_COUNT; i++) {
        if (sf_slice_eq(name, AMOUNTS[i].name))
            return (int)i;
    }
    return -1;
}

static int make_names(const char *text, size_t len, void *made)
{
    SfSlice host = sf_slice(text, len), line, name;
    Names *names = made;

    sf_text_reset(&names->memory);
    names->count = 0;
    while (sf_slice_next_line(&host, &line)) {
        if (!sf_slice_next_word(&line, &name))
            continue;
        Name one = {name, hash_of(name), find_amount(name)};
        sf_text_append(&names->memory, (const char *)&one, sizeof(one));
        names->count++;
    }
    return names->memory.error;
}

static void clear_names(void *made)
{
    sf_text_clear(&((Names *)made)->memory);
}

static const SfDerivation names_derivation = {
    .size = sizeof(Names), .make = make_names, .clear = clear_names};

/* Lines of memory.stat that are looked at; kernels print about 70. */
#define EVENTS_MAX 256
/* A power of two that keeps chains short. */
#define BUCKETS (2 * EVENTS_MAX)

typedef struct Event {
    SfSlice name; /* in the text of memory.stat */
    SfSlice value;
    uint32_t hash;
} Event;

typedef struct Figures {
    SfShownMemory shown;
    uint64_t page_kb, huge_page_kb; /* huge_page_kb 0: this kernel has none */
    unsigned event_count;           /* none where there is no memory.stat */
    Event events[EVENTS_MAX];
    uint16_t buckets[BUCKETS]; /* an event's number and 1; 0: none */
} Figures;

static uint64_t amount(const Figures *f, unsigned index)
{
    uint64_t kb = f->shown.kb[AMOUNTS[index].key];
    uint64_t unit = AMOUNTS[index].unit == KILOBYTES ? 1
                    : AMOUNTS[index].unit == PAGES   ? f->page_kb
                                                     : f->huge_page_kb;

    return unit > 0 ? kb / unit : 0;
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

/* The first of a name counts, as it does for who reads from the beginning. */
static void add_event(Figures *f, SfSlice name, SfSlice value)
{
    uint32_t hash = hash_of(name);
    unsigned bucket = hash % BUCKETS;

    f->events[f->event_count++] = (Event){name, value, hash};
    while (f->buckets[bucket] > 0)
        bucket = (bucket + 1) % BUCKETS;
    f->buckets[bucket] = (uint16_t)f->event_count;
}

/* Each line of memory.stat once, under the name that it may have here. v1's plain keys count the
 * cgroup alone, the total_ ones what is below it too. */
static void take_events(Figures *f, SfSlice stat, unsigned version)
{
    SfSlice line, name;

    while (f->event_count < EVENTS_MAX && sf_slice_next_line(&stat, &line)) {
        if (version == 1 && !sf_slice_starts(line, "total_"))
            continue;
        if (!sf_slice_next_word(&line, &name))
            continue;
        if (version == 1)
            name = sf_slice(name.data + 6, name.len - 6);
        if (is_event(name, version))
            add_event(f, name, line);
    }
}

/* 0 where memory.stat does not have it. */
static uint64_t event(const Figures *f, const Name *name)
{
    uint64_t value;

    for (unsigned bucket = name->hash % BUCKETS; f->buckets[bucket] > 0;
         bucket = (bucket + 1) % BUCKETS) {
        const Event *event = &f->events[f->buckets[bucket] - 1];
        if (event->hash == name->hash && event->name.len == name->text.len &&
            memcmp(event->name.data, name->text.data, name->text.len) == 0)
            return sf_slice_u64(sf_slice_trim(event->value), &value) < 0 ? 0 : value;
    }
    return 0;
}

static void put_lines(SfText *text, const Names *names, const Figures *f)
{
    const Name *name = (const Name *)(const void *)names->memory.data;

    for (unsigned i = 0; i < names->count; i++, name++) {
        sf_text_slice(text, name->text);
        sf_text_putc(text, ' ');
        sf_text_u64(text, name->amount >= 0 ? amount(f, (unsigned)name->amount) : event(f, name));
        sf_text_putc(text, '\n');
    }
}

static int make_kb(const char *text, size_t len, void *made)
{
    uint64_t bytes;

    *(uint64_t *)made =
        sf_slice_u64(sf_slice_trim(sf_slice(text, len)), &bytes) < 0 ? 0 : bytes / 1024;
    return 0;
}

/* 0 where the kernel has no transparent huge pages. */
static uint64_t huge_page_kb(SfHost *host)
{
    static const SfDerivation KB = {.size = sizeof(uint64_t), .make = make_kb};
    SfSharedText *text = NULL;

    if (sf_host_derived(host, SF_HOST_HUGE_PAGE_BYTES, &KB, &text) < 0)
        return 0;
    uint64_t kb = *(const uint64_t *)text->derived;
    (void)sf_shared_text_unref(text); /* always NULL */
    return kb;
}

/* stat: the text of memory.stat that the amounts were made of. */
static int read_shown(SfContainer *container, SfText *stat, SfShownMemory *ret_shown)
{
    SfSharedText *text = NULL;

    int r = sf_host_derived(sf_container_host(container), SF_HOST_MEMINFO, &sf_meminfo_derivation,
                            &text);
    if (r < 0)
        return r;
    r = sf_shown_memory(container, text->derived, stat, ret_shown);
    (void)sf_shared_text_unref(text); /* always NULL */
    return r;
}

static int render(SfContainer *container, SfText *text)
{
    SfHost *host = sf_container_host(container);
    SfCgroup *cgroup = sf_container_cgroup(container, SF_CONTROLLER_MEMORY);
    SF_SCRATCH SfText *stat = sf_scratch_take();
    Figures figures;

    figures.page_kb = sf_host_page_bytes(host) / 1024;
    figures.huge_page_kb = huge_page_kb(host);
    figures.event_count = 0;
    memset(figures.buckets, 0, sizeof(figures.buckets));
    int r = read_shown(container, stat, &figures.shown);
    if (r < 0)
        return r;
    /* The top counts the machine. */
    if (cgroup && !sf_cgroup_is_top(cgroup) && stat->len > 0)
        take_events(&figures, sf_slice(stat->data, stat->len), sf_cgroup_version_of(cgroup));

    SfSharedText *names = NULL;
    r = sf_host_derived(host, SF_HOST_VMSTAT, &names_derivation, &names);
    if (r < 0)
        return r;
    put_lines(text, names->derived, &figures);
    (void)sf_shared_text_unref(names); /* always NULL */
    return 0;
}

const SfProviderOps sf_provider_proc_vmstat_ops = {
    .source = "memory cgroup",
    .render = render,
};
