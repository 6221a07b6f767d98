/* python/environ.h — the environ dict of PEP 3333, with Gunicorn's keys and values. */
#pragma once
#include "python/api.h"

struct lc_app_options;
struct lc_environ;
struct lc_exchange;

/* What all requests of an application share. NULL with an exception. */
struct lc_environ *lc_environ_create(const struct lc_app_options *options,
                                     PyObject *errors, PyObject *file_wrapper);
void lc_environ_destroy(struct lc_environ *env); /* NULL is fine */

/* The same for another thread; NULL with an exception. One is not for use by two threads: a
 * garbage collection can let the other one in between. */
struct lc_environ *lc_environ_clone(const struct lc_environ *env);

/* A new dict for the exchange's request; also fills the exchange's `method` and `target`. NULL
 * with an exception (see lc_path_info). */
PyObject *lc_environ_make(struct lc_environ *env, struct lc_exchange *x);
