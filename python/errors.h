/* python/errors.h — wsgi.errors: text of the application for the error log, without a prefix.
 *
 * One object for all requests. Whole lines leave at once; the rest of a line waits for its
 * newline, for flush() or for the end of the call, so that print() makes one record. */
#pragma once
#include "python/api.h"

PyObject *lc_errors_create(void); /* NULL with an exception */

/* Sends what waits. On the loop's thread, with the lock held. */
void lc_errors_flush(PyObject *self);
