/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of the kernel's that can be made to hang: mounts a FUSE file over FILE that says what FILE
 * says, and while GATE exists no read of it and no statfs(2) returns ("hangs" is printed). A reader
 * waits as it would for a lock in the kernel: not even a kill ends it.
 *
 * usage: slow-file FILE GATE (prints "ready"; until it is killed, which fails the reads that wait)
 */

#define FUSE_USE_VERSION 312
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static int real_fd; /* FILE, opened before it was covered */
static const char *gate;

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    struct stat st = {.st_ino = 1, .st_mode = S_IFREG | 0444, .st_nlink = 1};

    (void)fuse_reply_attr(req, &st, 0);
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    file->direct_io = 1;
    (void)fuse_reply_open(req, file);
}

static void pass_gate(void)
{
    if (access(gate, F_OK) == 0) {
        (void)puts("hangs");
        (void)fflush(stdout);
    }
    while (access(gate, F_OK) == 0)
        (void)usleep(5000);
}

static void on_statfs(fuse_req_t req, fuse_ino_t ino)
{
    pass_gate();
    (void)fuse_reply_err(req, ENOSYS);
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                    struct fuse_file_info *file)
{
    char text[65536];

    pass_gate();
    ssize_t n = pread(real_fd, text, size < sizeof(text) ? size : sizeof(text), offset);
    if (n < 0)
        (void)fuse_reply_err(req, errno);
    else
        (void)fuse_reply_buf(req, text, (size_t)n);
}

int main(int argc, char **argv)
{
    static const struct fuse_lowlevel_ops ops = {
        .getattr = on_getattr, .open = on_open, .read = on_read, .statfs = on_statfs};
    char name[] = "slow-file";
    struct fuse_args args = {.argc = 1, .argv = (char *[]){name, NULL}};

    if (argc != 3)
        return 2;
    gate = argv[2];
    real_fd = open(argv[1], O_RDONLY | O_CLOEXEC);
    struct fuse_session *session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
    if (real_fd < 0 || !session || fuse_session_mount(session, argv[1]) < 0) {
        perror(argv[1]);
        return 1;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)puts("ready");
    (void)fflush(stdout);
    int r = fuse_session_loop(session);
    fuse_session_unmount(session);
    fuse_session_destroy(session);
    return r != 0;
}
