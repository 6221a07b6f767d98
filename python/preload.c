#include "python/preload.h"

#include "python/gil.h"
#include "python/hooks.h"
#include "python/loader.h"
#include "python/start.h"

#include <licorne/app.h>
#include <licorne/error.h>

#include <string.h>

static PyObject *application;
static char *spec;

/* A collection would write into every page that the workers share. */
static void freeze(void)
{
    PyObject *gc = PyImport_ImportModule("gc");
    PyObject *found = gc == NULL ? NULL : PyObject_CallMethod(gc, "collect", NULL);
    PyObject *none = found == NULL ? NULL : PyObject_CallMethod(gc, "freeze", NULL);

    if (none == NULL)
        PyErr_Print();
    Py_XDECREF(none);
    Py_XDECREF(found);
    Py_XDECREF(gc);
}

int lc_preload(const struct lc_app_options *options,
               const struct lc_interpreter *interpreter, struct lc_error *err)
{
    if (lc_python_start(interpreter, err) == 0) {
        lc_python_sync_environment();
        application = lc_loader_load(options, interpreter, err);
    }
    if (application != NULL) {
        spec = strdup(options->spec);
        lc_hooks_note_app(application);
        freeze();
    }
    if (lc_python_is_running())
        lc_gil_park();
    return application == NULL ? -1 : 0;
}

PyObject *lc_preload_find(const struct lc_app_options *options)
{
    if (application == NULL || spec == NULL || strcmp(spec, options->spec) != 0)
        return NULL;
    Py_INCREF(application);
    return application;
}
