/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dropping privileges with libcap. Nothing here gains any.
 */

#include "daemon/privileges.h"

#include <errno.h>
#include <stdbool.h>
#include <glib.h>
#include <sys/capability.h>
#include <sys/prctl.h>

static const struct {
    cap_value_t value;
    const char *name;
    bool optional; /* kept where it is held */
} needed[] = {
    {CAP_SYS_ADMIN, "CAP_SYS_ADMIN"},   /* mount(2), umount2(2) of the views */
    {CAP_SYS_PTRACE, "CAP_SYS_PTRACE"}, /* /proc/PID/ns of other users' processes; hidepid= */
    {CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"}, /* cgroups delegated to other users */
    {CAP_SYS_CHROOT, "CAP_SYS_CHROOT", true},     /* setns(2) to attach views again, in a child */
    {CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE", true}, /* pressure triggers in such cgroups */
    {CAP_SYS_RESOURCE, "CAP_SYS_RESOURCE", true}, /* pressure triggers of any window */
};

static int drop_bounding_set(void)
{
    for (cap_value_t value = 0; value < cap_max_bits(); value++) {
        bool keep = false;
        for (unsigned i = 0; i < G_N_ELEMENTS(needed); i++)
            keep |= needed[i].value == value;
        /* EPERM without CAP_SETPCAP: a service manager has bounded it already. */
        if (!keep && cap_get_bound(value) == 1 && cap_drop_bound(value) < 0 && errno != EPERM)
            return -errno;
    }
    return 0;
}

static int set_capabilities(const char **ret_missing)
{
    cap_t now = cap_get_proc();
    cap_t wanted = cap_init();
    int r = now && wanted ? 0 : -ENOMEM;

    for (unsigned i = 0; r == 0 && i < G_N_ELEMENTS(needed); i++) {
        cap_flag_value_t held = CAP_CLEAR;
        (void)cap_get_flag(now, needed[i].value, CAP_PERMITTED,
                           &held); /* fails for unknown values only */
        if (held != CAP_SET && needed[i].optional) {
            continue;
        } else if (held != CAP_SET) {
            *ret_missing = needed[i].name;
            r = -EPERM;
        } else if (cap_set_flag(wanted, CAP_PERMITTED, 1, &needed[i].value, CAP_SET) < 0 ||
                   cap_set_flag(wanted, CAP_EFFECTIVE, 1, &needed[i].value, CAP_SET) < 0) {
            r = -errno;
        }
    }
    if (r == 0 && cap_set_proc(wanted) < 0)
        r = -errno;
    (void)cap_free(now);
    (void)cap_free(wanted);
    return r;
}

int sf_privileges_drop(const char **ret_missing)
{
    *ret_missing = "";
    int r = drop_bounding_set();
    if (r < 0)
        return r;
    if (cap_reset_ambient() < 0)
        return -errno;
    r = set_capabilities(ret_missing);
    if (r < 0)
        return r;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}
