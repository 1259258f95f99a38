/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A FUSE server of one file, without libfuse, which can be woken and can answer in several ways.
 * Each server is a process; none of these functions returns.
 */

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/bench.h"

#define TEXT_MAX 4096u /* one page: what is stored then is whole */
#define REQUEST_MAX (FUSE_MIN_READ_BUFFER + 4096u)

typedef struct Server Server;

typedef struct Way {
    const char *name, *what;
    void (*serve)(Server *server);
    unsigned threads;
    bool cloned, passthrough, uring;
} Way;

typedef struct Options {
    unsigned samples, pause_usec;
    size_t bytes;
    bool pinned;
    char **cgroups; /* owned; NULL: none */
} Options;

struct Server {
    const Way *way;
    int fd;    /* /dev/fuse, mounted */
    int ready; /* a byte is written there when the file can be read */
    char text[TEXT_MAX];
    size_t text_len;
    int backing_fd, backing_id; /* passthrough */
};

_Noreturn void serve(Server *server);

void serve_epoll(Server *server);
void serve_blocking(Server *server);
void serve_spinning(Server *server);
void serve_uring(Server *server);

/* The answer to a request, for all ways. operation: what follows the header, rest: what follows
 * that. *ret_len: of the answer without its header. Returns the negative errno to be answered, or 1
 * when there is no answer to it. What the answer takes along is stored first. */
int answer(const Server *server, uint32_t opcode, uint64_t inode, const void *operation,
           const char *rest, void *ret_answer, size_t *ret_len);
