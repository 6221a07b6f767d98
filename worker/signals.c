#include "worker/signals.h"

#include "base/mem.h"
#include "worker/server.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

static const int watched[] = {SIGTERM, SIGINT, SIGQUIT};

static struct sigaction theirs[LC_COUNT(watched)]; /* what the application has set */
static void (*tell_loop)(int);
static void (*obey)(struct lc_server *, int);
static atomic_bool is_told_to_leave, is_told_to_stop;

/* ---- handlers ---- */

static void ignore(int signum)
{
    (void)signum;
}

static void end(int signum)
{
    (void)signum;
    _exit(0);
}

static void note(int signum)
{
    (void)signum;
    is_told_to_leave = true;
}

static bool is_function(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) != 0 ||
           (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN &&
            action->sa_handler != end && action->sa_handler != note);
}

static void call(const struct sigaction *action, int signum, siginfo_t *info, void *place)
{
    if (!is_function(action))
        return;
    if (action->sa_flags & SA_SIGINFO)
        action->sa_sigaction(signum, info, place);
    else
        action->sa_handler(signum);
}

static void on_told(int signum, siginfo_t *info, void *place)
{
    is_told_to_leave = true;
    if (signum != SIGTERM)
        is_told_to_stop = true;
    tell_loop(signum);
    for (size_t i = 0; i < LC_COUNT(watched); i++)
        if (watched[i] == signum)
            call(&theirs[i], signum, info, place);
}

static bool is_ours(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == on_told;
}

static void on_signal(uv_signal_t *handle, int signum)
{
    obey(handle->data, signum);
}

/* ---- setting them ---- */

static void set(int signum, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};

    sigaction(signum, &action, NULL);
}

/* As with Gunicorn, SIGTERM disturbs no system call of a request, and the two others do: between a
 * call's interruption and its next attempt Python hears of them. */
static void take_over(size_t i)
{
    struct sigaction ours = {.sa_sigaction = on_told, .sa_flags = SA_SIGINFO};

    if (watched[i] == SIGTERM)
        ours.sa_flags |= SA_RESTART;
    sigfillset(&ours.sa_mask);
    sigaction(watched[i], &ours, NULL);
}

/* The pipe that libuv's handler writes to is the worker's: it would leave instead of its child. */
static void give_back(void)
{
    static const struct sigaction none = {.sa_handler = SIG_DFL};

    for (size_t i = 0; i < LC_COUNT(watched); i++) {
        struct sigaction now;

        sigaction(watched[i], NULL, &now);
        if (is_ours(&now))
            sigaction(watched[i], is_function(&theirs[i]) ? &theirs[i] : &none, NULL);
    }
}

void lc_worker_signals_open(void)
{
    for (size_t i = 0; i < LC_COUNT(watched); i++)
        set(watched[i], watched[i] == SIGTERM ? note : end);
    /* The master tells when logs are to be reopened. Not SIG_IGN: programs that the
     * application starts would inherit that. */
    set(SIGUSR1, ignore);
    set(SIGWINCH, ignore);
}

void lc_worker_signals_watch(struct lc_server *server,
                             void (*told)(struct lc_server *server, int signum))
{
    struct sigaction libuvs;
    sigset_t all, before;

    obey = told;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (size_t i = 0; i < LC_COUNT(watched); i++) {
        sigaction(watched[i], NULL, &theirs[i]);
        uv_signal_init(&server->loop, &server->signals[i]);
        server->signals[i].data = server;
        uv_signal_start(&server->signals[i], on_signal, watched[i]);
        sigaction(watched[i], NULL, &libuvs);
        tell_loop = libuvs.sa_handler;
        take_over(i);
    }
    pthread_atfork(NULL, NULL, give_back);
    if (is_told_to_leave)
        raise(SIGTERM); /* came while the application was being loaded */
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void lc_worker_signals_keep(void)
{
    struct sigaction now;

    for (size_t i = 0; i < LC_COUNT(watched); i++) {
        sigaction(watched[i], NULL, &now);
        if (is_ours(&now))
            continue;
        theirs[i] = now;
        take_over(i);
    }
}

bool lc_worker_signals_told_to_leave(void)
{
    return is_told_to_leave;
}

bool lc_worker_signals_told_to_stop(void)
{
    return is_told_to_stop;
}
