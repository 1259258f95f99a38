/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts the daemon, holds the fds it hands over, starts it again when it dies, and hands them to
 * the next one. SIGTERM and SIGINT are passed on and end both; SIGHUP executes the file on disk
 * anew, this process included. It must not fail for want of memory or fds: what it needs is there
 * from the start, and what cannot be had is tried again.
 */

#include "daemon/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "daemon/control/registry.h"
#include "lib/base/fd.h"

#define STORE_MAX 36864u
#define NAME_MAX_BYTES 40u
#define MESSAGE_MAX 4096u
#define FIRST_FD 3
#define WATCHDOG_SEC 30
/* A daemon that lived for less and was not ready has failed to start: the next one waits, twice as
 * long each time. Where many in a row were ready and died young, each waits the shortest time:
 * readers may get their answers between two deaths. */
#define SHORT_LIFE_MSEC 1000
#define SHORT_LIVES 100
#define PAUSE_MIN_MSEC 100
#define PAUSE_MAX_MSEC 5000
/* Time for an orderly end. */
#define STOP_MSEC 10000
/* Time for a program to say that it would start. */
#define TRIAL_MSEC 5000
/* Time for another daemon, which may be about to end, to give up the runtime directory. */
#define REFUSED_MSEC 3000
/* Closing a file can take the kernel some 10 ms, in which a container has made and closed the next
 * one: signals and the watchdog are looked at in between. */
#define MESSAGES_AT_ONCE 16u
/* More than wait for us: net.unix.max_dgram_qlen is 10, or 512 with systemd. Without a limit others
 * of root, who are not heard, could keep us there. */
#define LAST_MESSAGES 16384u
#define DISPLACED_MAX 32
/* There are not so many options. */
#define ARGUMENTS_MAX 64

typedef struct Stored {
    char name[NAME_MAX_BYTES];
    int fd;
} Stored;

/* A file that is not held, and was at a number where a held one went. */
typedef struct Displaced {
    int fd, was_fd;
} Displaced;

/* One process supervises: all of this is the main thread's. */
static struct {
    Stored stored[STORE_MAX];
    unsigned count;
    Displaced displaced[DISPLACED_MAX];
    unsigned displaced_count;
    char names[STORE_MAX * NAME_MAX_BYTES]; /* for LISTEN_FDNAMES */
    char *path;                             /* of the daemon's program */
    int socket_fd, signal_fd;
    int directory_fd;   /* the socket's, which is mounted nowhere */
    char address[64];   /* NOTIFY_SOCKET */
    pid_t child;        /* 0: none */
    int64_t begun_msec; /* this process */
    int64_t started_msec, heard_msec, next_start_msec, kill_msec;
    int pause_msec;
    bool ready;   /* the child has said so */
    bool refused; /* it has said that another daemon serves */
    bool served;  /* a child was ready, or has left something */
    unsigned short_lives;
    bool own_program; /* the child is of the program that this process runs, not of path */
    int stopping;     /* the signal that said so, or 0 */
    bool last;        /* the child was started to end the views */
    bool renewing, told_ready;
} s;

static int64_t now_msec(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void ask_to_end(int signal_number)
{
    if (s.child)
        (void)kill(s.child, signal_number);
    if (s.kill_msec == 0)
        s.kill_msec = now_msec() + STOP_MSEC;
}

/* ---- the store ---- */

static void store(const char *name, size_t len, int fd)
{
    if (s.count == STORE_MAX || len == 0 || len >= NAME_MAX_BYTES) {
        g_warning("supervise: no room for one more file (%u are held)", s.count);
        (void)sf_close(fd);
        return;
    }
    Stored *stored = &s.stored[s.count++];
    memcpy(stored->name, name, len);
    stored->name[len] = '\0';
    stored->fd = fd;
}

static void drop(const char *name, size_t len)
{
    for (unsigned i = s.count; i-- > 0;) {
        if (strlen(s.stored[i].name) != len || memcmp(s.stored[i].name, name, len) != 0)
            continue;
        (void)sf_close(s.stored[i].fd);
        s.stored[i] = s.stored[--s.count];
    }
}

/* Makes room at the number where stored[i] goes. */
static int clear_place(int target, unsigned i, bool keep_others)
{
    for (unsigned other = i + 1; other < s.count; other++) {
        if (s.stored[other].fd != target)
            continue;
        int moved = fcntl(target, F_DUPFD_CLOEXEC, FIRST_FD + (int)s.count);
        if (moved < 0)
            return -errno;
        s.stored[other].fd = moved;
        return 0;
    }
    if (!keep_others || s.displaced_count == DISPLACED_MAX || fcntl(target, F_GETFD) < 0)
        return 0;
    int moved = fcntl(target, F_DUPFD_CLOEXEC, FIRST_FD + (int)s.count);
    if (moved < 0)
        return -errno;
    s.displaced[s.displaced_count++] = (Displaced){moved, target};
    return 0;
}

/* Moves the files to FIRST_FD and so on, to survive an exec. keep_others: so that step_back() can
 * undo it, also when it fails; else all that is there may be overwritten. */
static int line_up(bool keep_others)
{
    s.displaced_count = 0;
    for (unsigned i = 0; i < s.count; i++) {
        int target = FIRST_FD + (int)i;
        if (s.stored[i].fd == target) {
            if (fcntl(target, F_SETFD, 0) < 0)
                return -errno;
            continue;
        }
        int r = clear_place(target, i, keep_others);
        if (r < 0)
            return r;
        if (dup2(s.stored[i].fd, target) < 0) /* clears FD_CLOEXEC */
            return -errno;
        (void)sf_close(s.stored[i].fd); /* or it would be held twice, and dropped once */
        s.stored[i].fd = target;
    }
    return 0;
}

/* Nothing was executed: what was displaced gets its number back. Those that are held keep their new
 * ones. */
static void step_back(void)
{
    for (unsigned d = 0; d < s.displaced_count; d++) {
        const Displaced *displaced = &s.displaced[d];
        unsigned i = (unsigned)(displaced->was_fd - FIRST_FD);
        if (i < s.count && s.stored[i].fd == displaced->was_fd) {
            int moved = fcntl(displaced->was_fd, F_DUPFD_CLOEXEC, FIRST_FD);
            if (moved < 0)
                continue; /* there was room for one more when it was displaced */
            s.stored[i].fd = moved;
        }
        (void)dup3(displaced->fd, displaced->was_fd, O_CLOEXEC); /* both are valid */
        (void)sf_close(displaced->fd);
    }
    s.displaced_count = 0;
    for (unsigned i = 0; i < s.count; i++)
        (void)fcntl(s.stored[i].fd, F_SETFD, FD_CLOEXEC);
}

static int set_text(const char *name, const char *value)
{
    return setenv(name, value, 1) < 0 ? -errno : 0;
}

static int set_number(const char *name, long long value)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%lld", value);
    return set_text(name, text);
}

/* sd_listen_fds(3) */
static int tell_store(void)
{
    size_t used = 0;
    int r;

    for (unsigned i = 0; i < s.count; i++)
        used += (size_t)snprintf(s.names + used, sizeof(s.names) - used, "%s%s", i ? ":" : "",
                                 s.stored[i].name);
    if ((r = set_number("LISTEN_PID", getpid())) < 0 || (r = set_number("LISTEN_FDS", s.count)) < 0)
        return r;
    return set_text("LISTEN_FDNAMES", s.count ? s.names : "");
}

/* What systemd tells a daemon. */
static int tell_daemon(void)
{
    int r;

    if ((r = tell_store()) < 0 || (r = set_text("NOTIFY_SOCKET", s.address)) < 0 ||
        (r = set_number("FDSTORE", STORE_MAX)) < 0 ||
        (r = set_number("WATCHDOG_USEC", WATCHDOG_SEC * 1000000LL)) < 0)
        return r;
    return set_number("WATCHDOG_PID", getpid());
}

/* What this process was handed over when it executed itself. */
static void take_store(void)
{
    char **names = NULL;
    int n = sd_listen_fds_with_names(1, &names);

    for (int i = 0; i < n; i++)
        store(names[i], strlen(names[i]), SD_LISTEN_FDS_START + i);
    s.served = n > 0;
    for (char **name = names; name && *name; name++)
        free(*name);
    free(names);
}

/* ---- messages ---- */

static void hear_line(const char *line, size_t len, int *fd, const char *fd_name, size_t name_len)
{
    static const char store_line[] = "FDSTORE=1", remove_line[] = "FDSTOREREMOVE=1",
                      alive_line[] = "WATCHDOG=1", ready_line[] = "READY=1",
                      refused_line[] = SF_NOTIFY_REFUSED;

    if (len == sizeof(store_line) - 1 && memcmp(line, store_line, len) == 0 && *fd >= 0)
        store(fd_name, name_len, sf_steal_fd(fd));
    else if (len == sizeof(remove_line) - 1 && memcmp(line, remove_line, len) == 0)
        drop(fd_name, name_len);
    else if (len == sizeof(alive_line) - 1 && memcmp(line, alive_line, len) == 0)
        s.heard_msec = now_msec();
    else if (len == sizeof(ready_line) - 1 && memcmp(line, ready_line, len) == 0)
        s.ready = s.served = true;
    else if (len == sizeof(refused_line) - 1 && memcmp(line, refused_line, len) == 0)
        s.refused = true;
}

/* What a daemon leaves is ours where we are a container's first process. */
static void reap_orphans(void)
{
    siginfo_t info = {0};

    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0 &&
           info.si_pid != s.child) {
        (void)waitpid(info.si_pid, NULL, WNOHANG);
        info.si_pid = 0;
    }
}

static void hear_text(char *text, size_t len, int *fd)
{
    static const char name_key[] = "FDNAME=";
    const char *name = "";
    size_t name_len = 0;

    text[len] = '\0';
    for (char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        if (strncmp(line, name_key, sizeof(name_key) - 1) == 0) {
            name = line + sizeof(name_key) - 1;
            name_len = strcspn(name, "\n");
        }
    }
    bool was_ready = s.ready;
    /* Until it is ready. Then all else may come from threads that containers keep busy, while the
     * one that says this hangs. */
    if (!was_ready)
        s.heard_msec = now_msec();
    for (char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        hear_line(line, strcspn(line, "\n"), fd, name, name_len);
    if (s.ready && !was_ready && s.stopping)
        ask_to_end(s.stopping); /* it hears now */
    if (s.ready && !was_ready && !s.told_ready)
        s.told_ready = sd_notify(0, "READY=1") >= 0; /* to who supervises us */
}

/* The first file of a message; the others, which nobody sends, are closed. */
static int received_fd(struct msghdr *message, bool *ret_from_child)
{
    int kept = -1;

    *ret_from_child = false;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET)
            continue;
        if (c->cmsg_type == SCM_CREDENTIALS) {
            struct ucred peer;
            memcpy(&peer, CMSG_DATA(c), sizeof(peer));
            *ret_from_child = peer.pid == s.child;
        }
        for (size_t i = 0;
             c->cmsg_type == SCM_RIGHTS && i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
            if (kept < 0)
                kept = fd;
            else
                (void)sf_close(fd);
        }
    }
    return kept;
}

/* At most so many messages. */
static void hear(unsigned most)
{
    static char text[MESSAGE_MAX + 1];
    static union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int) * 253)];
    } control;

    for (unsigned i = 0; i < most; i++) {
        struct iovec iov = {text, MESSAGE_MAX};
        struct msghdr message = {.msg_iov = &iov,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof(control)};
        bool from_child;
        ssize_t n = recvmsg(s.socket_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0)
            return; /* EAGAIN: all heard */
        SF_CLEANUP_FD int fd = received_fd(&message, &from_child);
        if (message.msg_flags & MSG_CTRUNC)
            g_warning("supervise: a file could not be taken: no more may be open");
        if (from_child && !(message.msg_flags & MSG_TRUNC))
            hear_text(text, (size_t)n, &fd);
    }
}

/* A directory for root alone that nothing can be left of, whatever file systems there are. */
static int make_directory(void)
{
    SF_CLEANUP_FD int fd = fsopen("tmpfs", FSOPEN_CLOEXEC);

    if (fd < 0 || fsconfig(fd, FSCONFIG_SET_STRING, "mode", "0700", 0) < 0 ||
        fsconfig(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -errno;
    int mount_fd =
        fsmount(fd, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    return mount_fd < 0 ? -errno : mount_fd;
}

/* Not in the abstract namespace, where anybody could send: a file that comes with a message is
 * ours as soon as we receive it, and closing it may hang as long as its sender likes (close(2)). */
static int open_socket(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int on = 1, room = 8 << 20;

    s.directory_fd = make_directory();
    if (s.directory_fd < 0)
        return s.directory_fd;
    (void)snprintf(s.address, sizeof(s.address), SF_OPEN_FILE "/notify", (int)getpid(),
                   s.directory_fd);
    memcpy(address.sun_path, s.address, sizeof(s.address));
    s.socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s.socket_fd < 0 ||
        bind(s.socket_fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        setsockopt(s.socket_fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
        return -errno;
    (void)setsockopt(s.socket_fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)); /* a favour */
    return 0;
}

/* ---- the daemon ---- */

G_GNUC_NORETURN static void be_daemon(char **argv, pid_t supervisor)
{
    sigset_t none;

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* who would hold its views? */
    if (getppid() != supervisor)
        _exit(EXIT_FAILURE); /* it died before that */
    unsigned kept = 1;
    for (unsigned i = 1; argv[i]; i++) {
        size_t len = strlen(argv[i]); /* getopt_long(3) takes what is cut short, too */
        if (len < sizeof("--s") - 1 || strncmp(argv[i], "--supervise", len) != 0)
            argv[kept++] = argv[i];
    }
    argv[kept] = NULL;
    int r = line_up(false);
    if (r == 0)
        r = tell_daemon();
    if (r < 0) {
        g_critical("supervise: cannot hand the files over: %s", g_strerror(-r));
        _exit(EXIT_FAILURE);
    }
    if (!s.own_program) {
        (void)execv(s.path, argv);
        g_critical("supervise: cannot execute %s: %s; the program that runs goes on", s.path,
                   g_strerror(errno));
    }
    (void)execv(SF_OWN_PROGRAM, argv);
    g_critical("supervise: cannot execute " SF_OWN_PROGRAM ": %s", g_strerror(errno));
    _exit(EXIT_FAILURE);
}

static void start_daemon(char **argv)
{
    pid_t self = getpid(), pid = fork();

    if (pid == 0)
        be_daemon(argv, self);
    s.started_msec = s.heard_msec = now_msec();
    s.ready = false;
    s.refused = false;
    s.kill_msec = 0; /* meant for one before */
    if (pid > 0) {
        s.child = pid;
        s.last = s.stopping != 0;
        return;
    }
    g_warning("supervise: cannot start the daemon: %s", g_strerror(errno));
    s.next_start_msec = s.started_msec + PAUSE_MIN_MSEC;
}

static void plan_start(int status)
{
    bool short_life = now_msec() - s.started_msec < SHORT_LIFE_MSEC;

    /* One that is damaged, or of a version that cannot start here, may be executed and still fail.
     */
    s.own_program = short_life && !s.ready && !s.refused && !s.own_program;
    s.short_lives = short_life ? s.short_lives + 1 : 0;
    if (!short_life || (s.ready && s.short_lives <= SHORT_LIVES))
        s.pause_msec = 0;
    else if (s.ready || s.pause_msec == 0)
        s.pause_msec = PAUSE_MIN_MSEC;
    else
        s.pause_msec = MIN(s.pause_msec * 2, PAUSE_MAX_MSEC);
    s.next_start_msec = now_msec() + s.pause_msec;
    if (s.refused)
        return; /* it has said why */
    if (WIFSIGNALED(status))
        g_message("supervise: the daemon was killed by signal %d, %u files are held; the next "
                  "starts in %d ms",
                  WTERMSIG(status), s.count, s.pause_msec);
    else
        g_message(
            "supervise: the daemon ended with %d, %u files are held; the next starts in %d ms",
            WEXITSTATUS(status), s.count, s.pause_msec);
    if (s.own_program)
        g_warning("supervise: the daemon of %s ended before it was ready; the next one is of the "
                  "program that runs",
                  s.path);
}

/* What is listened to. */
static int begin(void)
{
    sigset_t signals;

    s.begun_msec = now_msec();
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGCHLD);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    s.signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return s.signal_fd < 0 ? -errno : open_socket();
}

/* What the daemon of that name would be now: the file may have been exchanged. Only returns when it
 * cannot be executed; then things go on as they were. */
static void execute_anew(char **argv)
{
    int r = line_up(true);

    if (r == 0)
        r = tell_store();
    if (r == 0) {
        (void)execv(s.path, argv);
        r = -errno;
    }
    step_back();
    g_critical("supervise: cannot execute %s anew: %s", s.path, g_strerror(-r));
}

/* SIGTERM leaves the views to the next supervisor; for SIGINT there has to be a daemon that ends
 * them, and hears it. */
static void stop(int signal_number)
{
    bool insists = s.stopping == signal_number;

    s.stopping = signal_number;
    s.renewing = false;
    if (signal_number == SIGTERM || s.ready || insists)
        ask_to_end(signal_number);
}

static bool has_views_to_end(void)
{
    if (s.stopping != SIGINT || s.last)
        return false;
    for (unsigned i = 0; i < s.count; i++) {
        if (g_str_has_prefix(s.stored[i].name, SF_FD_NAME_VIEW))
            return true;
    }
    return false;
}

/* The end of a trial, or -1. */
static int trial_status(pid_t pid)
{
    int status;

    for (int64_t end = now_msec() + TRIAL_MSEC; now_msec() < end; (void)poll(NULL, 0, 5)) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return status;
    }
    (void)kill(pid, SIGKILL);
    (void)poll(NULL, 0, 100);
    (void)waitpid(pid, &status, WNOHANG); /* may hang in the kernel */
    return -1;
}

/* Whether the file on disk can be executed, and takes the options and the configuration there are.
 */
static bool try_out(char **argv)
{
    static char check[] = "--check-config";
    char *arguments[ARGUMENTS_MAX + 2] = {NULL};
    unsigned count = 0;
    pid_t pid;

    for (; argv[count] && count < ARGUMENTS_MAX; count++)
        arguments[count] = argv[count];
    arguments[count] = check;
    int r = posix_spawn(&pid, s.path, NULL, NULL, arguments, environ);
    if (r != 0) {
        g_warning("supervise: not executed anew: %s: %s", s.path, g_strerror(r));
        return false;
    }
    int status = trial_status(pid);
    if (status == 0)
        return true;
    g_warning("supervise: not executed anew: %s --check-config %s %d", s.path,
              status < 0            ? "has not ended, signal"
              : WIFSIGNALED(status) ? "was killed by signal"
                                    : "ended with",
              status < 0            ? SIGKILL
              : WIFSIGNALED(status) ? WTERMSIG(status)
                                    : WEXITSTATUS(status));
    return false;
}

/* Nothing is ended for a file that is not there, not yet, or of no use. */
static void renew(char **argv)
{
    if (!try_out(argv))
        return;
    s.renewing = true;
    ask_to_end(SIGTERM); /* views stay with us */
}

static void on_signals(char **argv)
{
    struct signalfd_siginfo info;

    while (read(s.signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) {
            stop((int)info.ssi_signo);
        } else if (info.ssi_signo == SIGHUP && !s.stopping) {
            renew(argv);
        }
    }
}

/* Its number stays its own until on_end(). */
static bool has_ended(void)
{
    siginfo_t info = {0};

    return s.child && waitid(P_PID, (id_t)s.child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == s.child;
}

/* True with the exit status when there is nothing more to do. */
static bool on_end(int *ret_status)
{
    int status = 0;

    hear(LAST_MESSAGES); /* what it said last; it says no more */
    (void)waitpid(s.child, &status, 0);
    s.child = 0;
    s.kill_msec = 0;
    if (has_views_to_end())
        return false;
    if (s.stopping) {
        *ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
        return true;
    }
    if (s.refused && !s.served && now_msec() >= s.begun_msec + REFUSED_MSEC) {
        *ret_status = EXIT_FAILURE; /* another one serves, and nobody waits for us */
        return true;
    }
    if (!s.renewing && WIFEXITED(status) && WEXITSTATUS(status) == 2) {
        *ret_status = 2; /* wrong usage or configuration, which another start does not mend */
        if (s.count == 0)
            return true; /* but while views wait for a daemon there is always another one */
    }
    plan_start(status);
    return false;
}

static int time_left(void)
{
    int64_t now = now_msec(), until = INT64_MAX;

    if (s.child && s.kill_msec)
        until = s.kill_msec;
    else if (s.child)
        until = s.heard_msec + WATCHDOG_SEC * 1000;
    else
        until = s.next_start_msec;
    return (int)CLAMP(until - now, 0, 60000);
}

static void on_time(void)
{
    int64_t now = now_msec();

    if (s.child && s.kill_msec && now >= s.kill_msec) {
        (void)kill(s.child, SIGKILL);
        s.kill_msec = now + STOP_MSEC;
    } else if (s.child && !s.kill_msec && now >= s.heard_msec + WATCHDOG_SEC * 1000) {
        g_warning("supervise: no sign of life for %d s, ending the daemon", WATCHDOG_SEC);
        s.heard_msec = now;
        (void)kill(s.child, SIGABRT);
        s.kill_msec = now + STOP_MSEC;
    }
}

static int supervise(char **argv)
{
    int exit_status = EXIT_FAILURE;

    for (;;) {
        struct pollfd fds[] = {{.fd = s.socket_fd, .events = POLLIN},
                               {.fd = s.signal_fd, .events = POLLIN}};
        if (!s.child && s.stopping && !has_views_to_end())
            return EXIT_SUCCESS;
        if (!s.child && s.renewing) {
            s.renewing = false;
            execute_anew(argv);
        }
        if (!s.child && now_msec() >= s.next_start_msec)
            start_daemon(argv);
        (void)poll(fds, G_N_ELEMENTS(fds), time_left());
        hear(MESSAGES_AT_ONCE);
        on_signals(argv);
        on_time();
        if (has_ended() && on_end(&exit_status))
            return exit_status;
        reap_orphans();
    }
}

int sf_supervise(char **argv)
{
    g_autofree char *found = g_find_program_in_path(argv[0]);

    if (!found) {
        g_critical("supervise: cannot find %s", argv[0]);
        return EXIT_FAILURE;
    }
    /* A symbolic link stays one: it may lead to another version one day. */
    s.path = g_canonicalize_filename(found, NULL);
    take_store();
    int r = begin();
    if (r < 0) {
        g_critical("supervise: cannot begin: %s", g_strerror(-r));
        return EXIT_FAILURE;
    }
    g_message("supervise: pid %d, %u files held", (int)getpid(), s.count);
    return supervise(argv);
}
