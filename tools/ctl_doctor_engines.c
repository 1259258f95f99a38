/* SPDX-License-Identifier: Apache-2.0 */

/*
 * doctor's checks of the container engines on this host and whether they will call sysfs-hook. What
 * cannot be seen from files, such as the hooks of a bundle, is said, not guessed.
 */

#include "tools/ctl_doctor.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/number.h"

#define HOOK_FILE_MAX (64u << 10)

/* Engines are in sbin too, which is not in everybody's PATH. */
#define MORE_DIRECTORIES "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static bool find_in(const char *directories, const char *name, char *ret_path, size_t size)
{
    SfSlice rest = sf_slice_str(directories), directory;
    while (sf_slice_next_field(&rest, ':', &directory)) {
        if (directory.len == 0)
            continue; /* the current directory says nothing about the host */
        int n = snprintf(ret_path, size, "%.*s/%s", (int)directory.len, directory.data, name);
        if (n > 0 && (size_t)n < size && access(ret_path, X_OK) == 0)
            return true;
    }
    return false;
}

static bool find_program(const char *name, char *ret_path, size_t size)
{
    const char *path = getenv("PATH");
    return (path && find_in(path, name, ret_path, size)) ||
           find_in(MORE_DIRECTORIES, name, ret_path, size);
}

static void check_diff(SfDoctor *doctor)
{
    char path[PATH_MAX];
    if (find_program("diff", path, sizeof(path)))
        sf_doctor_add(doctor, "diff", SF_CHECK_OK, NULL, "%s", path);
    else
        sf_doctor_add(doctor, "diff", SF_CHECK_WARN, "install diffutils",
                      "not found, sysfs-ctl diff cannot work");
}

/* 0 and the hook program's path when `file` is a hook of sysfsd that can run. */
static int read_hook_file(const char *file, char *ret_program, size_t size)
{
    SF_CLEANUP_FREE char *text = NULL;
    size_t len;
    int r = sf_read_alloc_at(AT_FDCWD, file, HOOK_FILE_MAX, &text, &len);
    if (r < 0)
        return r;
    json_t *root = json_loadb(text, len, 0, NULL);
    const char *program = sf_ctl_string(json_object_get(root, "hook"), "path");
    (void)snprintf(ret_program, size, "%s", program);
    json_decref(root);
    if (!ret_program[0])
        return -EBADMSG;
    return access(ret_program, X_OK) < 0 ? -ENOEXEC : 0;
}

/* Directories of oci-hooks(5), in the order of their precedence. */
static void check_hooks_directory(SfDoctor *doctor)
{
    static const char *const files[] = {
        "/etc/containers/oci/hooks.d/sysfsd.json",
        "/usr/share/containers/oci/hooks.d/sysfsd.json",
    };
    char program[PATH_MAX];
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        int r = read_hook_file(files[i], program, sizeof(program));
        if (r == -ENOENT)
            continue;
        if (r == 0)
            sf_doctor_add(doctor, "hooks.d", SF_CHECK_OK, NULL, "%s calls %s", files[i], program);
        else if (r == -ENOEXEC)
            sf_doctor_add(doctor, "hooks.d", SF_CHECK_FAIL,
                          "correct its path, or install sysfs-hook there",
                          "%s names %s, which cannot be executed", files[i], program);
        else
            sf_doctor_add(doctor, "hooks.d", SF_CHECK_FAIL, "install it again", "%s: %s", files[i],
                          r == -EBADMSG ? "not a hook in JSON" : strerrordesc_np(-r));
        return;
    }
    sf_doctor_add(doctor, "hooks.d", SF_CHECK_WARN,
                  "install sysfsd.json to /usr/share/containers/oci/hooks.d, see oci-hooks(5)",
                  "Podman and CRI-O will not call sysfs-hook");
}

static const struct {
    const char *program;
    bool uses_hooks_directory;
    const char *how; /* it comes to call the hook, docs/ENGINES.md */
} engines[] = {
    {"runc", false, "the bundle's config.json names the hook"},
    {"crun", false, "the bundle's config.json names the hook"},
    {"podman", true, "by hooks.d"},
    {"crio", true, "by hooks.d"},
    {"dockerd", false, "through a wrapper runtime"},
    {"containerd", false, "through a wrapper runtime"},
    {"lxc-start", false, "by lxc.hook.start-host"},
};

void sf_doctor_engines(SfDoctor *doctor)
{
    char path[PATH_MAX];
    bool hooks_directory = false;
    unsigned found = 0;
    check_diff(doctor);
    for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++) {
        if (!find_program(engines[i].program, path, sizeof(path)))
            continue;
        found++;
        hooks_directory |= engines[i].uses_hooks_directory;
        char name[64];
        (void)snprintf(name, sizeof(name), "engine %s", engines[i].program);
        sf_doctor_add(doctor, name, SF_CHECK_OK, NULL, "%s, %s", path, engines[i].how);
    }
    if (found == 0)
        sf_doctor_add(doctor, "engines", SF_CHECK_WARN, "install one, or use sysfs-ctl attach",
                      "no container engine is found");
    if (hooks_directory)
        check_hooks_directory(doctor);
    if (find_program("sysfs-hook", path, sizeof(path)))
        sf_doctor_add(doctor, "sysfs-hook", SF_CHECK_OK, NULL, "%s", path);
    else
        sf_doctor_add(doctor, "sysfs-hook", SF_CHECK_WARN, "install sysfsd (ninja install)",
                      "not found in the usual directories");
}
