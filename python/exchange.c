#include "python/exchange.h"

#include "python/early_hints.h"
#include "python/gil.h"
#include "python/input.h"
#include "python/socket.h"
#include "python/start_response.h"

#include <pthread.h>

static PyObject *type;
static struct lc_exchange *pool;
static unsigned pooled;

/* A thread of suspended streams may need many; more than this is not kept for later. */
enum { POOL_MAX = 64 };

static void dealloc(PyObject *self)
{
    struct lc_exchange *x = (struct lc_exchange *)self;
    PyTypeObject *of = Py_TYPE(self);

    Py_XDECREF(x->input);
    Py_XDECREF(x->early_hints);
    Py_XDECREF(x->context);
    PyObject_Free(self);
    Py_DECREF((PyObject *)of);
}

int lc_exchange_type_open(void)
{
    static PyType_Slot slots[] = {
        {Py_tp_dealloc, (void *)dealloc},
        {Py_tp_doc, (void *)"A request being answered."},
        {0, NULL},
    };
    static PyType_Spec spec = {
        .name = "licorne.Exchange",
        .basicsize = sizeof(struct lc_exchange),
        .flags = Py_TPFLAGS_DEFAULT,
        .slots = slots,
    };

    type = PyType_FromSpec(&spec);
    return type == NULL ? -1 : 0;
}

static struct lc_exchange *create(void)
{
    struct lc_exchange *x = PyObject_New(struct lc_exchange, (PyTypeObject *)type);

    if (x == NULL)
        return NULL;
    memset((char *)x + sizeof(PyObject), 0, sizeof(*x) - sizeof(PyObject));
    x->start_response = lc_start_response_create((PyObject *)x);
    x->write = lc_write_create((PyObject *)x);
    if (x->start_response != NULL && x->write != NULL)
        return x;
    Py_CLEAR(x->start_response);
    Py_CLEAR(x->write);
    Py_DECREF((PyObject *)x);
    return NULL;
}

static struct lc_exchange *take(void)
{
    struct lc_exchange *x = pool;

    if (x == NULL)
        return create();
    pool = x->next;
    pooled--;
    return x;
}

struct lc_exchange *lc_exchange_begin(struct lc_request *request)
{
    struct lc_exchange *x = take();

    if (x == NULL)
        return NULL;
    if (x->input == NULL)
        x->input = lc_input_create();
    if (x->early_hints == NULL)
        x->early_hints = lc_early_hints_create();
    if (x->context == NULL)
        x->context = lc_py.context_copy();
    if (x->input == NULL || x->early_hints == NULL || x->context == NULL) {
        lc_exchange_end(x);
        return NULL;
    }
    x->request = request;
    lc_input_attach(x->input, x);
    lc_early_hints_attach(x->early_hints, x);
    x->is_file = x->is_at_hand = x->has_status = x->has_body = x->is_gone = false;
    x->is_inside = x->is_away = false;
    return x;
}

void lc_exchange_lend_socket(struct lc_exchange *x, PyObject *socket)
{
    Py_INCREF(socket);
    x->socket = socket;
    lc_socket_attach(socket, x->request);
}

void lc_exchange_detach(struct lc_exchange *x)
{
    if (x->request == NULL)
        return;
    lc_exchange_settle(x);
    x->request = NULL;
    if (x->socket != NULL)
        lc_socket_attach(x->socket, NULL);
    Py_CLEAR(x->socket);
    if (x->input != NULL)
        lc_input_attach(x->input, NULL);
    if (x->early_hints != NULL)
        lc_early_hints_attach(x->early_hints, NULL);
}

/* ---- calls ---- */

static _Thread_local bool is_entered;

void lc_exchange_enter(struct lc_exchange *x)
{
    is_entered = true;
    x->is_inside = true;
}

void lc_exchange_leave(struct lc_exchange *x)
{
    lc_exchange_settle(x);
    is_entered = false;
    x->is_inside = false;
}

bool lc_exchange_is_entered(void)
{
    return is_entered;
}

/* All but the sleep happens under Python's lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t stepped_in = PTHREAD_COND_INITIALIZER;
static unsigned sleepers;

void lc_exchange_step_out(struct lc_exchange *x)
{
    x->is_away = true;
    lc_gil_park();
}

void lc_exchange_step_in(struct lc_exchange *x)
{
    lc_gil_take();
    x->is_away = false;
    if (sleepers == 0)
        return;
    pthread_mutex_lock(&lock);
    pthread_cond_broadcast(&stepped_in);
    pthread_mutex_unlock(&lock);
}

void lc_exchange_await_any(void)
{
    sleepers++;
    pthread_mutex_lock(&lock);
    lc_gil_park();
    pthread_cond_wait(&stepped_in, &lock);
    pthread_mutex_unlock(&lock);
    lc_gil_take();
    sleepers--;
}

/* ---- ends ---- */

/* A context that is empty as on the first day, and that nobody remembers, serves again. */
static bool is_pristine(PyObject *context)
{
    return Py_REFCNT(context) == 1 && PyObject_Size(context) == 0;
}

void lc_exchange_end(struct lc_exchange *x)
{
    lc_exchange_detach(x);
    Py_CLEAR(x->source);
    Py_CLEAR(x->iterable);
    Py_CLEAR(x->method);
    Py_CLEAR(x->target);
    if (x->input != NULL && Py_REFCNT(x->input) != 1)
        Py_CLEAR(x->input);
    if (x->early_hints != NULL && Py_REFCNT(x->early_hints) != 1)
        Py_CLEAR(x->early_hints);
    if (x->context != NULL && !is_pristine(x->context))
        Py_CLEAR(x->context);

    bool is_kept = Py_REFCNT(x->start_response) != 1 || Py_REFCNT(x->write) != 1;
    if (!is_kept && pooled < POOL_MAX) {
        x->next = pool;
        pool = x;
        pooled++;
        return;
    }

    PyObject *start_response = x->start_response;
    PyObject *write = x->write;

    x->start_response = x->write = NULL;
    Py_DECREF(start_response);
    Py_DECREF(write);
    Py_DECREF((PyObject *)x);
}
