/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sysfsd: options, the order in which the parts are made and ended, signals. Wiring only; what the
 * parts do is theirs.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <glib-unix.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "daemon/config.h"
#include "daemon/container/load.h"
#include "daemon/control/reads.h"
#include "daemon/control/server.h"
#include "daemon/fd_store.h"
#include "daemon/fuse/server.h"
#include "daemon/log.h"
#include "daemon/privileges.h"
#include "daemon/supervise.h"
#include "lib/base/text.h"

#define EXIT_USAGE 2
#define DEFAULT_RUNTIME_DIR "/run/sysfsd"
/* In the fd store. */
#define KEEP_NAME "keep"
/* Between two lines of what containers can make happen. */
#define TELL_PAUSE_USEC (10 * G_USEC_PER_SEC)

static const char *arg_config;
static const char *arg_runtime_dir = DEFAULT_RUNTIME_DIR;
static const char *arg_log_level;
static bool arg_check_config, arg_supervise;

typedef struct Daemon {
    SfConfig config;
    char *runtime_dir; /* absolute */
    GMainLoop *loop;
    SfHost *host;
    SfCgroups *cgroups;
    SfLoadSampler *load_sampler;
    SfKeep *keep;
    SfServer *server;
    SfRegistry *registry;
    SfControl *control;
} Daemon;

static void print_help(void)
{
    (void)puts("usage: sysfsd [OPTION]...\n"
               "Gives containers their own view of /proc and /sys.\n\n"
               "  --config FILE       configuration (default " SF_CONFIG_DEFAULT_FILE
               ", absent is fine)\n"
               "  --runtime-dir DIR   socket, views and records (default " DEFAULT_RUNTIME_DIR ")\n"
               "  --log-level LEVEL   error, warning, info or debug; over the configuration's\n"
               "  --check-config      read the configuration, say what is wrong with it, end\n"
               "  --supervise         keep a daemon running, and its views while it does not\n"
               "  --version, --help\n\n"
               "Exit status: 0 ended cleanly, 1 failure, 2 wrong usage or configuration.");
}

static int usage_error(const char *format, const char *what)
{
    (void)fprintf(stderr, "sysfsd: ");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)fprintf(stderr, format, what);
#pragma GCC diagnostic pop
    (void)fprintf(stderr, "; see sysfsd --help\n");
    return EXIT_USAGE;
}

static int end_output(void)
{
    if (fflush(stdout) == 0)
        return EXIT_SUCCESS;
    (void)fprintf(stderr, "sysfsd: standard output: %s\n", g_strerror(errno));
    return EXIT_FAILURE;
}

/* -1: go on; else the exit status. */
static int parse_options(int argc, char **argv)
{
    enum {
        OPT_CONFIG = 256, /* past all letters */
        OPT_RUNTIME_DIR,
        OPT_LOG_LEVEL,
        OPT_SUPERVISE,
        OPT_CHECK_CONFIG,
        OPT_VERSION,
        OPT_HELP,
    };
    static const struct option options[] = {
        {"config", required_argument, NULL, OPT_CONFIG},
        {"runtime-dir", required_argument, NULL, OPT_RUNTIME_DIR},
        {"log-level", required_argument, NULL, OPT_LOG_LEVEL},
        {"supervise", no_argument, NULL, OPT_SUPERVISE},
        {"check-config", no_argument, NULL, OPT_CHECK_CONFIG},
        {"version", no_argument, NULL, OPT_VERSION},
        {"help", no_argument, NULL, OPT_HELP},
        {NULL, 0, NULL, 0}};
    char letter[] = "-?";
    GLogLevelFlags level;

    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
        switch (c) {
        case OPT_CONFIG:
            arg_config = optarg;
            break;
        case OPT_RUNTIME_DIR:
            arg_runtime_dir = optarg;
            if (!*optarg)
                return usage_error("--runtime-dir: %s", "the directory's name is empty");
            break;
        case OPT_LOG_LEVEL:
            arg_log_level = optarg;
            if (!sf_config_log_level(optarg, &level))
                return usage_error("--log-level: %s is none of error, warning, info, debug",
                                   optarg);
            break;
        case OPT_SUPERVISE:
            arg_supervise = true;
            break;
        case OPT_CHECK_CONFIG:
            arg_check_config = true;
            break;
        case OPT_VERSION:
            (void)puts("sysfsd " SYSFSD_VERSION);
            return end_output();
        case OPT_HELP:
            print_help();
            return end_output();
        case ':':
            return usage_error("%s: the option needs an argument", argv[optind - 1]);
        default:
            letter[1] = (char)optopt;
            return usage_error("%s: no such option",
                               optopt > 0 && optopt < OPT_CONFIG ? letter : argv[optind - 1]);
        }
    }
    if (optind < argc)
        return usage_error("%s: takes no arguments", argv[optind]);
    return -1;
}

typedef bool (*LoadConfig)(SfConfig *config, const char *file, bool required, GError **error);

static bool load_config(SfConfig *config, LoadConfig load, GError **error)
{
    sf_config_init(config);
    bool done =
        load(config, arg_config ? arg_config : SF_CONFIG_DEFAULT_FILE, arg_config != NULL, error);
    if (arg_log_level)
        (void)sf_config_log_level(arg_log_level, &config->log_level); /* checked with the options */
    return done;
}

/* Views have what they need of the fd store. */
static void reserve_store(unsigned containers)
{
    unsigned most = sf_fd_store_reserve(containers);

    if (most < containers)
        g_warning("max-containers is %u, and the fd store has room for the views of %u", containers,
                  most);
}

/* False: it is wrong, and this process must not go on. */
static bool load_first_config(SfConfig *config)
{
    g_autoptr(GError) error = NULL;

    if (load_config(config, sf_config_load, &error))
        return true;
    if (arg_check_config || !sf_fd_store_has_views()) {
        sf_make_printable(error->message);
        (void)fprintf(stderr, "sysfsd: %s\n", error->message);
        return false;
    }
    /* Without a daemon the views that are held for it would be let go. */
    (void)load_config(config, sf_config_load_parts, NULL);
    g_critical("%s; it is left out, as containers wait for their views", error->message);
    return true;
}

/* A daemon's later fds must not become 0, 1 or 2, which libraries write to. */
static int fill_standard_fds(void)
{
    for (;;) {
        int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (fd < 0)
            return -errno;
        if (fd > STDERR_FILENO)
            return sf_close(fd) + 1;
    }
}

/* Connections, pidfds and cgroups of thousands of containers. */
static void raise_fd_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        g_warning("cannot raise the limit of open files: %s", g_strerror(errno));
}

static int fail(const char *what, const char *object, int r)
{
    g_critical("cannot %s %s: %s", what, object, g_strerror(-r));
    return EXIT_FAILURE;
}

static int backend_mount(void *data, SfView *view, SfViewMount kind, const char *mount_point,
                         void **ret_mount)
{
    SfConnection *connection;
    int r = sf_server_mount(data, view, kind, mount_point, &connection);

    if (r >= 0)
        *ret_mount = connection;
    return r;
}

static void backend_unmount(void *data, void *mount)
{
    sf_server_unmount(data, mount);
}

static int backend_unmount_stale(void *data, const char *mount_point)
{
    return sf_server_unmount_stale(mount_point);
}

static int backend_resume(void *data, SfView *view, SfViewMount kind, const char *mount_point,
                          int fd, void **ret_mount)
{
    SfConnection *connection;
    int r = sf_server_resume(data, view, kind, mount_point, fd, &connection);

    if (r >= 0)
        *ret_mount = connection;
    return r;
}

static int backend_prime(void *data, const char *mount_point)
{
    return sf_server_prime(data, mount_point);
}

static int backend_mount_fd(void *data, void *mount)
{
    return sf_server_connection_fd(mount);
}

static void backend_leave(void *data, void *mount)
{
    sf_server_leave(data, mount);
}

static void backend_recall(void *data, void *mount)
{
    sf_server_recall(data, mount);
}

static void hold_events(void *data, SfViewEvents events)
{
    g_autofree char *name = sf_registry_event_name(events.id);
    static _Atomic int64_t told_usec; /* 0: never */
    int64_t last = atomic_load(&told_usec), now = g_get_monotonic_time();
    int r = sf_fd_store_hold(name, events.fd);

    /* A container can arm them without an end. */
    if (r < 0 && (last == 0 || now - last >= TELL_PAUSE_USEC) &&
        atomic_compare_exchange_strong(&told_usec, &last, now))
        g_warning("a trigger will not outlive this daemon: %s", g_strerror(-r));
}

static void drop_events(void *data, SfViewEvents events)
{
    g_autofree char *name = sf_registry_event_name(events.id);

    sf_fd_store_drop(name);
}

static uint64_t backend_requests(void *data)
{
    return sf_server_requests(data);
}

static unsigned backend_workers(void *data)
{
    return sf_server_workers(data);
}

static int make_registry(Daemon *daemon)
{
    pid_t other;
    SfRegistryOptions options = {
        .runtime_dir = daemon->runtime_dir,
        .host = daemon->host,
        .cgroups = daemon->cgroups,
        .load_sampler = daemon->load_sampler,
        .backend = {.mount_view = backend_mount,
                    .unmount_view = backend_unmount,
                    .unmount_stale = backend_unmount_stale,
                    .requests = backend_requests,
                    .workers = backend_workers,
                    .resume_view = backend_resume,
                    .prime = backend_prime,
                    .mount_fd = backend_mount_fd,
                    .leave_view = backend_leave,
                    .recall = backend_recall,
                    .data = daemon->server},
        .store = sf_fd_store(),
        .keep = daemon->keep,
    };

    int r = sf_registry_new(&options, &daemon->registry, &other);
    if (r == -EWOULDBLOCK) {
        g_critical("another sysfsd (pid %d) serves %s", (int)other, daemon->runtime_dir);
        (void)sd_notify(0, SF_NOTIFY_REFUSED);
        return EXIT_FAILURE;
    }
    if (r == -EPERM) {
        g_critical("%s must belong to root and be writable by nobody else", daemon->runtime_dir);
        return EXIT_FAILURE;
    }
    if (r < 0)
        return fail("use the runtime directory", daemon->runtime_dir, r);
    sf_registry_configure(daemon->registry, &daemon->config.defaults,
                          daemon->config.max_containers);
    return EXIT_SUCCESS;
}

/* What a former daemon left in memory, or a new one; held from now on. */
static int open_keep(Daemon *daemon)
{
    int fd = sf_fd_store_take(KEEP_NAME);
    int r = fd < 0 ? -ENOENT : sf_keep_open(fd, &daemon->keep);

    if (r == 0 || (fd >= 0 && r != -EBADMSG))
        return r; /* of want: the next one may have what it needs */
    if (fd >= 0) {
        g_warning("what a former daemon kept is of no use: %s; open files are lost",
                  g_strerror(-r));
        sf_fd_store_drop(KEEP_NAME);
    }
    r = sf_keep_open(-1, &daemon->keep);
    return r < 0 ? r : sf_fd_store_hold(KEEP_NAME, sf_keep_fd(daemon->keep));
}

static int make_server(Daemon *daemon)
{
    SfServerOptions options = {.workers = daemon->config.workers,
                               .keep = daemon->keep,
                               .hooks = {hold_events, drop_events, NULL},
                               .paused = true};

    return sf_server_new(&options, &daemon->server);
}

/* The host is opened first: later mounts must not be seen by it. Privileges go before the first
 * thread. */
static int start(Daemon *daemon)
{
    static const SfHostOptions host_options = {0};
    const char *missing;
    int r;

    if (g_mkdir_with_parents(arg_runtime_dir, 0755) < 0)
        return fail("make the runtime directory", arg_runtime_dir, -errno);
    daemon->runtime_dir = realpath(arg_runtime_dir, NULL);
    if (!daemon->runtime_dir)
        return fail("find the runtime directory", arg_runtime_dir, -errno);
    if (!g_utf8_validate(daemon->runtime_dir, -1, NULL)) /* peers are told it, in JSON */
        return fail("use the runtime directory", daemon->runtime_dir, -EILSEQ);
    if ((r = sf_host_open(&host_options, &daemon->host)) < 0)
        return fail("open", "the host's procfs", r);
    if (access("/dev/fuse", R_OK | W_OK) < 0)
        g_warning("no view can be mounted: /dev/fuse: %s", g_strerror(errno));
    if ((r = sf_cgroups_open(daemon->host, &daemon->cgroups)) < 0)
        return fail("open", "the cgroup hierarchies", r);
    if ((r = sf_privileges_drop(&missing)) < 0) {
        if (missing[0] == '\0')
            return fail("drop", "privileges", r);
        g_critical("%s is needed and was not given", missing);
        return EXIT_FAILURE;
    }
    if ((r = open_keep(daemon)) < 0)
        return fail("make", "the memory that outlives the daemon", r);
    if ((r = make_server(daemon)) < 0)
        return fail("start", "the FUSE server", r);
    daemon->load_sampler = sf_load_sampler_new();
    sf_load_sampler_set_default(daemon->load_sampler);
    sf_reads_start();
    if (make_registry(daemon) != EXIT_SUCCESS)
        return EXIT_FAILURE;
    if ((r = sf_server_go(daemon->server)) < 0)
        return fail("start", "the FUSE server's threads", r);
    if ((r = sf_control_new(daemon->registry, &daemon->control)) < 0)
        return fail("serve the control socket in", daemon->runtime_dir, r);
    sf_registry_settle(daemon->registry);
    return EXIT_SUCCESS;
}

static void stop(Daemon *daemon)
{
    sf_reads_stop();
    sf_control_free(daemon->control);
    sf_registry_free(daemon->registry);
    sf_load_sampler_set_default(NULL);
    sf_load_sampler_free(daemon->load_sampler);
    sf_server_free(daemon->server);
    sf_keep_close(daemon->keep);
    if (daemon->cgroups)
        sf_cgroups_free(daemon->cgroups);
    sf_host_free(daemon->host);
    g_clear_pointer(&daemon->loop, g_main_loop_unref);
    free(daemon->runtime_dir);
}

/* For good: no view is left behind. */
static gboolean on_end(void *data)
{
    Daemon *daemon = data;

    (void)sd_notify(0, "STOPPING=1");
    g_main_loop_quit(daemon->loop);
    return G_SOURCE_CONTINUE;
}

/* Another daemon may come: views stay if somebody holds them. */
static gboolean on_stop(void *data)
{
    Daemon *daemon = data;

    if (sf_registry_options(daemon->registry)->store.hold) {
        sf_registry_keep_views(daemon->registry);
        sf_control_leave(daemon->control);
    }
    return on_end(data);
}

/* Nothing is told while all threads are stuck: the service manager then ends us, and the next
 * daemon goes on. */
static gboolean on_watchdog(void *data)
{
    Daemon *daemon = data;

    if (sf_server_is_stuck(daemon->server))
        g_warning("every thread has been serving one request for long: no sign of life given");
    else
        (void)sd_notify(0, "WATCHDOG=1");
    return G_SOURCE_CONTINUE;
}

static void start_watchdog(Daemon *daemon)
{
    uint64_t usec;

    if (sd_watchdog_enabled(0, &usec) > 0)
        (void)g_timeout_add((guint)MAX(usec / 2000, 1), on_watchdog, daemon);
}

static gboolean on_reload(void *data)
{
    Daemon *daemon = data;
    g_autoptr(GError) error = NULL;
    unsigned workers = daemon->config.workers;
    SfConfig config;

    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" G_GINT64_FORMAT, g_get_monotonic_time());
    if (!load_config(&config, sf_config_load, &error)) {
        g_warning("configuration not reloaded, the old one stays: %s", error->message);
    } else {
        daemon->config = config;
        sf_log_set_level(daemon->config.log_level);
        sf_registry_configure(daemon->registry, &daemon->config.defaults,
                              daemon->config.max_containers);
        reserve_store(daemon->config.max_containers);
        g_message("configuration reloaded%s", workers != daemon->config.workers
                                                  ? "; workers takes effect at the next start"
                                                  : "");
    }
    (void)sd_notify(0, "READY=1");
    return G_SOURCE_CONTINUE;
}

static int run(Daemon *daemon)
{
    if (start(daemon) != EXIT_SUCCESS) {
        if (daemon->registry)
            sf_registry_leave(daemon->registry);
        return EXIT_FAILURE;
    }
    daemon->loop = g_main_loop_new(NULL, FALSE);
    (void)g_unix_signal_add(SIGTERM, on_stop, daemon);
    (void)g_unix_signal_add(SIGINT, on_end, daemon);
    start_watchdog(daemon);
    (void)g_unix_signal_add(SIGHUP, on_reload, daemon);
    g_message("ready: version %s, cgroup %s, %u workers, %s", SYSFSD_VERSION,
              sf_cgroups_layout(daemon->cgroups), sf_server_workers(daemon->server),
              daemon->runtime_dir);
    (void)sd_notify(0, "READY=1");
    sf_registry_heal(daemon->registry);
    g_main_loop_run(daemon->loop);
    g_message("stopping: %u containers", sf_registry_count(daemon->registry));
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    Daemon daemon = {0};

    (void)prctl(PR_SET_NAME, "sysfsd"); /* executed as /proc/self/exe it would be "exe" */
    if (fill_standard_fds() < 0)
        return EXIT_FAILURE;
    int status = parse_options(argc, argv);
    if (status >= 0) /* views that are held are kept for a daemon that is told the right things */
        return status == EXIT_USAGE && sf_fd_store_has_views() ? EXIT_FAILURE : status;
    (void)umask(0022);
    (void)signal(SIGPIPE, SIG_IGN); /* a log that nobody reads any more is no reason to end */
    sf_log_start();
    if (!load_first_config(&daemon.config))
        return EXIT_USAGE;
    if (arg_check_config)
        return EXIT_SUCCESS;
    sf_log_set_level(daemon.config.log_level);
    if (geteuid() != 0) {
        (void)fprintf(stderr, "sysfsd: must run as root: it mounts file systems\n");
        return EXIT_FAILURE;
    }
    raise_fd_limit();
    if (arg_supervise)
        return sf_supervise(argv);
    sf_fd_store_begin();
    reserve_store(daemon.config.max_containers);
    status = run(&daemon);
    stop(&daemon);
    return status;
}
