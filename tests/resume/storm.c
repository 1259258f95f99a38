/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers that do not stop: threads read every file of some views again and again, whole or in
 * small pieces, by open, by rewinding, by listing directories, and judge each text, until they are
 * told to end by SIGTERM and, with --least, have done N reads; but no longer than LEAST_SEC after
 * the signal. What is counted is what a program in a container would notice: an error, a text that
 * cannot be, a long wait.
 *
 * usage: storm [--flood] [--least N] THREADS ROOT... (ROOT: a container's root as the host sees it)
 * The last line of output: reads=N errors=N wrong=N longest_usec=N slow=N
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SLOW_USEC 200000
#define LEAST_SEC 300
#define TEXT_MAX (1u << 20)
#define COUNTERS_MAX 16

/* --flood: only ask, as fast as can be; nothing is judged but that it can be read. Constants are
 * left out, whose reading asks nothing: a thousand threads that do that use up the CPU and nothing
 * else. */
static bool arg_flood;
static unsigned long arg_least;

/* What is read of each root, if it is there. */
static const char *const FILES[] = {"proc/meminfo",
                                    "proc/cpuinfo",
                                    "proc/stat",
                                    "proc/uptime",
                                    "proc/loadavg",
                                    "proc/swaps",
                                    "proc/vmstat",
                                    "proc/diskstats",
                                    "proc/partitions",
                                    "proc/interrupts",
                                    "proc/softirqs",
                                    "proc/schedstat",
                                    "proc/zoneinfo",
                                    "proc/buddyinfo",
                                    "proc/pagetypeinfo",
                                    "proc/pressure/cpu",
                                    "proc/pressure/memory",
                                    "proc/pressure/io",
                                    "proc/pressure/irq",
                                    "proc/slabinfo",
                                    "sys/devices/system/cpu/online",
                                    "sys/devices/system/cpu/offline",
                                    "sys/devices/system/cpu/present",
                                    "sys/devices/system/cpu/cpu0/topology/core_id"};
static const char *const DIRECTORIES[] = {"sys/devices/system/cpu", "sys/devices/system/node"};

static atomic_bool stop, told_to_stop;
static atomic_ulong reads, errors, wrong, slow, longest_usec;

typedef struct Reader {
    unsigned number;
    char **roots;
    unsigned root_count;
    /* The last value of each counter that may not decrease, by root. */
    unsigned long long (*seen)[COUNTERS_MAX];
    char *text;
} Reader;

static void on_signal(int signal_number)
{
    if (signal_number == SIGALRM || atomic_load(&reads) >= arg_least)
        atomic_store(&stop, true);
    else if (!atomic_exchange(&told_to_stop, true))
        (void)alarm(LEAST_SEC);
}

static void count_read(void)
{
    if (atomic_fetch_add(&reads, 1) + 1 >= arg_least && atomic_load(&told_to_stop))
        atomic_store(&stop, true);
}

static unsigned long usec_since(const struct timespec *begin)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long)((now.tv_sec - begin->tv_sec) * 1000000 +
                           (now.tv_nsec - begin->tv_nsec) / 1000);
}

/* A system call that began then has ended. */
static void count_time(const struct timespec *begin)
{
    unsigned long usec = usec_since(begin), before = atomic_load(&longest_usec);

    if (usec > SLOW_USEC)
        atomic_fetch_add(&slow, 1);
    while (usec > before && !atomic_compare_exchange_weak(&longest_usec, &before, usec))
        ;
}

static void fail(atomic_ulong *counter, const char *path, const char *what)
{
    if (atomic_fetch_add(counter, 1) < 20)
        fprintf(stderr, "%s: %s\n", path, what);
}

/* Reads fd from where it stands to its end. -1 with an error counted. */
static ssize_t read_all(int fd, const char *path, char *text, size_t chunk)
{
    size_t len = 0;

    for (;;) {
        struct timespec begin;
        (void)clock_gettime(CLOCK_MONOTONIC, &begin);
        ssize_t n = read(fd, text + len, MIN(chunk, TEXT_MAX - 1 - len));
        count_time(&begin);
        if (n < 0) {
            fail(&errors, path, strerror(errno));
            return -1;
        }
        if (n == 0)
            break;
        len += (size_t)n;
    }
    text[len] = '\0';
    return (ssize_t)len;
}

/* Each word of a line that is a number, in the order they stand; returns how many. */
static unsigned numbers(const char *line, unsigned long long *values, unsigned max)
{
    unsigned count = 0;

    for (const char *p = line; *p && *p != '\n' && count < max;) {
        char *end;
        while (*p == ' ')
            p++;
        values[count] = g_ascii_strtoull(p, &end, 10);
        if (end == p) {
            while (*p && *p != ' ' && *p != '\n')
                p++;
            continue;
        }
        count++;
        p = end;
        if (*p == '.')
            p++;
    }
    return count;
}

/* Counters of stat's first line, and uptime: none decreases. */
static void check_order(Reader *reader, unsigned root, const char *path, const char *text)
{
    unsigned long long values[COUNTERS_MAX];
    unsigned base = g_str_has_suffix(path, "/stat") ? 0 : 10;
    unsigned count = numbers(text, values, base ? 2 : 10);

    if (base && count == 2)
        values[0] = values[0] * 100 + values[1], count = 1;
    for (unsigned i = 0; i < count; i++) {
        if (values[i] < reader->seen[root][base + i])
            fail(&wrong, path, "a counter has decreased");
        reader->seen[root][base + i] = values[i];
    }
}

/* Whole lines, and those that the file begins and ends with. A text of two instants mixed has a
 * line torn or twice. */
static bool is_whole(const char *path, const char *text, size_t len)
{
    static const struct {
        const char *file, *first, *last;
    } RULES[] = {
        {"/meminfo", "MemTotal: ", NULL},     {"/stat", "cpu  ", "softirq "},
        {"/vmstat", "nr_free_pages ", "nr_"}, {"/swaps", "Filename\t", NULL},
        {"/partitions", "major minor", NULL}, {"/softirqs", "    ", "         RCU:"},
        {"/slabinfo", "slabinfo - ", NULL},   {"/cpu", "some avg10=", NULL},
        {"/cpuinfo", "processor\t: ", NULL},
    };
    unsigned first = 0;

    if (len == 0)
        return g_str_has_suffix(path, "/diskstats") || g_str_has_suffix(path, "/zoneinfo") ||
               g_str_has_suffix(path, "/buddyinfo");
    if (text[len - 1] != '\n' || memchr(text, '\0', len))
        return false;
    for (unsigned i = 0; i < G_N_ELEMENTS(RULES); i++) {
        if (!g_str_has_suffix(path, RULES[i].file))
            continue;
        const char *last = len > 1 ? memrchr(text, '\n', len - 1) : NULL;
        last = last ? last + 1 : text;
        for (const char *at = text; (at = strstr(at, RULES[i].first)); at++)
            first += at == text || at[-1] == '\n';
        return g_str_has_prefix(text, RULES[i].first) &&
               (first == 1 || g_str_has_suffix(path, "/cpuinfo") ||
                g_str_has_suffix(path, "/softirqs")) &&
               (!RULES[i].last || g_str_has_prefix(last, RULES[i].last));
    }
    return true;
}

static void judge(Reader *reader, unsigned root, const char *path, ssize_t len)
{
    if (len < 0)
        return;
    count_read();
    if (arg_flood)
        return;
    if (!is_whole(path, reader->text, (size_t)len)) {
        fail(&wrong, path, "is not whole");
        fprintf(stderr, "%.*s\n--\n", (int)MIN(len, 4000), reader->text);
    } else if (g_str_has_suffix(path, "proc/stat") || g_str_has_suffix(path, "proc/uptime")) {
        check_order(reader, root, path, reader->text);
    }
}

static void read_file(Reader *reader, unsigned root, const char *name, unsigned turn)
{
    static const size_t CHUNKS[] = {65536, 4096, 1000, 61};
    g_autofree char *path = g_strdup_printf("%s/%s", reader->roots[root], name);
    size_t chunk = arg_flood ? CHUNKS[0] : CHUNKS[turn % G_N_ELEMENTS(CHUNKS)];
    struct timespec begin;

    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    count_time(&begin);
    if (fd < 0) {
        if (errno != ENOENT || turn > 0)
            fail(&errors, path, strerror(errno));
        return;
    }
    judge(reader, root, path, read_all(fd, path, reader->text, chunk));
    /* As top(1) does it. */
    if (turn % 3 == 0 && lseek(fd, 0, SEEK_SET) == 0)
        judge(reader, root, path, read_all(fd, path, reader->text, chunk));
    (void)close(fd);
}

static void list_directory(Reader *reader, unsigned root, const char *name)
{
    g_autofree char *path = g_strdup_printf("%s/%s", reader->roots[root], name);
    struct timespec begin;
    unsigned cpus = 0, nodes = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    DIR *dir = opendir(path);
    if (!dir) {
        if (errno != ENOENT)
            fail(&errors, path, strerror(errno));
        return;
    }
    errno = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        cpus += strcmp(entry->d_name, "cpu0") == 0;
        nodes += strcmp(entry->d_name, "node0") == 0;
        errno = 0;
    }
    if (errno != 0)
        fail(&errors, path, strerror(errno));
    else if (g_str_has_suffix(path, "cpu") ? cpus != 1 : nodes != 1)
        fail(&wrong, path, "has not each entry once");
    (void)closedir(dir);
    count_time(&begin);
    count_read();
}

static bool is_constant(const char *name)
{
    return strcmp(name, "proc/cpuinfo") == 0 || g_str_has_prefix(name, "sys/devices/system/cpu/");
}

/* A file that is not there at the first turn is none of this view's. */
static void *run(void *data)
{
    Reader *reader = data;
    bool there[64][G_N_ELEMENTS(FILES)] = {0};

    for (unsigned root = 0; root < reader->root_count; root++) {
        for (unsigned i = 0; i < G_N_ELEMENTS(FILES); i++) {
            g_autofree char *path = g_strdup_printf("%s/%s", reader->roots[root], FILES[i]);
            there[root][i] = access(path, R_OK) == 0 && !(arg_flood && is_constant(FILES[i]));
        }
    }
    for (unsigned turn = 1; !atomic_load(&stop); turn++) {
        unsigned root = (turn + reader->number) % reader->root_count;
        for (unsigned i = 0; i < G_N_ELEMENTS(FILES) && !atomic_load(&stop); i++) {
            unsigned file = (i + reader->number) % G_N_ELEMENTS(FILES);
            if (there[root][file])
                read_file(reader, root, FILES[file], turn + i);
        }
        for (unsigned i = 0; i < G_N_ELEMENTS(DIRECTORIES); i++)
            list_directory(reader, root, DIRECTORIES[i]);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--flood") == 0) {
        arg_flood = true;
        argv++;
        argc--;
    }
    if (argc > 2 && strcmp(argv[1], "--least") == 0) {
        arg_least = (unsigned long)g_ascii_strtoull(argv[2], NULL, 10);
        argv += 2;
        argc -= 2;
    }
    unsigned threads = argc > 2 ? (unsigned)g_ascii_strtoull(argv[1], NULL, 10) : 0;
    struct sigaction action = {.sa_handler = on_signal};

    if (threads == 0 || argc - 2 > 64) {
        fprintf(stderr, "usage: storm [--flood] [--least N] THREADS ROOT...\n");
        return 2;
    }
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGALRM, &action, NULL);
    g_autofree Reader *readers = g_new0(Reader, threads);
    g_autofree GThread **handles = g_new0(GThread *, threads);
    for (unsigned i = 0; i < threads; i++) {
        readers[i] = (Reader){.number = i,
                              .roots = argv + 2,
                              .root_count = (unsigned)argc - 2,
                              .text = g_malloc(TEXT_MAX)};
        readers[i].seen = g_malloc0((gsize)readers[i].root_count * sizeof(*readers[i].seen));
        handles[i] = g_thread_new("reader", run, &readers[i]);
    }
    for (unsigned i = 0; i < threads; i++) {
        (void)g_thread_join(handles[i]);
        g_free(readers[i].text);
        g_free(readers[i].seen);
    }
    printf("reads=%lu errors=%lu wrong=%lu longest_usec=%lu slow=%lu\n", atomic_load(&reads),
           atomic_load(&errors), atomic_load(&wrong), atomic_load(&longest_usec),
           atomic_load(&slow));
    return atomic_load(&errors) || atomic_load(&wrong);
}
