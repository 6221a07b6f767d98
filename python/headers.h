/* python/headers.h — lists of (name, value), as start_response and wsgi.early_hints get them. */
#pragma once
#include "python/api.h"

struct lc_error;

/* Takes one; the slices are valid during the call. -1 with `err`, or with an exception. */
typedef int (*lc_header_fn)(void *owner, struct lc_slice name, struct lc_slice value,
                            struct lc_error *err);

/* Gives all of the list to `take`, in order. -1 with an exception. */
int lc_headers_each(PyObject *headers, lc_header_fn take, void *owner);
