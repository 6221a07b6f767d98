/* python/start_response.h — the two functions of PEP 3333 with which an application answers,
 * bound to an exchange. */
#pragma once
#include "python/api.h"

PyObject *lc_start_response_create(PyObject *exchange);
PyObject *lc_write_create(PyObject *exchange);
