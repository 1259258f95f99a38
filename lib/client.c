/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The client's side of the control socket: connect, send one call, receive one reply, all before
 * one deadline. It trusts nothing but a socket and a server of the expected user: the runtime
 * directory may be given by hand, and what comes back decides what is mounted in a container.
 */

#include "lib/client.h"

#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include "lib/deadline.h"
#include "lib/wire.h"

#define RECEIVE_CHUNK 16384

void sf_reply_clear(SfReply *reply)
{
    json_decref(reply->parameters);
    free(reply->error);
    free(reply->message);
    *reply = (SfReply){0};
}

/* An O_PATH fd of the socket file, if it is a socket of `owner`. */
static int open_socket_file(const char *runtime_dir, uid_t owner, int *ret_fd)
{
    SF_CLEANUP_FD int dir_fd = open(runtime_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return -errno;
    SF_CLEANUP_FD int fd = openat(dir_fd, SF_WIRE_SOCKET_NAME, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISSOCK(st.st_mode))
        return -ENOTSOCK;
    if (st.st_uid != owner)
        return -EPERM;
    *ret_fd = sf_steal_fd(&fd);
    return 0;
}

/* Who listens is asked of the kernel, because the file could have been exchanged since. */
static int check_peer(int fd, uid_t owner)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
        return -errno;
    return cred.uid == owner ? 0 : -EPERM;
}

static int connect_socket(const char *runtime_dir, uid_t owner, int64_t deadline, int *ret_fd)
{
    SF_CLEANUP_FD int file_fd = -1;
    int r = open_socket_file(runtime_dir, owner, &file_fd);
    if (r < 0)
        return r;
    SF_CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    /* A full backlog cannot be polled for; unix_stream_connect() honours the send timeout. */
    int left = sf_deadline_left(deadline);
    if (left == 0)
        return -ETIMEDOUT;
    struct timeval timeout = {left / 1000, left % 1000 * 1000};
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
        return -errno;
    /* Through the fd: sun_path is shorter than paths are, and the file is the one looked at. */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", file_fd);
    while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        if (errno == EAGAIN)
            return -ETIMEDOUT;
        if (errno != EINTR)
            return -errno;
        if (sf_deadline_left(deadline) == 0)
            return -ETIMEDOUT;
    }
    r = check_peer(fd, owner);
    if (r < 0)
        return r;
    *ret_fd = sf_steal_fd(&fd);
    return 0;
}

/* 0 when fd is ready for events (or in error: the next call says which), -ETIMEDOUT. */
static int wait_for(int fd, short events, int64_t deadline)
{
    for (;;) {
        struct pollfd pfd = {.fd = fd, .events = events};
        int n = poll(&pfd, 1, sf_deadline_left(deadline));
        if (n > 0)
            return 0;
        if (n == 0)
            return -ETIMEDOUT;
        if (errno != EINTR)
            return -errno;
    }
}

/* pass_fd (or -1) goes with the first byte. */
static int send_frame(int fd, const char *frame, size_t len, int pass_fd, int64_t deadline)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};

    for (size_t sent = 0; sent < len;) {
        struct iovec iov = {(void *)(frame + sent), len - sent};
        struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
        if (sent == 0 && pass_fd >= 0) {
            message.msg_control = control.bytes;
            message.msg_controllen = sizeof(control.bytes);
            struct cmsghdr *header = CMSG_FIRSTHDR(&message);
            header->cmsg_level = SOL_SOCKET;
            header->cmsg_type = SCM_RIGHTS;
            header->cmsg_len = CMSG_LEN(sizeof(int));
            memcpy(CMSG_DATA(header), &pass_fd, sizeof(int));
        }
        ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) {
            sent += (size_t)n;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return errno == EPIPE ? -ECONNRESET : -errno;
        int r = wait_for(fd, POLLOUT, deadline);
        if (r < 0)
            return r;
    }
    return 0;
}

static int receive_message(int fd, int64_t deadline, json_t **ret_message)
{
    SfWireBuffer buffer = {0};
    int r;
    for (;;) {
        r = wait_for(fd, POLLIN, deadline);
        if (r < 0)
            break;
        char chunk[RECEIVE_CHUNK];
        /* No control buffer: an fd the daemon would send is closed by the kernel. */
        ssize_t n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);
        if (n == 0) {
            r = -ECONNRESET;
            break;
        }
        if (n < 0) {
            if (errno == EINTR || errno == EAGAIN)
                continue;
            r = -errno;
            break;
        }
        r = sf_wire_buffer_add(&buffer, chunk, (size_t)n);
        if (r == 0)
            r = sf_wire_next(&buffer, ret_message);
        if (r != 0)
            break;
    }
    sf_wire_buffer_clear(&buffer);
    if (r == -EMSGSIZE)
        return -EBADMSG;
    return r > 0 ? 0 : r;
}

static int reply_from_message(json_t *message, SfReply *ret_reply)
{
    const json_t *error = json_object_get(message, "error");
    json_t *parameters = json_object_get(message, "parameters");
    if ((error && !json_is_string(error)) || (parameters && !json_is_object(parameters)))
        return -EBADMSG;

    SfReply reply = {0};
    /* varlink lets a reply without parameters leave the member out. */
    reply.parameters = parameters ? json_incref(parameters) : json_object();
    const char *text = json_string_value(json_object_get(reply.parameters, "message"));
    if (error)
        reply.error = strdup(json_string_value(error));
    if (error && text)
        reply.message = strdup(text);
    if (!reply.parameters || (error && !reply.error) || (error && text && !reply.message)) {
        sf_reply_clear(&reply);
        return -ENOMEM;
    }
    *ret_reply = reply;
    return 0;
}

static int encode_call(const char *method, json_t *parameters, char **ret_frame, size_t *ret_len)
{
    json_t *call = parameters ? json_pack("{s:s, s:O}", "method", method, "parameters", parameters)
                              : json_pack("{s:s, s:{}}", "method", method, "parameters");
    if (!call)
        return -ENOMEM;
    int r = sf_wire_encode(call, ret_frame, ret_len);
    json_decref(call);
    return r;
}

int sf_client_call_owned(const char *runtime_dir, uid_t owner, const char *method,
                         json_t *parameters, int fd, int timeout_msec, SfReply *ret_reply)
{
    int64_t deadline = sf_deadline_after(timeout_msec);
    SF_CLEANUP_FREE char *frame = NULL;
    size_t len = 0;
    int r = encode_call(method, parameters, &frame, &len);
    if (r < 0)
        return r;
    SF_CLEANUP_FD int socket_fd = -1;
    r = connect_socket(runtime_dir, owner, deadline, &socket_fd);
    if (r < 0)
        return r;
    r = send_frame(socket_fd, frame, len, fd, deadline);
    /* A daemon that refuses a peer answers and closes: its reply may be there although the frame
     * could not be sent whole. */
    if (r < 0 && r != -ECONNRESET)
        return r;
    json_t *message = NULL;
    r = receive_message(socket_fd, deadline, &message);
    if (r < 0)
        return r;
    r = reply_from_message(message, ret_reply);
    json_decref(message);
    return r;
}

int sf_client_call(const char *runtime_dir, const char *method, json_t *parameters, int fd,
                   int timeout_msec, SfReply *ret_reply)
{
    return sf_client_call_owned(runtime_dir, 0, method, parameters, fd, timeout_msec, ret_reply);
}
