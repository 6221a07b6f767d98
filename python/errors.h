/* python/errors.h — wsgi.errors: text of the application for the error log, without a prefix.
 *
 * One object for all requests and threads. Whole lines leave at once; the rest of a line waits
 * in its thread for a newline, for flush() or for the end of the call, so that print() makes
 * one record. Threads of the application that outlive their request may write to it as well. */
#pragma once
#include "python/api.h"

PyObject *lc_errors_create(void); /* NULL with an exception */

/* Sends what this thread has written. */
void lc_errors_flush(void);
