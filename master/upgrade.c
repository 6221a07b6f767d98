#include "master/upgrade.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/fork.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scoreboard.h"
#include "config/config.h"
#include "master/control/control.h"
#include "master/generation.h"
#include "master/hooks.h"
#include "master/reap.h"
#include "master/signal.h"
#include "master/state.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LOOK_EVERY_MS = 200, /* whether the predecessor is still there */
    EXIT_NO_PROGRAM = 127,
};

bool lc_upgrade_is_under_way(const struct lc_master *m)
{
    return m->successor != 0 || m->handed.predecessor != 0;
}

/* Workers that leave now are not the last who serve. */
static void tell_workers(struct lc_master *m)
{
    atomic_store(&m->scoreboard->has_peer, lc_upgrade_is_under_way(m));
}

const char *lc_upgrade_name(const struct lc_master *m)
{
    return m->handed.predecessor != 0 ? "Master.2" : "Master";
}

/* ---- the old master ---- */

/* "3,4" */
static char *descriptors(const struct lc_listeners *set)
{
    char *text = lc_strdup("");

    for (unsigned i = 0; i < set->count; i++) {
        char *longer = lc_printf("%s%s%d", text, i == 0 ? "" : ",", set->items[i].fd);

        free(text);
        text = longer;
    }
    return text;
}

static void set_number(const char *name, long number)
{
    LC_AUTOFREE char *text = lc_printf("%ld", number);

    setenv(name, text, 1);
}

/* A service manager's sockets keep their numbers and its own way of naming them. */
static void hand_over(const struct lc_master *m)
{
    const struct lc_listeners *set = &m->serving->listeners;
    LC_AUTOFREE char *fds = descriptors(set);

    set_number("GUNICORN_PID", (long)getppid());
    if (m->handed.is_managed) {
        set_number("LISTEN_PID", (long)getpid());
        set_number("LISTEN_FDS", (long)set->count);
    } else {
        setenv("GUNICORN_FD", fds, 1);
    }
    lc_notify_hand_over(&m->notify);
    for (unsigned i = 0; i < set->count; i++)
        lc_fd_set_cloexec(set->items[i].fd, 0);
}

/* In the child: with the folder and the environment of the start. */
static void become_the_new_master(struct lc_master *m)
{
    struct lc_error err;

    lc_signals_release();
    signal(SIGPIPE, SIG_DFL);
    if (lc_master_hook(m, m->serving, LC_HOOK_PRE_EXEC, &err) < 0 ||
        lc_generation_take_on(NULL, m->serving, &err) < 0) {
        fprintf(stderr, "licorne: upgrade: %s\n", err.text);
        _exit(EXIT_NO_PROGRAM);
    }
    hand_over(m);
    execvp(m->argv[0], m->argv);
    fprintf(stderr, "licorne: upgrade: cannot execute %s: %s\n", m->argv[0],
            strerror(errno));
    _exit(EXIT_NO_PROGRAM);
}

void lc_upgrade(struct lc_master *m)
{
    if (m->phase != LC_MASTER_RUNNING)
        return;
    if (m->successor != 0) {
        lc_log(LC_WARN, "USR2 signal ignored. Child exists.");
        return;
    }
    if (m->handed.predecessor != 0) {
        lc_log(LC_WARN, "USR2 signal ignored. Parent exists.");
        return;
    }
    lc_log_flush();
    fflush(NULL);

    pid_t pid = lc_fork();
    if (pid == 0)
        become_the_new_master(m);
    if (pid < 0) {
        lc_log(LC_ERROR, "Not upgraded: fork: %s", strerror(errno));
        return;
    }
    m->successor = pid;
    tell_workers(m);
    lc_log(LC_INFO, "Started a new master (pid:%d); SIGTERM to one of the two decides.",
           (int)pid);
}

void lc_upgrade_on_death(struct lc_master *m, int status)
{
    int pid = (int)m->successor;

    m->successor = 0;
    tell_workers(m);
    if (WIFSIGNALED(status))
        lc_log(LC_ERROR, "The new master (pid:%d) was sent %s; this one goes on.", pid,
               lc_signal_name(WTERMSIG(status)));
    else if (WEXITSTATUS(status) == EXIT_NO_PROGRAM)
        lc_log(LC_ERROR, "Not upgraded: %s cannot be executed; this master goes on.",
               m->argv[0]);
    else
        lc_log(WEXITSTATUS(status) == 0 ? LC_INFO : LC_ERROR,
               "The new master (pid:%d) exited with code %d; this one goes on.", pid,
               WEXITSTATUS(status));
}

/* ---- the new master ---- */

/* A reload that is under way has a pidfile, too. */
static void promote_pidfiles(struct lc_master *m)
{
    struct lc_generation *all[] = {m->leaving, m->next, m->serving};
    struct lc_error err;

    for (size_t i = 0; i < LC_COUNT(all); i++)
        if (all[i] != NULL && lc_generation_promote_pidfile(all[i], &err) < 0)
            lc_log(LC_ERROR, "%s", err.text);
}

static void promote(struct lc_master *m)
{
    lc_log(LC_INFO, "Master has been promoted.");
    m->handed.predecessor = 0;
    promote_pidfiles(m);
    tell_workers(m);
    lc_control_promote(m);
    lc_master_show_title(m);
    m->notify.is_ready = false; /* the service manager learns whom to watch now */
}

void lc_upgrade_step(struct lc_master *m)
{
    if (m->handed.predecessor == 0)
        return;
    if (getppid() != m->handed.predecessor) {
        promote(m);
        return;
    }
    tell_workers(m);
    lc_master_wake_at(m, lc_clock_ms() + LOOK_EVERY_MS);
}
