/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Calls to the daemon and what their errors mean: the exit code and the one line for people are
 * decided here, for all verbs.
 */

#include "tools/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/id.h"
#include "lib/base/number.h"

#define LINE_MAX_BYTES 1024u
/* Of a longer one, its end, which says why. */
#define LINE_TAIL 200u

/* What was named may be of any length. */
static void shorten(char *line)
{
    static const char gap[] = " ... ";
    size_t len = strlen(line), tail = LINE_TAIL + sizeof(gap) - 1;

    if (len <= LINE_MAX_BYTES)
        return;
    memcpy(line + LINE_MAX_BYTES - tail, gap, sizeof(gap) - 1);
    memmove(line + LINE_MAX_BYTES - LINE_TAIL, line + len - LINE_TAIL, LINE_TAIL + 1);
}

SfCtlExit sf_ctl_fail(SfCtlExit code, const char *format, ...)
{
    SF_CLEANUP_FREE char *line = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&line, format, args) < 0)
        line = strdup("out of memory");
    va_end(args);
    if (!line)
        return code;
    shorten(line);
    sf_make_printable(line);
    (void)fflush(stdout); /* so that the order is kept where both go to one file */
    (void)fprintf(stderr, "sysfs-ctl: %s\n", line);
    return code;
}

const char *sf_ctl_string(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value ? value : "";
}

uint64_t sf_ctl_number(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value > 0 ? (uint64_t)value : 0;
}

const char *sf_ctl_transport_error(int error)
{
    switch (error) {
    case -ENOENT:
    case -ECONNREFUSED:
        return "no daemon is running there";
    case -EACCES:
        return "permission denied, run sysfs-ctl as root";
    case -EPERM:
        return "the socket does not belong to root, it is not used";
    case -ETIMEDOUT:
        return "the daemon did not answer in time";
    case -ECONNRESET:
        return "the daemon closed the connection without an answer";
    case -EBADMSG:
    case -EPROTO:
        return "what answers there is not sysfsd";
    }
    const char *text = strerrordesc_np(-error);
    return text ? text : "unknown error";
}

/* "a, b, c" in one line, however many there are. */
static void join_candidates(const json_t *candidates, SfText *text)
{
    size_t i;
    json_t *value;
    json_array_foreach(candidates, i, value)
    {
        const char *id = json_string_value(value);
        if (id)
            sf_text_printf(text, "%s%s", text->len ? ", " : "", id);
    }
}

static SfCtlExit tell_error(const SfReply *reply, const char *object)
{
    const char *prefix = SF_CONTROL_INTERFACE ".";
    const char *name = reply->error;
    if (strncmp(name, prefix, strlen(prefix)) == 0)
        name += strlen(prefix);
    const char *why = reply->message ? reply->message : name;

    if (strcmp(name, "NoSuchContainer") == 0)
        return sf_ctl_fail(SF_CTL_NO_CONTAINER, "%s: no such container", object);
    if (strcmp(name, "NotUnique") == 0) {
        SF_CLEANUP_TEXT SfText candidates = SF_TEXT_INIT;
        join_candidates(json_object_get(reply->parameters, "candidates"), &candidates);
        return sf_ctl_fail(SF_CTL_NO_CONTAINER, "%s: not unique, could be: %s", object,
                           candidates.data ? candidates.data : why);
    }
    return sf_ctl_fail(SF_CTL_FAILED, "%s: %s", object, why);
}

SfCtlExit sf_ctl_call(const SfCtl *ctl, const char *method, json_t *parameters, const char *object,
                      json_t **ret_parameters)
{
    char full[128];
    (void)snprintf(full, sizeof(full), SF_CONTROL_INTERFACE ".%s", method);
    SfReply reply = {0};
    int r = sf_client_call(ctl->runtime_dir, full, parameters, -1, SF_CTL_TIMEOUT_MSEC, &reply);
    json_decref(parameters);
    if (r == -ENOMEM)
        return sf_ctl_fail(SF_CTL_FAILED, "%s: out of memory", object);
    if (r < 0)
        return sf_ctl_fail(SF_CTL_UNREACHABLE, "%s/control.sock: %s", ctl->runtime_dir,
                           sf_ctl_transport_error(r));
    SfCtlExit code = SF_CTL_OK;
    if (reply.error)
        code = tell_error(&reply, object);
    else
        *ret_parameters = json_incref(reply.parameters);
    sf_reply_clear(&reply);
    return code;
}

static bool is_pid_form(const char *name)
{
    uint64_t pid;
    return strncmp(name, "pid:", 4) == 0 && sf_slice_u64(sf_slice_str(name + 4), &pid) == 0 &&
           pid > 0;
}

SfCtlExit sf_ctl_find(const SfCtl *ctl, const char *name, json_t **ret_container)
{
    /* An empty name is a prefix of every ID: a script's unset variable must not name a container.
     */
    if (!name[0])
        return sf_ctl_fail(SF_CTL_USAGE, "the container's name is empty");
    if (!is_pid_form(name) && !sf_id_valid(name))
        return sf_ctl_fail(SF_CTL_NO_CONTAINER, "%s: no such container", name);
    json_t *parameters = json_pack("{s:s}", "container", name);
    if (!parameters)
        return sf_ctl_fail(SF_CTL_FAILED, "%s: out of memory", name);
    json_t *container = NULL;
    SfCtlExit code = sf_ctl_call(ctl, "Inspect", parameters, name, &container);
    if (code != SF_CTL_OK)
        return code;
    if (!sf_id_valid(sf_ctl_string(container, "id"))) {
        json_decref(container);
        return sf_ctl_fail(SF_CTL_FAILED, "%s: the daemon's answer is malformed", name);
    }
    *ret_container = container;
    return SF_CTL_OK;
}

SfCtlExit sf_ctl_print_json(json_t *document)
{
    if (!document)
        return sf_ctl_fail(SF_CTL_FAILED, "output: out of memory");
    /* ASCII: what a container named reaches a terminal as an escape. */
    int r = json_dumpf(document, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    json_decref(document);
    (void)putchar('\n');
    /* A stdout that cannot be written is told by main(), once for all verbs. */
    return r < 0 && !ferror(stdout) ? sf_ctl_fail(SF_CTL_FAILED, "output: out of memory")
                                    : SF_CTL_OK;
}
