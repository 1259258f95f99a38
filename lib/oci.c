/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Reads the OCI state and configuration. The state comes from the runtime, but parts of it (id,
 * annotations, paths) are a user's text: every member used is checked for its type and form, and
 * members not used may be anything.
 */

#include "lib/oci.h"

#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/id.h"
#include "lib/base/io.h"
#include "lib/deadline.h"

#define ANNOTATION_PREFIX "io.sysfsd."

/* What the values of the last two may be is the daemon's to say. */
static const char *const annotation_keys[] = {
    ANNOTATION_PREFIX "enable",
    ANNOTATION_PREFIX "required",
    ANNOTATION_PREFIX "cpu",
    ANNOTATION_PREFIX "views",
};
#define ANNOTATION_KEYS (sizeof(annotation_keys) / sizeof(annotation_keys[0]))

void sf_oci_state_clear(SfOciState *state)
{
    for (size_t i = 0; i < state->annotation_count; i++) {
        free((char *)state->annotations[i].key);
        free((char *)state->annotations[i].value);
    }
    free(state->annotations);
    free(state->id);
    free(state->status);
    free(state->bundle);
    free(state->rootfs);
    *state = (SfOciState){0};
}

int sf_oci_state_read(int fd, int64_t deadline_msec, char **ret_text, size_t *ret_len)
{
    SF_CLEANUP_FREE char *text = malloc(SF_OCI_STATE_MAX + 1);
    if (!text)
        return -ENOMEM;
    size_t len = 0;
    for (;;) {
        /* A runtime that never closes its end must not hold the container up for ever. */
        struct pollfd pfd = {.fd = fd, .events = POLLIN};
        int n = poll(&pfd, 1, sf_deadline_left(deadline_msec));
        if (n == 0)
            return -ETIMEDOUT;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n < 0)
            continue;
        ssize_t got = read(fd, text + len, SF_OCI_STATE_MAX + 1 - len);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        len += (size_t)got;
        if (len > SF_OCI_STATE_MAX)
            return -EFBIG;
    }
    if (len == 0)
        return -ENODATA;
    text[len] = '\0';
    *ret_len = len;
    *ret_text = sf_steal_ptr(&text);
    return 0;
}

static int load_object(const char *text, size_t len, const char *what, json_t **ret_object,
                       char *error, size_t error_size)
{
    json_error_t where;
    json_t *object = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);
    if (!object) {
        (void)snprintf(error, error_size, "%s is not valid JSON: line %d: %s", what, where.line,
                       where.text);
        return -EBADMSG;
    }
    if (!json_is_object(object)) {
        json_decref(object);
        (void)snprintf(error, error_size, "%s is not a JSON object", what);
        return -EBADMSG;
    }
    *ret_object = object;
    return 0;
}

/* A string member: a copy, or NULL when it is not there. */
static int get_string(const json_t *object, const char *key, char **ret_value, char *error,
                      size_t error_size)
{
    const json_t *member = json_object_get(object, key);
    if (!member || json_is_null(member)) {
        *ret_value = NULL;
        return 0;
    }
    if (!json_is_string(member)) {
        (void)snprintf(error, error_size, "member \"%s\" is not a string", key);
        return -EINVAL;
    }
    char *copy = strdup(json_string_value(member));
    if (!copy)
        return -ENOMEM;
    *ret_value = copy;
    return 0;
}

/* An absolute path, or NULL when it is not there. */
static int get_path(const json_t *object, const char *key, char **ret_value, char *error,
                    size_t error_size)
{
    SF_CLEANUP_FREE char *path = NULL;
    int r = get_string(object, key, &path, error, error_size);
    if (r < 0)
        return r;
    if (path && (path[0] != '/' || strlen(path) >= PATH_MAX)) {
        (void)snprintf(error, error_size, "member \"%s\" is not an absolute path", key);
        return -EINVAL;
    }
    *ret_value = sf_steal_ptr(&path);
    return 0;
}

/* A member that names a root file system, absolute: relative ones start at the bundle. NULL when it
 * is not there (config.md "Root": a VM). */
static int get_root(const json_t *object, const char *key, const char *bundle, char **ret_rootfs,
                    char *error, size_t error_size)
{
    SF_CLEANUP_FREE char *path = NULL;
    int r = get_string(object, key, &path, error, error_size);
    if (r < 0)
        return r;
    if (!path || path[0] == '/') {
        *ret_rootfs = sf_steal_ptr(&path);
        return 0;
    }
    if (!bundle) {
        (void)snprintf(error, error_size, "the root path is relative and the state has no bundle");
        return -EINVAL;
    }
    char *joined;
    if (asprintf(&joined, "%s/%s", bundle, path) < 0)
        return -ENOMEM;
    *ret_rootfs = joined;
    return 0;
}

static bool parse_bool(const char *value, bool *ret_value)
{
    bool yes = strcmp(value, "true") == 0;
    if (!yes && strcmp(value, "false") != 0)
        return false;
    *ret_value = yes;
    return true;
}

static bool has_annotation(const SfOciState *state, const char *key)
{
    for (size_t i = 0; i < state->annotation_count; i++)
        if (strcmp(state->annotations[i].key, key) == 0)
            return true;
    return false;
}

static bool is_known(const char *key)
{
    for (size_t i = 0; i < ANNOTATION_KEYS; i++)
        if (strcmp(annotation_keys[i], key) == 0)
            return true;
    return false;
}

static int add_annotation(SfOciState *state, const char *key, const json_t *json_value, char *error,
                          size_t error_size)
{
    const char *value = json_string_value(json_value);
    if (!value) {
        (void)snprintf(error, error_size, "annotation %s is not a string", key);
        return -EINVAL;
    }
    /* Here and not only in the daemon: with a "requird" the container must not start without it. */
    if (!is_known(key)) {
        (void)snprintf(error, error_size, "annotation %s=%s: no such annotation", key, value);
        return -EINVAL;
    }
    bool *flag = NULL;
    if (strcmp(key, ANNOTATION_PREFIX "enable") == 0)
        flag = &state->enable;
    else if (strcmp(key, ANNOTATION_PREFIX "required") == 0)
        flag = &state->required;
    if (flag && !parse_bool(value, flag)) {
        (void)snprintf(error, error_size, "annotation %s=%s: the value is neither true nor false",
                       key, value);
        return -EINVAL;
    }
    SF_CLEANUP_FREE char *key_copy = strdup(key);
    SF_CLEANUP_FREE char *value_copy = strdup(value);
    if (!key_copy || !value_copy)
        return -ENOMEM;
    state->annotations[state->annotation_count++] = (struct sysfsd_annotation){
        .key = sf_steal_ptr(&key_copy),
        .value = sf_steal_ptr(&value_copy),
    };
    return 0;
}

/* Takes those of ours that *state does not have yet. */
static int add_annotations(const json_t *object, SfOciState *state, char *error, size_t error_size)
{
    json_t *annotations = json_object_get(object, "annotations");
    if (!annotations || json_is_null(annotations))
        return 0;
    if (!json_is_object(annotations)) {
        (void)snprintf(error, error_size, "member \"annotations\" is not an object");
        return -EINVAL;
    }
    const char *key;
    json_t *value;
    json_object_foreach(annotations, key, value)
    {
        if (strncmp(key, ANNOTATION_PREFIX, strlen(ANNOTATION_PREFIX)) != 0 ||
            has_annotation(state, key))
            continue;
        int r = add_annotation(state, key, value, error, error_size);
        if (r < 0)
            return r;
    }
    return 0;
}

static int get_id(const json_t *object, SfOciState *state, char *error, size_t error_size)
{
    int r = get_string(object, "id", &state->id, error, error_size);
    if (r < 0)
        return r;
    if (!sf_id_valid(state->id)) {
        (void)snprintf(error, error_size, "container id \"%.140s\" is not 1-128 of [A-Za-z0-9_.-]",
                       state->id ? state->id : "");
        return -EINVAL;
    }
    return 0;
}

static int get_pid(const json_t *object, SfOciState *state, char *error, size_t error_size)
{
    const json_t *pid = json_object_get(object, "pid");
    if (!pid || json_is_null(pid))
        return 0;
    json_int_t value = json_integer_value(pid);
    if (!json_is_integer(pid) || value < 0 || value > INT_MAX) {
        (void)snprintf(error, error_size, "member \"pid\" is not a process ID");
        return -EINVAL;
    }
    state->pid = (pid_t)value;
    return 0;
}

static int fill_state(const json_t *object, SfOciState *state, char *error, size_t error_size)
{
    state->enable = true;
    state->annotations = calloc(ANNOTATION_KEYS, sizeof(*state->annotations));
    if (!state->annotations)
        return -ENOMEM;
    int r = get_id(object, state, error, error_size);
    if (r == 0)
        r = get_pid(object, state, error, error_size);
    if (r == 0)
        r = get_string(object, "status", &state->status, error, error_size);
    if (r == 0 && !state->status && !(state->status = strdup("")))
        r = -ENOMEM;
    if (r == 0)
        r = get_path(object, "bundle", &state->bundle, error, error_size);
    /* Not in the specification; crun says it as config.json does. */
    if (r == 0)
        r = get_root(object, "root", state->bundle, &state->rootfs, error, error_size);
    if (r == 0)
        r = add_annotations(object, state, error, error_size);
    return r;
}

int sf_oci_state_parse(const char *text, size_t len, SfOciState *ret_state, char *error,
                       size_t error_size)
{
    json_t *object = NULL;
    int r = load_object(text, len, "the state", &object, error, error_size);
    if (r < 0)
        return r;
    SfOciState state = {0};
    r = fill_state(object, &state, error, error_size);
    json_decref(object);
    if (r < 0) {
        sf_oci_state_clear(&state);
        return r;
    }
    *ret_state = state;
    return 0;
}

int sf_oci_config_parse(const char *text, size_t len, SfOciState *state, char *error,
                        size_t error_size)
{
    json_t *object = NULL;
    int r = load_object(text, len, "config.json", &object, error, error_size);
    if (r < 0)
        return r;
    const size_t had = state->annotation_count;
    const bool enable = state->enable, required = state->required;
    char *rootfs = NULL;
    r = get_root(json_object_get(object, "root"), "path", state->bundle, &rootfs, error,
                 error_size);
    if (r == 0)
        r = add_annotations(object, state, error, error_size);
    json_decref(object);
    if (r < 0) {
        free(rootfs);
        while (state->annotation_count > had) {
            state->annotation_count--;
            free((char *)state->annotations[state->annotation_count].key);
            free((char *)state->annotations[state->annotation_count].value);
        }
        state->enable = enable;
        state->required = required;
        return r;
    }
    if (rootfs) {
        free(state->rootfs);
        state->rootfs = rootfs;
    }
    return 0;
}

/* Only a regular file: to open a FIFO takes as long as nobody writes to it, whatever the hook's
 * timeout. */
static int read_config(int bundle_fd, char **ret_text, size_t *ret_len)
{
    struct stat st;
    SF_CLEANUP_FD int fd = openat(bundle_fd, "config.json", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    return sf_read_alloc_fd(fd, SF_OCI_CONFIG_MAX, ret_text, ret_len);
}

int sf_oci_config_read(SfOciState *state, char *error, size_t error_size)
{
    if (!state->bundle) {
        (void)snprintf(error, error_size, "the state has no bundle");
        return -EINVAL;
    }
    SF_CLEANUP_FREE char *text = NULL;
    size_t len = 0;
    SF_CLEANUP_FD int dir_fd = open(state->bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int r = dir_fd < 0 ? -errno : read_config(dir_fd, &text, &len);
    if (r < 0) {
        (void)snprintf(error, error_size, "%s/config.json: %s", state->bundle, strerrordesc_np(-r));
        return r;
    }
    return sf_oci_config_parse(text, len, state, error, error_size);
}
