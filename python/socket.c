#include "python/socket.h"

#include "python/loader.h"

#include <licorne/request.h>
#include <licorne/tls.h>

#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

struct connection {
    PyObject_HEAD struct lc_request *request; /* NULL: none is in hand */
    PyObject *real;                           /* NULL: nobody asked    */
};

static PyObject *type;

PyObject *lc_socket_create(void)
{
    struct connection *self = PyObject_New(struct connection, (PyTypeObject *)type);

    if (self != NULL) {
        self->request = NULL;
        self->real = NULL;
    }
    return (PyObject *)self;
}

void lc_socket_attach(PyObject *self, struct lc_request *request)
{
    ((struct connection *)self)->request = request;
}

void lc_socket_forget(PyObject *self)
{
    struct connection *c = (struct connection *)self;

    c->request = NULL;
    if (c->real == NULL)
        return;
    PyObject *none = PyObject_CallMethod(c->real, "close", NULL);
    if (none == NULL)
        PyErr_Clear();
    Py_XDECREF(none);
}

static void dealloc(PyObject *self)
{
    PyTypeObject *of = Py_TYPE(self);

    Py_XDECREF(((struct connection *)self)->real);
    PyObject_Free(self);
    Py_DECREF((PyObject *)of);
}

/* ---- the real one ---- */

/* What open_connection() takes: None, or (version, cipher, its version, its bits, ALPN, resumed, DER). */
static PyObject *describe_tls(const struct lc_tls_info *tls)
{
    if (tls == NULL)
        return lc_py_none();
    const struct lc_slice *der = &tls->peer_certificate;
    PyObject *certificate = PyBytes_FromStringAndSize(der->at, (Py_ssize_t)der->len);
    return certificate == NULL
               ? NULL
               : Py_BuildValue("(sssizNN)", tls->version, tls->cipher,
                               tls->cipher_version, tls->cipher_bits, tls->alpn,
                               PyBool_FromLong(tls->is_resumed), certificate);
}

/* What it takes besides, of a relayed connection, whose descriptor does not know them: its ends as
 * (address, port, address, port), or None. */
static PyObject *describe_ends(const struct lc_endpoints *ends)
{
    if (ends->is_unix || ends->remote_port == NULL || ends->server_port == NULL)
        return lc_py_none();
    return Py_BuildValue("(ssss)", ends->remote_addr, ends->remote_port,
                         ends->server_addr, ends->server_port);
}

/* Another thread may ask, while the request ends in its own: once Python runs, the connection may
 * go, and its descriptor's number be that of another client. What is needed of it is taken before. */
static PyObject *make(struct lc_request *request)
{
    const struct lc_endpoints *ends = lc_request_endpoints(request);
    int own = fcntl(ends->socket, F_DUPFD_CLOEXEC, 0);

    if (own < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    /* The client must not wait for ours to be closed as well. */
    lc_request_keep(request)->has_duplicate = true;

    PyObject *tls = describe_tls(ends->tls);
    PyObject *known = tls == NULL ? NULL : describe_ends(ends);
    PyObject *function = known == NULL ? NULL : lc_loader_get("open_connection");
    PyObject *real = function == NULL
                         ? NULL
                         : PyObject_CallFunction(function, "iOO", own, tls, known);
    Py_XDECREF(known);
    Py_XDECREF(tls);
    close(own); /* the socket has one of its own */
    return real;
}

/* Borrowed; NULL with an exception. */
static PyObject *real_of(struct connection *self)
{
    if (self->real != NULL)
        return self->real;
    if (self->request == NULL) {
        PyErr_SetString(PyExc_OSError,
                        "gunicorn.socket: the request that it came with is over");
        return NULL;
    }

    PyObject *real = make(self->request);
    if (self->real == NULL) {
        self->real = real;
    } else { /* another thread was faster */
        PyErr_Clear();
        Py_XDECREF(real);
    }
    return self->real;
}

static bool is_special(PyObject *name)
{
    Py_ssize_t size;
    const char *text = lc_py.utf8(name, &size);

    return text == NULL || (size > 4 && text[0] == '_' && text[1] == '_');
}

static PyObject *get_attribute(PyObject *self, PyObject *name)
{
    /* Copying, printing and the like ask for these; they are no reason to make a socket. */
    PyObject *found = is_special(name) ? PyObject_GenericGetAttr(self, name) : NULL;

    if (found != NULL || PyErr_Occurred() != NULL)
        return found;
    PyObject *real = real_of((struct connection *)self);
    return real == NULL ? NULL : PyObject_GetAttr(real, name);
}

int lc_socket_open(void)
{
    static PyType_Slot slots[] = {
        {Py_tp_dealloc, (void *)dealloc},
        {Py_tp_getattro, (void *)get_attribute},
        {Py_tp_doc, (void *)"The connection's socket."},
        {0, NULL},
    };
    static PyType_Spec spec = {
        .name = "licorne.Socket",
        .basicsize = sizeof(struct connection),
        .flags = Py_TPFLAGS_DEFAULT,
        .slots = slots,
    };

    type = PyType_FromSpec(&spec);
    return type == NULL ? -1 : 0;
}
