/* SPDX-License-Identifier: Apache-2.0 */

/*
 * States as runc 1.1 and crun 1.8 write them, and what a broken runtime or a hostile user could
 * make of them.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/deadline.h"
#include "lib/oci.h"

static char error[512];

static int parse(const char *text, SfOciState *ret_state)
{
    error[0] = '\0';
    return sf_oci_state_parse(text, strlen(text), ret_state, error, sizeof(error));
}

static void test_runc_state(void **state)
{
    SfOciState s;
    assert_int_equal(parse("{\"ociVersion\":\"1.0.2-dev\",\"id\":\"c1\",\"status\":\"creating\","
                           "\"pid\":4711,\"bundle\":\"/b\",\"annotations\":{\"x\":\"y\","
                           "\"io.sysfsd.required\":\"true\",\"io.sysfsd.cpu\":\"cpuset\"}}",
                           &s),
                     0);
    assert_string_equal(s.id, "c1");
    assert_string_equal(s.status, "creating");
    assert_string_equal(s.bundle, "/b");
    assert_null(s.rootfs);
    assert_int_equal(s.pid, 4711);
    assert_true(s.enable);
    assert_true(s.required);
    assert_int_equal(s.annotation_count, 2);
    sf_oci_state_clear(&s);
}

static void test_crun_state(void **state)
{
    SfOciState s;
    assert_int_equal(parse("{\"ociVersion\":\"1.0\",\"id\":\"c1\",\"pid\":0,\"root\":\"rootfs\","
                           "\"bundle\":\"/b\",\"status\":\"created\"}",
                           &s),
                     0);
    assert_string_equal(s.rootfs, "/b/rootfs");
    assert_int_equal(s.pid, 0);
    assert_false(s.required);
    assert_int_equal(s.annotation_count, 0);
    sf_oci_state_clear(&s);
}

static void test_bad_states(void **state)
{
    static const struct {
        const char *text;
        int result;
        const char *named; /* has to be in the error */
    } cases[] = {
        {"", -EBADMSG, "JSON"},
        {"{\"id\":\"c1\",\"pi", -EBADMSG, "JSON"},
        {"[1]", -EBADMSG, "object"},
        {"{\"id\":\"a\",\"id\":\"b\"}", -EBADMSG, "JSON"},
        {"{}", -EINVAL, "id"},
        {"{\"id\":1}", -EINVAL, "id"},
        {"{\"id\":\"../x\"}", -EINVAL, "../x"},
        {"{\"id\":\"..\"}", -EINVAL, "id"},
        {"{\"id\":\"\"}", -EINVAL, "id"},
        {"{\"id\":\"a/b\"}", -EINVAL, "a/b"},
        {"{\"id\":\"c\",\"pid\":-1}", -EINVAL, "pid"},
        {"{\"id\":\"c\",\"pid\":\"1\"}", -EINVAL, "pid"},
        {"{\"id\":\"c\",\"pid\":1.5}", -EINVAL, "pid"},
        {"{\"id\":\"c\",\"pid\":4294967297}", -EINVAL, "pid"},
        {"{\"id\":\"c\",\"bundle\":\"b\"}", -EINVAL, "bundle"},
        {"{\"id\":\"c\",\"bundle\":7}", -EINVAL, "bundle"},
        {"{\"id\":\"c\",\"root\":\"r\"}", -EINVAL, "root"},
        {"{\"id\":\"c\",\"status\":{}}", -EINVAL, "status"},
        {"{\"id\":\"c\",\"annotations\":[]}", -EINVAL, "annotations"},
        {"{\"id\":\"c\",\"annotations\":{\"io.sysfsd.cpu\":1}}", -EINVAL, "io.sysfsd.cpu"},
        {"{\"id\":\"c\",\"annotations\":{\"io.sysfsd.required\":\"yes\"}}", -EINVAL,
         "io.sysfsd.required=yes"},
        {"{\"id\":\"c\",\"annotations\":{\"io.sysfsd.requird\":\"true\"}}", -EINVAL,
         "io.sysfsd.requird=true"},
        {"{\"id\":\"c\",\"annotations\":{\"io.sysfsd.\":\"\"}}", -EINVAL, "io.sysfsd.=:"},
        {"{\"id\":\"c\",\"annotations\":{\"io.sysfsd.enable\":\"\"}}", -EINVAL, "io.sysfsd.enable"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SfOciState s = {0};
        assert_int_equal(parse(cases[i].text, &s), cases[i].result);
        assert_non_null(strstr(error, cases[i].named));
        assert_null(s.id);
    }
}

static int parse_config(const char *text, SfOciState *s)
{
    error[0] = '\0';
    return sf_oci_config_parse(text, strlen(text), s, error, sizeof(error));
}

static void test_config(void **state)
{
    SfOciState s;
    assert_int_equal(parse("{\"id\":\"c\",\"bundle\":\"/b\",\"root\":\"old\",\"annotations\":{"
                           "\"io.sysfsd.cpu\":\"host\"}}",
                           &s),
                     0);
    assert_int_equal(parse_config("{\"root\":{\"path\":\"rootfs\"},\"annotations\":{"
                                  "\"io.sysfsd.cpu\":\"quota\",\"io.sysfsd.enable\":\"false\"}}",
                                  &s),
                     0);
    assert_string_equal(s.rootfs, "/b/rootfs");
    assert_false(s.enable);
    /* The state is nearer to what runs: its value stands. */
    assert_int_equal(s.annotation_count, 2);
    assert_string_equal(s.annotations[0].value, "host");
    assert_int_equal(parse_config("{\"root\":{\"path\":\"/abs\"}}", &s), 0);
    assert_string_equal(s.rootfs, "/abs");
    assert_int_equal(parse_config("{}", &s), 0);
    assert_string_equal(s.rootfs, "/abs");
    sf_oci_state_clear(&s);
}

static void test_bad_config_changes_nothing(void **state)
{
    SfOciState s;
    assert_int_equal(parse("{\"id\":\"c\",\"bundle\":\"/b\"}", &s), 0);
    assert_int_equal(parse_config("{\"root\":{\"path\":1}}", &s), -EINVAL);
    assert_int_equal(parse_config("{\"root\":{\"path\":\"r\"},\"annotations\":{"
                                  "\"io.sysfsd.enable\":\"false\",\"io.sysfsd.required\":\"true\","
                                  "\"io.sysfsd.cpu\":2}}",
                                  &s),
                     -EINVAL);
    assert_non_null(strstr(error, "io.sysfsd.cpu"));
    assert_int_equal(parse_config("{", &s), -EBADMSG);
    assert_null(s.rootfs);
    assert_int_equal(s.annotation_count, 0);
    assert_true(s.enable);
    assert_false(s.required);
    sf_oci_state_clear(&s);
}

static void test_config_read(void **state)
{
    char dir[] = "/tmp/test-oci-XXXXXX", path[64], text[128];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/config.json", dir);
    (void)snprintf(text, sizeof(text), "{\"id\":\"c\",\"bundle\":\"%s\"}", dir);
    SfOciState s;
    assert_int_equal(parse(text, &s), 0);
    assert_int_equal(sf_oci_config_read(&s, error, sizeof(error)), -ENOENT);
    assert_non_null(strstr(error, path));
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs("{\"root\":{\"path\":\"r\"}}", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(sf_oci_config_read(&s, error, sizeof(error)), 0);
    (void)snprintf(text, sizeof(text), "%s/r", dir);
    assert_string_equal(s.rootfs, text);
    assert_int_equal(unlink(path), 0);
    /* To open it for reading would take until somebody writes. */
    assert_int_equal(mkfifo(path, 0600), 0);
    (void)alarm(5);
    assert_int_equal(sf_oci_config_read(&s, error, sizeof(error)), -EINVAL);
    (void)alarm(0);
    assert_non_null(strstr(error, path));
    sf_oci_state_clear(&s);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

/* What is written to a pipe, with its end closed or left open. */
static int read_from_pipe(size_t bytes, bool close_it, int timeout_msec, size_t *ret_len)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    for (size_t i = 0; i < bytes; i++)
        assert_int_equal(fputc('x', file), 'x');
    assert_int_equal(fflush(file), 0);
    rewind(file);
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    char *text = NULL;
    int r = sf_oci_state_read(close_it ? fileno(file) : pipe_fds[0],
                              sf_deadline_after(timeout_msec), &text, ret_len);
    free(text);
    assert_int_equal(close(pipe_fds[0]) | close(pipe_fds[1]) | fclose(file), 0);
    return r;
}

static void test_state_read(void **state)
{
    size_t len = 0;
    assert_int_equal(read_from_pipe(10, true, 1000, &len), 0);
    assert_int_equal(len, 10);
    assert_int_equal(read_from_pipe(0, true, 1000, &len), -ENODATA);
    assert_int_equal(read_from_pipe(SF_OCI_STATE_MAX, true, 1000, &len), 0);
    assert_int_equal(len, SF_OCI_STATE_MAX);
    assert_int_equal(read_from_pipe(SF_OCI_STATE_MAX + 1, true, 1000, &len), -EFBIG);
    assert_int_equal(read_from_pipe(0, false, 50, &len), -ETIMEDOUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runc_state),
        cmocka_unit_test(test_crun_state),
        cmocka_unit_test(test_bad_states),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_bad_config_changes_nothing),
        cmocka_unit_test(test_config_read),
        cmocka_unit_test(test_state_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
