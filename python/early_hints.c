#include "python/early_hints.h"

#include "python/exchange.h"
#include "python/fork.h"
#include "python/headers.h"

#include <licorne/arena.h>
#include <licorne/error.h>
#include <licorne/response.h>

#include <stdbool.h>
#include <string.h>

struct early_hints {
    PyObject_HEAD struct lc_exchange *exchange; /* NULL: it is over */
};

static PyObject *type;

PyObject *lc_early_hints_create(void)
{
    struct early_hints *hints = PyObject_New(struct early_hints, (PyTypeObject *)type);

    if (hints != NULL)
        hints->exchange = NULL;
    return (PyObject *)hints;
}

void lc_early_hints_attach(PyObject *self, struct lc_exchange *x)
{
    ((struct early_hints *)self)->exchange = x;
}

static void dealloc(PyObject *self)
{
    PyTypeObject *of = Py_TYPE(self);

    PyObject_Free(self);
    Py_DECREF((PyObject *)of);
}

struct gathered {
    struct lc_arena *arena;
    struct lc_header *fields;
    size_t count, room;
};

static struct lc_slice copied(struct lc_arena *arena, struct lc_slice text)
{
    return (struct lc_slice){lc_arena_strndup(arena, text.at, text.len), text.len};
}

static int gather(void *owner, struct lc_slice name, struct lc_slice value,
                  struct lc_error *err)
{
    struct gathered *all = owner;

    if (all->count == all->room) {
        size_t room = all->room == 0 ? 8 : all->room * 2;
        struct lc_header *more = lc_arena_alloc(all->arena, room * sizeof(*more));

        if (all->count != 0)
            memcpy(more, all->fields, all->count * sizeof(*more));
        all->fields = more;
        all->room = room;
    }
    all->fields[all->count++] = (struct lc_header){copied(all->arena, name),
                                                   copied(all->arena, value)};
    return 0;
}

static PyObject *send(struct lc_request *request, PyObject *headers)
{
    struct gathered all = {.arena = lc_request_arena(request)};
    struct lc_error err;

    if (lc_headers_each(headers, gather, &all) < 0)
        return NULL;
    err.text[0] = '\0';
    if (lc_response_interim(request, 103, all.fields, all.count, &err) < 0) {
        PyErr_Format(PyExc_ValueError, "wsgi.early_hints: %s", err.text);
        return NULL;
    }
    return lc_py_none();
}

static bool is_too_late(const struct early_hints *hints)
{
    return hints->exchange == NULL || lc_response_is_started(hints->exchange->request);
}

static PyObject *call(PyObject *self, PyObject *args, PyObject *names)
{
    const struct early_hints *hints = (const struct early_hints *)self;
    PyObject *headers;

    if (names != NULL && PyDict_Size(names) > 0) {
        PyErr_SetString(PyExc_TypeError, "wsgi.early_hints takes no named arguments");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "O:wsgi.early_hints", &headers))
        return NULL;
    if (is_too_late(hints))
        return lc_py_none();
    if (lc_fork_is_child() || !hints->exchange->is_inside) {
        PyErr_SetString(PyExc_RuntimeError, "wsgi.early_hints can be called only while "
                                            "the application is being called");
        return NULL;
    }
    PyObject *fields = lc_headers_gather(headers); /* the request may end meanwhile */
    if (fields == NULL)
        return NULL;
    while (hints->exchange != NULL && hints->exchange->is_away)
        lc_exchange_await_any();
    PyObject *result = is_too_late(hints) ? lc_py_none()
                                          : send(hints->exchange->request, fields);
    Py_DECREF(fields);
    return result;
}

int lc_early_hints_open(void)
{
    static PyType_Slot slots[] = {
        {Py_tp_dealloc, (void *)dealloc},
        {Py_tp_call, (void *)call},
        {Py_tp_doc, (void *)"early_hints([(name, value), ...]) sends 103 Early Hints."},
        {0, NULL},
    };
    static PyType_Spec spec = {
        .name = "licorne.EarlyHints",
        .basicsize = sizeof(struct early_hints),
        .flags = Py_TPFLAGS_DEFAULT,
        .slots = slots,
    };

    type = PyType_FromSpec(&spec);
    return type == NULL ? -1 : 0;
}
