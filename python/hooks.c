#include "python/hooks.h"

#include "python/exchange.h"
#include "python/failure.h"
#include "python/script.h"

#include <licorne/request.h>

PyObject *lc_hooks_of_requests;

int lc_hooks_open(PyObject *script)
{
    PyObject *begin = PyObject_CallMethod(lc_script_host(), "request_hooks", "O", script);

    if (begin == NULL)
        return -1;
    Py_CLEAR(lc_hooks_of_requests);
    if (begin == Py_None)
        Py_DECREF(begin);
    else
        lc_hooks_of_requests = begin;
    return 0;
}

void lc_hooks_note_app(PyObject *callable)
{
    if (lc_script_host() == NULL)
        return;

    PyObject *none = PyObject_CallMethod(lc_script_host(), "note_app", "O", callable);

    if (none == NULL)
        PyErr_Print();
    Py_XDECREF(none);
}

/* [("HOST", "a.example"), …] */
static PyObject *headers_of(const struct lc_request *request)
{
    size_t count;
    const struct lc_header *headers = lc_request_headers(request, &count);
    PyObject *list = PyList_New(0);

    for (size_t i = 0; list != NULL && i < count; i++) {
        PyObject *name = lc_py_text(headers[i].name);
        PyObject *pair = name == NULL
                             ? NULL
                             : Py_BuildValue("(NN)",
                                             PyObject_CallMethod(name, "upper", NULL),
                                             lc_py_text(headers[i].value));

        Py_XDECREF(name);
        if (pair == NULL || PyList_Append(list, pair) < 0)
            Py_CLEAR(list);
        Py_XDECREF(pair);
    }
    return list;
}

static PyObject *describe(struct lc_request *request)
{
    const struct lc_endpoints *ends = lc_request_endpoints(request);
    int version = lc_request_version(request);

    return Py_BuildValue("(NN(ii)NNss)", lc_py_text(lc_request_method(request)),
                         lc_py_text(lc_request_target(request)), version / 10,
                         version % 10, lc_py_text(lc_request_scheme(request)),
                         headers_of(request), ends->remote_addr, ends->remote_port);
}

int lc_hooks_before(struct lc_exchange *x)
{
    PyObject *facts = describe(x->request);

    x->sent = 0;
    x->hooked = facts == NULL ? NULL : PyObject_CallObject(lc_hooks_of_requests, facts);
    Py_XDECREF(facts);
    if (x->hooked == NULL)
        return -1;

    PyObject *none = PyObject_CallMethod(x->hooked, "before", NULL);

    Py_XDECREF(none);
    return none == NULL ? -1 : 0;
}

int lc_hooks_change(struct lc_exchange *x, PyObject *dict)
{
    PyObject *none = PyObject_CallMethod(x->hooked, "change", "O", dict);

    Py_XDECREF(none);
    return none == NULL ? -1 : 0;
}

int lc_hooks_start(struct lc_exchange *x, PyObject *status, PyObject *headers)
{
    PyObject *none = PyObject_CallMethod(x->hooked, "start", "OO", status, headers);

    Py_XDECREF(none);
    return none == NULL ? -1 : 0;
}

void lc_hooks_after(struct lc_exchange *x)
{
    PyObject *hooked = x->hooked;
    PyObject *none = PyObject_CallMethod(hooked, "after", "K",
                                         (unsigned long long)x->sent);

    x->hooked = NULL;
    if (none == NULL)
        lc_failure_log(x);
    Py_XDECREF(none);
    Py_DECREF(hooked);
}
