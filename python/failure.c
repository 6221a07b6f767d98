#include "python/failure.h"

#include "python/exchange.h"
#include "python/start_response.h"
#include "python/target.h"

#include <licorne/arena.h>
#include <licorne/error.h>
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

void lc_failure_say(const struct lc_exchange *x, const char *what)
{
    PyObject *first = title(x);
    PyObject *text = first == NULL ? NULL : PyUnicode_FromFormat("%U: %s", first, what);

    log_text(LC_ERROR, text);
    Py_XDECREF(text);
    Py_XDECREF(first);
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

static void log_exception(const struct lc_exchange *x, PyObject *exception)
{
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

/* ---- pages ---- */

static size_t escape(char *into, struct lc_slice text)
{
    char *at = into;

    for (size_t i = 0; i < text.len; i++) {
        const char *as = NULL;

        switch (text.at[i]) {
        case '&': as = "&amp;"; break;
        case '<': as = "&lt;"; break;
        case '>': as = "&gt;"; break;
        case '"': as = "&quot;"; break;
        case '\'': as = "&#x27;"; break;
        }
        if (as == NULL)
            *at++ = text.at[i];
        else
            at = stpcpy(at, as);
    }
    *at = '\0';
    return (size_t)(at - into);
}

/* Gunicorn's error page. */
static void send_page(struct lc_request *request, struct lc_slice status,
                      struct lc_slice message)
{
    enum { LONGEST_ESCAPE = 6 };
    static const char page[] =
        "<html>\n  <head>\n    <title>Bad Request</title>\n  </head>\n"
        "  <body>\n    <h1><p>Bad Request</p></h1>\n    %s\n"
        "  </body>\n</html>\n";
    struct lc_arena *arena = lc_request_arena(request);
    struct lc_error err;
    char *escaped = lc_arena_alloc(arena, message.len * LONGEST_ESCAPE + 1);

    escape(escaped, message);
    lc_response_reset(request);
    lc_response_status_line(request, status, &err);
    lc_response_header(request, LC_SLICE("Content-Type"), LC_SLICE("text/html"), &err);
    lc_response_send(request, lc_slice(lc_arena_printf(arena, page, escaped)));
}

/* Sends what the exception has for the client. False when it has nothing. */
static bool send_its_page(struct lc_request *request, struct lc_slice status,
                          PyObject *text)
{
    Py_ssize_t size;
    const char *at = text == NULL || !PyUnicode_Check(text) ? NULL
                                                            : lc_py.utf8(text, &size);

    if (at == NULL) {
        PyErr_Clear();
        return false;
    }
    send_page(request, status, (struct lc_slice){at, (size_t)size});
    return true;
}

static bool answer_refusal(struct lc_request *request, PyObject *exception)
{
    PyObject *text = PyObject_Str(exception);

    if (text != NULL) {
        PyObject *line = PyUnicode_FromFormat("Invalid request from ip=%s: %U",
                                              lc_request_endpoints(request)->remote_addr,
                                              text);
        log_text(LC_WARN, line);
        Py_XDECREF(line);
    }
    /* The reason phrase is Gunicorn's. */
    bool is_sent = send_its_page(request, LC_SLICE("500 Bad Request"), text);
    Py_XDECREF(text);
    return is_sent;
}

static bool is_a(PyObject *exception, PyObject *class)
{
    return PyErr_GivenExceptionMatches(exception, class) != 0;
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
