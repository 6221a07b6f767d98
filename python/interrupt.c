#include "python/interrupt.h"

#include "python/exchange.h"
#include "python/fork.h"
#include "python/gil.h"
#include "python/loader.h"
#include "python/script.h"

#include <signal.h>

static PyObject *exception;

PyObject *lc_interrupt_exception(void)
{
    return exception;
}

static PyObject *tell_hook(void)
{
    if (lc_script_host() == NULL)
        return lc_py_none();
    return PyObject_CallMethod(lc_script_host(), "interrupted", NULL);
}

/* Where no call is to be ended, the loop hears of the signal itself. */
static PyObject *on_signal(PyObject *self, PyObject *args)
{
    PyObject *frame;
    int signum;

    if (!PyArg_ParseTuple(args, "iO", &signum, &frame))
        return NULL;
    if (lc_fork_is_child()) {
        signal(signum, SIG_DFL);
        raise(signum);
    }
    if (!lc_exchange_is_entered())
        return lc_py_none();

    PyObject *none = tell_hook();

    if (none == NULL)
        return NULL;
    Py_DECREF(none);
    PyErr_SetString(exception, "the worker was told to leave at once");
    return NULL;
}

int lc_interrupt_open(void)
{
    static PyMethodDef definition = {"on_signal", on_signal, METH_VARARGS, NULL};
    PyObject *function = lc_loader_get("handle_interrupts");
    PyObject *none = NULL;

    if (exception == NULL)
        exception = PyErr_NewException("licorne.Interrupted", PyExc_SystemExit, NULL);
    if (exception != NULL && function != NULL)
        none = PyObject_CallFunction(function, "N", PyCFunction_New(&definition, NULL));
    Py_XDECREF(none);
    return none == NULL ? -1 : 0;
}

bool lc_interrupt_attend(void)
{
    bool was_parked = lc_gil_is_parked(), wants_to_leave = false;

    lc_gil_take();
    if (PyErr_CheckSignals() < 0) {
        wants_to_leave = PyErr_ExceptionMatches(PyExc_SystemExit);
        if (wants_to_leave)
            PyErr_Clear(); /* printing it would end the process here */
        else
            PyErr_Print();
    }
    if (was_parked)
        lc_gil_park();
    return wants_to_leave;
}
