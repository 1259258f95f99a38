/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The public functions of libsysfsd: check the arguments, talk to the daemon, attach, and undo all
 * of it when a step fails. The exported names are in libsysfsd.sym.
 */

#include "include/sysfsd/sysfsd.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "lib/attach.h"
#include "lib/base/fd.h"
#include "lib/base/id.h"
#include "lib/base/io.h"
#include "lib/base/number.h"
#include "lib/base/text.h"
#include "lib/client.h"
#include "lib/deadline.h"

/* Kept back from the deadline for undoing what was begun. */
#define ROLLBACK_SHARE 5
/* Between two tries of a call over which a daemon has died. */
#define RETRY_MSEC 20
#define ROLLBACK_MIN_MSEC 100

/* Where an error is written for people; buffer may be NULL. */
typedef struct Message {
    char *buffer;
    size_t size;
} Message;

__attribute__((format(printf, 3, 4))) static int fail(const Message *message, int error,
                                                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (message->buffer && message->size > 0) {
        (void)vsnprintf(message->buffer, message->size, format, args);
        sf_make_printable(message->buffer);
    }
    va_end(args);
    return error;
}

/* The process of the container: a handle, its number in the procfs we see, and its namespace. */
typedef struct Process {
    int pidfd;
    pid_t pid;
    int mount_ns_fd;
    int root_fd;
} Process;

#define PROCESS_INIT ((Process){-1, 0, -1, -1})

static void process_clear(Process *process)
{
    process->pidfd = sf_close(process->pidfd);
    process->mount_ns_fd = sf_close(process->mount_ns_fd);
    process->root_fd = sf_close(process->root_fd);
}

/* A pidfd becomes readable when its process has ended, reaped or not (pidfd_open(2)). */
static bool process_ended(int pidfd)
{
    struct pollfd pfd = {.fd = pidfd, .events = POLLIN};
    return poll(&pfd, 1, 0) != 0;
}

/*
 * The number of a pidfd's process in the pid namespace of the procfs mounted on /proc, from
 * fdinfo (kernel/pid.c:pidfd_show_fdinfo). In a createContainer hook the caller's own numbers mean
 * nothing outside, but /proc is still the host's.
 */
static int pid_in_procfs(int pidfd, pid_t *ret_pid)
{
    char path[64], text[1024];
    (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
    size_t len;
    int r = sf_read_at(AT_FDCWD, path, text, sizeof(text), &len);
    if (r < 0)
        return r;
    SfSlice rest = sf_slice(text, len), line;
    while (sf_slice_next_line(&rest, &line)) {
        if (!sf_slice_starts(line, "Pid:"))
            continue;
        int64_t pid;
        r = sf_slice_i64(sf_slice_trim(sf_slice(line.data + 4, line.len - 4)), &pid);
        if (r < 0)
            return r;
        if (pid == 0)
            return -ENOTSUP; /* it is not in that namespace: /proc is no use */
        if (pid < 0 || pid > INT_MAX)
            return -ESRCH;
        *ret_pid = (pid_t)pid;
        return 0;
    }
    return -ENODATA;
}

static int open_of_process(pid_t pid, const char *name, int flags, int *ret_fd)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -ESRCH : -errno;
    *ret_fd = fd;
    return 0;
}

/* with_root: the container has pivoted, take its root from the process. */
static int process_open(pid_t pid, bool with_root, Process *ret_process)
{
    Process process = PROCESS_INIT;
    process.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (process.pidfd < 0)
        return -errno;
    int r = pid_in_procfs(process.pidfd, &process.pid);
    if (r == 0)
        r = open_of_process(process.pid, "ns/mnt", O_RDONLY, &process.mount_ns_fd);
    if (r == 0 && with_root)
        r = open_of_process(process.pid, "root", O_PATH | O_DIRECTORY, &process.root_fd);
    /* It has not ended, so the number was its own all the time. */
    if (r == 0 && process_ended(process.pidfd))
        r = -ESRCH;
    if (r < 0) {
        process_clear(&process);
        return r;
    }
    *ret_process = process;
    return 0;
}

static bool same_file(int a, int b)
{
    struct stat x, y;
    return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* What the daemon's error reply means to our caller. */
static int reply_error(const SfReply *reply, const Message *message, const char *what,
                       const char *id)
{
    static const struct {
        const char *name;
        int error;
    } errors[] = {
        {SF_CONTROL_INTERFACE ".AlreadyRegistered", -EEXIST},
        {SF_CONTROL_INTERFACE ".InvalidParameter", -EINVAL},
        {SF_CONTROL_INTERFACE ".NoSuchContainer", -ENOENT},
        {SF_CONTROL_INTERFACE ".PermissionDenied", -EACCES},
    };
    int error = -EPROTO;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        if (strcmp(reply->error, errors[i].name) == 0)
            error = errors[i].error;
    if (strcmp(reply->error, SF_CONTROL_INTERFACE ".Failed") == 0) {
        json_int_t number = json_integer_value(json_object_get(reply->parameters, "errno"));
        /* -EINVAL and -EEXIST say that our caller asked for something wrong, which this is not. */
        bool fits = number > 0 && number < 4096 && number != EINVAL && number != EEXIST;
        error = fits ? -(int)number : -EIO;
    }
    return fail(message, error, "%s %s: %s", what, id,
                reply->message ? reply->message : reply->error);
}

static int transport_error(int error, const char *runtime_dir, const Message *message)
{
    const char *why = strerrordesc_np(-error);
    switch (error) {
    case -ENOENT:
    case -ECONNREFUSED:
        why = "no daemon is running there";
        break;
    case -EPERM:
        why = "the socket does not belong to root, it is not used";
        break;
    case -ETIMEDOUT:
        why = "the daemon did not answer in time";
        break;
    case -ECONNRESET:
        why = "the daemon closed the connection without an answer";
        break;
    case -EBADMSG:
        why = "what answers there is not sysfsd";
        break;
    }
    return fail(message, error, "%s/control.sock: %s", runtime_dir, why ? why : "unknown error");
}

/* parameters: takes ownership. */
static int call(const char *runtime_dir, const char *method, json_t *parameters, int fd,
                int timeout_msec, SfReply *ret_reply)
{
    if (!parameters)
        return -ENOMEM;
    int r = sf_client_call(runtime_dir, method, parameters, fd, timeout_msec, ret_reply);
    json_decref(parameters);
    return r;
}

/* The view and the files to bind, as the daemon told; all borrowed from the reply. */
typedef struct Registration {
    bool enabled;
    const char *view;
    const char *constants; /* NULL: a daemon that has no such mount */
    const char *paths[SF_ATTACH_MAX_FILES];
    bool writable[SF_ATTACH_MAX_FILES];
    bool constant[SF_ATTACH_MAX_FILES];
    size_t path_count;
} Registration;

/* `files` of Register and of Inspect. */
static int parse_files(const json_t *files, Registration *registration)
{
    size_t count = json_array_size(files);
    if (!json_is_array(files) || count > SF_ATTACH_MAX_FILES)
        return -EBADMSG;
    for (size_t i = 0; i < count; i++) {
        const json_t *file = json_array_get(files, i);
        const char *path = json_string_value(json_object_get(file, "path"));
        if (!path || sf_attach_check_path(path) < 0)
            return -EBADMSG;
        registration->writable[registration->path_count] =
            json_is_true(json_object_get(file, "writable"));
        registration->constant[registration->path_count] =
            json_is_true(json_object_get(file, "constant"));
        registration->paths[registration->path_count++] = path;
    }
    return 0;
}

static bool is_mount_path(const char *path)
{
    return path && path[0] == '/' && strlen(path) < PATH_MAX;
}

static int parse_registration(const json_t *parameters, bool inspected, Registration *registration)
{
    const json_t *enabled = json_object_get(parameters, "enabled");
    *registration = (Registration){.enabled = inspected || json_is_true(enabled)};
    if (!inspected && !json_is_boolean(enabled))
        return -EBADMSG;
    if (!registration->enabled)
        return 0;
    registration->view = json_string_value(json_object_get(parameters, "view"));
    registration->constants = json_string_value(json_object_get(parameters, "constants"));
    if (!is_mount_path(registration->view) ||
        (registration->constants && !is_mount_path(registration->constants)))
        return -EBADMSG;
    return parse_files(json_object_get(parameters, "files"), registration);
}

static int open_daemon_ns(const char *runtime_dir, int timeout_msec, int *ret_ns_fd)
{
    SfReply reply = {0};
    int r =
        call(runtime_dir, SF_CONTROL_INTERFACE ".Status", json_object(), -1, timeout_msec, &reply);
    if (r < 0)
        return r;
    json_int_t pid = json_integer_value(json_object_get(reply.parameters, "pid"));
    bool failed = reply.error != NULL;
    sf_reply_clear(&reply);
    if (failed || pid <= 0 || pid > INT_MAX)
        return -ESTALE;
    return open_of_process((pid_t)pid, "ns/mnt", O_RDONLY, ret_ns_fd);
}

/*
 * The mount namespace the view is in: -1 for our own, which is the rule. A daemon that has one of
 * its own, and a caller that is already in the container's (createContainer), need the daemon's.
 */
static int find_source(const char *runtime_dir, const char *view, int timeout_msec, int *ret_ns_fd)
{
    int r = sf_attach_view_visible(view);
    if (r == -ESTALE)
        return open_daemon_ns(runtime_dir, timeout_msec, ret_ns_fd);
    if (r == 0)
        *ret_ns_fd = -1;
    return r;
}

static bool is_own_root(const char *rootfs)
{
    struct stat x, y;
    return !rootfs || (stat(rootfs, &x) == 0 && stat("/", &y) == 0 && x.st_dev == y.st_dev &&
                       x.st_ino == y.st_ino);
}

/*
 * Mounting over the files of the host's own namespace would change the host. Our own namespace may
 * be the container's, in a createContainer hook: where /run is shared, the view has propagated into
 * it, and the container's root is a directory in it.
 */
static int check_not_host(const char *runtime_dir, const char *rootfs, int source_ns_fd,
                          int target_ns_fd, int timeout_msec)
{
    SF_CLEANUP_FD int own = -1, daemon = -1;
    if (source_ns_fd >= 0)
        return same_file(source_ns_fd, target_ns_fd) ? -EINVAL : 0;
    own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (own < 0)
        return -errno;
    if (!same_file(own, target_ns_fd))
        return 0;
    if (is_own_root(rootfs))
        return -EINVAL;
    int r = open_daemon_ns(runtime_dir, timeout_msec, &daemon);
    if (r < 0)
        return r;
    return same_file(daemon, target_ns_fd) ? -EINVAL : 0;
}

static json_t *annotations_to_json(const struct sysfsd_attach_args *args)
{
    json_t *object = json_object();
    for (size_t i = 0; object && i < args->annotation_count; i++) {
        const struct sysfsd_annotation *annotation = &args->annotations[i];
        if (!annotation->key || strncmp(annotation->key, "io.sysfsd.", 10) != 0)
            continue;
        if (json_object_set_new(object, annotation->key, json_string(annotation->value)) < 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *register_parameters(const struct sysfsd_attach_args *args, pid_t pid)
{
    json_t *annotations = annotations_to_json(args);
    if (!annotations)
        return NULL;
    /* "*": the member is left out when there is none. */
    return json_pack("{s:s, s:i, s:s*, s:o}", "id", args->id, "pid", (int)pid, "bundle",
                     args->bundle, "annotations", annotations);
}

static int unregister(const char *runtime_dir, const char *id, int timeout_msec,
                      const Message *message)
{
    SfReply reply = {0};
    int r = call(runtime_dir, SF_CONTROL_INTERFACE ".Unregister", json_pack("{s:s}", "id", id), -1,
                 timeout_msec, &reply);
    if (r < 0)
        return transport_error(r, runtime_dir, message);
    if (reply.error)
        r = reply_error(&reply, message, "unregister", id);
    sf_reply_clear(&reply);
    return r == -ENOENT ? 0 : r;
}

static int attach_registered(const struct sysfsd_attach_args *args, const char *runtime_dir,
                             const Process *process, const Registration *registration,
                             int64_t deadline, int64_t rollback_deadline, unsigned *ret_attached,
                             const Message *message)
{
    SF_CLEANUP_FD int source_ns_fd = -1;
    int r = find_source(runtime_dir, registration->view, sf_deadline_left(deadline), &source_ns_fd);
    if (r < 0)
        return fail(message, r, "find the view %s: %s", registration->view, strerrordesc_np(-r));
    r = check_not_host(runtime_dir, args->rootfs, source_ns_fd, process->mount_ns_fd,
                       sf_deadline_left(deadline));
    if (r < 0)
        return fail(message, r, "process %d is not in a mount namespace of its own", args->pid);
    SfAttachSpec spec = {
        .view = registration->view,
        .constants = registration->constants,
        .source_ns_fd = source_ns_fd,
        .target_ns_fd = process->mount_ns_fd,
        .root_fd = process->root_fd,
        .rootfs = args->rootfs,
        .paths = registration->paths,
        .writable = registration->writable,
        .constant = registration->constant,
        .path_count = registration->path_count,
    };
    SfAttachReport report;
    r = sf_attach(&spec, sf_deadline_left(deadline), &report);
    if (r == 0) {
        *ret_attached = report.count;
        return 0;
    }
    char text[512];
    sf_attach_describe(&spec, &report, text, sizeof(text));
    if (report.step == SF_ATTACH_WAIT) {
        /* Killed half way: what it did bind is ours to take away. */
        SfAttachReport undo;
        if (sf_detach(&spec, sf_deadline_left(rollback_deadline) / 2, &undo) < 0)
            (void)strncat(text, " (and files may be left attached)",
                          sizeof(text) - strlen(text) - 1);
    }
    /* -EINVAL is for our caller's mistakes; here the kernel said it. */
    if (r == -EINVAL && report.step != SF_ATTACH_PREPARE)
        r = -ENOTSUP;
    return fail(message, r, "container %s: %s", args->id, text);
}

/* Whether the daemon has this very process under the id: another container may have had it before.
 */
static bool registered_as(const char *runtime_dir, const char *id, pid_t pid, int timeout_msec)
{
    SfReply reply = {0};
    if (call(runtime_dir, SF_CONTROL_INTERFACE ".Inspect", json_pack("{s:s}", "container", id), -1,
             timeout_msec, &reply) < 0)
        return false;
    const char *found = json_string_value(json_object_get(reply.parameters, "id"));
    bool same = !reply.error && found && strcmp(found, id) == 0 &&
                json_integer_value(json_object_get(reply.parameters, "pid")) == pid;
    sf_reply_clear(&reply);
    return same;
}

/* The first error is the one to tell, so none is told from here; what cannot be undone in time ends
 * with the container, whose pidfd the daemon watches. */
static void roll_back(const char *runtime_dir, const char *id, int64_t deadline)
{
    const Message nobody = {0};
    int left = sf_deadline_left(deadline);
    (void)unregister(runtime_dir, id, left > ROLLBACK_MIN_MSEC ? left : ROLLBACK_MIN_MSEC, &nobody);
}

static void pause_msec(int msec)
{
    struct timespec left = {.tv_nsec = (long)msec * 1000000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

/*
 * Register; again while daemons die of it, or over it: an upgrade in this very moment, say. The
 * daemon may have done it and its answer been lost. It is then taken back and done anew.
 */
static int call_register(const struct sysfsd_attach_args *args, const char *runtime_dir,
                         const Process *process, int64_t deadline, SfReply *ret_reply)
{
    for (bool again = false;; again = true) {
        int r = call(runtime_dir, SF_CONTROL_INTERFACE ".Register",
                     register_parameters(args, process->pid), process->pidfd,
                     sf_deadline_left(deadline), ret_reply);
        if (r == 0 && again && ret_reply->error &&
            strcmp(ret_reply->error, SF_CONTROL_INTERFACE ".AlreadyRegistered") == 0 &&
            registered_as(runtime_dir, args->id, process->pid, sf_deadline_left(deadline))) {
            sf_reply_clear(ret_reply);
            roll_back(runtime_dir, args->id, deadline);
            continue;
        }
        bool died = r == -ECONNRESET || r == -EPIPE;
        bool starts = again && (r == -ECONNREFUSED || r == -ENOENT);
        if ((!died && !starts) || sf_deadline_left(deadline) < 2 * RETRY_MSEC)
            return r;
        pause_msec(RETRY_MSEC);
    }
}

static int register_and_attach(const struct sysfsd_attach_args *args, const char *runtime_dir,
                               const Process *process, int timeout_msec, unsigned *ret_attached,
                               const Message *message)
{
    int64_t rollback_deadline = sf_deadline_after(timeout_msec);
    int64_t deadline = rollback_deadline - timeout_msec / ROLLBACK_SHARE;
    SfReply reply = {0};
    int r = call_register(args, runtime_dir, process, deadline, &reply);
    if (r < 0) {
        /* The daemon may have done it and its answer be late. */
        bool unknown = r == -ETIMEDOUT || r == -ECONNRESET || r == -EBADMSG;
        if (unknown &&
            registered_as(runtime_dir, args->id, process->pid, sf_deadline_left(rollback_deadline)))
            roll_back(runtime_dir, args->id, rollback_deadline);
        return transport_error(r, runtime_dir, message);
    }
    if (reply.error) {
        r = reply_error(&reply, message, "register container", args->id);
        sf_reply_clear(&reply);
        return r;
    }
    Registration registration;
    r = parse_registration(reply.parameters, false, &registration);
    if (r < 0)
        (void)fail(message, r, "register container %s: the daemon's answer is malformed", args->id);
    else if (registration.enabled)
        r = attach_registered(args, runtime_dir, process, &registration, deadline,
                              rollback_deadline, ret_attached, message);
    if (r < 0)
        roll_back(runtime_dir, args->id, rollback_deadline);
    sf_reply_clear(&reply);
    return r;
}

/* A caller compiled against a newer header may ask for something this library cannot do. */
static bool args_size_fits(const struct sysfsd_attach_args *args)
{
    if (args->size < sizeof(*args) || args->size > 65536)
        return false;
    const char *bytes = (const char *)args;
    for (size_t i = sizeof(*args); i < args->size; i++)
        if (bytes[i])
            return false;
    return true;
}

static int check_args(const struct sysfsd_attach_args *args, const Message *message)
{
    if (!args || !args_size_fits(args))
        return fail(message, -EINVAL, "attach: the arguments' size does not fit this library");
    if (!sf_id_valid(args->id))
        return fail(message, -EINVAL,
                    "attach: container id \"%.140s\" is not 1-128 of [A-Za-z0-9_.-]",
                    args->id ? args->id : "");
    if (args->pid <= 0)
        return fail(message, -EINVAL, "attach %s: pid %d is not a process ID", args->id,
                    (int)args->pid);
    if (args->timeout_msec < 0)
        return fail(message, -EINVAL, "attach %s: the timeout is negative", args->id);
    if (args->rootfs && (args->rootfs[0] != '/' || strlen(args->rootfs) >= PATH_MAX))
        return fail(message, -EINVAL, "attach %s: rootfs \"%.100s\" is not an absolute path",
                    args->id, args->rootfs);
    for (size_t i = 0; i < args->annotation_count; i++)
        if (!args->annotations[i].key || !args->annotations[i].value)
            return fail(message, -EINVAL, "attach %s: an annotation is NULL", args->id);
    return 0;
}

int sysfsd_attach(const struct sysfsd_attach_args *args, unsigned *ret_attached, char *error,
                  size_t error_size)
{
    const Message message = {error, error_size};
    int r = check_args(args, &message);
    if (r < 0)
        return r;
    const char *runtime_dir = args->runtime_dir ? args->runtime_dir : SYSFSD_DEFAULT_RUNTIME_DIR;
    int timeout = args->timeout_msec ? args->timeout_msec : SYSFSD_DEFAULT_TIMEOUT_MSEC;

    Process process = PROCESS_INIT;
    r = process_open(args->pid, !args->rootfs, &process);
    if (r < 0)
        return fail(&message, r, "attach %s: process %d: %s", args->id, (int)args->pid,
                    r == -ESRCH ? "there is no such process" : strerrordesc_np(-r));
    unsigned attached = 0;
    r = register_and_attach(args, runtime_dir, &process, timeout, &attached, &message);
    process_clear(&process);
    if (r == 0 && ret_attached)
        *ret_attached = attached;
    return r;
}

/* Unbinds the files inside, as far as there is something to unbind. */
static int detach_inside(const char *runtime_dir, const char *id, const Process *process,
                         int64_t deadline, const Message *message)
{
    SfReply reply = {0};
    int r = call(runtime_dir, SF_CONTROL_INTERFACE ".Inspect", json_pack("{s:s}", "container", id),
                 -1, sf_deadline_left(deadline), &reply);
    if (r < 0)
        return transport_error(r, runtime_dir, message);
    Registration registration = {0};
    SF_CLEANUP_FD int source_ns_fd = -1;
    const char *found = json_string_value(json_object_get(reply.parameters, "id"));
    if (reply.error)
        r = reply_error(&reply, message, "inspect", id);
    else if (!found || strcmp(found, id) != 0)
        r = -ENOENT; /* Inspect takes prefixes, detach does not */
    else if (parse_registration(reply.parameters, true, &registration) < 0)
        r = fail(message, -EBADMSG, "inspect %s: the daemon's answer is malformed", id);
    else
        r = find_source(runtime_dir, registration.view, sf_deadline_left(deadline), &source_ns_fd);
    if (r == 0 && check_not_host(runtime_dir, NULL, source_ns_fd, process->mount_ns_fd,
                                 sf_deadline_left(deadline)) == 0) {
        SfAttachSpec spec = {
            .view = registration.view,
            .constants = registration.constants,
            .source_ns_fd = source_ns_fd,
            .target_ns_fd = process->mount_ns_fd,
            .root_fd = process->root_fd,
            .paths = registration.paths,
            .constant = registration.constant,
            .path_count = registration.path_count,
        };
        SfAttachReport report;
        char text[512];
        r = sf_detach(&spec, sf_deadline_left(deadline), &report);
        if (r < 0) {
            sf_attach_describe(&spec, &report, text, sizeof(text));
            (void)fail(message, r, "container %s: %s", id, text);
        }
    }
    sf_reply_clear(&reply);
    /* No such container, or no mount of a view any more: nothing is left to unbind. */
    return r == -ENOENT || r == -ESTALE ? 0 : r;
}

int sysfsd_detach(const char *runtime_dir, const char *id, pid_t pid, int timeout_msec, char *error,
                  size_t error_size)
{
    const Message message = {error, error_size};
    if (!sf_id_valid(id) || pid < 0 || timeout_msec < 0)
        return fail(&message, -EINVAL, "detach: container id, pid or timeout is not valid");
    if (!runtime_dir)
        runtime_dir = SYSFSD_DEFAULT_RUNTIME_DIR;
    int64_t deadline = sf_deadline_after(timeout_msec ? timeout_msec : SYSFSD_DEFAULT_TIMEOUT_MSEC);
    if (pid > 0) {
        Process process = PROCESS_INIT;
        int r = process_open(pid, true, &process);
        if (r == 0)
            r = detach_inside(runtime_dir, id, &process, deadline, &message);
        else if (r == -ESRCH)
            r = 0;
        else
            (void)fail(&message, r, "detach %s: process %d: %s", id, (int)pid, strerrordesc_np(-r));
        process_clear(&process);
        if (r < 0)
            return r; /* still registered: files inside that lost their view would give errors */
    }
    return unregister(runtime_dir, id, sf_deadline_left(deadline), &message);
}

int sysfsd_ping(const char *runtime_dir, int timeout_msec)
{
    SfReply reply = {0};
    if (timeout_msec < 0)
        return -EINVAL;
    int r =
        call(runtime_dir ? runtime_dir : SYSFSD_DEFAULT_RUNTIME_DIR, SF_CONTROL_INTERFACE ".Status",
             json_object(), -1, timeout_msec ? timeout_msec : SYSFSD_DEFAULT_TIMEOUT_MSEC, &reply);
    if (r < 0)
        return r;
    r = reply.error ? (strstr(reply.error, "PermissionDenied") ? -EACCES : -EPROTO) : 0;
    sf_reply_clear(&reply);
    return r;
}
