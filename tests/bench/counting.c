/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts by interposition: the program's own malloc() and pthread_mutex_lock() are found before the
 * C library's, also by the C library itself (malloc(3), "Replacing malloc"). They count and hand
 * on. For one measuring thread.
 */

#include "tests/bench/counting.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static atomic_uint_fast64_t allocations, locks;
static LockSet *collecting;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

bool counting_possible(void)
{
    return false;
}

#else

bool counting_possible(void)
{
    return true;
}

/* The C library's own, under the names it keeps for this. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return __libc_realloc(old, size);
}

void *reallocarray(void *old, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(old, bytes);
}

void *memalign(size_t alignment, size_t size);

void *memalign(size_t alignment, size_t size)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **ret_memory, size_t alignment, size_t size)
{
    void *memory = memalign(alignment, size);

    if (!memory)
        return ENOMEM;
    *ret_memory = memory;
    return 0;
}

static void collect(const void *lock)
{
    LockSet *set = collecting;

    if (!set)
        return;
    for (unsigned i = 0; i < set->count; i++) {
        if (set->locks[i] == lock)
            return;
    }
    if (set->count < COUNTING_LOCKS_MAX)
        set->locks[set->count++] = lock;
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    static int (*_Atomic real)(pthread_mutex_t *);
    int (*lock)(pthread_mutex_t *) = atomic_load(&real);

    if (!lock) {
        *(void **)&lock = dlsym(RTLD_NEXT, "pthread_mutex_lock");
        atomic_store(&real, lock);
    }
    atomic_fetch_add_explicit(&locks, 1, memory_order_relaxed);
    collect(mutex);
    return lock(mutex);
}

#endif

uint64_t counting_allocations(void)
{
    return atomic_load(&allocations);
}

uint64_t counting_locks(void)
{
    return atomic_load(&locks);
}

void counting_collect_locks(LockSet *set)
{
    collecting = set;
}

unsigned counting_common_locks(const LockSet *a, const LockSet *b)
{
    unsigned common = 0;

    for (unsigned i = 0; i < a->count; i++) {
        for (unsigned j = 0; j < b->count; j++)
            common += a->locks[i] == b->locks[j];
    }
    return common;
}

static void traced(void (*run)(void *data), void *data)
{
    pid_t self = getpid();

    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit(1);
    run(data);
    (void)syscall(SYS_kill, self, SIGSTOP);
    run(data);
    (void)syscall(SYS_kill, self, SIGSTOP);
    _exit(0);
}

/* Runs the child to its next SIGSTOP; the number of times it stopped at a system call's begin or
 * end, or -1. */
static int64_t run_to_stop(pid_t child)
{
    int64_t stops = 0;
    int status;

    for (;;) {
        if (ptrace(PTRACE_SYSCALL, child, NULL, NULL) < 0 || waitpid(child, &status, 0) < 0 ||
            !WIFSTOPPED(status))
            return -1;
        if (WSTOPSIG(status) == SIGSTOP)
            return stops;
        stops += WSTOPSIG(status) == (SIGTRAP | 0x80);
    }
}

int64_t counting_system_calls(void (*run)(void *data), void *data)
{
    int64_t stops = -1;
    int status;
    pid_t child = fork();

    if (child == 0)
        traced(run, data);
    if (child < 0)
        return -1;
    if (waitpid(child, &status, 0) == child && WIFSTOPPED(status) &&
        ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) == 0)
        stops = run_to_stop(child);
    (void)kill(child, SIGKILL);       /* it may have ended */
    (void)waitpid(child, &status, 0); /* ours, and ending now */
    /* Two of them are of the kill(2) that ends the run. */
    return stops < 2 ? -1 : stops / 2 - 1;
}
