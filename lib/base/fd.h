/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Ownership guards: what a scope opens or allocates is released when it is left. No policy here.
 */

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* What this process executes, whatever has become of the name it had (proc(5)). */
#define SF_OWN_PROGRAM "/proc/self/exe"
/* printf(3), int and int: an open file of a process. */
#define SF_OPEN_FILE "/proc/%d/fd/%d"

/* Closes fd if it is one (>= 0); errno is kept. Returns -1, so that `fd = sf_close(fd)` reads well.
 */
static inline int sf_close(int fd)
{
    if (fd >= 0) {
        int saved = errno;
        (void)close(fd); /* nothing was written through it that close could lose */
        errno = saved;
    }
    return -1;
}

static inline void sf_close_p(int *fd)
{
    (void)sf_close(*fd);
}

static inline void sf_free_p(void *p)
{
    free(*(void **)p);
}

/* Variables with these are closed or freed at the end of their scope. Initialise at declaration. */
#define SF_CLEANUP_FD __attribute__((cleanup(sf_close_p)))
#define SF_CLEANUP_FREE __attribute__((cleanup(sf_free_p)))

/* Takes the fd out of its guard: the caller owns the returned fd, *fd becomes -1. */
static inline int sf_steal_fd(int *fd)
{
    int stolen = *fd;
    *fd = -1;
    return stolen;
}

/* Takes the pointer out of its guard; *p becomes NULL. */
#define sf_steal_ptr(p)                                                                            \
    ({                                                                                             \
        __typeof__(*(p)) sf_stolen_ = *(p);                                                        \
        *(p) = NULL;                                                                               \
        sf_stolen_;                                                                                \
    })

#define SF_WARN_UNUSED __attribute__((warn_unused_result))
