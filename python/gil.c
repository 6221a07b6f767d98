#include "python/gil.h"

#include "python/api.h"

/* A thread's own state while it has given the lock away, else NULL. */
static _Thread_local PyThreadState *parked;
static _Thread_local PyGILState_STATE joined;

void lc_gil_open(void)
{
    parked = NULL;
}

/* By this way, and not by a state of our own, extension modules find it that call back into
 * Python from the same thread. */
void lc_gil_join(void)
{
    joined = PyGILState_Ensure();
}

void lc_gil_leave(void)
{
    lc_gil_take();
    PyGILState_Release(joined);
}

void lc_gil_take(void)
{
    if (parked == NULL)
        return;

    PyThreadState *state = parked;

    parked = NULL;
    PyEval_RestoreThread(state);
}

void lc_gil_park(void)
{
    if (parked == NULL)
        parked = PyEval_SaveThread();
}

bool lc_gil_is_parked(void)
{
    return parked != NULL;
}
