/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fd store is asked to hold: no more than it can hand over, views before triggers, and
 * what was handed over counts.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/fd_store.h"

#define FIRST_FD 3

static int manager_fd; /* the service manager's end */
static int file_fd;    /* something to be held */

/* What was asked; "" when nothing was. */
static void heard(char *text, size_t size)
{
    ssize_t n = recv(manager_fd, text, size - 1, MSG_DONTWAIT);

    text[n < 0 ? 0 : n] = '\0';
}

static int hold(const char *name)
{
    char text[256];

    int r = sf_fd_store_hold(name, file_fd);
    heard(text, sizeof(text));
    if (r == 0)
        assert_non_null(strstr(text, name));
    else
        assert_string_equal(text, "");
    return r;
}

static void drop(const char *name)
{
    char text[256];

    sf_fd_store_drop(name);
    heard(text, sizeof(text));
    assert_non_null(strstr(text, "FDSTOREREMOVE=1"));
}

static int hold_numbered(const char *kind, uint64_t number)
{
    g_autofree char *name = g_strdup_printf("%s%" G_GINT64_MODIFIER "x", kind, number);

    return hold(name);
}

/* Both connections of a view, of the longest name. */
static int hold_view(uint64_t number)
{
    g_autofree char *view = sf_registry_fd_name(SF_CONTAINER_NUMBER_MAX - number, SF_MOUNT_VIEW);
    g_autofree char *constants =
        sf_registry_fd_name(SF_CONTAINER_NUMBER_MAX - number, SF_MOUNT_CONSTANTS);
    int r = hold(view);

    if (r < 0)
        return r;
    r = hold(constants);
    if (r < 0)
        drop(view);
    return r;
}

/* As a process to which so many files of that name are handed over. */
static void begin_with(unsigned files, const char *name)
{
    GString *names = g_string_new(NULL);
    char number[32];

    for (unsigned i = 0; i < files; i++) {
        assert_int_equal(dup2(file_fd, FIRST_FD + (int)i), FIRST_FD + (int)i);
        g_string_append_printf(names, "%s%s%u", i ? ":" : "", name, i);
    }
    (void)snprintf(number, sizeof(number), "%d", (int)getpid());
    (void)setenv("LISTEN_PID", number, 1);
    (void)snprintf(number, sizeof(number), "%u", files);
    (void)setenv("LISTEN_FDS", number, 1);
    (void)setenv("LISTEN_FDNAMES", names->str, 1);
    (void)g_string_free(names, TRUE);
    sf_fd_store_begin();
}

static int setup(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(address);
    char name[128];

    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    manager_fd = fcntl(fd, F_DUPFD_CLOEXEC, 200);
    (void)close(fd);
    assert_int_equal(bind(manager_fd, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
    assert_int_equal(getsockname(manager_fd, (struct sockaddr *)&address, &len), 0);
    (void)snprintf(name, sizeof(name), "@%.*s",
                   (int)(len - offsetof(struct sockaddr_un, sun_path) - 1), address.sun_path + 1);
    (void)setenv("NOTIFY_SOCKET", name, 1);
    (void)unsetenv("FDSTORE");
    fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    file_fd = fcntl(fd, F_DUPFD_CLOEXEC, 200);
    (void)close(fd);
    return 0;
}

static int teardown(void **state)
{
    (void)close(manager_fd);
    (void)close(file_fd);
    return 0;
}

static void test_no_store(void **state)
{
    (void)unsetenv("NOTIFY_SOCKET");
    sf_fd_store_begin();
    assert_int_equal(sf_fd_store_reserve(5000), UINT_MAX);
    assert_int_equal(sf_fd_store_hold("v1", file_fd), 0);
}

/* The kernel takes all names of what is held in one string. */
static void assert_can_be_handed_over(unsigned views, unsigned triggers)
{
    GString *text = g_string_new("LISTEN_FDNAMES=keep:control");
    int status;

    for (unsigned i = 0; i < views; i++)
        g_string_append_printf(text, ":v%010x:k%010x", i, i);
    for (unsigned i = 0; i < triggers; i++)
        g_string_append_printf(text, ":e%x", i);
    char program[] = "/bin/true", *arguments[] = {program, NULL},
         *environment[] = {text->str, NULL};
    pid_t pid = fork();
    if (pid == 0) {
        (void)execve(arguments[0], arguments, environment);
        _exit(errno);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    (void)g_string_free(text, TRUE);
}

static void test_names(void **state)
{
    unsigned triggers = 0, views = 0;

    sf_fd_store_begin();
    assert_true(sf_fd_store_reserve(5000) >= 5000);
    assert_int_equal(hold("keep"), 0);
    assert_int_equal(hold("control"), 0);
    while (hold_numbered("e", triggers) == 0)
        triggers++;
    assert_true(triggers > 500);
    assert_int_equal(hold_numbered("e", 0xffffff), -ENOSPC);
    for (; views < 5000; views++)
        assert_int_equal(hold_view(views), 0);
    while (hold_view(views) == 0)
        views++;
    assert_int_equal(hold_view(views), -ENOSPC);
    assert_can_be_handed_over(views, triggers);

    /* What is dropped gives its room back, to views first. */
    g_autofree char *first = sf_registry_fd_name(SF_CONTAINER_NUMBER_MAX, SF_MOUNT_VIEW);
    assert_int_equal(hold("v1234567890"), -ENOSPC);
    drop("v-never-held-and-long");
    assert_int_equal(hold("v1234567890"), -ENOSPC);
    drop(first);
    assert_int_equal(hold("v1234567890"), 0);
    assert_int_equal(hold("v1234567891"), -ENOSPC);
}

/* Views that are there need no room of what is kept for views. */
static void test_views_use_what_is_kept(void **state)
{
    unsigned before = 0, after = 0;

    sf_fd_store_begin();
    (void)sf_fd_store_reserve(1000);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(hold_view(i), 0);
    while (hold_numbered("e", 0x100000 + before) == 0)
        before++;
    assert_true(before > 10000);
    for (unsigned i = 0; i < before; i++) {
        g_autofree char *name = g_strdup_printf("e%x", 0x100000 + i);
        drop(name);
    }
    while (hold_numbered("e", 0x100000 + after) == 0)
        after++;
    assert_int_equal(after, before);
}

static void test_number(void **state)
{
    (void)setenv("FDSTORE", "32", 1);
    sf_fd_store_begin();
    assert_int_equal(sf_fd_store_reserve(15), 14);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(hold_numbered("e", i), 0);
    assert_int_equal(hold_numbered("e", 9), -ENFILE);
    for (unsigned i = 0; i < 15; i++)
        assert_int_equal(hold_view(i), 0);
    assert_int_equal(hold_view(99), -ENFILE);
    drop("e0");
    drop("e1");
    assert_int_equal(hold_view(99), 0);
}

static void test_handed_over_counts(void **state)
{
    (void)setenv("FDSTORE", "16", 1);
    begin_with(10, "v");
    assert_int_equal(hold_numbered("k", 1), 0);
    for (unsigned i = 2; i < 7; i++)
        assert_int_equal(hold_numbered("k", i), 0);
    assert_int_equal(hold_numbered("k", 7), -ENFILE);
    drop("v0");
    assert_int_equal(hold_numbered("k", 7), 0);
    int fd = sf_fd_store_take("v1");
    assert_true(fd >= FIRST_FD);
    assert_int_equal(hold_numbered("k", 8), -ENFILE); /* taken, and held all the same */
    (void)close(fd);
    sf_fd_store().drop_rest(NULL);
    for (char text[256] = "x"; text[0];)
        heard(text, sizeof(text));
    for (unsigned i = 8; i < 16; i++) /* all but what was taken or dropped */
        assert_int_equal(hold_numbered("k", i), 0);
}

/* A manager that is gone holds nothing. */
static void test_failed_hold_counts_nothing(void **state)
{
    (void)setenv("FDSTORE", "1", 1);
    sf_fd_store_begin();
    (void)setenv("NOTIFY_SOCKET", "@/nobody-is-there/sysfsd", 1);
    assert_true(sf_fd_store_hold("v1", file_fd) < 0);
    int r = sf_fd_store_hold("v1", file_fd);
    assert_true(r < 0 && r != -ENFILE);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_no_store),
        CASE(test_names),
        CASE(test_views_use_what_is_kept),
        CASE(test_number),
        CASE(test_handed_over_counts),
        CASE(test_failed_hold_counts_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
