#include "master/master.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/identity.h"
#include "base/inherit.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/passing.h"
#include "base/scoreboard.h"
#include "base/title.h"
#include "config/config.h"
#include "config/script.h"
#include "master/actions.h"
#include "master/certificates.h"
#include "master/control/control.h"
#include "master/daemon.h"
#include "master/generation.h"
#include "master/hooks.h"
#include "master/logs.h"
#include "master/lost.h"
#include "master/memory.h"
#include "master/metrics.h"
#include "master/monitor/monitor.h"
#include "master/reap.h"
#include "master/reload.h"
#include "master/reloader.h"
#include "master/signal.h"
#include "master/spawn.h"
#include "master/state.h"
#include "master/timeouts.h"
#include "master/upgrade.h"
#include "master/workers.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    EXIT_STARTUP = 1,
    EXIT_UNEXPECTED = 255,
    LONGEST_SLEEP_MS = 60000,
    LOG_RETRY_MS = 20, /* the log's socket is full: the logger is slow or just restarts */
};

/* ---- the loop ---- */

static void on_alarm(uv_timer_t *alarm)
{
    /* The loop has woken up: the chores look at the clock. */
}

void lc_master_wake_at(struct lc_master *m, uint64_t when_ms)
{
    if (when_ms < m->alarm_ms)
        m->alarm_ms = when_ms;
}

static void wait_for_something(struct lc_master *m)
{
    uint64_t now = lc_clock_ms();

    uint64_t delay = m->alarm_ms > now ? m->alarm_ms - now : 0;

    uv_update_time(&m->loop);
    /* It repeats because a timer that is due before the loop polls would leave the poll without
     * a limit. */
    uv_timer_start(&m->alarm, on_alarm, delay, 1);
    uv_run(&m->loop, UV_RUN_ONCE); /* a signal, a message, an exit, the alarm */
    m->alarm_ms = lc_clock_ms() + LONGEST_SLEEP_MS;
}

/* Every change of a terminal's size sends the signal, so a server that may have one takes no
 * notice unless it is being replaced. */
static void send_workers_away(struct lc_master *m)
{
    if (!m->serving->config->daemon && m->successor == 0) {
        lc_log(LC_DEBUG, "SIGWINCH ignored. Not daemonized");
        return;
    }
    lc_log(LC_INFO, "graceful stop of workers");
    lc_workers_want_none(m);
}

static void obey(struct lc_master *m, int sig)
{
    lc_log(sig == SIGCHLD ? LC_DEBUG : LC_INFO, "Handling signal: %s",
           lc_signals_name(sig));
    switch (sig) {
    case SIGHUP: lc_reload(m); break;
    case SIGUSR1: lc_logs_reopen(m); break;
    case SIGTTIN: lc_workers_want(m, +1); break;
    case SIGTTOU: lc_workers_want(m, -1); break;
    case SIGTERM: lc_master_stop(m, LC_GRACEFULLY); break;
    case SIGINT:
    case SIGQUIT: lc_master_stop(m, LC_AT_ONCE); break;
    case SIGUSR2: lc_upgrade(m); break;
    case SIGWINCH: send_workers_away(m); break;
    default: break; /* SIGCHLD: each turn reaps */
    }
}

static void flush_log(struct lc_master *m)
{
    if (!lc_log_flush())
        lc_master_wake_at(m, lc_clock_ms() + LOG_RETRY_MS);
}

/* From here on the master outlives its children, whatever they do. */
static void supervise(struct lc_master *m)
{
    while (m->phase != LC_MASTER_STOPPED) {
        flush_log(m);
        wait_for_something(m);

        lc_logs_hear(m);
        lc_upgrade_step(m); /* has the old master gone? */
        lc_workers_hear(m); /* who is ready, who cannot boot, who wants to be replaced */
        for (int sig; (sig = lc_signals_next(m)) != 0;)
            obey(m, sig);
        lc_control_hear(m);         /* commands from the control socket        */
        lc_children_reap(m);        /* who died, and why                      */
        lc_abort_silent_workers(m); /* by the scoreboard's heartbeats          */
        lc_memory_check(m);         /* by what the kernel says                 */
        lc_workers_kill_late(m);    /* whose time to leave is over             */
        lc_logs_adjust(m);          /* a new logger in place of a dead one     */
        lc_reloader_step(m);        /* have the application's files changed?   */
        lc_reload_step(m);          /* the next generation boots, serves       */
        lc_certificates_step(m);    /* renewed ones reach the workers          */
        lc_workers_adjust(m);       /* fork or dismiss up to what is wanted    */
        lc_lost_step(m);            /* what died with a worker is logged       */
        lc_notify_step(m);          /* what the service manager should know    */
        lc_metrics_step(m);         /* and statsd                              */
        lc_control_answer(m);       /* commands that had to wait               */
        lc_monitor_step(m);         /* and those who watch                     */

        if (m->phase == LC_MASTER_STOPPING && lc_list_is_empty(&m->workers))
            m->phase = LC_MASTER_STOPPED;
    }
}

/* ---- stopping ---- */

/* Whoever comes from now on is refused at once instead of waiting for nobody: the workers have
 * the sockets themselves, and answer what they accepted. */
static void stop_listening(struct lc_master *m)
{
    struct lc_generation *all[] = {m->leaving, m->next, m->serving};

    for (size_t i = 0; i < LC_COUNT(all); i++)
        if (all[i] != NULL && lc_upgrade_is_under_way(m))
            lc_listeners_leave_files(&all[i]->listeners);
    for (size_t i = 0; i < LC_COUNT(all); i++)
        if (all[i] != NULL)
            lc_listeners_close(&all[i]->listeners,
                               all[i] == m->serving ? NULL : &m->serving->listeners);
}

void lc_master_stop(struct lc_master *m, enum lc_haste haste)
{
    if (m->phase == LC_MASTER_STOPPING && haste == LC_AT_ONCE)
        lc_log(LC_INFO, "Quick shutdown requested");
    if (m->phase == LC_MASTER_RUNNING)
        stop_listening(m);
    m->phase = LC_MASTER_STOPPING;
    lc_workers_dismiss(m, NULL, haste);
}

void lc_master_halt(struct lc_master *m, int exit_code, const char *reason)
{
    if (m->phase != LC_MASTER_RUNNING)
        return;
    m->exit_code = exit_code;
    m->halt_reason = reason;
    lc_master_stop(m, LC_AT_ONCE); /* nobody has served yet */
}

static void say_goodbye(const struct lc_master *m)
{
    if (m->halt_reason == NULL) {
        lc_log(LC_INFO, "Shutting down: %s", lc_upgrade_name(m));
        return;
    }
    lc_log(LC_ERROR, "Shutting down: %s", lc_upgrade_name(m));
    lc_log(LC_ERROR, "Reason: %s", m->halt_reason);
}

static void close_handle(uv_handle_t *handle, void *unused)
{
    if (uv_is_closing(handle))
        return;
    if (handle->type == UV_POLL && handle->data != NULL)
        lc_child_forget(handle->data);
    else
        uv_close(handle, NULL);
}

void lc_master_close_loop(struct lc_master *m)
{
    uv_walk(&m->loop, close_handle, NULL);
    uv_run(&m->loop, UV_RUN_DEFAULT);
    uv_loop_close(&m->loop);
}

/* Accepts a master that got only part of the way. */
static void tear_down(struct lc_master *m)
{
    lc_watch_close(&m->watch);
    free(m->lost);
    lc_generation_destroy(m->leaving, m->serving);
    lc_generation_destroy(m->next, m->serving);
    if (m->serving != NULL)
        lc_generation_close(m->serving, NULL);
    if (m->phase == LC_MASTER_STOPPED)
        lc_master_hook_or_stop(m, m->serving, LC_HOOK_ON_EXIT);
    lc_log_drain(1000);
    lc_logs_stop(m);
    lc_generation_destroy(m->serving, NULL);
    lc_monitor_close(m);
    lc_control_close(m); /* last of all: who waits for the end learns of it here */
    lc_master_close_loop(m);
    lc_signals_close(m);
    lc_fd_close(&m->passing[0]);
    lc_fd_close(&m->passing[1]);
    lc_scoreboard_destroy(m->scoreboard);
}

/* ---- starting ---- */

void lc_master_show_title(const struct lc_master *m)
{
    lc_title_set("%s: master [%s%s]", lc_identity_name(), m->serving->config->name,
                 m->handed.predecessor != 0 ? ".2" : "");
}

/* A master that takes another one's place is where that one was. */
static bool leaves_the_shell(const struct lc_master *m)
{
    return m->serving->config->daemon && m->handed.predecessor == 0;
}

static int go_to_background(struct lc_master *m, struct lc_error *err)
{
    if (!leaves_the_shell(m))
        return 0;
    if (getenv("NOTIFY_SOCKET") != NULL)
        fprintf(stderr, "licorne: Warning: daemon: the service manager behind "
                        "NOTIFY_SOCKET loses sight of the server; leave `daemon` out\n");
    return lc_daemon_start(m->serving->config->enable_stdio_inheritance, err);
}

/* What is wrong with these a daemon says while there is still somebody to read it. */
static int prepare(struct lc_master *m, struct lc_config *config, struct lc_error *err)
{
    m->serving = lc_generation_create(m, config);
    if (lc_config_require(config, err) < 0 ||
        lc_generation_take_on(m->serving, NULL, err) < 0 ||
        lc_certificates_read(&m->serving->certificates, config, m->roles->worker, err) <
            0 ||
        lc_certificates_start(m, err) < 0)
        return -1;
    return leaves_the_shell(m) ? lc_generation_check_pidfile(m->serving, err) : 0;
}

static int preload(struct lc_master *m, struct lc_error *err)
{
    const struct lc_config *config = m->serving->config;

    if (!config->preload_app)
        return 0;
    if (lc_script_preload(config, err) == 0)
        return 0;
    /* The master's end is 1, whatever a worker would end with. */
    err->code = LC_E_CONFIG;
    return -1;
}

static int start(struct lc_master *m, struct lc_error *err)
{
    m->scoreboard = lc_scoreboard_create(LC_SLOTS_MAX, err);
    if (m->scoreboard == NULL || lc_passing_open(m->passing, err) < 0 ||
        lc_signals_open(m, err) < 0)
        return -1;
    lc_master_show_title(m);
    lc_log_count_levels(m->serving->config->statsd_host != NULL);
    if (lc_logs_start(m, err) < 0)
        return -1;
    if (lc_master_hook_workers(m, m->serving, -1, err) < 0 || preload(m, err) < 0)
        return -1;
    if (lc_generation_open_pidfile(m->serving, NULL, m->handed.predecessor != 0, err) < 0)
        return -1;
    lc_log(LC_INFO, "Starting %s %s", lc_identity_name(), lc_identity_version());
    return lc_master_hook(m, m->serving, LC_HOOK_ON_STARTING, err);
}

/* -1 when it cannot listen: the log, which is there by now, says why. */
static int open_doors(struct lc_master *m)
{
    struct lc_error err = {0};

    if (lc_generation_listen(m->serving, NULL, &m->handed, &err) < 0) {
        if (err.code == LC_E_NONE)
            return 0; /* told to stop: the loop will hear of it */
        lc_log(LC_ERROR, "%s", err.text);
        return -1;
    }
    if (lc_monitor_open(m, &err) < 0) {
        lc_log(LC_ERROR, "%s", err.text);
        return -1;
    }
    lc_handed_close(&m->handed);
    lc_listeners_log(&m->serving->listeners);
    lc_certificates_warn(m->serving->certificates);
    lc_control_open(m);
    lc_log(LC_INFO, "Using worker: %s",
           lc_config_is_threaded(m->serving->config) ? "gthread" : "sync");
    /* The hook has said itself what is wrong. */
    return lc_master_hook(m, m->serving, LC_HOOK_WHEN_READY, &err);
}

static int serve(struct lc_master *m)
{
    struct lc_error err = {0};

    if (start(m, &err) < 0) {
        if (leaves_the_shell(m))
            lc_log(LC_ERROR, "%s", err.text); /* nobody reads its stderr */
        m->exit_code = lc_refuse(&err);
    } else if (open_doors(m) < 0) {
        m->exit_code = EXIT_STARTUP;
    } else {
        supervise(m);
        lc_notify_farewell(m);
        say_goodbye(m);
    }
    tear_down(m);
    return m->exit_code;
}

static void set_environment(void)
{
    LC_AUTOFREE char *software = lc_printf("%s/%s", lc_identity_name(),
                                           lc_identity_version());

    /* A loop on io_uring cannot be given up in a forked child as one on epoll can. */
    setenv("UV_USE_IO_URING", "0", 1);
    setenv("SERVER_SOFTWARE", software, 1); /* libraries look for it */
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int lc_master_main(int argc, char **argv, const struct lc_roles *roles)
{
    struct lc_master m = {
        .argc = argc,
        .argv = argv,
        .roles = roles,
        .started_ms = lc_clock_ms(),
        .began_ms = now_ms(),
        .signal_fd = -1,
        .records = {-1, -1},
        .output = {-1, -1},
        .passing = {-1, -1},
    };
    struct lc_error err = {0};

    lc_fd_fill_standard();
    lc_identity_init(argv[0]);
    lc_title_init(argc, argv);
    set_environment();
    lc_signals_reset();
    signal(SIGPIPE, SIG_IGN);

    struct lc_config *config = lc_config_load(argc, argv, &err);
    if (config == NULL)
        return lc_refuse(&err);
    if (config->action != LC_ACTION_SERVE) {
        int code = lc_action_run(config, roles);
        lc_config_destroy(config);
        return code;
    }

    if (lc_handed_open(&m.handed, &err) < 0) {
        lc_config_destroy(config);
        return lc_refuse(&err);
    }
    if (prepare(&m, config, &err) < 0 || go_to_background(&m, &err) < 0) {
        lc_generation_destroy(m.serving, NULL);
        return lc_refuse(&err);
    }
    lc_notify_open(&m.notify);
    lc_list_init(&m.workers);
    if (uv_loop_init(&m.loop) != 0 || uv_timer_init(&m.loop, &m.alarm) != 0) {
        lc_log(LC_CRITICAL, "Unhandled failure: there is no event loop");
        return EXIT_UNEXPECTED;
    }
    return serve(&m);
}
