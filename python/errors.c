#include "python/errors.h"

#include <licorne/log.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A line that is longer leaves in parts. */
enum { LINE_MAX_WAIT = 8192 };

/* What a thread has written of a line. The threads of an application write at the same time. */
struct pending {
    char *at;
    size_t len, room;
};

static pthread_key_t key; /* of each thread's own */

static void send(struct pending *pending, size_t len)
{
    lc_log_raw((struct lc_slice){pending->at, len});
    pending->len -= len;
    memmove(pending->at, pending->at + len, pending->len);
}

static void send_lines(struct pending *pending)
{
    const char *newline = memrchr(pending->at, '\n', pending->len);

    if (newline != NULL)
        send(pending, (size_t)(newline - pending->at) + 1);
    if (pending->len > LINE_MAX_WAIT)
        send(pending, pending->len);
}

void lc_errors_flush(void)
{
    struct pending *pending = pthread_getspecific(key);

    if (pending != NULL && pending->len != 0)
        send(pending, pending->len);
}

static void on_thread_end(void *data)
{
    struct pending *pending = data;

    if (pending->len != 0)
        send(pending, pending->len);
    free(pending->at);
    free(pending);
}

static struct pending *pending_of_this_thread(void)
{
    struct pending *pending = pthread_getspecific(key);

    if (pending == NULL && (pending = calloc(1, sizeof(*pending))) != NULL &&
        pthread_setspecific(key, pending) != 0) {
        free(pending);
        pending = NULL;
    }
    if (pending == NULL)
        PyErr_NoMemory();
    return pending;
}

static int reserve(struct pending *pending, size_t more)
{
    if (pending->room - pending->len >= more)
        return 0;

    size_t room = pending->len + more + LINE_MAX_WAIT;
    char *grown = realloc(pending->at, room);

    if (grown == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    pending->at = grown;
    pending->room = room;
    return 0;
}

static int add(struct lc_slice text)
{
    struct pending *pending = pending_of_this_thread();

    if (pending == NULL || reserve(pending, text.len) < 0)
        return -1;
    memcpy(pending->at + pending->len, text.at, text.len);
    pending->len += text.len;
    send_lines(pending);
    return 0;
}

static int add_text(PyObject *text)
{
    if (!PyUnicode_Check(text)) {
        PyErr_SetString(PyExc_TypeError, "wsgi.errors takes str only");
        return -1;
    }

    /* An error message must not fail for what is in it. */
    PyObject *bytes = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
    int done = bytes == NULL              ? -1
               : PyBytes_Size(bytes) == 0 ? 0
                                          : add(lc_py_bytes(bytes));

    Py_XDECREF(bytes);
    return done;
}

static PyObject *errors_write(PyObject *self, PyObject *text)
{
    if (add_text(text) < 0)
        return NULL;
    return PyLong_FromSsize_t(PyUnicode_GetLength(text));
}

static PyObject *errors_writelines(PyObject *self, PyObject *lines)
{
    PyObject *each = PyObject_GetIter(lines);
    PyObject *line;

    if (each == NULL)
        return NULL;
    while ((line = PyIter_Next(each)) != NULL) {
        int done = add_text(line);

        Py_DECREF(line);
        if (done < 0)
            break;
    }
    Py_DECREF(each);
    if (PyErr_Occurred() != NULL)
        return NULL;
    return lc_py_none();
}

static PyObject *errors_flush(PyObject *self, PyObject *nothing)
{
    lc_errors_flush();
    return lc_py_none();
}

static void dealloc(PyObject *self)
{
    PyTypeObject *of = Py_TYPE(self);

    PyObject_Free(self);
    Py_DECREF((PyObject *)of);
}

PyObject *lc_errors_create(void)
{
    static PyMethodDef methods[] = {
        {"write", errors_write, METH_O, "write(text)"},
        {"writelines", errors_writelines, METH_O, "writelines(texts)"},
        {"flush", errors_flush, METH_NOARGS, "flush()"},
        {NULL, NULL, 0, NULL},
    };
    static PyType_Slot slots[] = {
        {Py_tp_dealloc, (void *)dealloc},
        {Py_tp_methods, methods},
        {Py_tp_doc, (void *)"The server's error log."},
        {0, NULL},
    };
    static PyType_Spec spec = {
        .name = "licorne.Errors",
        .basicsize = sizeof(PyObject),
        .flags = Py_TPFLAGS_DEFAULT,
        .slots = slots,
    };
    static bool has_key;
    PyObject *type = PyType_FromSpec(&spec);

    if (type == NULL)
        return NULL;
    has_key = has_key || pthread_key_create(&key, on_thread_end) == 0;

    PyObject *errors = has_key ? PyObject_New(PyObject, (PyTypeObject *)type)
                               : PyErr_NoMemory();
    Py_DECREF(type);
    return errors;
}
