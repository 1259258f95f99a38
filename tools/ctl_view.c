/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The verbs cat and diff: read the files of a view where it is mounted, so that what is shown went
 * the way of the container's own reads. The text is never asked of the daemon, and a file the view
 * does not have is not replaced by the host's.
 */

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/attach.h"
#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "tools/ctl.h"

extern char **environ;

typedef struct View {
    json_t *container; /* owned; what Inspect said */
    const char *id;    /* borrowed from it */
    char path[PATH_MAX];
} View;

static SfCtlExit find_view(const SfCtl *ctl, const char *name, View *ret_view)
{
    SfCtlExit code = sf_ctl_find(ctl, name, &ret_view->container);
    if (code != SF_CTL_OK)
        return code;
    ret_view->id = sf_ctl_string(ret_view->container, "id");
    int n = snprintf(ret_view->path, sizeof(ret_view->path), "%s/views/%s", ctl->runtime_dir,
                     ret_view->id);
    int r = n < 0 || (size_t)n >= sizeof(ret_view->path) ? -ENAMETOOLONG
                                                         : sf_attach_view_visible(ret_view->path);
    if (r == -ESTALE)
        code = sf_ctl_fail(SF_CTL_FAILED, "%s: its view is not mounted on %s in this namespace",
                           ret_view->id, ret_view->path);
    else if (r < 0)
        code = sf_ctl_fail(SF_CTL_FAILED, "%s: view %s: %s", ret_view->id, ret_view->path,
                           strerrordesc_np(-r));
    if (code != SF_CTL_OK)
        json_decref(ret_view->container);
    return code;
}

static bool is_directory(json_t *file)
{
    return json_is_true(json_object_get(file, "directory"));
}

/* One of the view's files, or below one of its directories. */
static bool has_file(const View *view, const char *path)
{
    size_t i;
    json_t *file;
    json_array_foreach(json_object_get(view->container, "files"), i, file)
    {
        const char *name = sf_ctl_string(file, "path");
        size_t len = strlen(name);
        if (strcmp(name, path) == 0)
            return true;
        if (is_directory(file) && strncmp(name, path, len) == 0 && path[len] == '/' &&
            sf_attach_check_path(path) == 0)
            return true;
    }
    return false;
}

static int read_file(const View *view, const char *path, char **ret_text, size_t *ret_len)
{
    char full[2 * PATH_MAX];
    (void)snprintf(full, sizeof(full), "%s%s", view->path, path);
    SF_CLEANUP_FD int fd = open(full, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    return sf_read_stream(fd, SF_TEXT_MAX, ret_text, ret_len);
}

/* Whether the path is a regular file of the view: -ENOENT, -EISDIR. */
static int check_file(const View *view, const char *path)
{
    char full[2 * PATH_MAX];
    struct stat st;
    (void)snprintf(full, sizeof(full), "%s%s", view->path, path);
    if (!has_file(view, path))
        return -ENOENT;
    if (lstat(full, &st) < 0)
        return -errno;
    return S_ISDIR(st.st_mode) ? -EISDIR : 0;
}

static SfCtlExit fail_file(const View *view, const char *path, int error)
{
    return sf_ctl_fail(SF_CTL_FAILED, "%s: %s: %s", view->id, path,
                       error == -ENOENT ? "the view has no such file" : strerrordesc_np(-error));
}

static SfCtlExit print_text(const SfCtl *ctl, const View *view, const char *path, const char *text,
                            size_t len)
{
    if (!ctl->json) {
        (void)fwrite(text, 1, len, stdout);
        return SF_CTL_OK;
    }
    json_t *string = json_stringn(text, len);
    if (!string)
        return sf_ctl_fail(SF_CTL_FAILED, "%s: %s: the text is not UTF-8, use cat without --json",
                           view->id, path);
    return sf_ctl_print_json(
        json_pack("{s:s, s:s, s:o}", "id", view->id, "path", path, "text", string));
}

SfCtlExit sf_ctl_cat(const SfCtl *ctl, int argc, char **args)
{
    View view;
    SfCtlExit code = find_view(ctl, args[0], &view);
    if (code != SF_CTL_OK)
        return code;
    SF_CLEANUP_FREE char *text = NULL;
    size_t len = 0;
    int r = check_file(&view, args[1]);
    if (r == 0)
        r = read_file(&view, args[1], &text, &len);
    code = r < 0 ? fail_file(&view, args[1], r) : print_text(ctl, &view, args[1], text, len);
    json_decref(view.container);
    return code;
}

/* Starts diff(1), with these as its output and its errors. */
static int spawn_diff(const SfCtl *ctl, const View *view, const char *path, int out_fd, int err_fd,
                      pid_t *ret_pid)
{
    char host_label[PATH_MAX + 32], view_label[PATH_MAX + 256], full[2 * PATH_MAX];
    (void)snprintf(host_label, sizeof(host_label), "--label=host:%s", path);
    (void)snprintf(view_label, sizeof(view_label), "--label=%s:%s", view->id, path);
    (void)snprintf(full, sizeof(full), "%s%s", view->path, path);
    /* Files of a cgroup that limit it are not there in the root, which is the host's. */
    const char *host = access(path, F_OK) < 0 && errno == ENOENT ? "/dev/null" : path;
    char name[] = "diff", unified[] = "-u", colour[] = "--color=always", end[] = "--";
    char *arguments[9];
    size_t n = 0;
    arguments[n++] = name;
    arguments[n++] = unified;
    if (ctl->colour && !ctl->json)
        arguments[n++] = colour; /* a GNU option; without colour none of theirs is used */
    arguments[n++] = host_label;
    arguments[n++] = view_label;
    arguments[n++] = end;
    arguments[n++] = (char *)host;
    arguments[n++] = full;
    arguments[n] = NULL;

    /* main() ignores SIGPIPE, and a program inherits that. */
    sigset_t set;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    int r = -posix_spawnattr_init(&attributes);
    if (r < 0)
        return r;
    r = -posix_spawn_file_actions_init(&actions);
    if (r < 0) {
        (void)posix_spawnattr_destroy(&attributes);
        return r;
    }
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGPIPE);
    (void)posix_spawnattr_setsigdefault(&attributes, &set);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    r = -posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
    if (r == 0)
        r = -posix_spawn_file_actions_adddup2(&actions, err_fd, STDERR_FILENO);
    if (r == 0)
        r = -posix_spawnp(ret_pid, "diff", &actions, &attributes, arguments, environ);
    (void)posix_spawn_file_actions_destroy(&actions); /* these two only free memory */
    (void)posix_spawnattr_destroy(&attributes);
    return r;
}

/* diff's own exit status: 0 same, 1 different, 2 trouble (told by it on stderr). */
static int wait_diff(pid_t pid, bool *ret_differs)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    if (!WIFEXITED(status))
        return -EINTR;
    if (WEXITSTATUS(status) > 1)
        return -EIO;
    *ret_differs = WEXITSTATUS(status) == 1;
    return 0;
}

/* Into memory. -EIO: *ret_text says what diff(1) has met. */
static int capture_diff(const SfCtl *ctl, const View *view, const char *path, char **ret_text,
                        size_t *ret_len, bool *ret_differs)
{
    int fds[2];
    SF_CLEANUP_FD int err_fd = memfd_create("diff", MFD_CLOEXEC);
    if (err_fd < 0 || pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid;
    int r = spawn_diff(ctl, view, path, fds[1], err_fd, &pid);
    (void)sf_close(fds[1]);
    if (r < 0) {
        (void)sf_close(fds[0]);
        return r;
    }
    SF_CLEANUP_FREE char *text = NULL;
    r = sf_read_stream(fds[0], SF_TEXT_MAX, &text, ret_len);
    (void)sf_close(fds[0]); /* before waiting: a diff with more to say ends by SIGPIPE */
    int waited = wait_diff(pid, ret_differs);
    if (r == 0)
        r = waited;
    if (r == 0)
        *ret_text = sf_steal_ptr(&text);
    else if (r == -EIO && lseek(err_fd, 0, SEEK_SET) == 0)
        r = sf_read_stream(err_fd, SF_TEXT_MAX, ret_text, ret_len) < 0 ? -ENOMEM : -EIO;
    return r;
}

/* What diff(1) has said last, without its name. */
static const char *last_words(char *text)
{
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == '\n')
        text[--len] = '\0';
    const char *line = strrchr(text, '\n');
    line = line ? line + 1 : text;
    return strncmp(line, "diff: ", 6) == 0 ? line + 6 : line;
}

/* One file; its result goes to `results` (JSON) or is printed. */
static SfCtlExit diff_file(const SfCtl *ctl, const View *view, const char *path, json_t *results)
{
    bool differs = false;
    SF_CLEANUP_FREE char *text = NULL;
    size_t len = 0;
    int r = capture_diff(ctl, view, path, &text, &len, &differs);
    if (r == -ENOENT)
        return sf_ctl_fail(SF_CTL_FAILED, "diff: the program is not installed (package diffutils)");
    if (r < 0)
        return sf_ctl_fail(SF_CTL_FAILED, "%s: diff of %s failed: %s", view->id, path,
                           r == -EIO && text ? last_words(text) : strerrordesc_np(-r));
    if (!ctl->json) /* main() tells what is wrong with standard output */
        return fwrite(text, 1, len, stdout) == len && fflush(stdout) == 0 ? SF_CTL_OK
                                                                          : SF_CTL_FAILED;
    json_t *string = json_stringn(text ? text : "", len);
    if (!string ||
        json_array_append_new(results, json_pack("{s:s, s:b, s:o}", "path", path, "differs",
                                                 differs, "diff", string)) < 0)
        return sf_ctl_fail(SF_CTL_FAILED, "%s: diff of %s: not UTF-8, or out of memory", view->id,
                           path);
    return SF_CTL_OK;
}

static SfCtlExit diff_all(const SfCtl *ctl, const View *view, json_t *results)
{
    SfCtlExit code = SF_CTL_OK;
    size_t i;
    json_t *file;
    json_array_foreach(json_object_get(view->container, "files"), i, file)
    {
        const char *name = sf_ctl_string(file, "path");
        /* These become arguments: the daemon is trusted, but not to be free of errors. */
        if (sf_attach_check_path(name) < 0 || is_directory(file))
            continue;
        code = diff_file(ctl, view, name, results);
        if (code != SF_CTL_OK)
            break;
    }
    return code;
}

/* path NULL: all files but what is below directories. */
static SfCtlExit diff_files(const SfCtl *ctl, const View *view, const char *path)
{
    json_t *results = json_array();
    if (!results)
        return sf_ctl_fail(SF_CTL_FAILED, "diff: out of memory");
    SfCtlExit code = path ? diff_file(ctl, view, path, results) : diff_all(ctl, view, results);
    if (code == SF_CTL_OK && ctl->json)
        return sf_ctl_print_json(json_pack("{s:s, s:o}", "id", view->id, "files", results));
    json_decref(results);
    return code;
}

SfCtlExit sf_ctl_diff(const SfCtl *ctl, int argc, char **args)
{
    View view;
    const char *path = argc > 1 ? args[1] : NULL;
    SfCtlExit code = find_view(ctl, args[0], &view);
    if (code != SF_CTL_OK)
        return code;
    int r = path ? check_file(&view, path) : 0;
    code = r < 0 ? fail_file(&view, path, r) : diff_files(ctl, &view, path);
    json_decref(view.container);
    return code;
}
