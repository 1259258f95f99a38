/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket. Each peer has a bounded buffer each way and one timer; a peer that is in the
 * middle of a frame, silent or does not read when its time is over is cut off. Calls of one peer
 * are answered one after the other, in order.
 */

#include "daemon/control/server.h"

#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/control/methods.h"
#include "lib/wire.h"

/* Bytes and calls taken from a peer in one turn of the main loop, so that a flood leaves room for
 * others. */
#define READ_CHUNK 65536
#define CALLS_A_TURN 16
/* Without fds or memory for another peer, accept(2) is left alone this long: the socket stays
 * readable. */
#define ACCEPT_PAUSE_MSEC 500
/* So long a peer is not cut off to make room before those that wait for an answer. */
#define GRACE_MSEC 1000
#define LISTEN_BACKLOG 128

typedef struct Client {
    SfControl *control;
    uint64_t number; /* a call remembers it, not the pointer: the client may go first */
    int fd;
    int64_t heard_usec;                          /* monotonic */
    unsigned in_source, out_source, turn, timer; /* GLib sources; 0: none */
    SfWireBuffer in;
    GString *out;
    size_t out_done;
    int received_fd; /* came with the bytes not yet answered; -1: none */
    bool fds_lost;   /* of those that came along some did not get through */
    bool busy;       /* a call is being answered */
    bool reading;    /* in dispatch(): not to be freed under it */
    bool finished;   /* the peer will send no more: it goes when all is answered */
    bool dead;
} Client;

struct SfControl {
    SfRegistry *registry;
    int fd;
    unsigned source; /* accepting, or its pause */
    bool left;       /* the socket stays for another daemon */
    char *path;
    uint64_t last_number;
    uint64_t started_nsec;
    GQueue clients; /* Client, the longest unheard first */
};

struct SfCall {
    SfControl *control;
    uint64_t client;
    int fd; /* owned; -1 */
    bool oneway;
};

static void dispatch(Client *client);
static gboolean on_readable(int fd, GIOCondition condition, void *data);

static void end_client(Client *client)
{
    SfControl *control = client->control;

    if (client->reading) {
        client->dead = true;
        return;
    }
    (void)g_queue_remove(&control->clients, client);
    if (client->in_source)
        g_source_remove(client->in_source);
    if (client->out_source)
        g_source_remove(client->out_source);
    if (client->turn)
        g_source_remove(client->turn);
    if (client->timer)
        g_source_remove(client->timer);
    sf_wire_buffer_clear(&client->in);
    g_string_free(client->out, TRUE);
    (void)sf_close(client->received_fd);
    (void)sf_close(client->fd);
    g_free(client);
}

static gboolean on_timer(void *data)
{
    Client *client = data;

    if (client->busy)
        return G_SOURCE_CONTINUE; /* it waits for us, not we for it */
    client->timer = 0;
    g_debug("control client cut off: nothing whole came, or nothing was read, for %d ms",
            SF_CONTROL_PATIENCE_MSEC);
    end_client(client);
    return G_SOURCE_REMOVE;
}

/* Its time begins anew, and it is the last to be cut off for want of places. */
static void hear_from(Client *client)
{
    if (client->timer)
        g_source_remove(client->timer);
    client->timer = g_timeout_add(SF_CONTROL_PATIENCE_MSEC, on_timer, client);
    client->heard_usec = g_get_monotonic_time();
    (void)g_queue_remove(&client->control->clients, client);
    g_queue_push_tail(&client->control->clients, client);
}

static gboolean on_writable(int fd, GIOCondition condition, void *data)
{
    Client *client = data;
    size_t left = client->out->len - client->out_done;
    ssize_t n = send(fd, client->out->str + client->out_done, left, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
    if (n < 0) {
        client->out_source = 0;
        end_client(client);
        return G_SOURCE_REMOVE;
    }
    client->out_done += (size_t)n;
    if (client->out_done < client->out->len)
        return G_SOURCE_CONTINUE;
    g_string_truncate(client->out, 0);
    client->out_done = 0;
    client->out_source = 0;
    hear_from(client);
    dispatch(client);
    return G_SOURCE_REMOVE;
}

static Client *find_client(SfControl *control, uint64_t number)
{
    for (GList *link = control->clients.head; link; link = link->next) {
        Client *client = link->data;
        if (client->number == number)
            return client;
    }
    return NULL;
}

/* Ends the call: sends what there is to send, and lets the client's next one begin. */
static void finish_call(SfCall *call, json_t *message)
{
    Client *client = find_client(call->control, call->client);
    SF_CLEANUP_FREE char *frame = NULL;
    size_t len = 0;

    if (client && !call->oneway && sf_wire_encode(message, &frame, &len) < 0) {
        json_t *error =
            json_pack("{s:s, s:{s:s, s:i}}", "error", "io.sysfsd.Control.Failed", "parameters",
                      "message", "the answer is larger than a frame", "errno", EMSGSIZE);
        if (sf_wire_encode(error, &frame, &len) < 0)
            frame = NULL;
        json_decref(error);
    }
    if (client) {
        client->busy = false;
        hear_from(client); /* from now on we wait for it */
        if (frame)
            g_string_append_len(client->out, frame, (gssize)len);
        if (client->out->len > 0 && !client->out_source)
            client->out_source = g_unix_fd_add(client->fd, G_IO_OUT, on_writable, client);
        else if (!client->reading)
            dispatch(client);
    }
    json_decref(message);
    (void)sf_close(call->fd);
    g_free(call);
}

void sf_call_reply(SfCall *call, json_t *parameters)
{
    finish_call(call, json_pack("{s:o}", "parameters", parameters ? parameters : json_object()));
}

void sf_call_fail(SfCall *call, const char *interface, SfControlError *error)
{
    g_autofree char *name = g_strdup_printf("%s.%s", interface, error->name);

    json_t *message = json_pack("{s:s, s:O}", "error", name, "parameters", error->details);
    sf_control_error_clear(error);
    finish_call(call, message);
}

SfControl *sf_call_control(const SfCall *call)
{
    return call->control;
}

int sf_call_fd(const SfCall *call)
{
    return call->fd;
}

bool sf_call_abandoned(const SfCall *call)
{
    const Client *client = find_client(call->control, call->client);

    if (call->oneway)
        return false;
    if (!client)
        return true;
    /* net/unix/af_unix.c: POLLHUP when both directions are shut down, POLLRDHUP for one. */
    struct pollfd item = {.fd = client->fd};
    return poll(&item, 1, 0) == 1 && (item.revents & POLLHUP);
}

static void begin_call(Client *client, const json_t *message)
{
    const char *method = json_string_value(json_object_get(message, "method"));
    const json_t *parameters = json_object_get(message, "parameters");
    json_t *empty = json_object();
    SfControlError error = {0};

    SfCall *call = g_new0(SfCall, 1);
    call->control = client->control;
    call->client = client->number;
    call->fd = sf_steal_fd(&client->received_fd);
    call->oneway = json_is_true(json_object_get(message, "oneway"));
    client->busy = true;
    if (client->fds_lost) {
        client->fds_lost = false;
        (void)sf_fail_errno(&error, -EMFILE, "file descriptors that came along were lost");
        sf_call_fail(call, "io.sysfsd.Control", &error);
    } else if (!method || (parameters && !json_is_object(parameters))) {
        (void)sf_fail_parameter(&error, method ? "parameters" : "method",
                                "a call has a method and parameters");
        sf_call_fail(call, "org.varlink.service", &error);
    } else {
        sf_methods_call(call, method, parameters ? parameters : empty);
    }
    json_decref(empty);
}

/* The last call is answered and sent. */
static bool is_ready(const Client *client)
{
    return !client->busy && !client->dead && client->out->len == 0;
}

static gboolean on_turn(void *data)
{
    Client *client = data;

    client->turn = 0;
    dispatch(client);
    return G_SOURCE_REMOVE;
}

/* Nothing is read from a peer that has calls waiting: what it can make us hold is one frame and one
 * chunk. */
static void choose_sources(Client *client, bool more)
{
    bool wanted = is_ready(client) && !more && !client->finished;

    if (more && !client->turn)
        client->turn = g_idle_add_full(G_PRIORITY_DEFAULT, on_turn, client, NULL);
    if (wanted && !client->in_source) {
        client->in_source = g_unix_fd_add(client->fd, G_IO_IN, on_readable, client);
    } else if (!wanted && client->in_source) {
        g_source_remove(client->in_source);
        client->in_source = 0;
    }
}

/* Takes up the calls that have come, each when the one before it is answered and sent. */
static void dispatch(Client *client)
{
    int r = 1;

    client->reading = true;
    for (unsigned taken = 0; taken < CALLS_A_TURN && is_ready(client); taken++) {
        json_t *message;
        r = sf_wire_next(&client->in, &message);
        if (r <= 0)
            break;
        hear_from(client);
        begin_call(client, message);
        json_decref(message);
    }
    client->reading = false;
    if (r < 0)
        g_debug("control client cut off: %s", g_strerror(-r));
    bool done = client->finished && r == 0 && is_ready(client);
    if (r < 0 || client->dead || done)
        end_client(client);
    else
        choose_sources(client, r > 0 && is_ready(client));
}

/* Keeps the first fd that came along; any other is closed at once. */
static void keep_fds(Client *client, struct msghdr *header)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = 0; CMSG_LEN(at + sizeof(int)) <= c->cmsg_len; at += sizeof(int)) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + at, sizeof(fd));
            if (client->received_fd < 0)
                client->received_fd = fd;
            else
                (void)sf_close(fd);
        }
    }
}

static gboolean on_readable(int fd, GIOCondition condition, void *data)
{
    static char chunk[READ_CHUNK]; /* main thread only */
    Client *client = data;
    union {
        char bytes[CMSG_SPACE(16 * sizeof(int))];
        struct cmsghdr align;
    } ancillary;
    struct iovec iov = {chunk, sizeof(chunk)};
    struct msghdr header = {.msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = ancillary.bytes,
                            .msg_controllen = sizeof(ancillary.bytes)};
    ssize_t n = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
    if (n > 0) {
        keep_fds(client, &header);
        /* More than there is room for, or we may open no more: without its pidfd a call would mean
         * another process than its caller checked. */
        client->fds_lost |= (header.msg_flags & MSG_CTRUNC) != 0;
        n = sf_wire_buffer_add(&client->in, chunk, (size_t)n) < 0 ? -1 : n;
    }
    if (n < 0) {
        client->in_source = 0;
        end_client(client);
        return G_SOURCE_REMOVE;
    }
    if (n == 0) {
        client->in_source = 0;
        client->finished = true;
    }
    dispatch(client); /* may end the client, or remove this source */
    return n == 0 ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

/* The daemon runs as root only (main.c); a test of this file need not. */
static bool is_root(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == geteuid();
}

static void refuse(int fd)
{
    static const char frame[] =
        "{\"error\":\"io.sysfsd.Control.PermissionDenied\",\"parameters\":{\"message\":\"only "
        "root of the host is served\"}}";

    (void)send(fd, frame, sizeof(frame), MSG_NOSIGNAL | MSG_DONTWAIT); /* a courtesy */
    (void)sf_close(fd);
}

/* Who makes room: the longest unheard of those that do not wait for us, unless it has only just
 * come or called: it may be a hook among many that wait. Then the longest unheard of all: a read
 * that hangs in the kernel must not keep a registration out. */
static bool make_room(SfControl *control)
{
    GList *oldest = control->clients.head, *link = oldest;

    if (!oldest)
        return false;
    while (link && ((const Client *)link->data)->busy)
        link = link->next;
    if (!link ||
        g_get_monotonic_time() - ((const Client *)link->data)->heard_usec < GRACE_MSEC * 1000)
        link = oldest;
    end_client(link->data);
    return true;
}

static gboolean on_connection(int listening, GIOCondition condition, void *data);

static gboolean on_pause_over(void *data)
{
    SfControl *control = data;

    control->source = g_unix_fd_add(control->fd, G_IO_IN, on_connection, control);
    return G_SOURCE_REMOVE;
}

static gboolean accept_failed(SfControl *control, int r)
{
    if (r == -EAGAIN || r == -EINTR || r == -ECONNABORTED || make_room(control))
        return G_SOURCE_CONTINUE;
    g_warning("cannot accept on the control socket: %s", g_strerror(-r));
    control->source = g_timeout_add(ACCEPT_PAUSE_MSEC, on_pause_over, control);
    return G_SOURCE_REMOVE;
}

static gboolean on_connection(int listening, GIOCondition condition, void *data)
{
    SfControl *control = data;
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return accept_failed(control, -errno);
    if (!is_root(fd)) {
        refuse(fd);
        return G_SOURCE_CONTINUE;
    }
    if (control->clients.length >= SF_CONTROL_MAX_CLIENTS)
        (void)make_room(control); /* there is one to go */

    Client *client = g_new0(Client, 1);
    client->control = control;
    client->number = ++control->last_number;
    client->fd = fd;
    client->received_fd = -1;
    client->out = g_string_new(NULL);
    hear_from(client);
    choose_sources(client, false);
    return G_SOURCE_CONTINUE;
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    SF_CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    /* The lock says that nobody else serves here: what stands there is a former daemon's. */
    if (unlink(path) < 0 && errno != ENOENT)
        return -errno;
    mode_t before = umask(0177);
    int r = bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
    (void)umask(before);
    if (r < 0 || listen(fd, LISTEN_BACKLOG) < 0)
        return r < 0 ? r : -errno;
    return sf_steal_fd(&fd);
}

/* The socket on which peers may be waiting since the daemon before this one, if its name still
 * leads to it; else a new one, to be held for the next. */
static int take_socket(const SfRegistryOptions *options, const char *path)
{
    const SfFdStore *store = &options->store;
    SF_CLEANUP_FD int held = store->take ? store->take(store->data, SF_FD_NAME_CONTROL) : -1;
    struct sockaddr_un address = {0};
    socklen_t len = sizeof(address);
    struct stat st;

    if (held >= 0 && getsockname(held, (struct sockaddr *)&address, &len) == 0 &&
        strncmp(address.sun_path, path, sizeof(address.sun_path)) == 0 && stat(path, &st) == 0 &&
        S_ISSOCK(st.st_mode))
        return sf_steal_fd(&held);
    if (held >= 0)
        store->drop(store->data, SF_FD_NAME_CONTROL);
    int fd = listen_at(path);
    if (fd >= 0 && store->hold) {
        int r = store->hold(store->data, SF_FD_NAME_CONTROL, fd);
        if (r < 0)
            g_warning("the control socket will not outlive this daemon: %s", g_strerror(-r));
    }
    return fd;
}

int sf_control_new(SfRegistry *registry, SfControl **ret_control)
{
    const SfRegistryOptions *options = sf_registry_options(registry);
    g_autofree char *path = g_build_filename(options->runtime_dir, SF_WIRE_SOCKET_NAME, NULL);
    int fd = take_socket(options, path);

    if (fd < 0)
        return fd;
    SfControl *control = g_new0(SfControl, 1);
    control->registry = registry;
    control->fd = fd;
    control->path = g_steal_pointer(&path);
    control->started_nsec = sf_host_boottime_nsec(options->host);
    g_queue_init(&control->clients);
    control->source = g_unix_fd_add(fd, G_IO_IN, on_connection, control);
    *ret_control = control;
    return 0;
}

void sf_control_leave(SfControl *control)
{
    control->left = true;
}

void sf_control_free(SfControl *control)
{
    if (!control)
        return;
    while (!g_queue_is_empty(&control->clients))
        end_client(g_queue_peek_head(&control->clients));
    g_source_remove(control->source);
    (void)sf_close(control->fd);
    if (!control->left)
        (void)unlink(control->path); /* the next daemon replaces it anyway */
    g_free(control->path);
    g_free(control);
}

unsigned sf_control_clients(const SfControl *control)
{
    return control->clients.length;
}

SfRegistry *sf_control_registry(const SfControl *control)
{
    return control->registry;
}

uint64_t sf_control_started_nsec(const SfControl *control)
{
    return control->started_nsec;
}
