/* SPDX-License-Identifier: Apache-2.0 */

/*
 * doctor's checks of the kernel, of /dev/fuse and of what the caller may do. System calls are tried
 * with arguments that no kernel accepts, so that nothing can happen.
 */

#include "tools/ctl_doctor.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <linux/capability.h>

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/number.h"

/* mount_setattr(2) is the youngest call that is needed. */
#define KERNEL_MAJOR 5
#define KERNEL_MINOR 12

/* Documentation/admin-guide/devices.txt: char 10 is misc, 229 is fuse. */
#define FUSE_DEV_MAJOR 10
#define FUSE_DEV_MINOR 229

#define AS_ROOT "run sysfs-ctl as the host's root"

/* The digits at *text. */
static bool take_number(const char **text, uint64_t *ret_value)
{
    size_t len = strspn(*text, "0123456789");
    if (sf_slice_u64(sf_slice(*text, len), ret_value) < 0)
        return false;
    *text += len;
    return true;
}

static void check_kernel(SfDoctor *doctor)
{
    struct utsname name;
    uint64_t major = 0, minor = 0;
    if (uname(&name) < 0) {
        sf_doctor_add(doctor, "kernel", SF_CHECK_FAIL, "use Linux", "uname: %s",
                      strerrordesc_np(errno));
        return;
    }
    const char *p = name.release;
    bool known = take_number(&p, &major) && *p++ == '.' && take_number(&p, &minor);
    if (!known)
        sf_doctor_add(doctor, "kernel", SF_CHECK_WARN, "make sure that it is 5.12 or later",
                      "release \"%s\" is not of a known form", name.release);
    else if (major < KERNEL_MAJOR || (major == KERNEL_MAJOR && minor < KERNEL_MINOR))
        sf_doctor_add(doctor, "kernel", SF_CHECK_FAIL, "install Linux 5.12 or later",
                      "%s is too old", name.release);
    else
        sf_doctor_add(doctor, "kernel", SF_CHECK_OK, NULL, "%s", name.release);
}

static void check_fuse(SfDoctor *doctor)
{
    const char *path = "/dev/fuse";
    struct stat st;
    SF_CLEANUP_FD int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0 &&
        (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(FUSE_DEV_MAJOR, FUSE_DEV_MINOR)))
        sf_doctor_add(doctor, "fuse", SF_CHECK_FAIL, "mknod /dev/fuse c 10 229",
                      "%s is not the FUSE device", path);
    else if (fd >= 0)
        sf_doctor_add(doctor, "fuse", SF_CHECK_OK, NULL, "%s can be opened", path);
    else if (errno == EACCES || errno == EPERM)
        sf_doctor_add(doctor, "fuse", SF_CHECK_FAIL,
                      AS_ROOT "; in a container, allow the device c 10:229", "%s: %s", path,
                      strerrordesc_np(errno));
    else
        sf_doctor_add(doctor, "fuse", SF_CHECK_FAIL,
                      "modprobe fuse, or a kernel with CONFIG_FUSE_FS", "%s: %s", path,
                      strerrordesc_np(errno));
}

/* -EINVAL or -EBADF from a kernel that has the call. */
static const struct {
    const char *name;
    long number;
    long arguments[5];
} calls[] = {
    {"open_tree", SYS_open_tree, {-1, 0, -1}},
    {"move_mount", SYS_move_mount, {-1, 0, -1, 0, -1}},
    {"mount_setattr", SYS_mount_setattr, {-1, 0, -1, 0, 0}},
    {"pidfd_open", SYS_pidfd_open, {-1, -1}},
    {"openat2", SYS_openat2, {-1, 0, 0, 0}},
};

static void check_calls(SfDoctor *doctor)
{
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        const long *a = calls[i].arguments;
        long r = syscall(calls[i].number, a[0], a[1], a[2], a[3], a[4]);
        char name[64];
        (void)snprintf(name, sizeof(name), "syscall %s", calls[i].name);
        if (r < 0 && errno == ENOSYS)
            sf_doctor_add(doctor, name, SF_CHECK_FAIL,
                          "install Linux 5.12 or later; in a container, let seccomp pass it",
                          "the kernel does not have it");
        else if (r < 0 && (errno == EPERM || errno == EACCES))
            sf_doctor_add(doctor, name, SF_CHECK_WARN, AS_ROOT, "not permitted to this process");
        else
            sf_doctor_add(doctor, name, SF_CHECK_OK, NULL, "available");
    }
}

/* What sysfsd_attach() needs of its caller, and what opening the views does. */
static const struct {
    const char *name;
    unsigned number;
    const char *purpose;
} capabilities[] = {
    {"CAP_SYS_ADMIN", CAP_SYS_ADMIN, "attach, detach"},
    {"CAP_SYS_CHROOT", CAP_SYS_CHROOT, "attach, detach"},
    {"CAP_SYS_PTRACE", CAP_SYS_PTRACE, "attach, detach"},
    {"CAP_DAC_OVERRIDE", CAP_DAC_OVERRIDE, "the control socket, cat and diff in user namespaces"},
};

/* "CapEff:" of proc_pid_status(5), the bits in hexadecimal. */
static int read_capabilities(uint64_t *ret_bits)
{
    char text[8192];
    size_t len;
    int r = sf_read_at(AT_FDCWD, "/proc/self/status", text, sizeof(text), &len);
    if (r < 0)
        return r;
    SfSlice rest = sf_slice(text, len), line;
    while (sf_slice_next_line(&rest, &line)) {
        if (!sf_slice_starts(line, "CapEff:"))
            continue;
        SfSlice digits = sf_slice_trim(sf_slice(line.data + 7, line.len - 7));
        uint64_t bits = 0;
        for (size_t i = 0; i < digits.len; i++) {
            const char *hex = "0123456789abcdef";
            const char *at = memchr(hex, digits.data[i], 16);
            if (!at || i >= 16)
                return -EINVAL;
            bits = bits << 4 | (uint64_t)(at - hex);
        }
        *ret_bits = bits;
        return 0;
    }
    return -ENODATA;
}

static void check_capabilities(SfDoctor *doctor)
{
    uint64_t bits = 0;
    int r = read_capabilities(&bits);
    if (r < 0) {
        sf_doctor_add(doctor, "capabilities", SF_CHECK_WARN, "mount /proc", "/proc/self/status: %s",
                      strerrordesc_np(-r));
        return;
    }
    unsigned missing = 0;
    for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++) {
        if (bits & UINT64_C(1) << capabilities[i].number)
            continue;
        missing++;
        sf_doctor_add(doctor, "capabilities", SF_CHECK_WARN, AS_ROOT,
                      "%s is missing, needed for: %s", capabilities[i].name,
                      capabilities[i].purpose);
    }
    if (missing == 0)
        sf_doctor_add(doctor, "capabilities", SF_CHECK_OK, NULL, "all that sysfs-ctl needs");
}

/* The initial user namespace maps everything to itself; the daemon serves no other root. */
static void check_user_namespace(SfDoctor *doctor)
{
    char text[4096];
    size_t len;
    uint64_t inside = 1, outside = 1, count = 0;
    int r = sf_read_at(AT_FDCWD, "/proc/self/uid_map", text, sizeof(text), &len);
    if (r == 0) {
        SfSlice rest = sf_slice_trim(sf_slice(text, len)), word;
        uint64_t *values[] = {&inside, &outside, &count};
        for (size_t i = 0; i < 3 && r == 0 && sf_slice_next_word(&rest, &word); i++)
            r = sf_slice_u64(word, values[i]);
    }
    if (r < 0)
        sf_doctor_add(doctor, "user namespace", SF_CHECK_WARN, "mount /proc",
                      "/proc/self/uid_map: %s", strerrordesc_np(-r));
    else if (inside == 0 && outside == 0 && count == UINT32_MAX)
        sf_doctor_add(doctor, "user namespace", SF_CHECK_OK, NULL, "the host's");
    else
        sf_doctor_add(doctor, "user namespace", SF_CHECK_FAIL, AS_ROOT ", outside of a container",
                      "not the host's: FUSE views for other namespaces cannot be mounted here");
}

void sf_doctor_host(SfDoctor *doctor)
{
    check_kernel(doctor);
    check_fuse(doctor);
    check_calls(doctor);
    check_user_namespace(doctor);
    check_capabilities(doctor);
}
