/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Which cgroup hierarchies there are: the parsers of /proc/PID/cgroup and of mountinfo's cgroup
 * lines, and the choice of the hierarchy that answers for a controller. What is below a hierarchy
 * is cgroup.c's.
 */

#include "daemon/source/cgroup_internal.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "lib/base/io.h"

static const struct {
    const char *name; /* as the kernel says it: v1 mount option and /proc/PID/cgroup */
    const char
        *v2; /* in cgroup.controllers; NULL: no controller there; "": part of every v2 cgroup */
} CONTROLLERS[SF_CONTROLLER_COUNT] = {
    [SF_CONTROLLER_CPU] = {"cpu", "cpu"},
    [SF_CONTROLLER_CPUACCT] = {"cpuacct", ""},
    [SF_CONTROLLER_CPUSET] = {"cpuset", "cpuset"},
    [SF_CONTROLLER_MEMORY] = {"memory", "memory"},
    [SF_CONTROLLER_IO] = {"blkio", "io"},
    [SF_CONTROLLER_PIDS] = {"pids", "pids"},
    [SF_CONTROLLER_HUGETLB] = {"hugetlb", "hugetlb"},
    [SF_CONTROLLER_FREEZER] = {"freezer", ""},
    [SF_CONTROLLER_SYSTEMD] = {"name=systemd", NULL},
    [SF_CONTROLLER_UNIFIED] = {NULL, ""},
};

const char *sf_controller_name(SfController controller)
{
    switch (controller) {
    case SF_CONTROLLER_IO:
        return "io";
    case SF_CONTROLLER_UNIFIED:
        return "unified";
    default:
        return controller < SF_CONTROLLER_COUNT ? CONTROLLERS[controller].name : "unknown";
    }
}

int sf_membership_next(SfSlice *rest, SfMembership *ret_membership)
{
    static const char DELETED[] = " (deleted)";
    const size_t deleted_len = sizeof(DELETED) - 1;
    SfSlice line, id;
    SfMembership membership = {0};
    uint64_t number;

    if (!sf_slice_next_line(rest, &line))
        return 0;
    if (!sf_slice_next_field(&line, ':', &id) || sf_slice_u64(id, &number) < 0)
        return -EINVAL;
    if (!sf_slice_next_field(&line, ':', &membership.controllers) || line.len == 0 ||
        line.data[0] != '/')
        return -EINVAL;
    /* proc_cgroup_show() adds it for a v2 cgroup that was removed under its zombie. */
    if (line.len > deleted_len &&
        memcmp(line.data + line.len - deleted_len, DELETED, deleted_len) == 0) {
        membership.deleted = true;
        line.len -= deleted_len;
    }
    membership.path = line;
    *ret_membership = membership;
    return 1;
}

/* Three octal digits after a backslash, as mangle() writes them (fs/proc_namespace.c); anything
 * else stands for itself. */
static char *unescape(SfSlice text)
{
    char *decoded = malloc(text.len + 1);
    size_t len = 0;

    if (!decoded)
        return NULL;
    for (size_t i = 0; i < text.len; i++) {
        const char *c = text.data + i;
        if (c[0] == '\\' && text.len - i >= 4 && c[1] >= '0' && c[1] <= '3' && c[2] >= '0' &&
            c[2] <= '7' && c[3] >= '0' && c[3] <= '7') {
            decoded[len++] = (char)((c[1] - '0') * 64 + (c[2] - '0') * 8 + (c[3] - '0'));
            i += 3;
        } else {
            decoded[len++] = c[0];
        }
    }
    decoded[len] = '\0';
    return decoded;
}

void sf_cgroup_mount_clear(SfCgroupMount *mount)
{
    free(mount->root);
    free(mount->mount_point);
    free(mount->super_options);
    *mount = (SfCgroupMount){0};
}

/* Fields of a line by their place in proc_pid_mountinfo(5). */
typedef struct MountLine {
    SfSlice root, mount_point, type, super_options;
} MountLine;

static int split_mount_line(SfSlice line, MountLine *ret_line)
{
    SfSlice word;

    for (unsigned field = 1; field <= 6; field++) {
        if (!sf_slice_next_word(&line, &word))
            return -EINVAL;
        if (field == 4)
            ret_line->root = word;
        else if (field == 5)
            ret_line->mount_point = word;
    }
    do { /* optional fields ("shared:2") up to a lone "-" */
        if (!sf_slice_next_word(&line, &word))
            return -EINVAL;
    } while (!sf_slice_eq(word, "-"));
    if (!sf_slice_next_word(&line, &ret_line->type))
        return -EINVAL;

    /* An empty source is printed as nothing between two blanks, so the options are what follows the
     * last one. */
    line = sf_slice_trim(line);
    const char *blank = line.len > 0 ? memrchr(line.data, ' ', line.len) : NULL;
    size_t start = blank ? (size_t)(blank + 1 - line.data) : 0;
    ret_line->super_options = sf_slice(line.data + start, line.len - start);
    return line.len > 0 ? 0 : -EINVAL;
}

int sf_cgroup_mount_next(SfSlice *rest, SfCgroupMount *ret_mount)
{
    SfSlice line;

    while (sf_slice_next_line(rest, &line)) {
        MountLine fields;
        int r = split_mount_line(line, &fields);
        if (r < 0)
            return r;

        bool v2 = sf_slice_eq(fields.type, "cgroup2");
        if (!v2 && !sf_slice_eq(fields.type, "cgroup"))
            continue;
        SfCgroupMount mount = {
            .version = v2 ? 2 : 1,
            .root = unescape(fields.root),
            .mount_point = unescape(fields.mount_point),
            .super_options = unescape(fields.super_options),
        };
        if (!mount.root || !mount.mount_point || !mount.super_options) {
            sf_cgroup_mount_clear(&mount);
            return -ENOMEM;
        }
        *ret_mount = mount;
        return 1;
    }
    return 0;
}

static bool list_has(const char *list, char separator, const char *name)
{
    SfSlice rest = sf_slice_str(list);
    SfSlice item;

    while (sf_slice_next_field(&rest, separator, &item)) {
        if (sf_slice_eq(sf_slice_trim(item), name))
            return true;
    }
    return false;
}

/* The same hierarchy mounted again (bind mounts, a container's own tree): nothing new to learn from
 * it. */
static SfHierarchy *find_same(SfCgroups *cgroups, const SfCgroupMount *mount)
{
    for (unsigned i = 0; i < cgroups->hierarchy_count; i++) {
        SfHierarchy *known = &cgroups->hierarchies[i];
        if (known->version == mount->version &&
            (mount->version == 2 || strcmp(known->mount.super_options, mount->super_options) == 0))
            return known;
    }
    return NULL;
}

/* A captured tree holds ordinary files; on a real host whatever was mounted over the mount point is
 * not taken for it. */
static bool is_cgroup_fs(int fd, unsigned version)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) < 0)
        return false;
    return (unsigned long)fs.f_type ==
           (version == 2 ? (unsigned long)CGROUP2_SUPER_MAGIC : (unsigned long)CGROUP_SUPER_MAGIC);
}

static bool host_is_genuine(const SfHost *host)
{
    struct statfs fs;

    return fstatfs(sf_host_proc_fd(host), &fs) == 0 &&
           (unsigned long)fs.f_type == (unsigned long)PROC_SUPER_MAGIC;
}

/* "/" is the top of all cgroups, but not to a daemon in a cgroup namespace: by the files that the
 * kernel makes there alone (v1), and everywhere but there (v2). */
static bool shows_root(const SfHierarchy *hierarchy)
{
    if (!hierarchy->genuine || strcmp(hierarchy->mount.root, "/") != 0)
        return false;
    if (hierarchy->version == 2)
        return faccessat(hierarchy->top_fd, "cgroup.type", F_OK, 0) < 0;
    return faccessat(hierarchy->top_fd, "cgroup.sane_behavior", F_OK, 0) == 0;
}

/* The mount point, or -1 when it cannot be used: hidden below another mount, or not permitted. */
static int open_mount(const SfHost *host, const SfCgroupMount *mount, bool genuine,
                      struct stat *ret_stat)
{
    const char *path = mount->mount_point;

    while (*path == '/')
        path++;
    SF_CLEANUP_FD int fd =
        openat(sf_host_root_fd(host), *path ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || (genuine && !is_cgroup_fs(fd, mount->version)) || fstat(fd, ret_stat) < 0)
        return -1;
    return sf_steal_fd(&fd);
}

/* Takes *mount over in any case. */
static void add_mount(SfCgroups *cgroups, SfCgroupMount *mount, bool genuine)
{
    SfHierarchy *same = find_same(cgroups, mount);
    bool better = same && strcmp(same->mount.root, "/") != 0 && strcmp(mount->root, "/") == 0;
    struct stat st;
    int fd = -1;

    if ((!same && cgroups->hierarchy_count < SF_HIERARCHIES_MAX) || better)
        fd = open_mount(cgroups->host, mount, genuine, &st);
    if (fd < 0) {
        sf_cgroup_mount_clear(mount);
        return;
    }
    if (!same)
        same = &cgroups->hierarchies[cgroups->hierarchy_count++];
    else {
        (void)sf_close(same->top_fd);
        sf_cgroup_mount_clear(&same->mount);
    }
    *same = (SfHierarchy){.version = mount->version,
                          .mount = *mount,
                          .top_fd = fd,
                          .genuine = genuine,
                          .device = st.st_dev,
                          .inode = st.st_ino};
    same->shows_root = shows_root(same);
    *mount = (SfCgroupMount){0};
}

static SfHierarchy *find_v1(SfCgroups *cgroups, SfController controller)
{
    const char *name = CONTROLLERS[controller].name;

    for (unsigned i = 0; name && i < cgroups->hierarchy_count; i++) {
        SfHierarchy *hierarchy = &cgroups->hierarchies[i];
        if (hierarchy->version == 1 && list_has(hierarchy->mount.super_options, ',', name))
            return hierarchy;
    }
    return NULL;
}

static SfHierarchy *find_v2(SfCgroups *cgroups)
{
    for (unsigned i = 0; i < cgroups->hierarchy_count; i++) {
        if (cgroups->hierarchies[i].version == 2)
            return &cgroups->hierarchies[i];
    }
    return NULL;
}

static bool v2_has(const char *controllers, SfController controller)
{
    const char *name = CONTROLLERS[controller].v2;

    return name && (name[0] == '\0' || list_has(controllers, ' ', name));
}

int sf_hierarchies_find(SfCgroups *cgroups, SfSlice mountinfo)
{
    bool genuine = host_is_genuine(cgroups->host);
    SfCgroupMount mount;
    int r;

    while ((r = sf_cgroup_mount_next(&mountinfo, &mount)) > 0)
        add_mount(cgroups, &mount, genuine);
    if (r < 0)
        return r;

    char controllers[512] = ""; /* the names of all controllers there are do not reach 128 */
    size_t len;
    SfHierarchy *v2 = find_v2(cgroups);
    if (v2) {
        r = sf_read_at(v2->top_fd, "cgroup.controllers", controllers, sizeof(controllers), &len);
        if (r < 0 && r != -ENOENT)
            return r;
        if (r < 0)
            controllers[0] = '\0';
    }
    /* The kernel has a controller in one hierarchy only; a v1 mount of it is therefore the better
     * witness. */
    for (unsigned i = 0; i < SF_CONTROLLER_COUNT; i++) {
        SfHierarchy *found = find_v1(cgroups, (SfController)i);
        if (!found && v2 && v2_has(controllers, (SfController)i))
            found = v2;
        cgroups->by_controller[i] = found;
    }
    return 0;
}

void sf_hierarchies_clear(SfCgroups *cgroups)
{
    for (unsigned i = 0; i < cgroups->hierarchy_count; i++) {
        (void)sf_close(cgroups->hierarchies[i].top_fd);
        sf_cgroup_mount_clear(&cgroups->hierarchies[i].mount);
    }
    cgroups->hierarchy_count = 0;
}
