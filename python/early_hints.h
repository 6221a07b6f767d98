/* python/early_hints.h — wsgi.early_hints: a function that sends 103 Early Hints.
 *
 * One that nobody kept is used again for the next request; a kept one does nothing once the response
 * has ended. */
#pragma once
#include "python/api.h"

struct lc_exchange;

int lc_early_hints_open(void); /* -1 with an exception */

PyObject *lc_early_hints_create(void);

/* From now on it sends for the exchange's request; NULL: the response has ended. */
void lc_early_hints_attach(PyObject *self, struct lc_exchange *x);
