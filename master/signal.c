#include "master/signal.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "master/state.h"

#include <licorne/error.h>

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

static const struct {
    int number;
    const char *name;
} obeyed[] = {
    {SIGHUP, "hup"},   {SIGINT, "int"},     {SIGQUIT, "quit"}, {SIGTERM, "term"},
    {SIGTTIN, "ttin"}, {SIGTTOU, "ttou"},   {SIGUSR1, "usr1"}, {SIGUSR2, "usr2"},
    {SIGCHLD, "cld"},  {SIGWINCH, "winch"},
};

static sigset_t obeyed_set(void)
{
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < LC_COUNT(obeyed); i++)
        sigaddset(&set, obeyed[i].number);
    return set;
}

static void set_all(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};

    for (size_t i = 0; i < LC_COUNT(obeyed); i++)
        sigaction(obeyed[i].number, &action, NULL);
}

static void on_signal(uv_poll_t *watch, int status, int events)
{
    /* The loop has woken up: lc_signals_next reads what came. */
}

void lc_signals_reset(void)
{
    static const int ours[] = {SIGINT, SIGQUIT, SIGTERM};

    for (size_t i = 0; i < LC_COUNT(ours); i++)
        signal(ours[i], SIG_DFL);
}

int lc_signals_open(struct lc_master *m, struct lc_error *err)
{
    sigset_t set = obeyed_set();

    lc_signals_hold();
    /* Whoever started us may have ignored some (nohup: SIGHUP; a shell in the background:
     * SIGINT) or SIGCHLD, which would take the children's exit codes away. */
    set_all(SIG_DFL);
    m->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (m->signal_fd < 0)
        return lc_error_sys(err, "signalfd");
    uv_poll_init(&m->loop, &m->signal_watch, m->signal_fd);
    uv_poll_start(&m->signal_watch, UV_READABLE, on_signal);
    return 0;
}

void lc_signals_close(struct lc_master *m)
{
    lc_fd_close(&m->signal_fd);
}

int lc_signals_next(struct lc_master *m)
{
    struct signalfd_siginfo info;

    if (read(m->signal_fd, &info, sizeof(info)) != sizeof(info))
        return 0;
    return (int)info.ssi_signo;
}

const char *lc_signals_name(int sig)
{
    for (size_t i = 0; i < LC_COUNT(obeyed); i++)
        if (obeyed[i].number == sig)
            return obeyed[i].name;
    return "?";
}

void lc_signals_release(void)
{
    sigset_t set = obeyed_set();

    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

void lc_signals_hold(void)
{
    sigset_t set = obeyed_set();

    sigprocmask(SIG_BLOCK, &set, NULL);
}

void lc_signals_ignore(void)
{
    set_all(SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
}

static bool stop_is_pending(void)
{
    sigset_t pending;

    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGTERM) || sigismember(&pending, SIGINT) ||
            sigismember(&pending, SIGQUIT));
}

bool lc_signals_pause(unsigned ms)
{
    uint64_t end = lc_clock_ms() + ms;

    while (!stop_is_pending()) {
        if (lc_clock_ms() >= end)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
    }
    return true;
}
