/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replays captured hosts: for each directory of scenarios/ every provider's text (of a directory:
 * all below it, see view_dump.h) is compared with expected/ byte for byte, and with the others by
 * consistency.c. Output is TAP. With --update the expected texts are written anew, for a person to
 * review; must not be run so by a test.
 *
 * usage: golden [--update] SCENARIOS [NAME...]
 */

#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "daemon/provider/provider.h"
#include "tests/golden/captured_root.h"
#include "tests/golden/consistency.h"
#include "tests/golden/view_dump.h"

#define MAX_PROVIDERS 64
/* Between the two instants that are compared for counters that decrease. */
#define STEP_NSEC 1000000000ull

typedef struct Scenario {
    const char *name; /* borrowed */
    char *directory;  /* owned, as what follows */
    pid_t init_pid;
    uint64_t clock_nsec;
    SfPolicy policy;
    SfHostOptions options;
    char *root;
    SfHost *host;
    SfCgroups *cgroups;
    SfContainer *container;
    SfView *view;
} Scenario;

/* All texts of an instant; NULL data where the file is not shown. */
typedef struct Texts {
    const char *names[MAX_PROVIDERS];
    SfSlice slices[MAX_PROVIDERS];
    SfText texts[MAX_PROVIDERS];
    unsigned count;
} Texts;

static uint64_t scenario_clock(void *data)
{
    return ((const Scenario *)data)->clock_nsec;
}

static void scenario_clear(Scenario *s)
{
    s->view = sf_view_unref(s->view);
    s->container = sf_container_unref(s->container);
    sf_cgroups_free(s->cgroups);
    sf_host_free(s->host);
    captured_root_free(s->root);
    g_free(s->directory);
    memset(s, 0, sizeof(*s));
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Scenario, scenario_clear)

static void texts_clear(Texts *texts)
{
    for (unsigned i = 0; i < texts->count; i++)
        sf_text_clear(&texts->texts[i]);
    texts->count = 0;
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Texts, texts_clear)

/* A captured stat starts with the pid; a scenario with another one is a slip of the pen that would
 * be reported as something else. */
static bool read_ini(Scenario *s, SfText *report)
{
    g_autofree char *path = g_build_filename(s->directory, "scenario.ini", NULL);
    g_autoptr(GKeyFile) ini = g_key_file_new();
    g_autoptr(GError) error = NULL;
    if (!g_key_file_load_from_file(ini, path, G_KEY_FILE_NONE, &error)) {
        sf_text_printf(report, "%s: %s\n", path, error->message);
        return false;
    }
    s->init_pid = (pid_t)g_key_file_get_integer(ini, "scenario", "init_pid", &error);
    if (!error)
        s->clock_nsec = g_key_file_get_uint64(ini, "scenario", "boottime_nsec", &error);
    if (!error)
        s->options.page_bytes = g_key_file_get_uint64(ini, "scenario", "page_bytes", &error);
    if (!error)
        s->options.ticks_per_sec = g_key_file_get_uint64(ini, "scenario", "ticks_per_sec", &error);
    if (error) {
        sf_text_printf(report, "%s: %s\n", path, error->message);
        return false;
    }
    sf_policy_init(&s->policy);
    g_autofree char *cpu = g_key_file_get_string(ini, "scenario", "cpu_policy", NULL);
    char message[256] = "";
    if (cpu && sf_policy_apply(&s->policy, "io.sysfsd.cpu", cpu, message, sizeof(message)) < 0) {
        sf_text_printf(report, "%s: %s\n", path, message);
        return false;
    }
    return true;
}

static bool scenario_open(Scenario *s, const char *scenarios, SfText *report)
{
    s->directory = g_build_filename(scenarios, s->name, NULL);
    if (!read_ini(s, report))
        return false;
    g_autofree char *captured = g_build_filename(s->directory, "root", NULL);
    g_autoptr(GError) error = NULL;
    s->root = captured_root_new(captured, &error);
    if (!s->root) {
        sf_text_printf(report, "%s\n", error->message);
        return false;
    }
    s->options.root = s->root;
    s->options.boottime_nsec = scenario_clock;
    s->options.clock_data = s;
    /* Init of a captured container is long gone: the runner's own pidfd stands for it. */
    SF_CLEANUP_FD int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    SfContainerSpec spec = {
        .id = s->name, .init_pid = s->init_pid, .pidfd = pidfd, .policy = &s->policy};
    const char *step = "host";
    int r = sf_host_open(&s->options, &s->host);
    if (r == 0) {
        step = "cgroups";
        r = sf_cgroups_open(s->host, &s->cgroups);
    }
    if (r == 0) {
        step = "container";
        r = sf_container_new(s->host, s->cgroups, &spec, &s->container);
    }
    if (r == 0) {
        step = "view";
        r = sf_view_new(s->container, &s->view);
    }
    if (r < 0)
        sf_text_printf(report, "%s cannot be opened: %s\n", step, g_strerror(-r));
    return r == 0;
}

static bool render_all(const Scenario *s, Texts *texts, SfText *report)
{
    bool ok = true;
    g_assert(sf_provider_count() <= MAX_PROVIDERS);
    for (unsigned i = 0; i < sf_provider_count(); i++) {
        const SfProvider *provider = sf_provider_get(i);
        unsigned mode;
        if (!sf_provider_shown(provider, s->container, &mode))
            continue;
        unsigned n = texts->count++;
        texts->names[n] = provider->name;
        texts->texts[n] = SF_TEXT_INIT;
        int r = provider->ops->render ? provider->ops->render(s->container, &texts->texts[n])
                                      : view_dump(s->view, provider->path, &texts->texts[n]);
        if (r == 0)
            r = texts->texts[n].error;
        if (r < 0) {
            sf_text_printf(report, "%s: %s\n", provider->name, g_strerror(-r));
            ok = false;
        }
        texts->slices[n] =
            sf_slice(texts->texts[n].data ? texts->texts[n].data : "", texts->texts[n].len);
    }
    return ok;
}

/* Reports the first line that differs. */
static void report_difference(const char *name, SfSlice expected, SfSlice got, SfText *report)
{
    SfSlice want = {0}, have = {0};
    for (unsigned number = 1;; number++) {
        bool more_want = sf_slice_next_line(&expected, &want);
        bool more_have = sf_slice_next_line(&got, &have);
        if (more_want && more_have && want.len == have.len &&
            memcmp(want.data, have.data, want.len) == 0)
            continue;
        sf_text_printf(report, "%s:%u: expected '%.*s', got '%.*s'\n", name, number,
                       more_want ? (int)MIN(want.len, 160) : 5, more_want ? want.data : "(end)",
                       more_have ? (int)MIN(have.len, 160) : 5, more_have ? have.data : "(end)");
        return;
    }
}

static const SfSlice *find_text(const Texts *texts, const char *name)
{
    for (unsigned i = 0; i < texts->count; i++) {
        if (strcmp(texts->names[i], name) == 0)
            return &texts->slices[i];
    }
    return NULL;
}

/* One provider against expected/NAME, or expected/NAME.absent where it is not shown. */
static bool compare_one(const Scenario *s, const char *name, const SfSlice *got, SfText *report)
{
    g_autofree char *path = g_build_filename(s->directory, "expected", name, NULL);
    g_autofree char *absent = g_strconcat(path, ".absent", NULL);
    g_autofree char *expected = NULL;
    gsize len = 0;
    if (!got) {
        if (g_file_test(absent, G_FILE_TEST_EXISTS))
            return true;
        sf_text_printf(report, "%s: not shown, and there is no expected/%s.absent\n", name, name);
        return false;
    }
    if (!g_file_get_contents(path, &expected, &len, NULL)) {
        sf_text_printf(report, "%s: no expected/%s\n", name, name);
        return false;
    }
    if (len == got->len && memcmp(expected, got->data, len) == 0)
        return true;
    report_difference(name, sf_slice(expected, len), *got, report);
    return false;
}

static bool update_one(const Scenario *s, const char *name, const SfSlice *got, SfText *report)
{
    g_autofree char *directory = g_build_filename(s->directory, "expected", NULL);
    g_autofree char *path = g_build_filename(directory, name, NULL);
    g_autofree char *absent = g_strconcat(path, ".absent", NULL);
    (void)g_mkdir(directory, 0755); /* there already, or the write says why */
    (void)g_unlink(absent);         /* only one of the two is written again */
    (void)g_unlink(path);
    g_autoptr(GError) error = NULL;
    if (got ? g_file_set_contents(path, got->data, (gssize)got->len, &error)
            : g_file_set_contents(absent, "", 0, &error))
        return true;
    sf_text_printf(report, "%s\n", error->message);
    return false;
}

/* A file in expected/ that no provider has stands for one that was renamed or lost. */
static bool check_strangers(const Scenario *s, SfText *report)
{
    g_autofree char *path = g_build_filename(s->directory, "expected", NULL);
    g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
    bool ok = true;
    for (const char *name; directory && (name = g_dir_read_name(directory));) {
        g_autofree char *plain = g_strdup(name);
        if (g_str_has_suffix(plain, ".absent"))
            plain[strlen(plain) - strlen(".absent")] = '\0';
        bool known = false;
        for (unsigned i = 0; i < sf_provider_count(); i++)
            known |= strcmp(sf_provider_get(i)->name, plain) == 0;
        if (!known)
            sf_text_printf(report, "expected/%s: no provider has this name\n", name);
        ok &= known;
    }
    return ok;
}

static bool check_consistency(Scenario *s, const Texts *now, SfText *report)
{
    g_autofree char *meminfo = NULL, *stat = NULL, *possible = NULL;
    HostTexts host = {.page_bytes = sf_host_page_bytes(s->host),
                      .all_cpus = s->policy.cpu == SF_CPU_POLICY_HOST};
    if (sf_host_file_read(s->host, "/proc/meminfo", &meminfo, &host.meminfo.len) < 0 ||
        sf_host_file_read(s->host, "/proc/stat", &stat, &host.stat.len) < 0 ||
        sf_host_file_read(s->host, "/sys/devices/system/cpu/possible", &possible,
                          &host.cpu_possible.len) < 0) {
        sf_text_puts(report, "the host's texts cannot be read\n");
        return false;
    }
    host.meminfo.data = meminfo;
    host.stat.data = stat;
    host.cpu_possible.data = possible;
    Snapshot first = {now->names, now->slices, now->count};
    bool ok = consistency_check(&first, &host, report);

    g_auto(Texts) later = {0};
    s->clock_nsec += STEP_NSEC;
    ok &= render_all(s, &later, report);
    Snapshot second = {later.names, later.slices, later.count};
    ok &= consistency_check(&second, &host, report);
    ok &= consistency_check_order(&first, &second, report);
    return ok;
}

static bool run_scenario(const char *scenarios, const char *name, bool update, SfText *report)
{
    g_auto(Scenario) s = {.name = name};
    if (!scenario_open(&s, scenarios, report))
        return false;
    g_auto(Texts) texts = {0};
    bool ok = render_all(&s, &texts, report);
    for (unsigned i = 0; i < sf_provider_count(); i++) {
        const char *provider = sf_provider_get(i)->name;
        const SfSlice *got = find_text(&texts, provider);
        ok &=
            update ? update_one(&s, provider, got, report) : compare_one(&s, provider, got, report);
    }
    ok &= check_strangers(&s, report);
    ok &= check_consistency(&s, &texts, report);
    return ok;
}

static int compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* All directories of scenarios, sorted, or those named. */
static GPtrArray *scenario_names(const char *scenarios, char **names)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
    for (; *names; names++)
        g_ptr_array_add(list, g_strdup(*names));
    if (list->len > 0)
        return list;
    g_autoptr(GDir) directory = g_dir_open(scenarios, 0, NULL);
    for (const char *name; directory && (name = g_dir_read_name(directory));) {
        g_autofree char *path = g_build_filename(scenarios, name, NULL);
        if (g_file_test(path, G_FILE_TEST_IS_DIR))
            g_ptr_array_add(list, g_strdup(name));
    }
    g_ptr_array_sort(list, compare_names);
    return list;
}

int main(int argc, char **argv)
{
    bool update = argc > 1 && strcmp(argv[1], "--update") == 0;
    if (argc < 2 + update) {
        fprintf(stderr, "usage: golden [--update] SCENARIOS [NAME...]\n");
        return 2;
    }
    const char *scenarios = argv[1 + update];
    g_autoptr(GPtrArray) names = scenario_names(scenarios, &argv[2 + update]);
    if (names->len == 0) {
        fprintf(stderr, "golden: no scenario in %s\n", scenarios);
        return 1;
    }
    bool all = true;
    printf("1..%u\n", names->len);
    for (unsigned i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        SF_CLEANUP_TEXT SfText report = SF_TEXT_INIT;
        bool ok = run_scenario(scenarios, name, update, &report);
        printf("%s %u - %s\n", ok ? "ok" : "not ok", i + 1, name);
        SfSlice rest = sf_slice(report.data ? report.data : "", report.len), line;
        while (sf_slice_next_line(&rest, &line))
            printf("# %.*s\n", (int)line.len, line.data);
        all &= ok;
    }
    return all ? 0 : 1;
}
