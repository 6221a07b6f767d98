#include "python/start.h"

#include "python/api.h"
#include "python/bridge.h"
#include "python/early_hints.h"
#include "python/exchange.h"
#include "python/failure.h"
#include "python/fields.h"
#include "python/fork.h"
#include "python/gil.h"
#include "python/input.h"
#include "python/iterate.h"
#include "python/loader.h"
#include "python/socket.h"
#include "python/target.h"

#include <licorne/error.h>

#include <string.h>
#include <unistd.h>

/* CPython can be started once in a process. */
static char *running; /* the executable it was started as */

bool lc_python_is_running(void)
{
    return running != NULL;
}

int lc_python_start(const struct lc_interpreter *interpreter, struct lc_error *err)
{
    if (running != NULL) {
        lc_gil_take();
        if (strcmp(running, interpreter->executable) == 0)
            return 0;
        return lc_error_set(err, LC_E_BOOT,
                            "this process runs %s already and cannot run %s too: say "
                            "which with --python, VIRTUAL_ENV or PATH, which are known "
                            "before the configuration file is read",
                            running, interpreter->executable);
    }
    if (lc_loader_start(interpreter, err) < 0)
        return -1;
    running = strdup(interpreter->executable);

    PyObject *format = lc_loader_get("format_exception");
    if (format == NULL || lc_fields_open() < 0 || lc_target_open() < 0 ||
        lc_input_type_open() < 0 || lc_early_hints_open() < 0 || lc_socket_open() < 0 ||
        lc_exchange_type_open() < 0 || lc_iterate_open() < 0 || lc_fork_open() < 0) {
        PyErr_Print();
        return lc_error_set(err, LC_E_BOOT, "Python %s: cannot be prepared",
                            interpreter->version);
    }
    lc_failure_open(format);
    return 0;
}

static PyObject *environment(void)
{
    PyObject *list = PyList_New(0);

    for (char **entry = environ; list != NULL && entry != NULL && *entry != NULL;
         entry++) {
        PyObject *bytes = PyBytes_FromString(*entry);

        if (bytes == NULL || PyList_Append(list, bytes) < 0)
            Py_CLEAR(list);
        Py_XDECREF(bytes);
    }
    return list;
}

void lc_python_sync_environment(void)
{
    PyObject *function = lc_loader_get("sync_environment");
    PyObject *list = function == NULL ? NULL : environment();
    PyObject *none = list == NULL ? NULL
                                  : PyObject_CallFunctionObjArgs(function, list, NULL);

    if (none == NULL)
        PyErr_Print();
    Py_XDECREF(none);
    Py_XDECREF(list);
}
