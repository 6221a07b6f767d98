#include "python/iterate.h"

#include "python/exchange.h"
#include "python/failure.h"
#include "python/fork.h"
#include "python/gil.h"
#include "python/loader.h"

#include <licorne/request.h>
#include <licorne/response.h>

#include <stdint.h>
#include <time.h>

enum { FILE_BLOCK = 64 * 1024, COPY_MAX = 16 * 1024 };

/* Frameworks do work after the response in close(). Where that takes long, the answer leaves
 * first; where not, it waits for the others of the turn, which is cheaper. The application's
 * last close() tells which of the two it is. */
enum { SLOW_CLOSE_NS = 1000 * 1000 };
static bool closes_slowly;

static PyObject *close_name;
static PyObject *plain_file; /* the loader's */

int lc_iterate_open(void)
{
    plain_file = lc_loader_get("plain_file");
    Py_XINCREF(plain_file);
    close_name = PyUnicode_InternFromString("close");
    return close_name == NULL || plain_file == NULL ? -1 : 0;
}

/* ---- endings ---- */

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void call_close(struct lc_exchange *x, PyObject *close)
{
    int64_t from = now_ns();
    PyObject *nothing = PyObject_CallFunctionObjArgs(close, NULL);

    lc_fork_end_child(x);
    if (nothing == NULL)
        lc_failure_log(x);
    Py_XDECREF(nothing);
    closes_slowly = now_ns() - from > SLOW_CLOSE_NS;
}

/* Calls close() of the iterable if it has one, and lets go of it. */
static void close_iterable(struct lc_exchange *x)
{
    PyObject *iterable = x->iterable;

    x->iterable = NULL;
    Py_CLEAR(x->source);
    if (iterable == NULL)
        return;
    if (!PyList_CheckExact(iterable) && !PyTuple_CheckExact(iterable)) {
        PyObject *close = PyObject_GetAttr(iterable, close_name);

        if (close != NULL)
            call_close(x, close);
        else if (PyErr_ExceptionMatches(PyExc_AttributeError))
            PyErr_Clear();
        else
            lc_failure_log(x);
        Py_XDECREF(close);
    }
    Py_DECREF(iterable);
}

static enum lc_step finish(struct lc_exchange *x)
{
    struct lc_request *request = x->request;

    if (closes_slowly && x->has_body)
        lc_response_flush(request);
    lc_exchange_detach(x);
    lc_response_end(request);
    close_iterable(x);
    return LC_DONE;
}

static enum lc_step fail(struct lc_exchange *x)
{
    lc_failure_answer(x);
    close_iterable(x);
    return LC_DONE;
}

static enum lc_step fail_saying(struct lc_exchange *x, const char *what)
{
    lc_failure_say(x, what);
    return fail(x);
}

static enum lc_step give_up(struct lc_exchange *x)
{
    struct lc_request *request = x->request;

    x->is_gone = true;
    lc_exchange_detach(x);
    lc_response_abort(request);
    close_iterable(x);
    return LC_DONE;
}

static enum lc_step suspend(struct lc_exchange *x)
{
    lc_request_set_data(x->request, x);
    return LC_LATER;
}

static const char no_status[] = "the application did not call start_response";

/* ---- the whole body at hand ---- */

static void release_bytes(void *owner)
{
    bool was_parked = lc_gil_is_parked();

    /* The host may be done with it long after the turn in which it was sent. */
    if (was_parked)
        lc_gil_take();
    Py_DECREF((PyObject *)owner);
    if (was_parked)
        lc_gil_park();
}

static void send_whole(struct lc_exchange *x, PyObject *bytes)
{
    struct lc_request *request = x->request;
    struct lc_slice body = lc_py_bytes(bytes);

    x->sent += body.len;
    lc_exchange_detach(x);
    if (body.len <= COPY_MAX) {
        lc_response_send(request, body);
        return;
    }
    Py_INCREF(bytes);
    lc_response_send_owned(request, body, release_bytes, bytes);
}

/* The only item of a list or tuple, borrowed; NULL when it is anything else. */
static PyObject *only_item(PyObject *iterable)
{
    if (PyList_CheckExact(iterable))
        return PyList_Size(iterable) == 1 ? PyList_GetItem(iterable, 0) : NULL;
    if (PyTuple_CheckExact(iterable))
        return PyTuple_Size(iterable) == 1 ? PyTuple_GetItem(iterable, 0) : NULL;
    return NULL;
}

/* ---- a file that the host can send ---- */

/* Descriptor, offset and size of a plain file; false, without an exception, for all others. */
static bool unpack_plain(PyObject *plain, int *fd, uint64_t place[2])
{
    if (plain == NULL || plain == Py_None)
        return false;
    *fd = (int)PyLong_AsLong(PyTuple_GetItem(plain, 0));
    place[0] = PyLong_AsUnsignedLongLong(PyTuple_GetItem(plain, 1));
    place[1] = PyLong_AsUnsignedLongLong(PyTuple_GetItem(plain, 2));
    return PyErr_Occurred() == NULL;
}

/* Lets the host send what the wrapper `x->iterable` wraps, no further than the length promises.
 * False, and nothing was done: it has to be read. */
static bool send_file(struct lc_exchange *x)
{
    struct lc_request *request = x->request;
    PyObject *file = PyObject_GetAttrString(x->iterable, "filelike");
    PyObject *plain = file == NULL ? NULL
                                   : PyObject_CallFunctionObjArgs(plain_file, file, NULL);
    uint64_t place[2], left = lc_response_left(request);
    int fd;
    bool is_sent = false;

    if (unpack_plain(plain, &fd, place))
        is_sent = lc_response_send_file(request, fd, place[0],
                                        place[1] < left ? place[1] : left) == 0;
    if (is_sent) {
        x->sent += place[1] < left ? place[1] : left;
        lc_exchange_detach(x);
    }
    PyErr_Clear(); /* reading says what is wrong with it */
    Py_XDECREF(plain);
    Py_XDECREF(file);
    return is_sent;
}

/* ---- piece by piece ---- */

/* A file is read in our blocks, and no further than the length promises. */
static PyObject *next_block(struct lc_exchange *x)
{
    uint64_t left = lc_response_left(x->request);
    PyObject *size, *block;

    if (left == 0)
        return NULL;
    size = PyLong_FromLong(left < FILE_BLOCK ? (long)left : FILE_BLOCK);
    block = size == NULL ? NULL : PyObject_CallFunctionObjArgs(x->source, size, NULL);
    Py_XDECREF(size);
    if (block != NULL && PyBytes_Check(block) && PyBytes_Size(block) == 0)
        Py_CLEAR(block);
    return block;
}

/* -1 with an exception, else what the host says. */
static int write_item(struct lc_exchange *x, PyObject *item)
{
    if (!PyBytes_Check(item)) {
        PyErr_Format(PyExc_TypeError, "%R is not a byte", item);
        return -1;
    }
    if (PyBytes_Size(item) == 0)
        return LC_FLOW_GO;
    if (!x->has_status) {
        PyErr_Format(PyExc_AssertionError, "%s", no_status);
        return -1;
    }
    x->has_body = true;
    x->sent += (size_t)PyBytes_Size(item);
    return (int)lc_response_write(x->request, lc_py_bytes(item));
}

/* Lets the pieces so far leave before the application is asked for the next, which may take its
 * time. Not needed when all is written that the length allows. */
static enum lc_flow flush(struct lc_exchange *x)
{
    if (!x->has_body || x->is_at_hand || lc_response_left(x->request) == 0)
        return LC_FLOW_GO;
    return lc_response_flush(x->request);
}

/* A complete response needs no waiting: the host has its last bytes. */
static bool must_wait(struct lc_exchange *x, int flow)
{
    return flow == LC_FLOW_WAIT && lc_response_left(x->request) != 0;
}

static enum lc_step iterate(struct lc_exchange *x)
{
    for (;;) {
        int flow = (int)flush(x);

        if (must_wait(x, flow))
            return suspend(x);
        if (flow == LC_FLOW_GONE)
            return give_up(x);

        PyObject *item = x->is_file ? next_block(x) : PyIter_Next(x->source);

        lc_fork_end_child(x);
        lc_exchange_settle(x);
        if (item == NULL)
            break;
        flow = write_item(x, item);
        Py_DECREF(item);
        if (flow < 0)
            return fail(x);
        if (flow == LC_FLOW_GONE)
            return give_up(x);
        if (must_wait(x, flow))
            return suspend(x);
    }
    if (PyErr_Occurred() != NULL)
        return fail(x);
    return x->has_status ? finish(x) : fail_saying(x, no_status);
}

/* An exact wrapper of a file is read in blocks of our size, past the wrapper's own iteration. */
static PyObject *open_source(struct lc_exchange *x, PyObject *file_wrapper)
{
    PyObject *iterable = x->iterable;

    x->is_at_hand = PyList_CheckExact(iterable) || PyTuple_CheckExact(iterable);
    x->is_file = (PyObject *)Py_TYPE(iterable) == file_wrapper;
    if (!x->is_file)
        return PyObject_GetIter(iterable);

    PyObject *file = PyObject_GetAttrString(iterable, "filelike");
    PyObject *read = file == NULL ? NULL : PyObject_GetAttrString(file, "read");
    Py_XDECREF(file);
    return read;
}

enum lc_step lc_iterate_start(struct lc_exchange *x, PyObject *file_wrapper)
{
    PyObject *only = only_item(x->iterable);

    if (only != NULL && PyBytes_CheckExact(only) && !x->has_body) {
        if (!x->has_status)
            return fail_saying(x, no_status);
        send_whole(x, only);
        close_iterable(x);
        return LC_DONE;
    }
    if ((PyObject *)Py_TYPE(x->iterable) == file_wrapper && x->has_status &&
        send_file(x)) {
        close_iterable(x);
        return LC_DONE;
    }
    x->source = open_source(x, file_wrapper);
    lc_fork_end_child(x);
    lc_exchange_settle(x);
    return x->source == NULL ? fail(x) : iterate(x);
}

enum lc_step lc_iterate_resume(struct lc_exchange *x)
{
    return iterate(x);
}
