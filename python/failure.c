#include "python/failure.h"

#include "python/exchange.h"
#include "python/interrupt.h"
#include "python/start_response.h"
#include "python/target.h"

#include <licorne/log.h>
#include <licorne/request.h>
#include <licorne/response.h>

#include <errno.h>
#include <string.h>

static PyObject *format;

void lc_failure_open(PyObject *helper)
{
    Py_INCREF(helper);
    format = helper;
}

/* "Error handling request GET /path" */
static PyObject *title(const struct lc_exchange *x)
{
    if (x->method == NULL || x->target == NULL)
        return PyUnicode_FromString("Error handling request");
    return PyUnicode_FromFormat("Error handling request %U %U", x->method, x->target);
}

static void log_text(enum lc_level level, PyObject *text)
{
    PyObject *bytes = text == NULL
                          ? NULL
                          : PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");

    if (bytes == NULL) {
        PyErr_Clear();
        lc_log(level, "Error handling request (and no memory left to say which)");
        return;
    }
    lc_log_text(level, lc_py_bytes(bytes));
    Py_DECREF(bytes);
}

static void say(enum lc_level level, const struct lc_exchange *x, const char *what)
{
    PyObject *first = title(x);
    PyObject *text = first == NULL ? NULL : PyUnicode_FromFormat("%U: %s", first, what);

    log_text(level, text);
    Py_XDECREF(text);
    Py_XDECREF(first);
}

void lc_failure_say(const struct lc_exchange *x, const char *what)
{
    say(LC_ERROR, x, what);
}

/* The exception that is set, with its traceback attached; a new reference. */
static PyObject *take_exception(void)
{
    PyObject *kind, *value, *traceback;

    PyErr_Fetch(&kind, &value, &traceback);
    PyErr_NormalizeException(&kind, &value, &traceback);
    if (value != NULL && traceback != NULL)
        PyException_SetTraceback(value, traceback);
    Py_XDECREF(kind);
    Py_XDECREF(traceback);
    return value;
}

/* Takes `first`, the line above the traceback. */
static void log_titled(PyObject *first, PyObject *exception)
{
    PyObject *trace = PyObject_CallFunctionObjArgs(format, exception, NULL);

    if (trace == NULL) {
        /* Out of memory or stack, or a broken __str__: the type is still worth a line. */
        PyErr_Clear();
        trace = PyObject_Repr((PyObject *)Py_TYPE(exception));
    }

    PyObject *text = first == NULL || trace == NULL
                         ? NULL
                         : PyUnicode_FromFormat("%U\n%U", first, trace);
    log_text(LC_ERROR, text);
    Py_XDECREF(text);
    Py_XDECREF(trace);
    Py_XDECREF(first);
}

static bool is_a(PyObject *exception, PyObject *class)
{
    return PyErr_GivenExceptionMatches(exception, class) != 0;
}

static void log_exception(const struct lc_exchange *x, PyObject *exception)
{
    if (is_a(exception, lc_interrupt_exception()))
        say(LC_WARN, x, "its worker was told to leave at once");
    else
        log_titled(title(x), exception);
}

void lc_failure_log(const struct lc_exchange *x)
{
    PyObject *exception = take_exception();

    if (exception == NULL)
        return;
    log_exception(x, exception);
    Py_DECREF(exception);
}

/* ---- answers ---- */

static bool answer_refusal(struct lc_request *request, PyObject *exception)
{
    PyObject *text = PyObject_Str(exception);
    Py_ssize_t size;
    const char *at = text == NULL ? NULL : lc_py.utf8(text, &size);

    if (at == NULL) {
        PyErr_Clear();
        Py_XDECREF(text);
        return false;
    }
    PyObject *line = PyUnicode_FromFormat("Invalid request from ip=%s: %U",
                                          lc_request_endpoints(request)->remote_addr,
                                          text);
    log_text(LC_WARN, line);
    Py_XDECREF(line);
    /* The reason phrase is Gunicorn's. */
    lc_response_refuse(request, 500, "Bad Request", (struct lc_slice){at, (size_t)size});
    Py_DECREF(text);
    return true;
}

/* Reading wsgi.input failed, and the application let that out. As Gunicorn has it, a client that
 * has gone is not worth a line; one that is late is told so by the host. */
static bool log_failed_input(const struct lc_exchange *x, PyObject *exception)
{
    int error = lc_request_body_error(x->request);

    if (error == 0 || !is_a(exception, PyExc_OSError))
        return false;
    if (error == EBADMSG)
        log_titled(PyUnicode_FromString("Socket error processing request."), exception);
    else
        lc_log(LC_DEBUG, "the request's body could not be read: %s", strerror(error));
    return true;
}

static bool answer(struct lc_exchange *x, PyObject *exception)
{
    struct lc_request *request = x->request;

    if (log_failed_input(x, exception))
        return false;
    if (is_a(exception, lc_target_refusal()))
        return answer_refusal(request, exception);
    log_exception(x, exception);
    return false;
}

void lc_failure_answer(struct lc_exchange *x)
{
    struct lc_request *request = x->request;
    PyObject *exception = take_exception();
    bool is_answered = false;

    /* A client that has gone makes write() raise: no fault of anybody's here. */
    if (exception != NULL && x->is_gone && is_a(exception, PyExc_ConnectionError))
        lc_log(LC_DEBUG, "the client has gone while the application was writing");
    else if (exception != NULL)
        is_answered = answer(x, exception);
    Py_XDECREF(exception);

    lc_exchange_detach(x);
    if (is_answered)
        return;
    if (!lc_response_is_started(request))
        lc_response_reset(request);
    lc_response_abort(request);
}
