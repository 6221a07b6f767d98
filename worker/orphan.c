#include "worker/orphan.h"

#include <licorne/error.h>

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <time.h>

static timer_t killer;

static void on_master_death(int signum)
{
    const struct itimerspec soon = {
        .it_value = {.tv_sec = LC_ORPHAN_KILL_MS / 1000,
                     .tv_nsec = LC_ORPHAN_KILL_MS % 1000 * 1000000L},
    };

    (void)signum;
    timer_settime(killer, 0, &soon, NULL);
}

/* Before the kernel was asked to tell of it: a hook may have taken its time. */
static bool is_orphan_already(int channel)
{
    struct pollfd at = {.fd = channel};

    return poll(&at, 1, 0) == 1 && (at.revents & POLLHUP);
}

int lc_orphan_watch(int channel, struct lc_error *err)
{
    const int told_by = SIGRTMAX; /* the one that applications are least likely to use */
    struct sigaction action = {.sa_handler = on_master_death, .sa_flags = SA_RESTART};
    struct sigevent kill = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};

    if (timer_create(CLOCK_MONOTONIC, &kill, &killer) < 0)
        return lc_error_sys(err, "timer_create");
    sigaction(told_by, &action, NULL);
    if (prctl(PR_SET_PDEATHSIG, told_by) < 0)
        return lc_error_sys(err, "prctl: PR_SET_PDEATHSIG");
    if (is_orphan_already(channel))
        on_master_death(told_by);
    return 0;
}
