#include "python/host.h"

#include "python/api.h"

#include <licorne/log.h>

/* Text of the user's may hold lone surrogates (file names do). NULL with an exception. */
static PyObject *encoded(PyObject *text)
{
    PyObject *str = PyObject_Str(text);
    PyObject *bytes = str == NULL
                          ? NULL
                          : PyUnicode_AsEncodedString(str, "utf-8", "backslashreplace");

    Py_XDECREF(str);
    return bytes;
}

static PyObject *host_log(PyObject *self, PyObject *args)
{
    PyObject *text;
    int level;

    if (!PyArg_ParseTuple(args, "iO", &level, &text))
        return NULL;
    if (level < LC_DEBUG || level > LC_CRITICAL) {
        PyErr_SetString(PyExc_ValueError, "no such level");
        return NULL;
    }
    PyObject *bytes = encoded(text);
    if (bytes == NULL)
        return NULL;
    lc_log_text((enum lc_level)level, lc_py_bytes(bytes));
    Py_DECREF(bytes);
    return lc_py_none();
}

static PyObject *write_to(void (*write)(struct lc_slice), PyObject *text)
{
    PyObject *bytes = encoded(text);

    if (bytes == NULL)
        return NULL;
    write(lc_py_bytes(bytes));
    Py_DECREF(bytes);
    return lc_py_none();
}

static PyObject *host_log_raw(PyObject *self, PyObject *text)
{
    return write_to(lc_log_raw, text);
}

static PyObject *host_log_access(PyObject *self, PyObject *text)
{
    return write_to(lc_log_access, text);
}

static PyObject *host_log_enabled(PyObject *self, PyObject *level)
{
    long number = PyLong_AsLong(level);

    if (number == -1 && PyErr_Occurred() != NULL)
        return NULL;
    return PyBool_FromLong(number >= LC_DEBUG && number <= LC_CRITICAL &&
                           lc_log_enabled((enum lc_level)number));
}

static PyMethodDef methods[] = {
    {"log", host_log, METH_VARARGS, "log(level, text): a line of the error log"},
    {"log_raw", host_log_raw, METH_O, "log_raw(text): for the error log, as it is"},
    {"log_access", host_log_access, METH_O, "log_access(text): a line of the access log"},
    {"log_enabled", host_log_enabled, METH_O, "log_enabled(level) -> bool"},
    {NULL, NULL, 0, NULL},
};

int lc_host_open(void)
{
    static PyModuleDef definition = {
        PyModuleDef_HEAD_INIT,
        "_licorne",
        "The server that runs this process.",
        -1,
        methods,
        NULL,
        NULL,
        NULL,
        NULL,
    };

    return lc_py_put(PyImport_GetModuleDict(), PyUnicode_FromString("_licorne"),
                     PyModule_Create(&definition));
}
