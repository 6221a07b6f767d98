/* python/start_response.h — the two functions of PEP 3333 with which an application answers,
 * bound to an exchange. */
#pragma once
#include "python/api.h"

int lc_start_response_open(void); /* -1 with an exception */

PyObject *lc_start_response_create(PyObject *exchange);
PyObject *lc_write_create(PyObject *exchange);

/* licorne.InvalidHeader: a field that must not go on the wire. Its attribute `page` is the text for
 * the client. Borrowed. */
PyObject *lc_invalid_header(void);
