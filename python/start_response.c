#include "python/start_response.h"

#include "python/exchange.h"
#include "python/fork.h"
#include "python/headers.h"
#include "python/hooks.h"

#include <licorne/error.h>
#include <licorne/response.h>

#include <string.h>

/* The exchange's request if the application may touch its response now. */
static struct lc_request *live_request(const struct lc_exchange *x, const char *function)
{
    if (!lc_fork_is_child())
        lc_exchange_settle(x);
    if (x->request == NULL)
        PyErr_Format(PyExc_RuntimeError, "%s was called after the response had ended",
                     function);
    else if (lc_fork_is_child())
        PyErr_Format(PyExc_RuntimeError, "%s was called in a forked process", function);
    else if (!x->is_inside)
        PyErr_Format(PyExc_RuntimeError,
                     "%s can be called only while the application is being called",
                     function);
    else
        return x->request;
    return NULL;
}

static int set_status(struct lc_request *request, PyObject *status)
{
    struct lc_error err; /* large: not cleared for nothing */
    struct lc_slice line;
    PyObject *owner;

    if (!PyUnicode_Check(status)) {
        PyErr_Format(PyExc_TypeError, "status must be a str, not %R", status);
        return -1;
    }
    if (lc_py_latin1(status, &line, &owner) < 0)
        return -1;

    err.text[0] = '\0';
    int done = lc_response_status_line(request, line, &err);
    if (done < 0)
        PyErr_Format(PyExc_ValueError, "invalid status %R: %s", status, err.text);
    Py_XDECREF(owner);
    return done;
}

static int set_field(void *owner, struct lc_slice name, struct lc_slice value,
                     struct lc_error *err)
{
    return lc_response_header(owner, name, value, err);
}

/* raise exc_info[1].with_traceback(exc_info[2]) */
static void raise_again(PyObject *exc_info)
{
    if (!PyTuple_Check(exc_info) || PyTuple_Size(exc_info) != 3) {
        PyErr_SetString(PyExc_TypeError, "exc_info must be what sys.exc_info() returns");
        return;
    }

    PyObject *kind = PyTuple_GetItem(exc_info, 0);
    PyObject *value = PyTuple_GetItem(exc_info, 1);
    PyObject *traceback = PyTuple_GetItem(exc_info, 2);

    if (!PyExceptionClass_Check(kind)) {
        PyErr_SetString(PyExc_TypeError, "exc_info[0] must be an exception class");
        return;
    }
    if (traceback == Py_None)
        traceback = NULL;
    Py_INCREF(kind);
    Py_INCREF(value);
    Py_XINCREF(traceback);
    PyErr_Restore(kind, value, traceback);
}

/* PEP 3333: a second call is allowed with exc_info only, and replaces the first as long as
 * nothing has left; afterwards the exception goes back to the application. -1: raised. */
static int may_start(struct lc_exchange *x, PyObject *exc_info, bool has_exc_info)
{
    if (has_exc_info && lc_response_is_started(x->request)) {
        raise_again(exc_info);
        return -1;
    }
    if (!has_exc_info && x->has_status) {
        PyErr_SetString(PyExc_AssertionError, "Response headers already set!");
        return -1;
    }
    return 0;
}

/* Unpacks (status, headers, exc_info=None); borrowed. */
static int unpack(PyObject *const *args, Py_ssize_t count, PyObject *names,
                  PyObject *into[3])
{
    static const char *const known[] = {"status", "headers", "exc_info"};
    Py_ssize_t named = names == NULL ? 0 : PyTuple_Size(names);

    for (Py_ssize_t i = 0; i < count && i < 3; i++)
        into[i] = args[i];
    for (Py_ssize_t i = 0; i < named; i++) {
        PyObject *name = PyTuple_GetItem(names, i);
        int at = 0;

        while (at < 3 && PyUnicode_CompareWithASCIIString(name, known[at]) != 0)
            at++;
        if (at == 3 || into[at] != NULL) {
            PyErr_Format(PyExc_TypeError,
                         "start_response() got an unexpected or repeated argument %R",
                         name);
            return -1;
        }
        into[at] = args[count + i];
    }
    if (count <= 3 && into[0] != NULL && into[1] != NULL)
        return 0;
    PyErr_Format(PyExc_TypeError,
                 "start_response(status, headers, exc_info=None): %zd arguments given",
                 count + named);
    return -1;
}

/* What was refused may have a __repr__ of its own, in which the request has ended. */
static void withdraw(struct lc_exchange *x)
{
    if (x->request == NULL)
        return;
    lc_response_reset(x->request);
    x->has_status = false;
}

static PyObject *start(struct lc_exchange *x, PyObject *status, PyObject *fields,
                       PyObject *exc_info, bool has_exc_info)
{
    struct lc_request *request = live_request(x, "start_response");

    if (request == NULL || may_start(x, exc_info, has_exc_info) < 0)
        return NULL;

    /* The host keeps them until the first byte of the body, so they can still be replaced. */
    if (x->has_status)
        lc_response_reset(request);
    if (set_status(request, status) < 0 ||
        lc_headers_each(fields, set_field, request) < 0) {
        withdraw(x);
        return NULL;
    }
    x->has_status = true;

    PyObject *write = x->write;

    Py_INCREF(write);
    if (x->hooked != NULL && lc_hooks_start(x, status, fields) < 0)
        Py_CLEAR(write);
    return write;
}

/* Whatever runs code of the application's comes before the request is touched. */
static PyObject *start_response(PyObject *self, PyObject *const *args, Py_ssize_t count,
                                PyObject *names)
{
    PyObject *given[3] = {NULL, NULL, NULL};

    if (unpack(args, count, names, given) < 0)
        return NULL;

    int has_exc_info = given[2] == NULL ? 0 : PyObject_IsTrue(given[2]);
    PyObject *fields = has_exc_info < 0 ? NULL : lc_headers_gather(given[1]);

    if (fields == NULL)
        return NULL;
    PyObject *write = start((struct lc_exchange *)self, given[0], fields, given[2],
                            has_exc_info);
    Py_DECREF(fields);
    return write;
}

/* A client that reads slowly holds the application here; other threads run on. */
static enum lc_flow wait_for_client(struct lc_exchange *x)
{
    struct lc_request *request = x->request;

    lc_exchange_step_out(x);
    enum lc_flow flow = lc_response_wait(request);
    lc_exchange_step_in(x);
    return flow;
}

static PyObject *write_piece(PyObject *self, PyObject *piece)
{
    struct lc_exchange *x = (struct lc_exchange *)self;
    struct lc_request *request = live_request(x, "write");

    if (request == NULL)
        return NULL;
    if (!x->has_status) { /* a later start_response() failed */
        PyErr_SetString(PyExc_AssertionError, "write was called without a status");
        return NULL;
    }
    if (!PyBytes_Check(piece)) {
        PyErr_Format(PyExc_TypeError, "%R is not a byte", piece);
        return NULL;
    }
    if (PyBytes_Size(piece) == 0)
        return lc_py_none();

    x->has_body = true;
    x->sent += (size_t)PyBytes_Size(piece);
    lc_response_write(request, lc_py_bytes(piece));
    enum lc_flow flow = lc_response_flush(request);
    if (flow == LC_FLOW_WAIT)
        flow = wait_for_client(x);
    if (flow == LC_FLOW_GONE) {
        x->is_gone = true;
        PyErr_SetString(PyExc_ConnectionResetError, "the client has gone");
        return NULL;
    }
    return lc_py_none();
}

PyObject *lc_start_response_create(PyObject *exchange)
{
    static PyMethodDef definition = {
        "start_response", LC_PY_METHOD(start_response), LC_PY_FASTCALL | METH_KEYWORDS,
        "start_response(status, headers, exc_info=None) -> write"};

    return PyCFunction_NewEx(&definition, exchange, NULL);
}

PyObject *lc_write_create(PyObject *exchange)
{
    static PyMethodDef definition = {"write", write_piece, METH_O, "write(bytes)"};

    return PyCFunction_NewEx(&definition, exchange, NULL);
}
