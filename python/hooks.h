/* python/hooks.h — pre_request and post_request.
 *
 * Where neither is set, a request pays for one comparison. */
#pragma once
#include "python/api.h"

struct lc_exchange;

/* gunicorn._requests.begin of the worker's hooks; NULL: none is set. */
extern PyObject *lc_hooks_of_requests;

/* In a worker that was just forked: its hooks are those of `script`. -1 with an exception. */
int lc_hooks_open(PyObject *script);

/* The application is loaded: worker.wsgi. */
void lc_hooks_note_app(PyObject *callable);

/* pre_request. -1 with an exception; x->hooked is set all the same, if memory allows. */
int lc_hooks_before(struct lc_exchange *x);

/* What pre_request has changed reaches the environ. -1 with an exception. */
int lc_hooks_change(struct lc_exchange *x, PyObject *dict);

/* start_response was called. -1 with an exception. */
int lc_hooks_start(struct lc_exchange *x, PyObject *status, PyObject *headers);

/* post_request; what it raises is logged. */
void lc_hooks_after(struct lc_exchange *x);
