/* python/errors.h — wsgi.errors: text of the application for the error log, without a prefix.
 *
 * One object for all requests. Whole lines leave at once; the rest of a line waits for its
 * newline, for flush() or for the end of the call, so that print() makes one record. Threads of
 * the application that outlive their request may write to it as well. */
#pragma once
#include "python/api.h"

PyObject *lc_errors_create(void); /* NULL with an exception */

/* Sends what waits. With Python's lock held. */
void lc_errors_flush(PyObject *self);
