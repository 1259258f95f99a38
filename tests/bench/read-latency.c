/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read-latency ROUNDS PAUSE_USEC LABEL=PATH...: times open, read to the end, close of each path, in
 * turn (interleaved rounds, so that noise meets all alike), and prints a line each: label, p50 and
 * p99 in microseconds, bytes. PAUSE_USEC between two reads; 0 is back to back.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/number.h"

#define MAX_ROUNDS 1000000

static uint64_t now_nsec(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static size_t read_whole(const char *path)
{
    char buffer[65536];
    size_t total = 0;
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        (void)fprintf(stderr, "read-latency: %s: %s\n", path, strerror(errno));
        exit(1);
    }
    while ((n = read(fd, buffer, sizeof(buffer))) > 0)
        total += (size_t)n;
    (void)close(fd);
    if (n < 0 || total == 0) {
        (void)fprintf(stderr, "read-latency: %s: %s\n", path, n < 0 ? strerror(errno) : "empty");
        exit(1);
    }
    return total;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    uint64_t rounds, pause_usec;

    if (argc < 4 || sf_slice_u64(sf_slice_str(argv[1]), &rounds) < 0 || rounds < 1 ||
        rounds > MAX_ROUNDS || sf_slice_u64(sf_slice_str(argv[2]), &pause_usec) < 0) {
        (void)fprintf(stderr, "usage: read-latency ROUNDS PAUSE_USEC LABEL=PATH...\n");
        return 2;
    }
    size_t paths = (size_t)argc - 3;
    uint64_t *times = calloc(paths * rounds, sizeof(*times));
    size_t *bytes = calloc(paths, sizeof(*bytes));
    if (!times || !bytes)
        return 1;
    for (uint64_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < paths; i++) {
            const char *path = strchr(argv[i + 3], '=');
            if (!path)
                return 2;
            if (pause_usec)
                (void)usleep((useconds_t)pause_usec);
            uint64_t begin = now_nsec();
            bytes[i] = read_whole(path + 1);
            times[i * rounds + round] = now_nsec() - begin;
        }
    }
    for (size_t i = 0; i < paths; i++) {
        uint64_t *own = times + i * rounds;
        qsort(own, rounds, sizeof(*own), compare);
        (void)printf("%.*s %.1f %.1f %zu\n", (int)(strchr(argv[i + 3], '=') - argv[i + 3]),
                     argv[i + 3], (double)own[rounds / 2] / 1000,
                     (double)own[rounds * 99 / 100] / 1000, bytes[i]);
    }
    free(times);
    free(bytes);
    return 0;
}
