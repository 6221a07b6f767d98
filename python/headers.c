#include "python/headers.h"

#include <licorne/error.h>

#include <stdbool.h>

struct taker {
    lc_header_fn take;
    void *owner;
};

static void refuse(PyObject *name, const char *why)
{
    PyErr_Clear();
    PyErr_Format(PyExc_ValueError, "header %R: %s", name, why);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct lc_slice trim(struct lc_slice text)
{
    while (text.len > 0 && is_blank(text.at[0])) {
        text.at++;
        text.len--;
    }
    while (text.len > 0 && is_blank(text.at[text.len - 1]))
        text.len--;
    return text;
}

static int take_field(const struct taker *taker, PyObject *name, PyObject *value)
{
    struct lc_error err;
    struct lc_slice name_bytes, value_bytes;
    PyObject *name_owner, *value_owner;
    int done = -1;

    if (!PyUnicode_Check(name) || !PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%R is not a string",
                     PyUnicode_Check(name) ? value : name);
        return -1;
    }
    if (lc_py_latin1(name, &name_bytes, &name_owner) < 0) {
        refuse(name, "the name is not latin-1");
        return -1;
    }
    if (lc_py_latin1(value, &value_bytes, &value_owner) < 0) {
        refuse(name, "the value is not latin-1");
        goto out;
    }
    err.text[0] = '\0';
    done = taker->take(taker->owner, name_bytes, trim(value_bytes), &err);
    if (done < 0 && PyErr_Occurred() == NULL)
        refuse(name, err.text);
    Py_XDECREF(value_owner);
out:
    Py_XDECREF(name_owner);
    return done;
}

static int take_pair(const struct taker *taker, PyObject *pair)
{
    if (PyTuple_Size(pair) == 2)
        return take_field(taker, PyTuple_GetItem(pair, 0), PyTuple_GetItem(pair, 1));
    PyErr_Format(PyExc_ValueError, "a header must be (name, value), not %R", pair);
    return -1;
}

static bool are_gathered(PyObject *headers)
{
    if (!PyList_CheckExact(headers))
        return false;
    for (Py_ssize_t i = 0; i < PyList_Size(headers); i++)
        if (!PyTuple_CheckExact(PyList_GetItem(headers, i)))
            return false;
    return true;
}

PyObject *lc_headers_gather(PyObject *headers)
{
    if (are_gathered(headers)) {
        Py_INCREF(headers);
        return headers;
    }
    PyObject *list = PySequence_List(headers);

    for (Py_ssize_t i = 0; list != NULL && i < PyList_Size(list); i++) {
        PyObject *pair = PySequence_Tuple(PyList_GetItem(list, i));

        if (pair == NULL || PyList_SetItem(list, i, pair) < 0)
            Py_CLEAR(list);
    }
    return list;
}

int lc_headers_each(PyObject *gathered, lc_header_fn take, void *owner)
{
    const struct taker taker = {take, owner};

    for (Py_ssize_t i = 0; i < PyList_Size(gathered); i++)
        if (take_pair(&taker, PyList_GetItem(gathered, i)) < 0)
            return -1;
    return 0;
}
