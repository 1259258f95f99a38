/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The operator's tool: options, the table of verbs, nothing else. What a verb does is in its
 * ctl_*.c; what a container sees is never decided here, it is asked of the daemon or read from the
 * view.
 */

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "include/sysfsd/sysfsd.h"
#include "lib/base/id.h"
#include "lib/base/number.h"
#include "tools/ctl.h"

typedef struct Verb {
    const char *name;
    int min_args, max_args;
    const char *synopsis; /* of its arguments */
    const char *help;
    SfCtlExit (*run)(const SfCtl *ctl, int argc, char **args);
} Verb;

static const Verb verbs[] = {
    {"list", 0, 0, "", "one line a container", sf_ctl_list},
    {"inspect", 1, 1, "CTR", "everything about one container", sf_ctl_inspect},
    {"cat", 2, 2, "CTR PATH", "a file's text, as the container reads it", sf_ctl_cat},
    {"diff", 1, 2, "CTR [PATH]", "unified diff, host against view", sf_ctl_diff},
    {"attach", 0, 0, "--pid PID [--id ID]", "give a running container its views", sf_ctl_attach},
    {"detach", 1, 1, "CTR", "take them away again", sf_ctl_detach},
    {"status", 0, 0, "", "the daemon", sf_ctl_status},
    {"doctor", 0, 0, "", "what works on this host, and the remedies", sf_ctl_doctor},
};

static void print_help(void)
{
    puts("Usage: sysfs-ctl [OPTION]... VERB [ARGUMENT]...\n"
         "Look at the views of /proc and /sys that sysfsd gives containers, and change them.\n"
         "\n"
         "Verbs:");
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        printf("  %-7s %-19s  %s\n", verbs[i].name, verbs[i].synopsis, verbs[i].help);
    puts("\n"
         "CTR is an ID, a unique prefix of one, or pid:N (any process in the container).\n"
         "\n"
         "Options:\n"
         "      --runtime-dir DIR  the daemon's runtime directory (" SYSFSD_DEFAULT_RUNTIME_DIR
         ")\n"
         "      --json             one JSON document on standard output\n"
         "      --pid PID          attach: a process of the container\n"
         "      --id ID            attach: the name to register it under (pid-PID)\n"
         "      --version          print the version\n"
         "  -h, --help             print this\n"
         "\n"
         "Exit status: 0 ok, 1 failed, 2 wrong usage, 3 no such container, 4 daemon unreachable.");
}

static int parse_pid(const char *text, pid_t *ret_pid)
{
    uint64_t pid;
    if (sf_slice_u64(sf_slice_str(text), &pid) < 0 || pid == 0 || pid > INT_MAX)
        return -EINVAL;
    *ret_pid = (pid_t)pid;
    return 0;
}

enum { OPT_RUNTIME_DIR = 256, OPT_JSON, OPT_PID, OPT_ID, OPT_VERSION };

static const struct option options[] = {
    {"runtime-dir", required_argument, NULL, OPT_RUNTIME_DIR},
    {"json", no_argument, NULL, OPT_JSON},
    {"pid", required_argument, NULL, OPT_PID},
    {"id", required_argument, NULL, OPT_ID},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static int set_option(SfCtl *ctl, int option)
{
    switch (option) {
    case OPT_RUNTIME_DIR:
        if (!optarg[0]) {
            (void)sf_ctl_fail(SF_CTL_USAGE, "--runtime-dir: the directory's name is empty");
            return -EINVAL;
        }
        ctl->runtime_dir = optarg;
        return 0;
    case OPT_JSON:
        ctl->json = true;
        return 0;
    case OPT_PID:
        if (parse_pid(optarg, &ctl->pid) < 0) {
            (void)sf_ctl_fail(SF_CTL_USAGE, "--pid %s: not a process ID", optarg);
            return -EINVAL;
        }
        return 0;
    case OPT_ID:
        if (!sf_id_valid(optarg)) {
            (void)sf_ctl_fail(SF_CTL_USAGE, "--id %s: not 1-128 of [A-Za-z0-9_.-]", optarg);
            return -EINVAL;
        }
        ctl->id = optarg;
        return 0;
    default: /* getopt has told */
        return -EINVAL;
    }
}

/* 1 to go on with the verb at optind, 0 when all is done, negative errno on wrong usage. */
static int parse_options(int argc, char **argv, SfCtl *ctl)
{
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h') {
            print_help();
            return 0;
        }
        if (option == OPT_VERSION) {
            puts("sysfs-ctl " SYSFSD_VERSION);
            return 0;
        }
        int r = set_option(ctl, option);
        if (r < 0)
            return r;
    }
    return 1;
}

static const Verb *find_verb(const char *name)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

static SfCtlExit run(const SfCtl *ctl, int argc, char **args)
{
    if (argc == 0)
        return sf_ctl_fail(SF_CTL_USAGE, "no verb is given, see sysfs-ctl --help");
    const Verb *verb = find_verb(args[0]);
    if (!verb)
        return sf_ctl_fail(SF_CTL_USAGE, "%s: no such verb, see sysfs-ctl --help", args[0]);
    if (argc - 1 < verb->min_args || argc - 1 > verb->max_args)
        return sf_ctl_fail(SF_CTL_USAGE, "%s: wrong number of arguments, usage: sysfs-ctl %s%s%s",
                           verb->name, verb->name, verb->synopsis[0] ? " " : "", verb->synopsis);
    bool attach = verb->run == sf_ctl_attach;
    if (!attach && (ctl->pid || ctl->id))
        return sf_ctl_fail(SF_CTL_USAGE, "%s: --pid and --id are options of attach", verb->name);
    if (attach && !ctl->pid)
        return sf_ctl_fail(SF_CTL_USAGE, "attach: --pid is missing");
    return verb->run(ctl, argc - 1, args + 1);
}

/* no-color.org: set and not empty, whatever the value. */
static bool wants_colour(void)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    return (!no_color || !no_color[0]) && term && strcmp(term, "dumb") != 0;
}

int main(int argc, char **argv)
{
    /* A reader that went away is an error of the output, told below, not a death in a half-made
     * attach. */
    (void)signal(SIGPIPE, SIG_IGN);
    SfCtl ctl = {.runtime_dir = SYSFSD_DEFAULT_RUNTIME_DIR, .terminal = isatty(STDOUT_FILENO) == 1};
    ctl.colour = ctl.terminal && wants_colour();

    char name[] = "sysfs-ctl"; /* getopt's messages begin with it, as ours do */
    if (argc > 0)
        argv[0] = name;
    SfCtlExit code = SF_CTL_OK;
    int r = parse_options(argc, argv, &ctl);
    if (r < 0)
        code = SF_CTL_USAGE;
    else if (r > 0)
        code = run(&ctl, argc - optind, argv + optind);
    if (fflush(stdout) == EOF || ferror(stdout)) {
        /* `sysfs-ctl list | head -1` is no failure worth a line. */
        if (errno != EPIPE)
            (void)sf_ctl_fail(SF_CTL_FAILED, "standard output: %s", strerrordesc_np(errno));
        return code == SF_CTL_OK ? SF_CTL_FAILED : code;
    }
    return code;
}
