/* python/headers.h — lists of (name, value), as start_response and wsgi.early_hints get them. */
#pragma once
#include "python/api.h"

struct lc_error;

/* Takes one; the slices are valid during the call. -1 with `err`, or with an exception. */
typedef int (*lc_header_fn)(void *owner, struct lc_slice name, struct lc_slice value,
                            struct lc_error *err);

/* The headers of any iterable as a list of tuples; a new reference, NULL with an exception. Making
 * it may run Python code, and then another thread may have ended the request. */
PyObject *lc_headers_gather(PyObject *headers);

/* Gives all of such a list to `take`, in order. Runs no code of the application's unless it
 * fails. -1 with an exception. */
int lc_headers_each(PyObject *gathered, lc_header_fn take, void *owner);
