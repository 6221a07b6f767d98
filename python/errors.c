#include "python/errors.h"

#include <licorne/log.h>

#include <stdlib.h>
#include <string.h>

/* A line that is longer leaves in parts. */
enum { LINE_MAX_WAIT = 8192 };

struct errors {
    PyObject_HEAD char *at;
    size_t len, room;
};

static void send(struct errors *errors, size_t len)
{
    lc_log_raw((struct lc_slice){errors->at, len});
    errors->len -= len;
    memmove(errors->at, errors->at + len, errors->len);
}

static void send_lines(struct errors *errors)
{
    const char *newline = memrchr(errors->at, '\n', errors->len);

    if (newline != NULL)
        send(errors, (size_t)(newline - errors->at) + 1);
    if (errors->len > LINE_MAX_WAIT)
        send(errors, errors->len);
}

void lc_errors_flush(PyObject *self)
{
    struct errors *errors = (struct errors *)self;

    if (errors->len != 0)
        send(errors, errors->len);
}

static int reserve(struct errors *errors, size_t more)
{
    if (errors->room - errors->len >= more)
        return 0;

    size_t room = errors->len + more + LINE_MAX_WAIT;
    char *grown = realloc(errors->at, room);

    if (grown == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    errors->at = grown;
    errors->room = room;
    return 0;
}

static int add(struct errors *errors, struct lc_slice text)
{
    if (text.len == 0)
        return 0;
    if (reserve(errors, text.len) < 0)
        return -1;
    memcpy(errors->at + errors->len, text.at, text.len);
    errors->len += text.len;
    send_lines(errors);
    return 0;
}

static int add_text(struct errors *errors, PyObject *text)
{
    if (!PyUnicode_Check(text)) {
        PyErr_SetString(PyExc_TypeError, "wsgi.errors takes str only");
        return -1;
    }

    /* An error message must not fail for what is in it. */
    PyObject *bytes = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
    int done = bytes == NULL ? -1 : add(errors, lc_py_bytes(bytes));

    Py_XDECREF(bytes);
    return done;
}

static PyObject *errors_write(PyObject *self, PyObject *text)
{
    if (add_text((struct errors *)self, text) < 0)
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
        int done = add_text((struct errors *)self, line);

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
    lc_errors_flush(self);
    return lc_py_none();
}

static void dealloc(PyObject *self)
{
    PyTypeObject *of = Py_TYPE(self);

    free(((struct errors *)self)->at);
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
        .basicsize = sizeof(struct errors),
        .flags = Py_TPFLAGS_DEFAULT,
        .slots = slots,
    };
    PyObject *type = PyType_FromSpec(&spec);

    if (type == NULL)
        return NULL;

    struct errors *errors = PyObject_New(struct errors, (PyTypeObject *)type);
    Py_DECREF(type);
    if (errors == NULL)
        return NULL;
    errors->at = NULL;
    errors->len = errors->room = 0;
    return (PyObject *)errors;
}
