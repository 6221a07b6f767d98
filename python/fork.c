#include "python/fork.h"

#include "python/api.h"
#include "python/failure.h"

#include <licorne/log.h>

#include <pthread.h>
#include <unistd.h>

static bool is_child;

static void on_forked(void)
{
    is_child = true;
}

int lc_fork_open(void)
{
    if (pthread_atfork(NULL, NULL, on_forked) == 0)
        return 0;
    PyErr_NoMemory();
    return -1;
}

bool lc_fork_is_child(void)
{
    return is_child;
}

void lc_fork_forget(void)
{
    is_child = false;
}

void lc_fork_end_child(const struct lc_exchange *x)
{
    if (!is_child)
        return;

    bool has_failed = PyErr_Occurred() != NULL;

    if (has_failed)
        lc_failure_log(x);
    lc_log(LC_WARN,
           "A process that the application had forked came back from its call: it "
           "was ended. It should call os._exit().");
    _exit(has_failed ? 1 : 0);
}
