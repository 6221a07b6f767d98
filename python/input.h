/* python/input.h — wsgi.input: the request's body as a file to read.
 *
 * Lazy: what is not asked for is not copied. An application may keep it beyond its request; then
 * it raises instead of reading. */
#pragma once
#include "python/api.h"

struct lc_exchange;

int lc_input_type_open(void); /* -1 with an exception */

PyObject *lc_input_create(void);

/* From now on the input reads the body of the exchange's request; NULL: the request is over. */
void lc_input_attach(PyObject *self, struct lc_exchange *x);
