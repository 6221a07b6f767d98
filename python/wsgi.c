/* python/wsgi.c — a WSGI application (PEP 3333) behind the calls of <licorne/app.h>. */
#include "python/api.h"

#include "python/bridge.h"
#include "python/early_hints.h"
#include "python/environ.h"
#include "python/errors.h"
#include "python/exchange.h"
#include "python/failure.h"
#include "python/fork.h"
#include "python/gil.h"
#include "python/hooks.h"
#include "python/interrupt.h"
#include "python/iterate.h"
#include "python/loader.h"
#include "python/logfiles.h"
#include "python/peer.h"
#include "python/preload.h"
#include "python/script.h"
#include "python/start.h"
#include "python/sources.h"

#include <licorne/error.h>
#include <licorne/log.h>
#include <licorne/request.h>
#include <licorne/response.h>

#include <stdlib.h>
#include <string.h>

struct wsgi_app {
    bool traces_lines;
    PyObject *callable;
    PyObject *file_wrapper;
    PyObject *errors;
    struct lc_environ *environ;
};

static unsigned open_apps;

/* ---- open and close ---- */

static int fill(struct wsgi_app *app, const struct lc_app_options *options,
                struct lc_error *err)
{
    app->file_wrapper = lc_loader_get("FileWrapper");
    Py_XINCREF(app->file_wrapper);
    app->errors = lc_errors_create();
    if (app->file_wrapper != NULL && app->errors != NULL)
        app->environ = lc_environ_create(options, app->errors, app->file_wrapper);
    if (app->environ != NULL)
        return 0;
    PyErr_Print();
    return lc_error_set(err, LC_E_BOOT, "application %s: cannot be prepared",
                        options->spec);
}

static void destroy(struct wsgi_app *app)
{
    lc_environ_destroy(app->environ);
    Py_XDECREF(app->errors);
    Py_XDECREF(app->file_wrapper);
    Py_XDECREF(app->callable);
    free(app);
}

static void *wsgi_open(const struct lc_app_options *options,
                       const struct lc_interpreter *interpreter, struct lc_error *err)
{
    struct wsgi_app *app = calloc(1, sizeof(*app));

    if (app == NULL) {
        lc_error_set(err, LC_E_BOOT, "out of memory");
        return NULL;
    }
    if (lc_python_start(interpreter, err) < 0)
        goto fail;
    lc_python_sync_environment();
    app->callable = lc_preload_find(options);
    if (app->callable == NULL)
        app->callable = lc_loader_load(options, interpreter, err);
    else if (lc_loader_prepare(options) < 0) /* for this process */
        PyErr_Print();
    if (app->callable == NULL || fill(app, options, err) < 0)
        goto fail;
    app->traces_lines = options->traces_lines;
    if (lc_interrupt_open() < 0)
        PyErr_Print(); /* what runs then is ended by SIGKILL */
    open_apps++;
    lc_hooks_note_app(app->callable);
    lc_gil_park();
    return app;
fail:
    if (lc_python_is_running()) {
        destroy(app);
        lc_gil_park();
    } else {
        free(app);
    }
    return NULL;
}

/* With the last application the process is about to end. Not Py_FinalizeEx: threads that never
 * end would keep it from returning, and what they still use would be torn down under them. */
static void wsgi_close(void *data)
{
    struct wsgi_app *app = data;

    lc_gil_take();
    lc_peers_sweep();
    if (--open_apps == 0)
        lc_loader_finish();
    lc_errors_flush();
    destroy(app);
    lc_gil_park();
}

/* ---- requests ---- */

/* The last words of every call into the application, whatever came of it. */
static enum lc_step leave(struct wsgi_app *app, struct lc_exchange *x, enum lc_step step)
{
    if (step == LC_DONE && x->hooked != NULL)
        lc_hooks_after(x);
    lc_exchange_leave(x);
    if (lc_py.context_exit(x->context) < 0)
        lc_failure_log(x); /* the application left a context of its own entered */
    if (step == LC_DONE)
        lc_exchange_end(x);
    lc_errors_flush();
    return step;
}

/* Fails only for a context that is entered already. */
static bool enter(struct lc_exchange *x)
{
    if (lc_py.context_enter(x->context) < 0)
        return false;
    lc_exchange_enter(x);
    return true;
}

static enum lc_step failed(struct lc_exchange *x)
{
    lc_failure_answer(x);
    return LC_DONE;
}

/* Each thread has its own template of environ: what one puts into it before it takes a copy
 * is of no other's request. The loop uses the application's. */
static _Thread_local struct lc_environ *own_environ;

static enum lc_step call_application(struct wsgi_app *app, struct lc_exchange *x)
{
    if (lc_hooks_of_requests && lc_hooks_before(x) < 0)
        return failed(x);

    PyObject *dict = lc_environ_make(own_environ != NULL ? own_environ : app->environ, x);

    if (dict == NULL || (x->hooked != NULL && lc_hooks_change(x, dict) < 0)) {
        Py_XDECREF(dict);
        return failed(x);
    }
    x->iterable = lc_py_call2(app->callable, dict, x->start_response);
    lc_fork_end_child(x);
    lc_exchange_settle(x);
    Py_DECREF(dict);
    return x->iterable == NULL ? failed(x) : lc_iterate_start(x, app->file_wrapper);
}

static enum lc_step wsgi_call(void *data, struct lc_request *request)
{
    struct wsgi_app *app = data;

    lc_gil_take();
    lc_peers_sweep();

    struct lc_exchange *x = lc_exchange_begin(request);
    if (x == NULL || !enter(x)) {
        PyErr_Clear();
        lc_log(LC_ERROR,
               "Error handling request: no memory left to call the application");
        if (x != NULL)
            lc_exchange_end(x);
        lc_response_abort(request);
        return LC_DONE;
    }
    return leave(app, x, call_application(app, x));
}

static void wsgi_resume(void *data, struct lc_request *request)
{
    struct wsgi_app *app = data;
    struct lc_exchange *x = lc_request_data(request);

    lc_gil_take();
    if (enter(x)) {
        leave(app, x, lc_iterate_resume(x));
    } else {
        lc_failure_answer(x);
        lc_exchange_end(x);
    }
}

static void wsgi_turn_end(void *data)
{
    if (lc_gil_is_parked())
        return;
    lc_errors_flush();
    lc_gil_park();
}

/* ---- threads ---- */

static void trace_this_thread(void)
{
    PyObject *function = lc_loader_get("trace_this_thread");
    PyObject *none = function == NULL ? NULL : PyObject_CallFunction(function, NULL);

    if (none == NULL)
        PyErr_Print();
    Py_XDECREF(none);
}

static int wsgi_thread_start(void *data, struct lc_error *err)
{
    struct wsgi_app *app = data;

    lc_gil_join();
    own_environ = lc_environ_clone(app->environ);
    if (app->traces_lines)
        trace_this_thread();
    if (own_environ == NULL) {
        PyErr_Clear();
        lc_gil_leave();
        return lc_error_set(err, LC_E_BOOT, "out of memory");
    }
    lc_gil_park();
    return 0;
}

static void wsgi_thread_end(void *data)
{
    lc_gil_take();
    lc_environ_destroy(own_environ);
    own_environ = NULL;
    lc_errors_flush();
    lc_gil_leave();
}

static void wsgi_turn_start(void *data)
{
    lc_gil_take();
}

static void wsgi_sources(void *data, void (*each)(void *owner, const char *path),
                         void *owner)
{
    (void)data;
    if (lc_python_is_running())
        lc_sources_each(each, owner);
}

static bool wsgi_attend(void *data)
{
    (void)data;
    return lc_interrupt_attend();
}

static void wsgi_reopen_files(void *data)
{
    (void)data;
    lc_logfiles_reopen();
}

LC_API const struct lc_python_bridge licorne_python_bridge = {
    .version = LC_PYTHON_BRIDGE,
    .open = wsgi_open,
    .call = wsgi_call,
    .resume = wsgi_resume,
    .turn_end = wsgi_turn_end,
    .close = wsgi_close,
    .thread_start = wsgi_thread_start,
    .thread_end = wsgi_thread_end,
    .turn_start = wsgi_turn_start,
    .sources = wsgi_sources,
    .attend = wsgi_attend,
    .reopen_files = wsgi_reopen_files,
    .script = &lc_python_script,
    .start = lc_script_start,
    .preload = lc_preload,
};
