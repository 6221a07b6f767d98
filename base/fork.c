#include "base/fork.h"

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

static const struct lc_fork_watch *watch;

void lc_fork_set_watch(const struct lc_fork_watch *watched)
{
    watch = watched;
}

pid_t lc_fork(void)
{
    if (watch == NULL)
        return fork();

    watch->before();
    pid_t pid = fork();
    int error = errno;
    watch->after(pid == 0);
    errno = error;
    return pid;
}
