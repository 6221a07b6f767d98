/* licorne/app.h — what answers requests: the routes of a native module, or a kind of
 * application that a plugin brings (Python's WSGI). */
#pragma once
#include <licorne/api.h>
#include <licorne/request.h>
#include <licorne/slice.h>
#include <signal.h>
#include <stddef.h>

LC_C_BEGIN

struct lc_error;

/* What a step of the pipeline says. */
enum lc_step {
    LC_NEXT,  /* not mine: let the next one see the request            */
    LC_DONE,  /* answered: the response has been ended                 */
    LC_LATER, /* will be answered later; the loop goes on to others    */
};

/* A route's handler; `state` is what the module's `open` made. One that said LC_LATER after
 * LC_FLOW_WAIT is called again with the same request when the client has caught up or has gone
 * (lc_request_data tells it how far it came). */
typedef enum lc_step (*lc_handler_fn)(struct lc_request *request, void *state);

/* One entry of a route table. The table ends with an entry whose path is NULL. */
struct lc_route {
    const char *methods; /* "GET" (answers HEAD too), "GET, POST"; NULL: any          */
    const char *path;    /* "/users/{id}", "/static/{path...}" (the rest, with slashes) */
    lc_handler_fn handler;
};

/* Whoever gets it writes the stacks of its threads and goes on. By itself the signal does
 * nothing. */
#define LC_SIGNAL_STACK SIGURG

/* How an application is to be opened; valid during `open` only. */
struct lc_app_options {
    const char *spec;       /* "shop.wsgi:application"                              */
    const char *start_dir;  /* absolute; modules are sought here too, or NULL       */
    const char *chdir;      /* absolute; where the application's modules are sought */
    const char *pythonpath; /* more such folders, comma separated, or NULL          */
    const char *python;     /* the interpreter to serve, or NULL: look for it       */
    const char *defaults;   /* NAME=VALUE lines for PasteDeploy, or NULL            */
    bool traces_lines;      /* print each line of Python that is run                */
    bool is_multiprocess;   /* more than one worker                                 */
    bool is_multithread;    /* more than one thread calls the application           */

    /* Where a stack goes when the process crashes, is aborted (SIGABRT) or is asked for it
     * (LC_SIGNAL_STACK): a descriptor that the log is behind, or -1. */
    int stack_fd;

    /* Called with what was logged about a failure, at any length; may be NULL. */
    void (*explain)(void *owner, struct lc_slice text);
    void *owner;
};

/* A kind of application. All calls come from the worker's loop thread, unless it brings
 * `thread_start` and options.is_multithread was set: then `call` and `resume` come from threads of
 * the worker's own, several at a time, and a request may be resumed by another thread than
 * that which called. What the application gave away with a `release` (lc_response_send_owned,
 * struct lc_keep) is released on one of them too, within a turn. `open` and `close` stay the
 * loop's, before the first thread starts and after the last has ended. */
struct lc_app_ops {
    const char *name; /* "wsgi" */

    /* Loads the application, in the worker, after privileges were dropped. NULL with `err`
     * (LC_E_BOOT or LC_E_APP_LOAD); long explanations are logged before it returns. */
    void *(*open)(const struct lc_app_options *options, struct lc_error *err);

    /* Answers one request: LC_DONE, or LC_LATER after LC_FLOW_WAIT. */
    enum lc_step (*call)(void *app, struct lc_request *request);

    /* After LC_LATER: the client has caught up or has gone. Goes on writing; has ended the
     * response, or waits again. */
    void (*resume)(void *app, struct lc_request *request);

    /* The loop is about to sleep and other threads may run (release the GIL). Only called
     * after `call` or `resume` in the same turn; may be NULL. */
    void (*turn_end)(void *app);

    void (*close)(void *app);

    /* Each thread: first and last. -1 with `err` when it cannot be used. */
    int (*thread_start)(void *app, struct lc_error *err);
    void (*thread_end)(void *app);

    /* There are requests for this thread; it is given one when this has returned (take the
     * GIL here, and not while a request waits for it). `turn_end` tells that there are no
     * more for now. */
    void (*turn_start)(void *app);

    /* Names the files that the application consists of and that were not named before; `app` is
     * NULL when `open` has failed. Called from the loop's thread, between turns, for the setting
     * `reload`; may be NULL. */
    void (*sources)(void *app, void (*each)(void *owner, const char *path), void *owner);

    /* About every second, and when a signal has come: what the language has put off, such as
     * its handlers of signals, may run. Called from the loop's thread, between turns. True: the
     * application wants this process to end. May be NULL. */
    bool (*attend)(void *app);

    /* SIGUSR1: log files were moved away, so those that the application writes itself are to be
     * opened anew. Called from the loop's thread, between turns; may be NULL. */
    void (*reopen_files)(void *app);
};

LC_C_END
