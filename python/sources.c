#include "python/api.h"

#include "python/sources.h"

#include "python/gil.h"
#include "python/loader.h"

static void name_all(PyObject *paths, void (*each)(void *owner, const char *path),
                     void *owner)
{
    for (Py_ssize_t i = 0; i < PyList_Size(paths); i++) {
        PyObject *path = PyUnicode_EncodeFSDefault(PyList_GetItem(paths, i));

        if (path != NULL)
            each(owner, lc_py_bytes(path).at);
        else
            PyErr_Clear(); /* a name that no file has */
        Py_XDECREF(path);
    }
}

void lc_sources_each(void (*each)(void *owner, const char *path), void *owner)
{
    bool was_parked = lc_gil_is_parked();

    lc_gil_take();
    PyObject *function = lc_loader_get("sources");
    PyObject *paths = function == NULL ? NULL : PyObject_CallFunction(function, NULL);
    if (paths != NULL)
        name_all(paths, each, owner);
    else
        PyErr_Print();
    Py_XDECREF(paths);
    if (was_parked)
        lc_gil_park();
}
