/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rule of open files, under stress: no reader's text changes under it, shrinks, grows or is a
 * mixture, and who begins anew sees what is there now. Readers of every kind read the same files
 * through a real mount while the values change with the clock, and the lengths as the test has it.
 * Needs root and /dev/fuse (exit 77 without).
 *
 * usage: test-snapshot SCENARIOS
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/fuse/captured-mount.h"

#define SECONDS 3
#define TEXT_MAX 65536
/* What a reader that comes back may miss, and what a busy machine may make of it. */
#define FRESH_NSEC (UINT64_C(5000) * 1000 * 1000)

static const char *scenarios;

typedef struct Fixture {
    CapturedMount m;
    _Atomic bool stop;
    _Atomic unsigned wrong, texts;
    char first_wrong[512]; /* written by who made `wrong` 1 */
} Fixture;

/* Says what is wrong with a text, or NULL. */
typedef const char *(*Check)(const char *text, size_t len);

typedef struct Reader {
    Fixture *f;
    const char *name, *kind;
    Check check;
    void (*read)(struct Reader *reader);
    pthread_t thread;
    unsigned seed;
} Reader;

static int setup_scenario(void **state, const char *scenario, const char *policy_cpu)
{
    Fixture *f = g_new0(Fixture, 1);

    captured_mount(&f->m, scenarios, scenario, policy_cpu, SF_MOUNT_VIEW);
    assert_true(sf_view_shares(f->m.view));
    *state = f;
    return 0;
}

static int setup_clock(void **state)
{
    return setup_scenario(state, "huge", "host");
}

static int setup_swap(void **state)
{
    return setup_scenario(state, "swap-wide", "quota");
}

static int teardown(void **state)
{
    Fixture *f = *state;

    captured_unmount(&f->m);
    g_free(f);
    return 0;
}

static int open_file(const Fixture *f, const char *name)
{
    return captured_open(&f->m, name, O_RDONLY);
}

static uint64_t now_nsec(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void complain(Reader *reader, const char *what, const char *text, size_t len)
{
    Fixture *f = reader->f;
    size_t whole = strlen(text);

    if (atomic_fetch_add(&f->wrong, 1) == 0)
        (void)g_snprintf(f->first_wrong, sizeof(f->first_wrong),
                         "%s of %s: %s: %zu bytes, %zu before a NUL: %.120s ... %s", reader->kind,
                         reader->name, what, len, whole, text,
                         text + (whole > 120 ? whole - 120 : 0));
}

static void judge(Reader *reader, char *text, ssize_t len)
{
    const char *what;

    atomic_fetch_add(&reader->f->texts, 1);
    text[len < 0 ? 0 : len] = '\0';
    if (len < 0)
        complain(reader, g_strerror(errno), "", 0);
    else if ((what = reader->check(text, (size_t)len)))
        complain(reader, what, text, (size_t)len);
}

/* The rest of an open file, in pieces of at most `piece` bytes. */
static ssize_t read_rest(int fd, char *text, size_t at, size_t piece)
{
    ssize_t n;

    while ((n = read(fd, text + at, MIN(piece, TEXT_MAX - 1 - at))) > 0)
        at += (size_t)n;
    return n < 0 ? -1 : (ssize_t)at;
}

/* ---- kinds of readers ---- */

static void read_in_pieces(Reader *reader, size_t piece)
{
    char text[TEXT_MAX];
    int fd = open_file(reader->f, reader->name);

    judge(reader, text, read_rest(fd, text, 0, piece));
    (void)close(fd);
}

static void read_at_once(Reader *reader)
{
    read_in_pieces(reader, TEXT_MAX);
}

static void read_lines(Reader *reader)
{
    read_in_pieces(reader, 61);
}

static void read_bytes(Reader *reader)
{
    read_in_pieces(reader, 1);
}

/* Stops in the middle for longer than a text stands unseen in the pages. */
static void read_slowly(Reader *reader)
{
    char text[TEXT_MAX];
    int fd = open_file(reader->f, reader->name);
    ssize_t n = read(fd, text, 7 + (size_t)(rand_r(&reader->seed) % 40));

    g_usleep((gulong)(rand_r(&reader->seed) % 40000));
    judge(reader, text, n < 0 ? n : read_rest(fd, text, (size_t)n, 17));
    (void)close(fd);
}

/* top(1): keeps it open and comes back. What it reads is whole, and not from long ago. */
static void read_again(Reader *reader)
{
    char text[TEXT_MAX], before[TEXT_MAX] = "";
    int fd = open_file(reader->f, reader->name);
    uint64_t same_since = now_nsec();
    bool clock = strcmp(reader->name, "proc/swaps") != 0; /* its text changes all the time */

    for (unsigned i = 0; i < 20 && !atomic_load(&reader->f->stop); i++) {
        ssize_t n = i % 3 == 2 ? pread(fd, text, TEXT_MAX - 1, 0) : -2;
        if (n == -2 && lseek(fd, 0, SEEK_SET) == 0)
            n = read_rest(fd, text, 0, i % 2 ? 1000 : TEXT_MAX);
        judge(reader, text, n);
        if (n > 0 && strcmp(text, before) != 0)
            same_since = now_nsec();
        else if (clock && now_nsec() - same_since > FRESH_NSEC)
            complain(reader, "is old", text, (size_t)n);
        g_strlcpy(before, text, sizeof(before));
        g_usleep((gulong)(rand_r(&reader->seed) % 60000));
    }
    (void)close(fd);
}

/* busybox's cat: goes through the pages, whoever's text they have. */
static void send_file(Reader *reader)
{
    char text[TEXT_MAX];
    int fd = open_file(reader->f, reader->name), fds[2];
    ssize_t n = pipe2(fds, O_CLOEXEC) < 0 ? -1 : sendfile(fds[1], fd, NULL, 1 << 24);

    if (n > 0)
        n = read(fds[0], text, TEXT_MAX - 1);
    judge(reader, text, n);
    (void)close(fds[0]);
    (void)close(fds[1]);
    (void)close(fd);
}

/* Has the pages dropped, as memory pressure does. */
static void drop_pages(Reader *reader)
{
    char text[TEXT_MAX];
    int fd = open_file(reader->f, reader->name);
    ssize_t n = read(fd, text, 5);

    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    g_usleep((gulong)(rand_r(&reader->seed) % 3000));
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    judge(reader, text, n < 0 ? n : read_rest(fd, text, (size_t)n, 400));
    (void)close(fd);
}

static void only_look(Reader *reader)
{
    g_autofree char *path = g_build_filename(reader->f->m.top, reader->name, NULL);
    struct stat st;

    if (stat(path, &st) < 0)
        complain(reader, "stat", g_strerror(errno), 0);
    (void)close(open_file(reader->f, reader->name));
    g_usleep((gulong)(rand_r(&reader->seed) % 2000));
}

/* A process that is killed somewhere in its reading. */
static void read_and_die(Reader *reader)
{
    g_autofree char *path = g_build_filename(reader->f->m.top, reader->name, NULL);
    pid_t pid = fork();

    if (pid == 0) {
        char byte;
        for (;;) {
            int fd = open(path, O_RDONLY | O_CLOEXEC);
            while (read(fd, &byte, 1) > 0)
                ;
            (void)close(fd);
        }
    }
    g_usleep((gulong)(rand_r(&reader->seed) % 20000));
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

static void *run_reader(void *data)
{
    Reader *reader = data;
    g_autofree char *link = captured_show_thread(&reader->f->m);

    while (!atomic_load(&reader->f->stop))
        reader->read(reader);
    (void)unlink(link);
    return NULL;
}

/* ---- what texts must be ---- */

/* All CPUs of this container have done the same, so all lines but the first are alike. */
static const char *check_stat(const char *text, size_t len)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    const char *values = NULL;
    unsigned cpus = 0;

    if (len != strlen(text) || !g_str_has_prefix(text, "cpu  ") || !g_str_has_suffix(text, "\n") ||
        !strstr(text, "\nsoftirq "))
        return "is not whole";
    for (unsigned i = 1; lines[i] && g_str_has_prefix(lines[i], "cpu"); i++) {
        const char *own = strchr(lines[i], ' ');
        if (!own)
            return "has a line that is cut";
        if (values && strcmp(own, values) != 0)
            return "is of two moments";
        values = own;
        cpus++;
    }
    return cpus == 250 ? NULL : "lacks CPUs";
}

/* 250 CPUs that were idle but for a constant time: the second number follows from the first. */
static const char *check_uptime(const char *text, size_t len)
{
    static _Atomic long used; /* hundredths; as the first text has it */
    long up, up_part, idle, idle_part, expected = 0;

    if (sscanf(text, "%ld.%2ld %ld.%2ld\n", &up, &up_part, &idle, &idle_part) != 4 ||
        text[len - 1] != '\n' || strlen(text) != len)
        return "is not whole";
    long now = (up * 100 + up_part) * 250 - (idle * 100 + idle_part);
    if (!atomic_compare_exchange_strong(&used, &expected, now) && labs(now - expected) > 250)
        return "is of two moments";
    return NULL;
}

/* The header, and one line or none. */
static const char *check_swaps(const char *text, size_t len)
{
    const char *first = strchr(text, '\n');

    if (strlen(text) != len || !first || !g_str_has_prefix(text, "Filename\t"))
        return "is not whole";
    if (first[1] == '\0')
        return NULL;
    const char *second = strchr(first + 1, '\n');
    if (!second || second[1] != '\0' || !g_str_has_suffix(text, "\t0\n"))
        return "has a line that is cut, or more";
    return NULL;
}

static void run_readers(Fixture *f, Reader *readers, unsigned count, void (*meanwhile)(Fixture *f))
{
    uint64_t end = now_nsec() + SECONDS * UINT64_C(1000000000);

    for (unsigned i = 0; i < count; i++) {
        readers[i].f = f;
        readers[i].seed = i + 1;
        assert_int_equal(pthread_create(&readers[i].thread, NULL, run_reader, &readers[i]), 0);
    }
    while (now_nsec() < end)
        meanwhile(f);
    atomic_store(&f->stop, true);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
    /* A killed reader's file is closed by a request of its own. */
    for (unsigned i = 0; i < 200 && sf_view_open_handles(f->m.view) > 0; i++)
        g_usleep(10000);
    print_message("%u texts\n", atomic_load(&f->texts));
    if (atomic_load(&f->wrong) > 0)
        fail_msg("%u wrong, first %s", atomic_load(&f->wrong), f->first_wrong);
    assert_true(atomic_load(&f->texts) > 20);
}

static void wait_a_little(Fixture *f)
{
    g_usleep(20000);
}

static void toggle_swap(Fixture *f)
{
    static const char *const limits[] = {"00000000000\n", "21474836480\n"};
    static unsigned turn;
    g_autofree char *path = g_strdup_printf("%s/sys/fs/cgroup/a/web/memory.swap.max", f->m.root);
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, limits[turn++ % 2], 12, 0), 12);
    (void)close(fd);
    g_usleep(7000);
}

#define READER(file, how)                                                                          \
    {                                                                                              \
        .name = "proc/" #file, .kind = #how, .check = check_##file, .read = (how)                  \
    }

/* Each kind of reader on one page and on several. */
static void test_values(void **state)
{
    Reader readers[] = {
        READER(stat, read_at_once),   READER(stat, read_lines),   READER(stat, read_bytes),
        READER(stat, read_slowly),    READER(stat, read_again),   READER(stat, drop_pages),
        READER(stat, only_look),      READER(stat, read_and_die), READER(uptime, read_at_once),
        READER(uptime, read_at_once), READER(uptime, read_bytes), READER(uptime, read_slowly),
        READER(uptime, read_again),   READER(uptime, drop_pages), READER(uptime, only_look),
        READER(uptime, read_and_die), READER(uptime, send_file),
    };

    run_readers(*state, readers, G_N_ELEMENTS(readers), wait_a_little);
}

/* The same where the text gets shorter and longer. */
static void test_lengths(void **state)
{
    Reader readers[] = {
        READER(swaps, read_at_once), READER(swaps, read_at_once), READER(swaps, read_bytes),
        READER(swaps, read_slowly),  READER(swaps, read_again),   READER(swaps, read_again),
        READER(swaps, drop_pages),   READER(swaps, only_look),    READER(swaps, read_and_die),
    };

    run_readers(*state, readers, G_N_ELEMENTS(readers), toggle_swap);
}

/* Keeps its file open and comes back to the beginning, as top does. */
typedef struct Rewinder {
    Reader reader;
    char *link; /* owned */
    int fd;
    char text[TEXT_MAX];
} Rewinder;

static void rewinder_begin(Rewinder *r, Fixture *f)
{
    *r = (Rewinder){.reader = READER(stat, read_again)};
    r->reader.f = f;
    r->link = captured_show_thread(&f->m);
    r->fd = open_file(f, "proc/stat");
    judge(&r->reader, r->text, read_rest(r->fd, r->text, 0, TEXT_MAX));
    assert_true(strlen(r->text) > 4096); /* several pages */
}

/* Whether there is another text now. */
static bool rewinder_again(Rewinder *r, size_t piece)
{
    g_autofree char *before = g_strdup(r->text);

    assert_int_equal(lseek(r->fd, 0, SEEK_SET), 0);
    judge(&r->reader, r->text, read_rest(r->fd, r->text, 0, piece));
    return strcmp(r->text, before) != 0;
}

static void rewinder_end(Rewinder *r)
{
    (void)close(r->fd);
    (void)unlink(r->link);
    g_free(r->link);
    assert_int_equal(atomic_load(&r->reader.f->wrong), 0);
    g_usleep(50000);
}

/* One reader alone, so that all of its texts are in the pages: it sees what is there when it comes
 * back, whole, at once. */
static void test_one_reader(void **state)
{
    Rewinder r;

    rewinder_begin(&r, *state);
    for (unsigned i = 0; i < 20; i++) {
        uint64_t begin = now_nsec();
        bool another;
        do {
            g_usleep(60000);
            another = rewinder_again(&r, i % 2 ? 100 : TEXT_MAX);
        } while (!another && now_nsec() - begin < FRESH_NSEC);
        assert_true(another);
    }
    rewinder_end(&r);
}

/* The same where somebody else opens the file each time just before: the attributes that this one
 * asks for are not for who comes back. */
static void test_beside_openers(void **state)
{
    Rewinder r;

    rewinder_begin(&r, *state);
    for (unsigned i = 0; i < 20; i++) {
        g_usleep(60000);
        if (i % 3 == 2)
            only_look(&r.reader);
        else
            read_at_once(&r.reader);
        assert_true(rewinder_again(&r, i % 2 ? 100 : TEXT_MAX));
    }
    rewinder_end(&r);
}

/* A thread of the host's that the kernel says this of. */
static void show_as(const Fixture *f, pid_t tid, const char *file, const char *text)
{
    g_autofree char *path = g_strdup_printf("%s/proc/%d/%s", f->m.root, (int)tid, file);
    g_autofree char *directory = g_path_get_dirname(path);

    assert_int_equal(g_mkdir_with_parents(directory, 0755), 0);
    assert_true(g_file_set_contents(path, text, -1, NULL));
}

typedef struct Looker {
    Fixture *f;
    pthread_t thread;
    unsigned delay_usec; /* after `go` */
    _Atomic pid_t tid;
    _Atomic bool go;
} Looker;

static void *look(void *data)
{
    Looker *looker = data;
    Reader reader = {.f = looker->f, .name = "proc/stat"};

    atomic_store(&looker->tid, gettid());
    while (!atomic_load(&looker->go))
        g_usleep(1000);
    g_usleep(looker->delay_usec);
    only_look(&reader);
    return NULL;
}

/* The first is kept waiting by the daemon's side, as long as it seems to run; the reader comes back
 * meanwhile, and then come the others. Whether that one sees another text. */
static bool look_and_read(Fixture *f, unsigned others)
{
    g_autofree Looker *lookers = g_new0(Looker, others + 1);
    Rewinder r;

    rewinder_begin(&r, f);
    for (unsigned i = 0; i <= others; i++) {
        lookers[i].f = f;
        lookers[i].delay_usec = i > 0 ? 60000 : 0;
        assert_int_equal(pthread_create(&lookers[i].thread, NULL, look, &lookers[i]), 0);
    }
    while (atomic_load(&lookers[0].tid) == 0)
        g_usleep(1000);
    show_as(f, lookers[0].tid, "syscall", "running\n");
    g_usleep(60000);
    for (unsigned i = 0; i <= others; i++)
        atomic_store(&lookers[i].go, true);
    g_usleep(30000);
    bool another = rewinder_again(&r, TEXT_MAX);
    for (unsigned i = 0; i <= others; i++)
        assert_int_equal(pthread_join(lookers[i].thread, NULL), 0);
    rewinder_end(&r);
    return another;
}

/* Somebody asks for attributes, and while that is looked at, who comes back asks, too: his answer
 * is not to be dropped. */
static void test_asked_meanwhile(void **state)
{
    for (unsigned i = 0; i < 5; i++)
        assert_true(look_and_read(*state, 0));
}

/* More than a turn has requests, and than can wait: so it may be the last text once more. */
static void test_crowd(void **state)
{
    unsigned others = 0;

    for (unsigned i = 0; i < 5; i++)
        others += look_and_read(*state, 40);
    print_message("%u of 5 texts were others\n", others);
}

#define LOOKER_PID 4243

/* The kernel is not told away an answer that shows a new text; but for good it is not taken in. */
static void test_answer_on_its_way(void **state)
{
    Fixture *f = *state;
    int fd = open_file(f, "proc/stat");
    struct stat st;
    char text[TEXT_MAX];
    uint64_t begin;
    unsigned tries = 0;
    bool renewed;
    SfViewAsked asked;
    SfViewExpired expired;

    assert_true(read_rest(fd, text, 0, TEXT_MAX) > 0);
    assert_int_equal(fstat(fd, &st), 0);
    for (unsigned i = 0; i < 500 && !sf_view_is_stale(f->m.view, st.st_ino); i++)
        g_usleep(10000); /* SF_VIEW_SHARED_MSEC, and what the machine needs */
    assert_true(sf_view_is_stale(f->m.view, st.st_ino));
    assert_false(sf_view_is_renewed(f->m.view, st.st_ino));
    show_as(f, INIT_PID, "syscall", "0 0x5 0x0 0x0 0x0 0x0 0x0 0x0 0x0\n"); /* read(5, ...) */
    show_as(f, INIT_PID, "fdinfo/5", "pos:\t0\n");
    show_as(f, LOOKER_PID, "syscall", "5 0x5 0x0 0x0 0x0 0x0 0x0 0x0 0x0\n"); /* fstat(5, ...) */
    do { /* until no pause of this process lies between */
        begin = now_nsec();
        g_usleep(20000);
        assert_int_equal(sf_view_ask(f->m.view, st.st_ino, INIT_PID, 2 * tries + 1),
                         SF_ASKED_LATER);
        renewed = sf_view_is_renewed(f->m.view, st.st_ino);
        asked = sf_view_ask(f->m.view, st.st_ino, LOOKER_PID, 2 * tries + 2);
        expired = sf_view_expire(f->m.view, st.st_ino);
    } while (now_nsec() - begin > 29000000 && tries++ < 100);
    assert_true(renewed);
    assert_int_equal(asked, SF_ASKED_AFTER);
    assert_int_equal(expired, SF_EXPIRED_YET);
    assert_false(sf_view_is_stale(f->m.view, st.st_ino));
    g_usleep(150000);
    assert_false(sf_view_is_renewed(f->m.view, st.st_ino));
    assert_int_equal(sf_view_expire(f->m.view, st.st_ino), SF_EXPIRED);
    assert_int_equal(sf_view_expire(f->m.view, st.st_ino), SF_EXPIRED_NOT);
    (void)close(fd);
    g_usleep(50000);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_asked_meanwhile, setup_clock, teardown),
        cmocka_unit_test_setup_teardown(test_crowd, setup_clock, teardown),
        cmocka_unit_test_setup_teardown(test_answer_on_its_way, setup_clock, teardown),
        cmocka_unit_test_setup_teardown(test_one_reader, setup_clock, teardown),
        cmocka_unit_test_setup_teardown(test_beside_openers, setup_clock, teardown),
        cmocka_unit_test_setup_teardown(test_values, setup_clock, teardown),
        cmocka_unit_test_setup_teardown(test_lengths, setup_swap, teardown),
    };
    int r = captured_main(argc, argv, &scenarios);

    return r ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
