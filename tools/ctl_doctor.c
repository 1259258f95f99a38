/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The verb doctor: runs the checks and prints their report. It changes nothing on the host, and
 * needs neither a daemon nor root: what it may not look at is a result too.
 */

#include "tools/ctl_doctor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tools/ctl_table.h"

static const char *const result_names[] = {"ok", "warn", "fail"};
static const SfColour result_colours[] = {SF_COLOUR_GREEN, SF_COLOUR_YELLOW, SF_COLOUR_RED};

void sf_doctor_add(SfDoctor *doctor, const char *name, SfCheckResult result, const char *remedy,
                   const char *format, ...)
{
    char detail[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    /* A path of the host that is not UTF-8 leaves the member out. */
    json_t *check = json_pack("{s:s, s:s, s:s*, s:s*}", "name", name, "result",
                              result_names[result], "detail", detail, "remedy", remedy);
    (void)json_array_append_new(doctor->checks, check); /* refuses NULL: found by the count */
    doctor->count[result]++;
}

static void check_daemon(SfDoctor *doctor)
{
    const char *dir = doctor->ctl->runtime_dir;
    SfReply reply = {0};
    int r =
        sf_client_call(dir, SF_CONTROL_INTERFACE ".Status", NULL, -1, SF_CTL_TIMEOUT_MSEC, &reply);
    if (r < 0) {
        const char *remedy = "start it: systemctl start sysfsd; look at journalctl -u sysfsd";
        if (r == -EACCES)
            remedy = "run sysfs-ctl as root";
        sf_doctor_add(doctor, "daemon", SF_CHECK_FAIL, remedy, "%s/control.sock: %s", dir,
                      sf_ctl_transport_error(r));
        return;
    }
    const char *version = sf_ctl_string(reply.parameters, "version");
    if (reply.error)
        sf_doctor_add(doctor, "daemon", SF_CHECK_FAIL, "run sysfs-ctl as the host's root",
                      "%s/control.sock: %s", dir, reply.message ? reply.message : reply.error);
    else if (strcmp(version, SYSFSD_VERSION) != 0)
        sf_doctor_add(doctor, "daemon", SF_CHECK_WARN, "restart it: systemctl restart sysfsd",
                      "version %s runs, this is %s", version, SYSFSD_VERSION);
    else
        sf_doctor_add(doctor, "daemon", SF_CHECK_OK, NULL,
                      "version %s, pid %" PRIu64 ", containers: %" PRIu64, version,
                      sf_ctl_number(reply.parameters, "pid"),
                      sf_ctl_number(reply.parameters, "containers"));
    sf_reply_clear(&reply);
}

static SfCtlExit print_report(const SfDoctor *doctor)
{
    SfTable table = {.columns = 4};
    size_t i;
    json_t *check;
    json_array_foreach(doctor->checks, i, check)
    {
        const char *result = sf_ctl_string(check, "result");
        SfColour colour = SF_COLOUR_NONE;
        for (size_t k = 0; k < sizeof(result_names) / sizeof(result_names[0]); k++)
            if (strcmp(result, result_names[k]) == 0)
                colour = result_colours[k];
        const char *remedy = sf_ctl_string(check, "remedy");
        sf_table_cell(&table, colour, "%s", result);
        sf_table_cell(&table, SF_COLOUR_NONE, "%s", sf_ctl_string(check, "name"));
        sf_table_cell(&table, SF_COLOUR_NONE, "%s", sf_ctl_string(check, "detail"));
        sf_table_cell(&table, SF_COLOUR_NONE, "%s%s", remedy[0] ? "-> " : "", remedy);
    }
    return sf_table_print(&table, doctor->ctl);
}

SfCtlExit sf_ctl_doctor(const SfCtl *ctl, int argc, char **args)
{
    SfDoctor doctor = {.ctl = ctl, .checks = json_array()};
    sf_doctor_host(&doctor);
    sf_doctor_cgroups(&doctor);
    check_daemon(&doctor);
    sf_doctor_engines(&doctor);

    unsigned total =
        doctor.count[SF_CHECK_OK] + doctor.count[SF_CHECK_WARN] + doctor.count[SF_CHECK_FAIL];
    if (json_array_size(doctor.checks) != total) {
        json_decref(doctor.checks);
        return sf_ctl_fail(SF_CTL_FAILED, "doctor: out of memory");
    }
    bool failed = doctor.count[SF_CHECK_FAIL] > 0;
    SfCtlExit code;
    if (ctl->json) {
        code = sf_ctl_print_json(json_pack("{s:b, s:o}", "ok", !failed, "checks", doctor.checks));
    } else {
        code = print_report(&doctor);
        json_decref(doctor.checks);
    }
    return code == SF_CTL_OK && failed ? SF_CTL_FAILED : code;
}
