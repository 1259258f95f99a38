/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer behind g_log_structured() and its relatives. It filters by level and never waits for a
 * reader: a line that nobody takes is dropped.
 */

#include "daemon/log.h"

#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/text.h"

static _Atomic int least = G_LOG_LEVEL_INFO;

static const char *level_word(GLogLevelFlags level)
{
    switch (level & G_LOG_LEVEL_MASK) {
    case G_LOG_LEVEL_ERROR:
    case G_LOG_LEVEL_CRITICAL:
        return "error";
    case G_LOG_LEVEL_WARNING:
        return "warning";
    case G_LOG_LEVEL_DEBUG:
        return "debug";
    default:
        return "info";
    }
}

static const char *message_of(const GLogField *fields, gsize count)
{
    for (gsize i = 0; i < count; i++) {
        if (strcmp(fields[i].key, "MESSAGE") == 0)
            return fields[i].value;
    }
    return "";
}

static GLogWriterOutput write_log(GLogLevelFlags level, const GLogField *fields, gsize count,
                                  gpointer data)
{
    if ((level & G_LOG_LEVEL_MASK) > (GLogLevelFlags)atomic_load(&least))
        return G_LOG_WRITER_HANDLED;
    if (g_log_writer_is_journald(STDERR_FILENO) &&
        g_log_writer_journald(level, fields, count, data) == G_LOG_WRITER_HANDLED)
        return G_LOG_WRITER_HANDLED;

    g_autofree char *message = g_strdup(message_of(fields, count));
    sf_make_printable(message);
    g_autofree char *line = g_strdup_printf("sysfsd: %s: %s\n", level_word(level), message);
    /* One write, so that lines of several threads are not mixed. A pipe that is writable takes
     * PIPE_BUF bytes without a wait (pipe(7)). A log that cannot be written is nobody's to be told.
     */
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&room, 1, 0) != 1 || !(room.revents & POLLOUT))
        return G_LOG_WRITER_HANDLED;
    size_t len = strlen(line);
    if (len > PIPE_BUF)
        line[(len = PIPE_BUF) - 1] = '\n';
    ssize_t n = write(STDERR_FILENO, line, len);
    return n < 0 ? G_LOG_WRITER_UNHANDLED : G_LOG_WRITER_HANDLED;
}

void sf_log_start(void)
{
    g_log_set_writer_func(write_log, NULL, NULL);
}

void sf_log_set_level(GLogLevelFlags level)
{
    atomic_store(&least, (int)level);
}
