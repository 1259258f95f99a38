/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The verbs attach and detach: libsysfsd does both, here is only who is meant and what is said.
 */

#include <limits.h>
#include <stdio.h>

#include "include/sysfsd/sysfsd.h"
#include "tools/ctl.h"

#define ERROR_MAX 768

SfCtlExit sf_ctl_attach(const SfCtl *ctl, int argc, char **args)
{
    char default_id[32];
    (void)snprintf(default_id, sizeof(default_id), "pid-%d", (int)ctl->pid);
    const char *id = ctl->id ? ctl->id : default_id;
    /* The library's errno cannot tell an absent daemon from a file that is absent. */
    json_t *status = NULL;
    SfCtlExit code = sf_ctl_call(ctl, "Status", NULL, id, &status);
    if (code != SF_CTL_OK)
        return code;
    json_decref(status);

    struct sysfsd_attach_args attach = {
        .size = sizeof(attach),
        .runtime_dir = ctl->runtime_dir,
        .id = id,
        .pid = ctl->pid,
        .timeout_msec = SF_CTL_TIMEOUT_MSEC,
    };
    char error[ERROR_MAX] = "no memory";
    unsigned attached = 0;
    if (sysfsd_attach(&attach, &attached, error, sizeof(error)) < 0)
        return sf_ctl_fail(SF_CTL_FAILED, "%s", error);
    if (ctl->json)
        return sf_ctl_print_json(json_pack("{s:s, s:i, s:i}", "id", id, "pid", (int)ctl->pid,
                                           "attached", (int)attached));
    if (attached == 0)
        printf("%s: no view, the daemon's configuration gives it none\n", id);
    else
        printf("%s: %u files attached\n", id, attached);
    return SF_CTL_OK;
}

SfCtlExit sf_ctl_detach(const SfCtl *ctl, int argc, char **args)
{
    json_t *container = NULL;
    SfCtlExit code = sf_ctl_find(ctl, args[0], &container);
    if (code != SF_CTL_OK)
        return code;
    const char *id = sf_ctl_string(container, "id");
    uint64_t pid = sf_ctl_number(container, "pid");
    char error[ERROR_MAX] = "no memory";
    if (pid == 0 || pid > INT_MAX)
        code = sf_ctl_fail(SF_CTL_FAILED, "%s: the daemon's answer is malformed", id);
    else if (sysfsd_detach(ctl->runtime_dir, id, (pid_t)pid, SF_CTL_TIMEOUT_MSEC, error,
                           sizeof(error)) < 0)
        code = sf_ctl_fail(SF_CTL_FAILED, "%s", error);
    else if (ctl->json)
        code = sf_ctl_print_json(json_pack("{s:s, s:i}", "id", id, "pid", (int)pid));
    else
        printf("%s: detached\n", id);
    json_decref(container);
    return code;
}
