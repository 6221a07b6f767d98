#include "master/daemon.h"

#include "base/fd.h"
#include "base/fork.h"

#include <licorne/error.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* The parent ends here. */
static int go_on_in_a_child(struct lc_error *err)
{
    pid_t pid = lc_fork();

    if (pid < 0)
        return lc_error_sys(err, "daemon: fork");
    if (pid > 0)
        _exit(0);
    return 0;
}

static int silence(bool keeps_output, struct lc_error *err)
{
    LC_AUTOCLOSE int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (nowhere < 0)
        return lc_error_sys(err, "daemon: /dev/null");
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if ((fd == STDIN_FILENO || !keeps_output || isatty(fd)) && dup2(nowhere, fd) < 0)
            return lc_error_sys(err, "daemon: dup2");
    return 0;
}

int lc_daemon_start(bool keeps_output, struct lc_error *err)
{
    fflush(NULL);
    /* Twice: who leads a session can be given a terminal again. */
    if (go_on_in_a_child(err) < 0 || setsid() < 0 || go_on_in_a_child(err) < 0)
        return -1;
    umask(022);
    return silence(keeps_output, err);
}
