/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The work of a container under test; its init. Each PART is a process of its own, started again
 * when the kernel kills it for want of memory.
 *
 * usage: live-load [--wait FILE] PART...
 *   --wait FILE  starts the parts when FILE is there
 *   busy         a loop
 *   thread       a process that sleeps, with a thread that is busy
 *   vfork        a process in uninterruptible sleep: it waits for its vfork(2)
 *   memory       takes 8 to 96 MiB and gives them back, again and again
 *   forks        short processes, eight at a time
 *   files        writes, reads and removes a file of 4 MiB in the current directory
 *   idle         sleeps
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1u << 20)
#define PARTS_MAX 32
#define FORKS 8
#define FILE_BLOCK (64u << 10)

static void sleep_msec(long msec)
{
    struct timespec pause = {.tv_sec = msec / 1000, .tv_nsec = msec % 1000 * 1000000};
    (void)nanosleep(&pause, NULL); /* cut short by a signal: no harm */
}

static void *be_busy(void *data)
{
    for (volatile unsigned long i = 0;; i++)
        ;
    return data;
}

static void part_busy(void)
{
    (void)be_busy(NULL);
}

static void part_idle(void)
{
    for (;;)
        (void)pause(); /* always fails, with EINTR */
}

static void part_thread(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, be_busy, NULL) == 0)
        part_idle();
}

static void part_vfork(void)
{
    for (;;) {
        pid_t pid = vfork();
        if (pid == 0) {
            for (;;)
                (void)pause();
        }
        sleep_msec(100);
    }
}

static void part_memory(void)
{
    for (unsigned round = 0;; round++) {
        size_t size = (size_t)(8 + round * 37 % 89) * MIB;
        char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory != MAP_FAILED) {
            for (size_t at = 0; at < size; at += 4096)
                memory[at] = 1;
            sleep_msec(20);
            (void)munmap(memory, size); /* what was mapped above */
        }
        sleep_msec(20);
    }
}

static void part_forks(void)
{
    for (;;) {
        for (unsigned i = 0; i < FORKS; i++) {
            if (fork() == 0)
                _exit(0);
        }
        while (wait(NULL) > 0)
            ;
        sleep_msec(10);
    }
}

static void part_files(void)
{
    char name[64];
    static char block[FILE_BLOCK];
    (void)snprintf(name, sizeof(name), "live-load-%d", (int)getpid());
    for (;;) {
        int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0)
            return;
        for (unsigned i = 0; i < 4 * MIB / FILE_BLOCK; i++) {
            if (write(fd, block, sizeof(block)) < 0)
                break;
        }
        (void)fsync(fd);
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        (void)lseek(fd, 0, SEEK_SET);
        while (read(fd, block, sizeof(block)) > 0)
            ;
        (void)close(fd);
        (void)unlink(name);
        sleep_msec(20);
    }
}

static const struct {
    const char *name;
    void (*run)(void);
} parts[] = {
    {"busy", part_busy},     {"thread", part_thread}, {"vfork", part_vfork}, {"idle", part_idle},
    {"memory", part_memory}, {"forks", part_forks},   {"files", part_files},
};

/* Killed before init, which has to live. */
static void be_expendable(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (write(fd, "1000", 4) < 0)
        (void)fprintf(stderr, "live-load: oom_score_adj: %s\n", strerror(errno));
    (void)close(fd);
}

static pid_t start(const char *name)
{
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strcmp(parts[i].name, name) != 0)
            continue;
        pid_t pid = fork();
        if (pid != 0)
            return pid;
        be_expendable();
        parts[i].run();
        _exit(1);
    }
    (void)fprintf(stderr, "live-load: no part named %s\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    int first = 1;
    pid_t pids[PARTS_MAX];
    if (argc > 3 && strcmp(argv[1], "--wait") == 0) {
        while (access(argv[2], F_OK) < 0)
            sleep_msec(50);
        first = 3;
    }
    if (argc == first || argc - first > PARTS_MAX) {
        (void)fprintf(stderr, "usage: live-load [--wait FILE] PART...\n");
        return 2;
    }
    for (int i = first; i < argc; i++)
        pids[i - first] = start(argv[i]);
    for (;;) {
        int status;
        pid_t pid = wait(&status);
        if (pid < 0 && errno == ECHILD)
            return 1;
        for (int i = first; i < argc; i++) {
            if (pid > 0 && pids[i - first] == pid) {
                sleep_msec(100);
                pids[i - first] = start(argv[i]);
            }
        }
    }
}
