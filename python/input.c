#include "python/input.h"

#include "python/exchange.h"
#include "python/fork.h"

#include <licorne/request.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 64 * 1024 };

struct input {
    PyObject_HEAD struct lc_request *request; /* NULL: it is over */
    struct lc_exchange *exchange;
    uint64_t left; /* bytes that the host still has, LC_BODY_UNKNOWN: nobody knows */
    /* What does not lie in memory is read ahead for readline. */
    char *block;
    size_t at, end; /* unread part of `block` */
};

static PyObject *type;
static PyObject *nothing; /* b"" */

PyObject *lc_input_create(void)
{
    struct input *input = PyObject_New(struct input, (PyTypeObject *)type);

    if (input == NULL)
        return NULL;
    input->request = NULL;
    input->exchange = NULL;
    input->left = 0;
    input->block = NULL;
    input->at = input->end = 0;
    return (PyObject *)input;
}

void lc_input_attach(PyObject *self, struct lc_exchange *x)
{
    struct input *input = (struct input *)self;

    input->exchange = x;
    input->request = x == NULL ? NULL : x->request;
    input->left = x == NULL ? 0 : lc_request_body_size(x->request);
    input->at = input->end = 0;
    if (input->block != NULL) {
        free(input->block);
        input->block = NULL;
    }
}

static void dealloc(PyObject *self)
{
    PyTypeObject *of = Py_TYPE(self);

    free(((struct input *)self)->block);
    PyObject_Free(self);
    Py_DECREF((PyObject *)of);
}

static bool is_live(struct input *input)
{
    while (input->exchange != NULL && input->exchange->is_away && !lc_fork_is_child())
        lc_exchange_await_any(); /* the exchange may end meanwhile */
    if (input->exchange == NULL) {
        PyErr_SetString(PyExc_ValueError,
                        "wsgi.input was read after its request had ended");
        return false;
    }
    if (!input->exchange->is_inside || input->exchange->is_away) {
        PyErr_SetString(
            PyExc_RuntimeError,
            "wsgi.input can be read only while the application is being called");
        return false;
    }
    return true;
}

/* At most so many bytes are still to come. */
static uint64_t unread(const struct input *input)
{
    if (input->left == LC_BODY_UNKNOWN)
        return LC_BODY_UNKNOWN;
    return input->left + (input->end - input->at);
}

static void count(struct input *input, size_t size)
{
    if (input->left != LC_BODY_UNKNOWN)
        input->left -= size;
}

static void consume(struct input *input, size_t size)
{
    if (input->at < input->end) {
        input->at += size;
        return;
    }
    lc_request_body_skip(input->request, size);
    count(input, size);
}

static const char *why(int error)
{
    switch (error) {
    case ETIMEDOUT:
        return "the client did not send the rest of the request's body in time";
    case ECONNRESET: return "the client went before the request's body was complete";
    case EBADMSG: return "the request's body is not coded in chunks as it says";
    case EPROTO: return "what follows the request's body is no trailer";
    case ECONNABORTED:
        return "the connection was given up before the request's body was complete";
    case EFBIG: return "the request's body is larger than limit_request_body";
    default: return strerror(error);
    }
}

/* OSError, or the class below it that stands for this errno: TimeoutError and so on. */
static void raise_os_error(int error)
{
    PyObject *exception = PyObject_CallFunction(PyExc_OSError, "is", error, why(error));

    if (exception != NULL)
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    Py_XDECREF(exception);
}

/* A streamed body may have to be waited for: the application's other threads run on. */
static ssize_t read_or_wait(struct input *input, char *into, size_t size)
{
    struct lc_request *request = input->request;

    if (!lc_request_body_may_wait(request))
        return lc_request_body_read(request, into, size);
    lc_exchange_step_out(input->exchange);
    ssize_t n = lc_request_body_read(request, into, size);
    int error = errno;
    lc_exchange_step_in(input->exchange);
    errno = error;
    return n;
}

/* Reads from the host; 0 at the end, -1 with an exception. */
static Py_ssize_t read_host(struct input *input, char *into, size_t size)
{
    ssize_t n = read_or_wait(input, into, size);

    if (n < 0) {
        int error = errno;

        /* A signal may have ended the wait. What its handler raises comes first, and not a moment
         * later in the midst of what the application does about an error. */
        if (PyErr_CheckSignals() == 0)
            raise_os_error(error);
        return -1;
    }
    if (n == 0) /* the end, expected or not */
        input->left = 0;
    count(input, (size_t)n);
    return n;
}

/* The next unread bytes, wherever they lie; empty at the end. */
static int window(struct input *input, struct lc_slice *bytes)
{
    if (input->at == input->end) {
        *bytes = lc_request_body_peek(input->request);
        if (bytes->at != NULL || input->left == 0)
            return 0;
        if (input->block == NULL && (input->block = malloc(BLOCK)) == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        Py_ssize_t n = read_host(input, input->block, BLOCK);
        if (n < 0)
            return -1;
        input->at = 0;
        input->end = (size_t)n;
    }
    *bytes = (struct lc_slice){input->block + input->at, input->end - input->at};
    return 0;
}

/* Copies exactly what is there, up to `size` bytes; -1 with an exception. */
static Py_ssize_t fill(struct input *input, char *into, size_t size)
{
    size_t done = 0;

    if (input->at < input->end) {
        size_t ahead = input->end - input->at;

        done = ahead < size ? ahead : size;
        memcpy(into, input->block + input->at, done);
        input->at += done;
    }
    while (done < size) {
        Py_ssize_t n = read_host(input, into + done, size - done);

        if (n < 0)
            return -1;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (Py_ssize_t)done;
}

/* Bytes that come in pieces. */
struct joined {
    char *at;
    size_t len, room;
};

static int make_room(struct joined *bytes, size_t len)
{
    if (bytes->at != NULL && len <= bytes->room - bytes->len)
        return 0;
    size_t room = (bytes->len + len) * 2;
    char *grown = realloc(bytes->at, room);

    if (grown == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    bytes->at = grown;
    bytes->room = room;
    return 0;
}

/* Up to `limit` bytes of nobody knows how many. */
static PyObject *take_unknown(struct input *input, uint64_t limit)
{
    struct joined all = {NULL, 0, 0};
    PyObject *bytes = NULL;

    while (all.len < limit) {
        size_t step = limit - all.len < BLOCK ? (size_t)(limit - all.len) : BLOCK;
        Py_ssize_t n = make_room(&all, step) < 0 ? -1
                                                 : fill(input, all.at + all.len, step);

        if (n < 0)
            goto out;
        all.len += (size_t)n;
        if ((size_t)n < step)
            break;
    }
    bytes = PyBytes_FromStringAndSize(all.at, (Py_ssize_t)all.len);
out:
    free(all.at);
    return bytes;
}

static PyObject *take(struct input *input, uint64_t size)
{
    if (size > unread(input))
        size = unread(input);
    if (size > BLOCK && input->left == LC_BODY_UNKNOWN)
        return take_unknown(input, size);
    if (size == 0) {
        Py_INCREF(nothing);
        return nothing;
    }
    if (size > (uint64_t)PY_SSIZE_T_MAX)
        return PyErr_NoMemory();

    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (bytes == NULL)
        return NULL;

    Py_ssize_t got = fill(input, PyBytes_AsString(bytes), (size_t)size);
    if (got == (Py_ssize_t)size)
        return bytes;

    PyObject *shorter = got < 0 ? NULL
                                : PyBytes_FromStringAndSize(PyBytes_AsString(bytes), got);
    Py_DECREF(bytes);
    return shorter;
}

/* The optional size argument: None and negative numbers mean all. */
static int limit_of(PyObject *const *args, Py_ssize_t count, uint64_t *limit)
{
    *limit = UINT64_MAX;
    if (count == 0 || (count == 1 && args[0] == Py_None))
        return 0;
    if (count > 1) {
        PyErr_Format(PyExc_TypeError, "expected at most 1 argument, got %zd", count);
        return -1;
    }

    Py_ssize_t size = PyNumber_AsSsize_t(args[0], NULL); /* clips what is too large */
    if (size == -1 && PyErr_Occurred() != NULL)
        return -1;
    if (size >= 0)
        *limit = (uint64_t)size;
    return 0;
}

static PyObject *input_read(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    struct input *input = (struct input *)self;
    uint64_t limit;

    if (!is_live(input) || limit_of(args, count, &limit) < 0)
        return NULL;
    return take(input, limit);
}

static int append(struct joined *line, struct lc_slice part)
{
    if (make_room(line, part.len) < 0)
        return -1;
    memcpy(line->at + line->len, part.at, part.len);
    line->len += part.len;
    return 0;
}

/* Cuts `bytes` behind the first newline and at the limit. True when the line ends here. */
static bool cut_line(struct lc_slice *bytes, uint64_t limit)
{
    const char *newline;

    if (bytes->len > limit)
        bytes->len = (size_t)limit;
    newline = memchr(bytes->at, '\n', bytes->len);
    if (newline != NULL)
        bytes->len = (size_t)(newline - bytes->at) + 1;
    return newline != NULL || bytes->len == limit;
}

/* A line that does not lie in one piece. */
static PyObject *join_line(struct input *input, struct lc_slice part, uint64_t limit)
{
    struct joined line = {NULL, 0, 0};
    PyObject *bytes = NULL;

    for (bool ends = false; !ends;) {
        if (part.len == 0)
            break;
        ends = cut_line(&part, limit - line.len);
        if (append(&line, part) < 0)
            goto out;
        consume(input, part.len);
        if (!ends && window(input, &part) < 0)
            goto out;
    }
    bytes = PyBytes_FromStringAndSize(line.at, (Py_ssize_t)line.len);
out:
    free(line.at);
    return bytes;
}

static PyObject *next_line(struct input *input, uint64_t limit)
{
    struct lc_slice part;

    if (limit == 0) {
        Py_INCREF(nothing);
        return nothing;
    }
    if (window(input, &part) < 0)
        return NULL;

    struct lc_slice line = part;
    if (line.len == 0 || (!cut_line(&line, limit) && line.len < unread(input)))
        return part.len == 0 ? take(input, 0) : join_line(input, part, limit);

    PyObject *bytes = PyBytes_FromStringAndSize(line.at, (Py_ssize_t)line.len);
    if (bytes != NULL)
        consume(input, line.len);
    return bytes;
}

static PyObject *input_readline(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    struct input *input = (struct input *)self;
    uint64_t limit;

    if (!is_live(input) || limit_of(args, count, &limit) < 0)
        return NULL;
    return next_line(input, limit);
}

static PyObject *input_readlines(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    struct input *input = (struct input *)self;
    uint64_t hint, total = 0;

    if (!is_live(input) || limit_of(args, count, &hint) < 0)
        return NULL;
    if (hint == 0)
        hint = UINT64_MAX; /* as io has it: no hint */

    PyObject *lines = PyList_New(0);
    while (lines != NULL && total < hint && unread(input) > 0) {
        PyObject *line = next_line(input, UINT64_MAX);
        bool is_last = line != NULL && PyBytes_Size(line) == 0;

        if (line == NULL || (!is_last && PyList_Append(lines, line) < 0))
            Py_CLEAR(lines);
        else
            total += (uint64_t)PyBytes_Size(line);
        Py_XDECREF(line);
        if (is_last)
            break; /* the body ended early */
    }
    return lines;
}

static PyObject *input_next(PyObject *self)
{
    struct input *input = (struct input *)self;

    if (!is_live(input) || unread(input) == 0)
        return NULL; /* without an exception: the end */

    PyObject *line = next_line(input, UINT64_MAX);
    if (line != NULL && PyBytes_Size(line) == 0)
        Py_CLEAR(line);
    return line;
}

static PyObject *input_iter(PyObject *self)
{
    Py_INCREF(self);
    return self;
}

int lc_input_type_open(void)
{
    static PyMethodDef methods[] = {
        {"read", LC_PY_METHOD(input_read), LC_PY_FASTCALL,
         "read([size]) -> bytes; all of the body by default"},
        {"readline", LC_PY_METHOD(input_readline), LC_PY_FASTCALL,
         "readline([size]) -> bytes up to and with the next newline"},
        {"readlines", LC_PY_METHOD(input_readlines), LC_PY_FASTCALL,
         "readlines([hint]) -> list of lines"},
        {NULL, NULL, 0, NULL},
    };
    static PyType_Slot slots[] = {
        {Py_tp_dealloc, (void *)dealloc},
        {Py_tp_methods, methods},
        {Py_tp_iter, (void *)input_iter},
        {Py_tp_iternext, (void *)input_next},
        {Py_tp_doc, (void *)"The body of a request."},
        {0, NULL},
    };
    static PyType_Spec spec = {
        .name = "licorne.Input",
        .basicsize = sizeof(struct input),
        .flags = Py_TPFLAGS_DEFAULT,
        .slots = slots,
    };

    nothing = PyBytes_FromStringAndSize(NULL, 0);
    type = nothing == NULL ? NULL : PyType_FromSpec(&spec);
    return type == NULL ? -1 : 0;
}
