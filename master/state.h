/* master/state.h — what the master knows: generations, workers, the logger's process.
 *
 * A generation is one configuration with its sockets and the workers that serve it. Usually
 * there is one, `serving`. A reload boots the `next` beside it; whichever of the two loses,
 * the old one when the new is ready or the new one when it cannot boot, is `leaving`. */
#pragma once
#include "base/ipc.h"
#include "base/list.h"
#include "base/scoreboard.h"
#include "base/tickets.h"
#include "master/backoff.h"
#include "master/handed.h"
#include "master/listen.h"
#include "master/master.h"
#include "master/metrics.h"
#include "master/notify.h"
#include "master/tally.h"
#include "master/watch.h"

#include <licorne/error.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

struct lc_certificates;
struct lc_config;
struct lc_control;
struct lc_monitor;

enum lc_phase { LC_MASTER_RUNNING, LC_MASTER_STOPPING, LC_MASTER_STOPPED };
enum lc_haste { LC_GRACEFULLY, LC_AT_ONCE };

/* A child process and the master's end of the channel to it. */
struct lc_child {
    pid_t pid;
    int channel;
    bool has_mail; /* its channel can be read, or has been closed */
    uv_poll_t watch;
};

struct lc_generation {
    uint16_t number;
    struct lc_config *config;
    struct lc_listeners listeners;
    struct lc_certificates *certificates; /* NULL: no TLS */
    char *pidfile;                        /* absolute; NULL: none */
    unsigned wanted;                      /* workers */
    uint64_t since_ms;
    struct lc_backoff backoff;
    uint64_t next_start_ms; /* boot_stagger: no worker is started before */
    bool has_failed;        /* a worker of `next` could not boot; why: the first line */
    char failure[LC_ERROR_TEXT_MAX];
};

/* The life of a worker; workers.c has the one function that moves it along. */
enum lc_worker_state {
    LC_WORKER_STARTING, /* forked; imports the application                        */
    LC_WORKER_SERVING,  /* has said LC_MSG_READY                                  */
    LC_WORKER_LEAVING,  /* was told to leave, or said that it will; has a deadline */
    LC_WORKER_KILLED,   /* has got SIGKILL                                        */
    LC_WORKER_GONE,     /* was reaped                                             */
};

struct lc_worker {
    struct lc_list link; /* in m->workers, oldest first */
    struct lc_child *child;
    struct lc_generation *generation;
    struct lc_slot *slot;
    enum lc_worker_state state;
    unsigned age;
    uint64_t started_ms;
    uint64_t deadline_ms; /* LEAVING: killed then */
    int farewell;         /* LEAVING: the signal it got; 0: it goes by itself */
    bool is_retiring;     /* SERVING: wants to be replaced (max_requests)     */
    bool is_too_large;    /* SERVING: that is why, or why it was killed       */
    bool is_proved;       /* SERVING: outlived its youth                      */
    bool had_begun;       /* LEAVING: it could serve when it got the signal   */
    uint32_t reported[LC_HANDS_MAX]; /* the versions of overdue hands, once logged */
    uint32_t shown[LC_HANDS_MAX];    /* the same for slow_request                   */
};

/* How the latest reload ended. */
struct lc_reloaded {
    unsigned number; /* which one: as m->reloads was meanwhile; 0: none has ended */
    bool is_committed;
    char why[LC_ERROR_TEXT_MAX]; /* not committed: the first line */
};

struct lc_master {
    int argc;
    char **argv;
    const struct lc_roles *roles;
    enum lc_phase phase;
    int exit_code;
    const char *halt_reason; /* NULL: an ordinary stop */
    uint64_t started_ms;
    uint64_t began_ms; /* the same moment, since 1970 */

    struct lc_handed handed; /* the sockets that were open at the start */
    pid_t successor;         /* a new master that SIGUSR2 started; 0: none */
    struct lc_notify notify;
    struct lc_msg_lost *lost; /* requests whose access lines are still to be written */
    size_t lost_count;
    uint64_t memory_check_ms;
    struct lc_watch watch; /* the application's files, with `reload` */
    struct lc_metrics metrics;
    struct lc_control *control; /* NULL: none */
    struct lc_monitor *monitor; /* NULL: none */

    uv_loop_t loop;
    uv_timer_t alarm;
    uint64_t alarm_ms; /* when the loop must turn at the latest */
    int signal_fd;
    uv_poll_t signal_watch;

    struct lc_generation *serving;
    struct lc_generation *next;    /* being booted by a reload, or NULL */
    struct lc_generation *leaving; /* NULL when none                    */
    bool reload_wanted;
    unsigned reloads; /* begun so far */
    struct lc_reloaded reloaded;
    uint16_t last_generation;
    uint64_t patience_shown_ms; /* when the log last said that a reload still waits */

    struct lc_list workers;
    unsigned last_age;
    unsigned last_count; /* as last logged */
    bool has_served;     /* a worker was ready at least once */
    struct lc_scoreboard *scoreboard;
    struct lc_tally tally;

    struct lc_ticket_keys tickets;
    uint64_t tickets_due_ms;      /* when they change                       */
    uint64_t certificates_due_ms; /* when their files are looked at again  */

    struct lc_child *logger;
    bool is_logger_leaving; /* it makes way for one that is configured anew */
    int records[2];         /* [0] the logger reads, [1] everyone writes    */
    int output[2];          /* capture_output: a pipe from what workers print, or -1 */
    int passing[2];         /* base/passing.h: every worker has both     */
    struct lc_backoff logger_backoff;
};

/* The loop turns again at `when_ms` (lc_clock_ms) or earlier. */
void lc_master_wake_at(struct lc_master *m, uint64_t when_ms);
void lc_master_stop(struct lc_master *m, enum lc_haste haste);
/* Gunicorn's rule for a first start: the server ends with the worker's exit code. */
void lc_master_halt(struct lc_master *m, int exit_code, const char *reason);
/* "licorne: master [NAME]", what ps shows. */
void lc_master_show_title(const struct lc_master *m);
/* Closes every handle of the loop and what hangs on it; in a child too, which must not keep
 * what belongs to the master. */
void lc_master_close_loop(struct lc_master *m);
