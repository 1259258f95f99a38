/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Counting tasks over a cgroup tree: every level, each state, tasks that are gone, and the limit.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/source/tasks.h"
#include "source-cgroup.h"

#define CTR "box/ctr"

static void make_task(const Box *box, int tid, char state, const char *nspid)
{
    char path[64], text[256];

    (void)snprintf(path, sizeof(path), "proc/%d/stat", tid);
    (void)snprintf(text, sizeof(text),
                   "%d (x) R y) %c 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0\n", tid, state);
    tree_write(&box->tree, path, text);
    if (!nspid)
        return;
    (void)snprintf(path, sizeof(path), "proc/%d/status", tid);
    (void)snprintf(text, sizeof(text), "Name:\tx\nNSpid:\t%d\t%s\n", tid, nspid);
    tree_write(&box->tree, path, text);
}

static void test_count(const char *list, unsigned version)
{
    Box box;
    SfTaskCount count;

    box_open(&box, version, SF_CONTROLLER_MEMORY);
    box_write(&box, CTR, list, "100\n101\n0\n");
    box_write(&box, CTR "/sub", list, "300\n");
    box_write(&box, CTR "/sub/deep", list, "200\n999\n"); /* 999 has ended */
    tree_mkdir(&box.tree, "sys/fs/cgroup/" CTR "/empty");
    box_write(&box, "box", list, "50\n"); /* not ours */
    make_task(&box, 100, 'S', NULL);
    make_task(&box, 101, 'R', NULL);
    make_task(&box, 200, 'D', NULL);
    make_task(&box, 300, 'I', "33\t3");
    make_task(&box, 50, 'R', NULL);

    assert_int_equal(sf_cgroup_count_tasks(box.cgroup, box.host, false, &count), 0);
    assert_int_equal(count.total, 4);
    assert_int_equal(count.running, 1);
    assert_int_equal(count.uninterruptible, 1);
    assert_int_equal(count.highest_pid, 300);
    assert_int_equal(count.highest_inner_pid, 0);
    assert_int_equal(sf_cgroup_count_tasks(box.cgroup, box.host, true, &count), 0);
    assert_int_equal(count.highest_inner_pid, 3);

    tree_remove(&box.tree, "proc/300/status"); /* ended just now */
    assert_int_equal(sf_cgroup_count_tasks(box.cgroup, box.host, true, &count), 0);
    assert_int_equal(count.highest_pid, 300);
    assert_int_equal(count.highest_inner_pid, 0);
    box_close(&box);
}

static void test_v1(void **state)
{
    test_count("tasks", 1);
}

static void test_v2(void **state)
{
    test_count("cgroup.threads", 2);
}

static void test_empty(void **state)
{
    Box box;
    SfTaskCount count;

    box_open(&box, 2, SF_CONTROLLER_MEMORY);
    assert_int_equal(sf_cgroup_count_tasks(box.cgroup, box.host, true, &count), 0);
    assert_int_equal(count.total, 0);
    assert_int_equal(count.highest_pid, 0);
    box_write(&box, CTR, "cgroup.threads", "12\nx\n");
    assert_int_equal(sf_cgroup_count_tasks(box.cgroup, box.host, true, &count), -EINVAL);
    /* The cgroup itself is gone: nothing is left to count. */
    tree_remove(&box.tree, "sys/fs/cgroup/" CTR);
    assert_int_equal(sf_cgroup_count_tasks(box.cgroup, box.host, true, &count), 0);
    assert_int_equal(count.total, 0);
    box_close(&box);
}

static void test_limit(void **state)
{
    Box box;
    SfTaskCount count;
    const unsigned total = SF_TASKS_MAX + SF_TASKS_MAX / 2;
    char *text = malloc((size_t)total * 5 + 1);

    /* The same two tasks again and again: one of two runs. */
    assert_non_null(text);
    for (unsigned i = 0; i < total; i++)
        memcpy(text + (size_t)i * 4, i % 2 ? "101\n" : "100\n", 5);
    box_open(&box, 2, SF_CONTROLLER_MEMORY);
    make_task(&box, 100, 'S', NULL);
    make_task(&box, 101, 'R', NULL);
    box_write(&box, CTR, "cgroup.threads", text);
    assert_int_equal(sf_cgroup_count_tasks(box.cgroup, box.host, false, &count), 0);
    assert_int_equal(count.total, total);
    assert_int_equal(count.running, total / 2);
    box_close(&box);
    free(text);
}

static void test_deep(void **state)
{
    Box box;
    SfTaskCount count;
    char path[1024] = CTR;

    box_open(&box, 2, SF_CONTROLLER_MEMORY);
    make_task(&box, 7, 'R', NULL);
    for (unsigned i = 0; i < 200; i++) {
        strcat(path, "/d");
        box_write(&box, CTR, "cgroup.threads", "");
    }
    char full[2048];
    (void)snprintf(full, sizeof(full), "sys/fs/cgroup/%s/cgroup.threads", path);
    tree_write(&box.tree, full, "7\n");
    assert_int_equal(sf_cgroup_count_tasks(box.cgroup, box.host, false, &count), 0);
    assert_int_equal(count.running, 1);
    box_close(&box);
}

static void test_pids(void **state)
{
    Box box;
    pid_t *pids = NULL;
    unsigned count = 9;

    box_open(&box, 1, SF_CONTROLLER_MEMORY);
    assert_int_equal(sf_cgroup_pids(box.cgroup, &pids, &count), 0);
    assert_int_equal(count, 0);
    free(pids);
    box_write(&box, CTR, "cgroup.procs", "5\n0\n6\n");
    box_write(&box, CTR "/sub", "cgroup.procs", "9\n");
    assert_int_equal(sf_cgroup_pids(box.cgroup, &pids, &count), 0);
    assert_int_equal(count, 3);
    assert_int_equal(pids[0], 5);
    assert_int_equal(pids[1], 6);
    assert_int_equal(pids[2], 9);
    free(pids);
    box_close(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v1),    cmocka_unit_test(test_v2),   cmocka_unit_test(test_empty),
        cmocka_unit_test(test_limit), cmocka_unit_test(test_deep), cmocka_unit_test(test_pids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
