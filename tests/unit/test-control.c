/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket from a peer's side: every method and error of the interface, frames whole and
 * in pieces, fds that come along, and peers that mean no good. The server is the real one in a
 * temporary runtime directory; nothing is mounted.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "daemon/control/reads.h"
#include "daemon/control/server.h"
#include "lib/wire.h"
#include "tests/unit/control-world.h"

#define CONTROL "io.sysfsd.Control."
#define SERVICE "org.varlink.service."

typedef struct Service {
    ControlWorld world;
    SfControl *control;
    unsigned fds; /* open while nobody is connected */
} Service;

static int setup(void **state)
{
    Service *service = g_new0(Service, 1);

    world_begin(&service->world);
    assert_int_equal(world_open_registry(&service->world), 0);
    sf_reads_start();
    assert_int_equal(sf_control_new(service->world.registry, &service->control), 0);
    service->fds = open_fds();
    *state = service;
    return 0;
}

static int teardown(void **state)
{
    Service *service = *state;

    sf_reads_stop();
    sf_control_free(service->control);
    assert_false(runtime_has(&service->world, "control.sock"));
    world_end(&service->world);
    g_free(service);
    return 0;
}

static int connect_peer(Service *service)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/control.sock",
                   service->world.runtime.root);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void send_bytes(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) {
            (void)g_main_context_iteration(NULL, FALSE);
            continue;
        }
        assert_true(n > 0);
        bytes += n;
        len -= (size_t)n;
    }
}

static void send_text(int fd, const char *text)
{
    send_bytes(fd, text, strlen(text) + 1);
}

/* The next frame, or NULL when the server has closed. Fails the test after 10 s. */
static json_t *receive(int fd)
{
    g_autoptr(GByteArray) frame = g_byte_array_new();
    int64_t end = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;

    while (g_get_monotonic_time() < end) {
        guint8 byte;
        ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
        if (n == 1 && byte == 0) {
            json_t *message = json_loadb((char *)frame->data, frame->len, 0, NULL);
            assert_non_null(message);
            return message;
        }
        if (n == 1)
            (void)g_byte_array_append(frame, &byte, 1);
        else if (n == 0 || errno != EAGAIN)
            return NULL;
        else if (!g_main_context_iteration(NULL, FALSE))
            g_usleep(500);
    }
    fail_msg("no answer");
    return NULL;
}

static json_t *call(int fd, const char *method, const char *parameters)
{
    g_autofree char *text =
        g_strdup_printf("{\"method\":\"%s\",\"parameters\":%s}", method, parameters);

    send_text(fd, text);
    json_t *reply = receive(fd);
    assert_non_null(reply);
    return reply;
}

/* The reply's parameters, which is no error; the caller json_decref()s. */
static json_t *call_ok(int fd, const char *method, const char *parameters)
{
    json_t *reply = call(fd, method, parameters);
    json_t *value = json_incref(json_object_get(reply, "parameters"));

    if (json_object_get(reply, "error"))
        fail_msg("%s: %s", method, json_string_value(json_object_get(value, "message")));
    assert_true(json_is_object(value));
    json_decref(reply);
    return value;
}

static void assert_error(json_t *reply, const char *name, const char *key, const char *value)
{
    json_t *details = json_object_get(reply, "parameters");

    assert_string_equal(json_string_value(json_object_get(reply, "error")), name);
    assert_true(json_string_length(json_object_get(details, "message")) > 0);
    if (key)
        assert_string_equal(json_string_value(json_object_get(details, key)), value);
    json_decref(reply);
}

static void wait_until_alone(Service *service)
{
    run_until(sf_control_clients(service->control) == 0);
    assert_int_equal(open_fds(), service->fds);
}

static void test_service_interface(void **state)
{
    int fd = connect_peer(*state);
    const char *vendor, *product, *version, *url, *first;

    json_t *info = call_ok(fd, SERVICE "GetInfo", "{}");
    assert_int_equal(json_unpack(info, "{s:s, s:s, s:s, s:s, s:[s]}", "vendor", &vendor, "product",
                                 &product, "version", &version, "url", &url, "interfaces", &first),
                     0);
    assert_string_equal(version, SYSFSD_VERSION);
    json_decref(info);
    static const char *const interfaces[] = {"io.sysfsd.Control", "org.varlink.service"};
    for (unsigned i = 0; i < G_N_ELEMENTS(interfaces); i++) {
        g_autofree char *parameters = g_strdup_printf("{\"interface\":\"%s\"}", interfaces[i]);
        g_autofree char *line = g_strdup_printf("interface %s\n", interfaces[i]);
        json_t *reply = call_ok(fd, SERVICE "GetInterfaceDescription", parameters);
        const char *text = json_string_value(json_object_get(reply, "description"));
        assert_non_null(strstr(text, line));
        assert_non_null(strstr(text, "\nmethod "));
        json_decref(reply);
    }
    assert_error(call(fd, SERVICE "GetInterfaceDescription", "{\"interface\":\"a.b\"}"),
                 SERVICE "InterfaceNotFound", "interface", "a.b");
    assert_error(call(fd, SERVICE "GetInterfaceDescription", "{}"), SERVICE "InvalidParameter",
                 "parameter", "interface");
    assert_error(call(fd, CONTROL "Nothing", "{}"), SERVICE "MethodNotFound", "method",
                 CONTROL "Nothing");
    assert_error(call(fd, "a.b.C", "{}"), SERVICE "InterfaceNotFound", "interface", "a.b");
    assert_error(call(fd, SERVICE "GetInfo", "[]"), SERVICE "InvalidParameter", "parameter",
                 "parameters");
    send_text(fd, "{\"parameters\":{}}");
    assert_error(receive(fd), SERVICE "InvalidParameter", "parameter", "method");
    send_text(fd, "{\"method\":\"" SERVICE "GetInfo\"}"); /* parameters may be left out */
    json_decref(receive(fd));
    (void)close(fd);
    wait_until_alone(*state);
}

static json_t *register_process(int fd, const char *id, pid_t pid)
{
    g_autofree char *parameters = g_strdup_printf("{\"id\":\"%s\",\"pid\":%d}", id, (int)pid);

    return call(fd, CONTROL "Register", parameters);
}

static void live_once(Service *service)
{
    pid_t pid = start_process(&service->world, "/slice/c1", 1);
    int fd = connect_peer(service);

    json_t *reply = register_process(fd, "c1", pid), *value = json_object_get(reply, "parameters");
    assert_null(json_object_get(reply, "error"));
    assert_true(json_is_true(json_object_get(value, "enabled")));
    g_autofree char *view = g_build_filename(service->world.runtime.root, "views/c1", NULL);
    assert_string_equal(json_string_value(json_object_get(value, "view")), view);
    json_t *files = json_object_get(value, "files");
    assert_true(json_array_size(files) > 0);
    assert_non_null(json_string_value(json_object_get(json_array_get(files, 0), "path")));
    json_decref(reply);
    assert_error(register_process(fd, "c1", pid), CONTROL "AlreadyRegistered", "id", "c1");

    value = call_ok(fd, CONTROL "List", "{}");
    json_t *line = json_array_get(json_object_get(value, "containers"), 0);
    assert_int_equal(json_integer_value(json_object_get(line, "pid")), pid);
    assert_int_equal(json_integer_value(json_object_get(line, "cpus")), 2);
    assert_int_equal(json_integer_value(json_object_get(line, "memory_limit_bytes")), 268435456);
    assert_int_equal(json_integer_value(json_object_get(line, "age_usec")), 60 * 1000000);
    json_decref(value);

    value = call_ok(fd, CONTROL "Inspect", "{\"container\":\"c\"}");
    json_t *limit = json_object_get(json_object_get(value, "limits"), "memory_bytes");
    assert_string_equal(json_string_value(json_object_get(limit, "cgroup")), "/slice/c1");
    assert_string_equal(json_string_value(json_object_get(value, "visible_cpus")), "0-1");
    assert_int_equal(json_integer_value(json_object_get(value, "root_uid")), 100000);
    json_decref(value);
    assert_error(call(fd, CONTROL "Inspect", "{\"container\":\"x\"}"), CONTROL "NoSuchContainer",
                 "container", "x");
    assert_error(call(fd, CONTROL "Inspect", "{}"), CONTROL "InvalidParameter", "parameter",
                 "container");

    value = call_ok(fd, CONTROL "Status", "{}");
    assert_int_equal(json_integer_value(json_object_get(value, "containers")), 1);
    assert_int_equal(json_integer_value(json_object_get(value, "requests")), 7);
    assert_int_equal(json_integer_value(json_object_get(value, "pid")), getpid());
    assert_string_equal(json_string_value(json_object_get(value, "cgroup_layout")), "v2");
    json_decref(value);

    json_decref(call_ok(fd, CONTROL "Unregister", "{\"id\":\"c1\"}"));
    assert_error(call(fd, CONTROL "Unregister", "{\"id\":\"c1\"}"), CONTROL "NoSuchContainer",
                 "container", "c1");
    (void)close(fd);
    run_until(sf_control_clients(service->control) == 0);
}

static void test_life_of_a_container(void **state)
{
    Service *service = *state;

    live_once(service);
    service->fds = open_fds(); /* the host's files stay open once they have been read */
    live_once(service);
    wait_until_alone(service);
}

static void test_bad_parameters(void **state)
{
    static const char *const parameters[][2] = {
        {"{}", "id"},
        {"{\"id\":1,\"pid\":1}", "id"},
        {"{\"id\":\"x\"}", "pid"},
        {"{\"id\":\"x\",\"pid\":\"1\"}", "pid"},
        {"{\"id\":\"x\",\"pid\":-1}", "pid"},
        {"{\"id\":\"x\",\"pid\":4294967297}", "pid"},
        {"{\"id\":\"x\",\"pid\":0}", "pid"},
        {"{\"id\":\"x\",\"pid\":1,\"bundle\":1}", "bundle"},
        {"{\"id\":\"x\",\"pid\":1,\"annotations\":[]}", "annotations"},
        {"{\"id\":\"../x\",\"pid\":1}", "id"},
        {"{\"id\":\"x\",\"pid\":1,\"annotations\":{\"io.sysfsd.a\":\"b\"}}", "io.sysfsd.a"},
    };
    int fd = connect_peer(*state);

    for (unsigned i = 0; i < G_N_ELEMENTS(parameters); i++)
        assert_error(call(fd, CONTROL "Register", parameters[i][0]), CONTROL "InvalidParameter",
                     "parameter", parameters[i][1]);
    (void)close(fd);
    wait_until_alone(*state);
}

/* Sends a call with fds. */
static void send_with_fds(int fd, const char *text, const int *fds, unsigned count)
{
    union {
        char bytes[CMSG_SPACE(20 * sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec iov = {(void *)text, strlen(text) + 1};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(header), fds, count * sizeof(int));
    assert_int_equal(sendmsg(fd, &message, MSG_NOSIGNAL), (ssize_t)iov.iov_len);
}

static void test_pidfd(void **state)
{
    Service *service = *state;
    pid_t pid = start_process(&service->world, "/c1", 1);
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), fd = connect_peer(service);
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC), many[20];
    assert_true(pidfd >= 0 && null_fd >= 0);
    g_autofree char *wrong = g_strdup_printf(
        "{\"method\":\"" CONTROL "Register\",\"parameters\":{\"id\":\"c1\",\"pid\":%d}}",
        (int)getpid());

    send_with_fds(fd, wrong, &pidfd, 1);
    assert_error(receive(fd), CONTROL "InvalidParameter", "parameter", "pid");
    send_with_fds(fd, wrong, &null_fd, 1);
    assert_error(receive(fd), CONTROL "Failed", NULL, NULL);
    assert_int_equal(sf_registry_count(service->world.registry), 0);
    /* The caller may not know the pid in the daemon's namespace. */
    send_with_fds(fd,
                  "{\"method\":\"" CONTROL "Register\",\"parameters\":{\"id\":\"c1\",\"pid\":0}}",
                  &pidfd, 1);
    json_t *reply = receive(fd);
    assert_null(json_object_get(reply, "error"));
    json_decref(reply);
    json_decref(call_ok(fd, CONTROL "Unregister", "{\"id\":\"c1\"}"));
    /* More than one, more than there is room for, and with a method that takes none. */
    for (unsigned i = 0; i < G_N_ELEMENTS(many); i++)
        many[i] = null_fd;
    send_with_fds(fd, "{\"method\":\"" SERVICE "GetInfo\"}", many, 2);
    json_decref(receive(fd));
    send_with_fds(fd, "{\"method\":\"" SERVICE "GetInfo\"}", many, 20);
    json_decref(receive(fd));
    assert_int_equal(open_fds(), service->fds + 4); /* pidfd, null_fd, both ends */
    (void)close(fd);
    (void)close(pidfd);
    (void)close(null_fd);
    wait_until_alone(service);
}

/* oneway calls have no reply; others are answered in their order, whatever takes longer. */
static void test_order(void **state)
{
    static const char calls[] = "{\"method\":\"" CONTROL "List\"}\0"
                                "{\"method\":\"" CONTROL "Status\",\"oneway\":true}\0"
                                "{\"method\":\"" CONTROL "List\",\"oneway\":true}\0"
                                "{\"method\":\"a.b.C\",\"oneway\":true}\0"
                                "{\"method\":\"" SERVICE "GetInfo\",\"more\":true}\0"
                                "{\"method\":\"" CONTROL "Status\"}";
    static const char *const keys[] = {"containers", "vendor", "uptime_usec"};
    int fd = connect_peer(*state);

    for (unsigned at = 0; at < sizeof(calls); at += 7) { /* in pieces */
        send_bytes(fd, calls + at, MIN(7, sizeof(calls) - at));
        (void)g_main_context_iteration(NULL, FALSE);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++) {
        json_t *reply = receive(fd);
        assert_non_null(json_object_get(json_object_get(reply, "parameters"), keys[i]));
        json_decref(reply);
    }
    (void)close(fd);
    wait_until_alone(*state);
}

/* The last call is answered although the peer has said that it sends no more. */
static void test_half_closed(void **state)
{
    int fd = connect_peer(*state);

    send_text(fd, "{\"method\":\"" CONTROL "List\"}");
    send_text(fd, "{\"method\":\"" SERVICE "GetInfo\"}");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    for (unsigned i = 0; i < 2; i++) {
        json_t *reply = receive(fd);
        assert_non_null(reply);
        json_decref(reply);
    }
    assert_null(receive(fd));
    (void)close(fd);
    wait_until_alone(*state);
}

static void test_peer_goes_away(void **state)
{
    Service *service = *state;

    for (unsigned i = 0; i < 50; i++) {
        int fd = connect_peer(service);
        send_text(fd, "{\"method\":\"" CONTROL "List\"}");
        for (unsigned turn = 0; turn < i % 5; turn++)
            (void)g_main_context_iteration(NULL, FALSE);
        (void)close(fd);
    }
    wait_until_alone(service);
}

/* As a hook whose time was over before we came to read: no view may be made that it does not bind.
 */
static void test_register_of_one_who_has_gone(void **state)
{
    Service *service = *state;
    pid_t pid = start_process(&service->world, "/slice/c1", 1);
    g_autofree char *text = g_strdup_printf(
        "{\"method\":\"" CONTROL "Register\",\"parameters\":{\"id\":\"c1\",\"pid\":%d}}", (int)pid);
    int fd = connect_peer(service);

    send_text(fd, text);
    (void)close(fd);
    run_for(50);
    assert_int_equal(sf_registry_count(service->world.registry), 0);
    /* One that will only send no more still waits. */
    fd = connect_peer(service);
    send_text(fd, text);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    json_t *reply = receive(fd);
    assert_non_null(json_object_get(reply, "parameters"));
    assert_null(json_object_get(reply, "error"));
    json_decref(reply);
    (void)close(fd);
    assert_int_equal(sf_registry_count(service->world.registry), 1);
    assert_true(sf_registry_unregister(service->world.registry, "c1", "test"));
    wait_until_alone(service);
}

static void test_not_a_frame(void **state)
{
    static const char *const texts[] = {"{", "[]", "null", "\377\376", "{\"a\":1}x", ""};

    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
        int fd = connect_peer(*state);
        send_text(fd, texts[i]);
        assert_null(receive(fd));
        (void)close(fd);
    }
    int fd = connect_peer(*state);
    g_autofree char *chunk = g_strnfill(65536, 'x');
    for (unsigned i = 0; i < SF_WIRE_FRAME_MAX / 65536 + 1; i++) {
        if (send(fd, chunk, 65536, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN)
            break;
        while (g_main_context_iteration(NULL, FALSE))
            ;
    }
    assert_null(receive(fd));
    (void)close(fd);
    wait_until_alone(*state);
}

/* A frame as large as one may be is served. */
static void test_largest_frame(void **state)
{
    int fd = connect_peer(*state);
    const char *head = "{\"method\":\"" SERVICE "GetInfo\",\"x\":\"", *tail = "\"}";
    g_autofree char *fill = g_strnfill(SF_WIRE_FRAME_MAX - strlen(head) - strlen(tail) - 1, 'x');
    g_autofree char *text = g_strconcat(head, fill, tail, NULL);

    send_text(fd, text);
    json_t *reply = receive(fd);
    assert_non_null(reply);
    json_decref(reply);
    (void)close(fd);
    wait_until_alone(*state);
}

static bool is_closed(int fd)
{
    char bytes[65536];

    for (;;) {
        ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return true;
        if (n < 0)
            return false;
    }
}

static void test_too_many_peers(void **state)
{
    Service *service = *state;
    int fds[SF_CONTROL_MAX_CLIENTS + 10];

    for (unsigned i = 0; i < G_N_ELEMENTS(fds); i++) {
        fds[i] = connect_peer(service);
        run_until(!g_main_context_iteration(NULL, FALSE));
    }
    assert_int_equal(sf_control_clients(service->control), SF_CONTROL_MAX_CLIENTS);
    for (unsigned i = 0; i < G_N_ELEMENTS(fds); i++) /* the first ones had to go */
        assert_int_equal(is_closed(fds[i]), i < G_N_ELEMENTS(fds) - SF_CONTROL_MAX_CLIENTS);
    json_decref(call_ok(fds[G_N_ELEMENTS(fds) - 1], SERVICE "GetInfo", "{}"));
    for (unsigned i = 0; i < G_N_ELEMENTS(fds); i++)
        (void)close(fds[i]);
    wait_until_alone(service);
}

/* In place of a cgroup's file: to open it takes until somebody opens it for writing. */
static char *make_hang(Service *service, const char *cgroup)
{
    g_autofree char *file = g_strdup_printf("sys/fs/cgroup%s/memory.current", cgroup);
    char *fifo = g_build_filename(service->world.tree.root, file, NULL);

    tree_remove(&service->world.tree, file);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    return fifo;
}

static void end_hang(const char *fifo)
{
    int writer = open(fifo, O_WRONLY | O_CLOEXEC);

    assert_true(writer >= 0);
    assert_int_equal(unlink(fifo), 0);
    (void)close(writer);
}

/* All but one wait for cgroups that do not answer: that one, which has just come, is not the one to
 * go. */
static void test_too_many_peers_that_wait(void **state)
{
    Service *service = *state;
    int fds[SF_CONTROL_MAX_CLIENTS - 1];
    pid_t pid = start_process(&service->world, "/slice/c1", 1);
    int fd = connect_peer(service);

    json_decref(register_process(fd, "c1", pid));
    (void)close(fd);
    g_autofree char *fifo = make_hang(service, "/slice/c1");
    for (unsigned i = 0; i < G_N_ELEMENTS(fds); i++) {
        fds[i] = connect_peer(service);
        send_text(fds[i], "{\"method\":\"" CONTROL "List\"}");
        run_until(!g_main_context_iteration(NULL, FALSE));
    }
    int hook = connect_peer(service);
    run_until(!g_main_context_iteration(NULL, FALSE));
    assert_int_equal(sf_control_clients(service->control), SF_CONTROL_MAX_CLIENTS);
    int late = connect_peer(service);
    run_until(!g_main_context_iteration(NULL, FALSE));
    bool first_went = is_closed(fds[0]), hook_went = is_closed(hook);

    end_hang(fifo);
    assert_true(first_went);
    assert_false(hook_went);
    json_decref(call_ok(hook, SERVICE "GetInfo", "{}"));
    for (unsigned i = 0; i < G_N_ELEMENTS(fds); i++)
        (void)close(fds[i]);
    (void)close(hook);
    (void)close(late);
    run_until(sf_control_clients(service->control) == 0);
    assert_true(sf_registry_unregister(service->world.registry, "c1", "test"));
}

/* The line of an ID; borrowed. */
static json_t *line_of(const json_t *list, const char *id)
{
    size_t i;
    json_t *line;

    json_array_foreach(json_object_get(list, "containers"), i, line)
    {
        if (strcmp(json_string_value(json_object_get(line, "id")), id) == 0)
            return line;
    }
    fail_msg("no %s in the list", id);
    return NULL;
}

/* Containers whose cgroups hang cost their own description, however often it is asked for. */
static void test_cgroups_that_hang(void **state)
{
    Service *service = *state;
    char *fifos[3];
    int fd = connect_peer(service), many[20];

    /* Files of the host that are open from the first description on. */
    json_decref(register_process(fd, "good", start_process(&service->world, "/slice/good", 1)));
    json_decref(call_ok(fd, CONTROL "Inspect", "{\"container\":\"good\"}"));
    assert_true(sf_registry_unregister(service->world.registry, "good", "test"));
    (void)close(fd);
    run_until(sf_control_clients(service->control) == 0);
    service->fds = open_fds();
    fd = connect_peer(service);
    for (unsigned i = 0; i < G_N_ELEMENTS(fifos); i++) {
        g_autofree char *id = g_strdup_printf("bad%u", i);
        g_autofree char *cgroup = g_strdup_printf("/slice/bad%u", i);
        json_decref(register_process(fd, id, start_process(&service->world, cgroup, 1)));
        fifos[i] = make_hang(service, cgroup);
    }
    json_decref(register_process(fd, "good", start_process(&service->world, "/slice/good", 1)));
    for (unsigned i = 0; i < G_N_ELEMENTS(many); i++) {
        many[i] = connect_peer(service);
        send_text(many[i], i % 2 ? "{\"method\":\"" CONTROL "List\"}"
                                 : "{\"method\":\"" CONTROL
                                   "Inspect\",\"parameters\":{\"container\":\"bad1\"}}");
    }
    int64_t begin = g_get_monotonic_time();
    json_decref(call_ok(fd, CONTROL "Status", "{}"));
    json_t *value = call_ok(fd, CONTROL "Inspect", "{\"container\":\"good\"}");
    assert_int_equal(json_integer_value(json_object_get(value, "memory_used_bytes")), 104857600);
    json_decref(value);
    assert_true(g_get_monotonic_time() - begin < SF_READS_PATIENCE_MSEC * 1000);
    assert_error(call(fd, CONTROL "Inspect", "{\"container\":\"bad0\"}"), CONTROL "Failed", NULL,
                 NULL);
    value = call_ok(fd, CONTROL "List", "{}");
    assert_int_equal(
        json_integer_value(json_object_get(line_of(value, "good"), "memory_used_bytes")),
        104857600);
    for (unsigned i = 0; i < G_N_ELEMENTS(fifos); i++) {
        g_autofree char *id = g_strdup_printf("bad%u", i);
        assert_true(json_is_true(json_object_get(line_of(value, id), "unanswered")));
        assert_null(json_object_get(line_of(value, id), "memory_used_bytes"));
    }
    json_decref(value);
    for (unsigned i = 0; i < G_N_ELEMENTS(many); i++) {
        json_decref(receive(many[i]));
        (void)close(many[i]);
    }
    /* One that ends meanwhile is not in the way, and afterwards all is as before. */
    assert_true(sf_registry_unregister(service->world.registry, "bad2", "test"));
    for (unsigned i = 0; i < G_N_ELEMENTS(fifos); i++) {
        end_hang(fifos[i]);
        g_free(fifos[i]);
    }
    json_decref(call_ok(fd, CONTROL "Inspect", "{\"container\":\"bad0\"}"));
    (void)close(fd);
    assert_true(sf_registry_unregister(service->world.registry, "bad0", "test"));
    assert_true(sf_registry_unregister(service->world.registry, "bad1", "test"));
    assert_true(sf_registry_unregister(service->world.registry, "good", "test"));
    run_until(open_fds() == service->fds); /* no thread is at one of them any more */
    wait_until_alone(service);
}

/* Sends calls until no more are taken, and reads no reply. Returns how many were. */
static unsigned be_deaf(int fd)
{
    static const char text[] = "{\"method\":\"" SERVICE "GetInterfaceDescription\","
                               "\"parameters\":{\"interface\":\"io.sysfsd.Control\"}}";
    unsigned taken = 0;

    for (unsigned refused = 0; refused < 20;) {
        ssize_t n = send(fd, text, sizeof(text), MSG_NOSIGNAL | MSG_DONTWAIT);
        refused = n > 0 ? 0 : refused + 1;
        taken += n > 0;
        assert_true(taken < (4u << 20) / sizeof(text)); /* the sockets' own buffers are smaller */
        while (g_main_context_iteration(NULL, FALSE))
            ;
    }
    return taken;
}

/* One that reads late is not read from meanwhile, and gets every reply. */
static void test_slow_reader(void **state)
{
    int fd = connect_peer(*state);
    unsigned taken = be_deaf(fd);

    for (unsigned i = 0; i < taken; i++) {
        json_t *reply = receive(fd);
        assert_non_null(reply);
        json_decref(reply);
    }
    (void)close(fd);
    wait_until_alone(*state);
}

static void test_patience(void **state)
{
    Service *service = *state;
    pid_t pid = start_process(&service->world, "/c1", 1);
    int silent = connect_peer(service), half = connect_peer(service),
        trickle = connect_peer(service), deaf = connect_peer(service);
    int64_t begin = g_get_monotonic_time();

    send_bytes(half, "{\"method\":\"io", 13);
    send_bytes(trickle, "{", 1);
    (void)be_deaf(deaf);
    /* None of them is in another's way. */
    int64_t before = g_get_monotonic_time();
    int fd = connect_peer(service);
    json_decref(register_process(fd, "c1", pid));
    (void)close(fd);
    assert_true(g_get_monotonic_time() - before < G_USEC_PER_SEC / 2);
    assert_int_equal(sf_registry_count(service->world.registry), 1);

    while (sf_control_clients(service->control) > 0 &&
           g_get_monotonic_time() - begin < 8 * G_USEC_PER_SEC) {
        run_for(200);
        (void)send(trickle, " ", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    int64_t took = g_get_monotonic_time() - begin;
    assert_in_range(took / 1000, SF_CONTROL_PATIENCE_MSEC - 100, SF_CONTROL_PATIENCE_MSEC + 1500);
    assert_true(is_closed(silent) && is_closed(half) && is_closed(trickle) && is_closed(deaf));
    (void)close(silent);
    (void)close(half);
    (void)close(trickle);
    (void)close(deaf);
    assert_int_equal(sf_control_clients(service->control), 0);
    assert_true(sf_registry_unregister(service->world.registry, "c1", "test"));
    assert_int_equal(open_fds(), service->fds);
}

static unsigned refusals; /* lines of the log that tell of one */

static GLogWriterOutput count_refusals(GLogLevelFlags level, const GLogField *fields, gsize count,
                                       gpointer data)
{
    for (gsize i = 0; i < count; i++) {
        if (strcmp(fields[i].key, "MESSAGE") == 0 && strstr(fields[i].value, "refused"))
            refusals++;
    }
    return G_LOG_WRITER_HANDLED;
}

/* Many small calls at once are taken a few at a turn: a registration does not wait for them. */
static void test_flood(void **state)
{
    Service *service = *state;
    static const char text[] = "{\"method\":\"" CONTROL "Register\",\"oneway\":true}";
    pid_t pid = start_process(&service->world, "/c1", 1);
    int flood = connect_peer(service), fd = connect_peer(service);
    unsigned turns = 0;

    run_until(sf_control_clients(service->control) == 2);
    while (send(flood, text, sizeof(text), MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
        ;
    g_autofree char *parameters = g_strdup_printf(
        "{\"method\":\"" CONTROL "Register\",\"parameters\":{\"id\":\"c1\",\"pid\":%d}}", (int)pid);
    send_text(fd, parameters);
    while (sf_registry_count(service->world.registry) == 0 && turns < 100) {
        (void)g_main_context_iteration(NULL, FALSE);
        turns++;
    }
    assert_true(turns <= 3);
    assert_in_range(refusals, 1, 100);
    (void)close(fd);
    (void)close(flood);
    run_until(sf_control_clients(service->control) == 0);
}

static void test_other_users(void **state)
{
    Service *service = *state;
    g_autofree char *path = g_build_filename(service->world.runtime.root, "control.sock", NULL);
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    if (geteuid() != 0) {
        print_message("not root: cannot be another user\n");
        skip();
    }
    /* Even when somebody has opened up the socket. */
    assert_int_equal(chmod(service->world.runtime.root, 0755), 0);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(seteuid(65534), 0);
    int fd = connect_peer(service);
    assert_int_equal(seteuid(0), 0);
    send_text(fd, "{\"method\":\"" SERVICE "GetInfo\"}");
    assert_error(receive(fd), CONTROL "PermissionDenied", NULL, NULL);
    assert_null(receive(fd));
    (void)close(fd);
    wait_until_alone(service);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_service_interface, setup, teardown),
        cmocka_unit_test_setup_teardown(test_life_of_a_container, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_parameters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pidfd, setup, teardown),
        cmocka_unit_test_setup_teardown(test_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_half_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_peer_goes_away, setup, teardown),
        cmocka_unit_test_setup_teardown(test_register_of_one_who_has_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_a_frame, setup, teardown),
        cmocka_unit_test_setup_teardown(test_largest_frame, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cgroups_that_hang, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many_peers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many_peers_that_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_reader, setup, teardown),
        cmocka_unit_test_setup_teardown(test_patience, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flood, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_users, setup, teardown),
    };

    g_log_set_writer_func(count_refusals, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
