/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making the errors of the control interface: sentences that stay one line of bounded length and
 * valid UTF-8, whatever of a peer's they quote. It decides nothing.
 */

#include "daemon/control/error.h"

#include <glib.h>
#include <stdbool.h>

/* A peer's string may have a frame's length, and ends up in the log. */
#define MESSAGE_MAX 1000

void sf_control_error_clear(SfControlError *error)
{
    json_decref(error->details);
    *error = (SfControlError){0};
}

G_GNUC_PRINTF(1, 0)
static char *make_sentence(const char *format, va_list arguments)
{
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    /* JSON is UTF-8, the paths that are quoted need not be. */
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    GString *sentence = g_string_new(NULL);

    for (const char *at = valid; *at; at = g_utf8_next_char(at)) {
        gunichar c = g_utf8_get_char(at);
        if (sentence->len >= MESSAGE_MAX) {
            g_string_append(sentence, "...");
            break;
        }
        /* The line and paragraph separators are not controls to Unicode, but end a line. */
        bool shown = g_unichar_isprint(c) && c != 0x2028 && c != 0x2029;
        g_string_append_unichar(sentence, shown ? c : '?');
    }
    return g_string_free(sentence, FALSE);
}

G_GNUC_PRINTF(3, 0)
static int set(SfControlError *error, const char *name, const char *format, va_list arguments)
{
    g_autofree char *message = make_sentence(format, arguments);

    error->name = name;
    error->details = json_pack("{s:s}", "message", message);
    return -1;
}

int sf_fail(SfControlError *error, const char *name, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)set(error, name, format, arguments);
    va_end(arguments);
    return -1;
}

int sf_fail_parameter(SfControlError *error, const char *parameter, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)set(error, "InvalidParameter", format, arguments);
    va_end(arguments);
    (void)json_object_set_new(error->details, "parameter", json_string(parameter));
    return -1;
}

int sf_fail_errno(SfControlError *error, int r, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    g_autofree char *what = make_sentence(format, arguments);
    va_end(arguments);
    g_autofree char *message = g_strconcat(what, ": ", g_strerror(-r), NULL);
    error->name = "Failed";
    error->details = json_pack("{s:s}", "message", message);
    (void)json_object_set_new(error->details, "errno", json_integer(-r));
    return -1;
}
