/* python/start_response.h — the two functions of PEP 3333 with which an application answers,
 * bound to an exchange. */
#pragma once
#include "python/api.h"

int lc_start_response_open(void); /* -1 with an exception */

PyObject *lc_start_response_create(PyObject *exchange);
PyObject *lc_write_create(PyObject *exchange);

/* licorne.InvalidHeader(reason, text for the client's page): a status or field that must not go
 * on the wire. Borrowed. */
PyObject *lc_invalid_header(void);
