#include "python/gil.h"

#include "python/api.h"

#include <pthread.h>

static PyThreadState *parked; /* while the lock is given away, else NULL */
static pthread_t loop_thread;

void lc_gil_open(void)
{
    loop_thread = pthread_self();
    parked = NULL;
}

void lc_gil_take(void)
{
    if (parked == NULL)
        return;

    PyThreadState *state = parked;

    PyEval_RestoreThread(state);
    parked = NULL;
}

void lc_gil_park(void)
{
    /* Noted first: once the lock is given away, others look at it. */
    if (parked != NULL)
        return;
    parked = PyThreadState_Get();
    PyEval_SaveThread();
}

bool lc_gil_is_parked(void)
{
    return parked != NULL;
}

bool lc_gil_is_loop_thread(void)
{
    return pthread_equal(pthread_self(), loop_thread) != 0;
}
