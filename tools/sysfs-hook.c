/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The OCI hook: reads the container's state, decides by stage what is asked, and has libsysfsd do
 * it. What stops a container and what is only a warning is decided here (sysfs-hook(1), EXIT
 * STATUS); how a view is attached is not.
 */

#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "include/sysfsd/sysfsd.h"
#include "lib/base/fd.h"
#include "lib/base/number.h"
#include "lib/base/text.h"
#include "lib/client.h"
#include "lib/deadline.h"
#include "lib/oci.h"
#include "lib/pending.h"

#define EXIT_USAGE 2
#define TIMEOUT_MAX_SEC 300

typedef enum Stage {
    STAGE_BY_STATUS,
    STAGE_START,            /* prestart, createRuntime: the host's namespaces */
    STAGE_CREATE_CONTAINER, /* the container's namespaces, before pivot_root */
    STAGE_POSTSTOP,
} Stage;

static const char *arg_runtime_dir = SYSFSD_DEFAULT_RUNTIME_DIR;
static bool arg_required = false;
static int arg_timeout_msec = SYSFSD_DEFAULT_TIMEOUT_MSEC;
static Stage arg_stage = STAGE_BY_STATUS;

/* One line on stderr. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    sf_make_printable(line);
    (void)fprintf(stderr, "sysfs-hook: %s\n", line);
}

static void print_help(void)
{
    puts("Usage: sysfs-hook [OPTION]... [prestart|createRuntime|createContainer|poststop]\n"
         "Give the container whose OCI state is on standard input its views of /proc and /sys,\n"
         "or take them away.\n\n"
         "  --runtime-dir DIR   the daemon's runtime directory (default " SYSFSD_DEFAULT_RUNTIME_DIR
         ")\n"
         "  --required          a daemon that cannot be reached stops the container\n"
         "  --timeout SECONDS   give up after this time (default 5)\n"
         "  --help, --version\n\n"
         "Without a stage the state's status decides: stopped is poststop.");
}

static int parse_timeout(const char *text)
{
    uint64_t seconds;
    int r = sf_slice_u64(sf_slice_str(text), &seconds);
    if (r < 0 || seconds < 1 || seconds > TIMEOUT_MAX_SEC) {
        say("--timeout %.40s: not a number of seconds from 1 to %d", text, TIMEOUT_MAX_SEC);
        return -EINVAL;
    }
    arg_timeout_msec = (int)seconds * 1000;
    return 0;
}

static int parse_stage(const char *text)
{
    static const struct {
        const char *name;
        Stage stage;
    } stages[] = {
        {"prestart", STAGE_START},
        {"createRuntime", STAGE_START},
        {"createContainer", STAGE_CREATE_CONTAINER},
        {"poststop", STAGE_POSTSTOP},
    };
    for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
        if (strcmp(text, stages[i].name) == 0) {
            arg_stage = stages[i].stage;
            return 0;
        }
    }
    say("stage %.40s: not prestart, createRuntime, createContainer or poststop", text);
    return -EINVAL;
}

/* 1: go on, 0: help or version was asked for, -EINVAL: wrong usage, told. */
static int parse_argv(int argc, char **argv)
{
    enum { OPT_RUNTIME_DIR = 256, OPT_REQUIRED, OPT_TIMEOUT, OPT_HELP, OPT_VERSION };
    static const struct option options[] = {
        {"runtime-dir", required_argument, NULL, OPT_RUNTIME_DIR},
        {"required", no_argument, NULL, OPT_REQUIRED},
        {"timeout", required_argument, NULL, OPT_TIMEOUT},
        {"help", no_argument, NULL, OPT_HELP},
        {"version", no_argument, NULL, OPT_VERSION},
        {0},
    };
    opterr = 0;
    int option;
    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        switch (option) {
        case OPT_RUNTIME_DIR:
            arg_runtime_dir = optarg;
            if (!*optarg) {
                say("--runtime-dir: the directory's name is empty");
                return -EINVAL;
            }
            break;
        case OPT_REQUIRED:
            arg_required = true;
            break;
        case OPT_TIMEOUT:
            if (parse_timeout(optarg) < 0)
                return -EINVAL;
            break;
        case OPT_HELP:
            print_help();
            return 0;
        case OPT_VERSION:
            puts("sysfs-hook " SYSFSD_VERSION);
            return 0;
        default:
            if (option == '?' && optopt > 0 && optopt < OPT_RUNTIME_DIR)
                say("unknown option: -%c; see --help", optopt);
            else
                say("%s %.60s; see --help",
                    option == ':' ? "option without its argument:" : "unknown option:",
                    argv[optind - 1]);
            return -EINVAL;
        }
    }
    if (optind < argc && parse_stage(argv[optind++]) < 0)
        return -EINVAL;
    if (optind < argc) {
        say("too many arguments: %.60s", argv[optind]);
        return -EINVAL;
    }
    return 1;
}

/* Runtimes may start a hook with a standard stream closed; what is opened later must not become
 * one. */
static int fill_standard_fds(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
        if (fd < 0)
            return -errno;
    } while (fd <= STDERR_FILENO);
    (void)sf_close(fd);
    return 0;
}

static int read_state(int64_t deadline, SfOciState *ret_state)
{
    SF_CLEANUP_FREE char *text = NULL;
    size_t len = 0;
    int r = sf_oci_state_read(STDIN_FILENO, deadline, &text, &len);
    if (r < 0) {
        const char *why = r == -ENODATA     ? "standard input has no state"
                          : r == -EFBIG     ? "it is larger than 1 MiB"
                          : r == -ETIMEDOUT ? "its end did not come in time"
                                            : strerrordesc_np(-r);
        say("read the container's state: %s", why);
        return r;
    }
    char error[512] = "no memory";
    r = sf_oci_state_parse(text, len, ret_state, error, sizeof(error));
    if (r < 0)
        say("read the container's state: %s", error);
    return r;
}

static bool is_unreachable_config(int error)
{
    return error == -ENOENT || error == -EACCES || error == -ENOTDIR;
}

/* Adds config.json's part, and finds the root file system. */
static int complete_state(SfOciState *state, Stage stage)
{
    char error[512] = "no memory";
    int r = sf_oci_config_read(state, error, sizeof(error));
    /* Below a 0700 directory it cannot be read from a user namespace; crun's state names the root,
     * runc's hooks start in it. */
    if (is_unreachable_config(r) && !state->rootfs && stage == STAGE_CREATE_CONTAINER)
        state->rootfs = getcwd(NULL, 0);
    if (r < 0 && !(is_unreachable_config(r) && state->rootfs)) {
        say("read the configuration of container %s: %s", state->id, error);
        return r;
    }
    if (!state->rootfs) {
        say("container %s: neither config.json nor the state names a root file system", state->id);
        return -EINVAL;
    }
    return 0;
}

/* The container or its configuration is wrong: never let such a one start half way. The rest says
 * that there is no view to be had here and now. */
static bool is_bad_input(int error)
{
    return error == -EINVAL || error == -ESRCH || error == -EEXIST || error == -ELOOP ||
           error == -EXDEV;
}

/* While no daemon runs somebody holds its socket: then nobody refuses the hook, and nobody answers.
 */
static bool is_no_answer(int error)
{
    return error == -ENOENT || error == -ECONNREFUSED || error == -ETIMEDOUT ||
           error == -ECONNRESET || error == -EPIPE;
}

static int start(SfOciState *state, Stage stage, int64_t deadline)
{
    if (!state->enable)
        return EXIT_SUCCESS;
    if (complete_state(state, stage) < 0)
        return EXIT_FAILURE;
    if (!state->enable)
        return EXIT_SUCCESS;
    /* In the container's pid namespace the state's pid means nothing; the runtime's init process,
     * which becomes the container's, has started this hook. */
    pid_t pid = stage == STAGE_CREATE_CONTAINER ? getppid() : state->pid;
    if (pid <= 0) {
        say("container %s: %s", state->id,
            stage == STAGE_CREATE_CONTAINER ? "the hook's parent is not in its pid namespace"
                                            : "the state has no pid");
        return EXIT_FAILURE;
    }
    int left = sf_deadline_left(deadline);
    struct sysfsd_attach_args args = {
        .size = sizeof(args),
        .runtime_dir = arg_runtime_dir,
        .id = state->id,
        .pid = pid,
        .rootfs = state->rootfs,
        .bundle = state->bundle,
        .annotations = state->annotations,
        .annotation_count = state->annotation_count,
        .timeout_msec = left > 0 ? left : 1,
    };
    char error[768] = "no memory";
    int r = sysfsd_attach(&args, NULL, error, sizeof(error));
    if (r == 0)
        return EXIT_SUCCESS;
    const char *hint =
        stage == STAGE_CREATE_CONTAINER && !is_bad_input(r) ? "; use the createRuntime stage" : "";
    if (is_bad_input(r) || arg_required || state->required) {
        say("%s%s", error, hint);
        return EXIT_FAILURE;
    }
    bool noted =
        stage == STAGE_START && is_no_answer(r) && sf_pending_write(arg_runtime_dir, &args) == 0;
    say("warning: container %s starts with the host's files%s: %s%s", state->id,
        noted ? ", until a daemon answers" : "", error, hint);
    return EXIT_SUCCESS;
}

/* Whether the daemon has another container under this id: one that was refused because its id was
 * taken is stopped too, and must not take the other's view away. */
static bool is_anothers(const SfOciState *state, int64_t deadline)
{
    json_t *parameters = json_pack("{s:s}", "container", state->id);
    SfReply reply = {0};
    int r = parameters ? sf_client_call(arg_runtime_dir, SF_CONTROL_INTERFACE ".Inspect",
                                        parameters, -1, sf_deadline_left(deadline), &reply)
                       : -ENOMEM;
    json_decref(parameters);
    if (r < 0)
        return false; /* Unregister meets the same error and tells it */
    const char *bundle = json_string_value(json_object_get(reply.parameters, "bundle"));
    bool anothers = !reply.error && state->bundle && bundle && strcmp(bundle, state->bundle) != 0;
    sf_reply_clear(&reply);
    return anothers;
}

static int stop(const SfOciState *state, int64_t deadline)
{
    if (!state->enable)
        return EXIT_SUCCESS;
    sf_pending_remove(arg_runtime_dir, state->id);
    if (is_anothers(state, deadline))
        return EXIT_SUCCESS;
    char error[768] = "no memory";
    int left = sf_deadline_left(deadline);
    int r = sysfsd_detach(arg_runtime_dir, state->id, 0, left > 0 ? left : 1, error, sizeof(error));
    if (r < 0)
        say("warning: container %s is not unregistered: %s", state->id, error);
    return EXIT_SUCCESS;
}

/* A pid of 0 or 1 is no container's on the host: the runtime told its number inside (runc 1, crun
 * 0). */
static Stage stage_of(const SfOciState *state)
{
    if (arg_stage != STAGE_BY_STATUS)
        return arg_stage;
    if (strcmp(state->status, "stopped") == 0)
        return STAGE_POSTSTOP;
    return state->pid <= 1 && state->status[0] ? STAGE_CREATE_CONTAINER : STAGE_START;
}

int main(int argc, char **argv)
{
    int64_t started = sf_monotonic_msec();
    if (fill_standard_fds() < 0)
        return EXIT_FAILURE;
    (void)signal(SIGPIPE, SIG_IGN); /* a runtime that reads no stderr must not kill us half way */
    int r = parse_argv(argc, argv);
    if (r == 0 && fflush(stdout) != 0) {
        say("standard output: %s", strerrordesc_np(errno));
        return EXIT_FAILURE;
    }
    if (r <= 0)
        return r < 0 ? EXIT_USAGE : EXIT_SUCCESS;

    int64_t deadline = started + arg_timeout_msec;
    SfOciState state = {0};
    if (read_state(deadline, &state) < 0)
        return EXIT_FAILURE;
    Stage stage = stage_of(&state);
    int status = stage == STAGE_POSTSTOP ? stop(&state, deadline) : start(&state, stage, deadline);
    sf_oci_state_clear(&state);
    return status;
}
