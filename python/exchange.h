/* python/exchange.h — one request in the application's hands, from its call to the close() of
 * what it returned: what start_response and write are bound to.
 *
 * A Python object, because the application may keep start_response, write or wsgi.input as long
 * as it likes. One that nobody kept is used again for the next request. */
#pragma once
#include "python/api.h"

#include <stdbool.h>

struct lc_request;

struct lc_exchange {
    PyObject_HEAD struct lc_request *request; /* NULL: the response has ended */
    PyObject
        *start_response; /* these two own this object, which owns them in turn: the  */
    PyObject *write;     /* circle is cut in lc_exchange_end                         */
    PyObject *input;
    PyObject *early_hints;
    PyObject *socket;          /* the connection's */
    PyObject *context;         /* the request's contextvars */
    PyObject *method, *target; /* for the log, also when the request is gone */

    PyObject *iterable; /* what the application returned */
    PyObject *source;   /* its iterator; for a file its read() */
    bool is_file;       /* `source` is a read() to be called with a block's size */
    bool is_at_hand;    /* no code of the application runs between two items */
    bool has_status;    /* start_response was called */
    bool has_body;      /* a piece was written */
    bool is_gone;       /* so is the client */
    bool is_inside;     /* while a thread is in its call whoever has Python's lock
                               * may use the request … */
    bool is_away;       /* … but not while one that has let go of the lock uses it */
    PyObject *hooked;   /* for pre_request and post_request; NULL: none is set */
    unsigned long long sent;  /* bytes of the body, for these */
    struct lc_exchange *next; /* in the pool */
};

int lc_exchange_type_open(void); /* -1 with an exception */

/* This thread calls into the application for the exchange, and comes back. */
void lc_exchange_enter(struct lc_exchange *x);
void lc_exchange_leave(struct lc_exchange *x);
bool lc_exchange_is_entered(void); /* by this thread */

/* Around what waits in the host: the calling thread lets go of Python's lock. It may be one that
 * the application started itself; then the thread of the call may come back meanwhile. */
void lc_exchange_step_out(struct lc_exchange *x);
void lc_exchange_step_in(struct lc_exchange *x);

/* Sleeps, without Python's lock, until a thread has stepped in. Of any exchange: look again. */
void lc_exchange_await_any(void);

/* The code of the application has come back, and is about to be answered for: a thread of its own
 * that still waits in the host is waited for. */
static inline void lc_exchange_settle(const struct lc_exchange *x)
{
    while (x->is_away)
        lc_exchange_await_any();
}

/* NULL with an exception. */
struct lc_exchange *lc_exchange_begin(struct lc_request *request);

/* gunicorn.socket is that of the exchange's request from now on. */
void lc_exchange_lend_socket(struct lc_exchange *x, PyObject *socket);

/* The response has ended: from here on whatever the application kept raises. */
void lc_exchange_detach(struct lc_exchange *x);

/* Gives everything back; detaches first where that was not done. */
void lc_exchange_end(struct lc_exchange *x);
