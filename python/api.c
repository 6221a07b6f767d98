#include "python/api.h"

#include <licorne/error.h>

#include <dlfcn.h>

struct lc_py lc_py;

int lc_py_open(struct lc_error *err)
{
    const struct {
        const char *name;
        void **place;
    } needed[] = {
        {"PyUnicode_AsUTF8AndSize", (void **)&lc_py.utf8},
        {"PyContext_CopyCurrent", (void **)&lc_py.context_copy},
        {"PyContext_Enter", (void **)&lc_py.context_enter},
        {"PyContext_Exit", (void **)&lc_py.context_exit},
    };

    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        *needed[i].place = dlsym(RTLD_DEFAULT, needed[i].name);
        if (*needed[i].place == NULL)
            return lc_error_set(err, LC_E_BOOT,
                                "this libpython has no %s: not a CPython?",
                                needed[i].name);
    }
    *(void **)&lc_py.vectorcall = dlsym(RTLD_DEFAULT, "PyObject_Vectorcall");
    return 0;
}

PyObject *lc_py_call2(PyObject *callable, PyObject *a, PyObject *b)
{
    /* The free place in front lets a bound method put its object there without a copy. */
    const size_t may_use_place_before = (size_t)1 << (8 * sizeof(size_t) - 1);
    PyObject *args[3] = {NULL, a, b};

    if (lc_py.vectorcall != NULL)
        return lc_py.vectorcall(callable, args + 1, 2 | may_use_place_before, NULL);
    return PyObject_CallFunctionObjArgs(callable, a, b, NULL);
}

int lc_py_latin1(PyObject *text, struct lc_slice *bytes, PyObject **owner)
{
    Py_ssize_t size = 0;
    const char *at = lc_py.utf8(text, &size);

    *owner = NULL;
    if (at != NULL && size == PyUnicode_GetLength(text)) {
        *bytes = (struct lc_slice){at, (size_t)size};
        return 0;
    }
    PyErr_Clear(); /* lone surrogates have no UTF-8; latin-1 will complain in its own words */
    *owner = PyUnicode_AsLatin1String(text);
    if (*owner == NULL)
        return -1;
    *bytes = lc_py_bytes(*owner);
    return 0;
}

int lc_py_put(PyObject *dict, PyObject *key, PyObject *value)
{
    if (value == NULL)
        return -1;

    int done = PyDict_SetItem(dict, key, value);

    Py_DECREF(value);
    return done;
}
