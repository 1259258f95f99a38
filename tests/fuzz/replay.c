/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Runs a fuzz target once over each file of the directories named on the command line, without
 * libFuzzer. So that every build replays the corpus, with the sanitizers when it has them. It looks
 * for nothing new.
 */

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/io.h"

#define INPUT_MAX (4u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(int dir_fd, const char *name)
{
    SF_CLEANUP_FREE char *text = NULL;
    size_t len;

    int r = sf_read_alloc_at(dir_fd, name, INPUT_MAX, &text, &len);
    if (r < 0)
        return r;
    /* In memory of exactly its size: a read past the end is seen by the sanitizer. */
    SF_CLEANUP_FREE uint8_t *exact = malloc(len ? len : 1);
    if (!exact)
        return -ENOMEM;
    memcpy(exact, text, len);
    (void)LLVMFuzzerTestOneInput(exact, len); /* 0 by libFuzzer's rules; failures abort */
    return 0;
}

static int replay_dir(const char *path, unsigned *count)
{
    DIR *dir = opendir(path);
    int r = 0;

    if (!dir)
        return -errno;
    for (const struct dirent *entry; r == 0 && (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        r = replay_file(dirfd(dir), entry->d_name);
        (*count)++;
    }
    (void)closedir(dir); /* nothing to lose: it was only read */
    return r;
}

int main(int argc, char **argv)
{
    unsigned count = 0;

    for (int i = 1; i < argc; i++) {
        int r = replay_dir(argv[i], &count);
        if (r < 0) {
            (void)fprintf(stderr, "replay: %s: %s\n", argv[i], strerror(-r));
            return 1;
        }
    }
    if (count == 0) {
        (void)fprintf(stderr, "replay: no corpus file\n");
        return 1;
    }
    (void)printf("%u inputs\n", count);
    return 0;
}
