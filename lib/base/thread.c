/* SPDX-License-Identifier: Apache-2.0 */

#include "lib/base/thread.h"

#include <signal.h>

int sf_thread_start(const char *name, void *(*run)(void *data), void *data, pthread_t *ret_thread)
{
    sigset_t all, before;

    (void)sigfillset(&all); /* none of the three can fail with these arguments */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = -pthread_create(ret_thread, NULL, run, data);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r == 0)
        (void)pthread_setname_np(*ret_thread, name);
    return r;
}
