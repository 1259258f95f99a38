/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The client against a server thread that behaves as told: answers, refuses, splits its answer, is
 * silent, sends garbage, or belongs to somebody else. Every call has to end by its deadline.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/client.h"
#include "lib/deadline.h"
#include "lib/wire.h"

typedef struct Server {
    char dir[64];
    char path[96];
    int listen_fd;
    const char *answer; /* NULL: none is sent */
    size_t answer_len;
    bool byte_by_byte;
    bool hang;     /* keep the connection open until the client goes */
    int passed_fd; /* what came by SCM_RIGHTS */
    char call[4096];
    pthread_t thread;
} Server;

static void receive_call(Server *server, int fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    size_t len = 0;
    while (len < sizeof(server->call)) {
        struct iovec iov = {server->call + len, sizeof(server->call) - len};
        struct msghdr message = {.msg_iov = &iov,
                                 .msg_iovlen = 1,
                                 .msg_control = control.bytes,
                                 .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
        if (n <= 0)
            return;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        if (header && header->cmsg_type == SCM_RIGHTS)
            memcpy(&server->passed_fd, CMSG_DATA(header), sizeof(int));
        len += (size_t)n;
        if (server->call[len - 1] == '\0')
            return;
    }
}

static void *serve(void *data)
{
    Server *server = data;
    int fd = accept(server->listen_fd, NULL, NULL);
    if (fd < 0)
        return NULL;
    receive_call(server, fd);
    size_t step = server->byte_by_byte ? 1 : server->answer_len;
    for (size_t i = 0; server->answer && i < server->answer_len; i += step)
        if (send(fd, server->answer + i, step, MSG_NOSIGNAL) < 0)
            break;
    char byte;
    if (server->hang)
        while (recv(fd, &byte, 1, 0) > 0)
            ;
    (void)sf_close(fd);
    return NULL;
}

static void server_start(Server *server)
{
    (void)snprintf(server->dir, sizeof(server->dir), "/tmp/test-client-XXXXXX");
    assert_non_null(mkdtemp(server->dir));
    (void)snprintf(server->path, sizeof(server->path), "%s/control.sock", server->dir);
    server->passed_fd = -1;
    server->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", server->path);
    assert_int_equal(bind(server->listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server->listen_fd, 1), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_stop(Server *server)
{
    (void)shutdown(server->listen_fd, SHUT_RDWR); /* wakes an accept that nobody came to */
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    (void)sf_close(server->listen_fd);
    (void)sf_close(server->passed_fd);
    assert_int_equal(unlink(server->path), 0);
    assert_int_equal(rmdir(server->dir), 0);
}

static int call(Server *server, int fd, int timeout_msec, SfReply *reply)
{
    json_t *parameters = json_pack("{s:s}", "id", "c1");
    int r = sf_client_call_owned(server->dir, getuid(), "io.sysfsd.Control.Register", parameters,
                                 fd, timeout_msec, reply);
    json_decref(parameters);
    return r;
}

#define ANSWER(text) .answer = (text), .answer_len = sizeof(text)

static void test_reply(void **state)
{
    for (int i = 0; i < 2; i++) {
        Server server = {ANSWER("{\"parameters\":{\"x\":5}}"), .byte_by_byte = i == 1};
        SfReply reply = {0};
        server_start(&server);
        assert_int_equal(call(&server, -1, 2000, &reply), 0);
        assert_null(reply.error);
        assert_int_equal(json_integer_value(json_object_get(reply.parameters, "x")), 5);
        server_stop(&server);
        assert_string_equal(server.call, "{\"method\":\"io.sysfsd.Control.Register\","
                                         "\"parameters\":{\"id\":\"c1\"}}");
        assert_int_equal(server.passed_fd, -1);
        sf_reply_clear(&reply);
    }
}

static void test_error_reply(void **state)
{
    Server server = {ANSWER("{\"error\":\"io.sysfsd.Control.Failed\",\"parameters\":{\"message\":"
                            "\"no mount\",\"errno\":12}}")};
    SfReply reply = {0};
    server_start(&server);
    assert_int_equal(call(&server, -1, 2000, &reply), 0);
    assert_string_equal(reply.error, "io.sysfsd.Control.Failed");
    assert_string_equal(reply.message, "no mount");
    server_stop(&server);
    sf_reply_clear(&reply);
}

static void test_reply_without_parameters(void **state)
{
    Server server = {ANSWER("{}")};
    SfReply reply = {0};
    server_start(&server);
    assert_int_equal(call(&server, -1, 2000, &reply), 0);
    assert_null(reply.error);
    assert_true(json_is_object(reply.parameters));
    server_stop(&server);
    sf_reply_clear(&reply);
}

static void test_fd_travels(void **state)
{
    Server server = {ANSWER("{}")};
    SfReply reply = {0};
    server_start(&server);
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(call(&server, fd, 2000, &reply), 0);
    assert_int_equal(pthread_join(server.thread, NULL), 0);
    struct stat sent, got;
    assert_int_equal(fstat(fd, &sent), 0);
    assert_int_equal(fstat(server.passed_fd, &got), 0);
    assert_int_equal(sent.st_rdev, got.st_rdev);
    (void)sf_close(fd);
    assert_int_equal(pthread_create(&server.thread, NULL, serve, &server), 0);
    server_stop(&server);
    sf_reply_clear(&reply);
}

static void test_garbage(void **state)
{
    static const struct {
        const char *answer;
        size_t len;
        int result;
    } cases[] = {
        {"HTTP/1.1 400\r\n\0", 15, -EBADMSG},
        {"{\"error\":1}\0", 12, -EBADMSG},
        {"{\"parameters\":[]}\0", 18, -EBADMSG},
        {"{\"parameters\":{", 15, -ECONNRESET},
        {"", 0, -ECONNRESET},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        Server server = {.answer = cases[i].answer, .answer_len = cases[i].len};
        SfReply reply = {0};
        server_start(&server);
        assert_int_equal(call(&server, -1, 2000, &reply), cases[i].result);
        assert_null(reply.parameters);
        server_stop(&server);
    }
}

static void test_endless_reply(void **state)
{
    size_t len = 2u << 20;
    char *text = malloc(len);
    assert_non_null(text);
    memset(text, ' ', len);
    Server server = {.answer = text, .answer_len = len};
    SfReply reply = {0};
    server_start(&server);
    assert_int_equal(call(&server, -1, 5000, &reply), -EBADMSG);
    server_stop(&server);
    free(text);
}

static void test_silence_ends_in_time(void **state)
{
    Server server = {.hang = true};
    SfReply reply = {0};
    server_start(&server);
    int64_t start = sf_monotonic_msec();
    assert_int_equal(call(&server, -1, 200, &reply), -ETIMEDOUT);
    int64_t took = sf_monotonic_msec() - start;
    assert_in_range(took, 190, 2000);
    server_stop(&server);
}

/* Fills the backlog of a server that never accepts. */
static void test_full_backlog_ends_in_time(void **state)
{
    Server server = {0};
    server_start(&server);
    int fds[8];
    for (size_t i = 0; i < 8; i++) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", server.path);
        fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(fds[i], (struct sockaddr *)&address, sizeof(address)); /* some must fail */
    }
    SfReply reply = {0};
    int64_t start = sf_monotonic_msec();
    assert_int_equal(call(&server, -1, 200, &reply), -ETIMEDOUT);
    assert_in_range(sf_monotonic_msec() - start, 190, 2000);
    for (size_t i = 0; i < 8; i++)
        (void)sf_close(fds[i]);
    server_stop(&server);
}

static void test_nobody_there(void **state)
{
    SfReply reply = {0};
    assert_int_equal(sf_client_call("/nonexistent", "a.b.C", NULL, -1, 100, &reply), -ENOENT);

    Server server = {0};
    server_start(&server);
    (void)shutdown(server.listen_fd, SHUT_RDWR);
    assert_int_equal(pthread_join(server.thread, NULL), 0);
    (void)sf_close(server.listen_fd);
    server.listen_fd = -1;
    assert_int_equal(call(&server, -1, 100, &reply), -ECONNREFUSED);
    assert_int_equal(unlink(server.path), 0);
    assert_int_equal(call(&server, -1, 100, &reply), -ENOENT);
    int fd = open(server.path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(call(&server, -1, 100, &reply), -ENOTSOCK);
    (void)sf_close(fd);
    assert_int_equal(unlink(server.path), 0);
    /* A link to somebody's socket is not followed. */
    assert_int_equal(symlink("/run/dbus/system_bus_socket", server.path), 0);
    assert_int_equal(call(&server, -1, 100, &reply), -ENOTSOCK);
    assert_int_equal(unlink(server.path), 0);
    assert_int_equal(rmdir(server.dir), 0);
}

static void test_socket_of_another_user(void **state)
{
    Server server = {ANSWER("{}")};
    SfReply reply = {0};
    server_start(&server);
    assert_int_equal(sf_client_call_owned(server.dir, getuid() + 1, "a.b.C", NULL, -1, 500, &reply),
                     -EPERM);
    /* The right file but a server of another user, as after an exchange of the file. */
    if (getuid() == 0) {
        assert_int_equal(chown(server.path, 65534, 65534), 0);
        assert_int_equal(sf_client_call_owned(server.dir, 65534, "a.b.C", NULL, -1, 500, &reply),
                         -EPERM);
        assert_int_equal(sf_client_call(server.dir, "a.b.C", NULL, -1, 500, &reply), -EPERM);
    }
    server_stop(&server);
    assert_int_equal(server.call[0], '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reply),
        cmocka_unit_test(test_error_reply),
        cmocka_unit_test(test_reply_without_parameters),
        cmocka_unit_test(test_fd_travels),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_endless_reply),
        cmocka_unit_test(test_silence_ends_in_time),
        cmocka_unit_test(test_full_backlog_ends_in_time),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_socket_of_another_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
