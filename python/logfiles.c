#include "python/logfiles.h"

#include "python/api.h"
#include "python/gil.h"
#include "python/loader.h"

void lc_logfiles_reopen(void)
{
    bool was_parked = lc_gil_is_parked();

    lc_gil_take();
    PyObject *function = lc_loader_get("reopen_files");
    PyObject *done = function == NULL ? NULL : PyObject_CallFunction(function, NULL);
    if (done == NULL)
        PyErr_Print();
    Py_XDECREF(done);
    if (was_parked)
        lc_gil_park();
}
