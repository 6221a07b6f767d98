/* python/iterate.h — what the application returned becomes the response's body.
 *
 * A slow client suspends the iteration: the exchange waits with the request, and the thread
 * serves others. However it ends, close() of the iterable is called once. */
#pragma once
#include "python/api.h"

#include <licorne/app.h>

struct lc_exchange;

/* Begins with x->iterable; the context is entered. LC_DONE: the response has ended and the
 * exchange can go. */
enum lc_step lc_iterate_start(struct lc_exchange *x, PyObject *file_wrapper);

/* Goes on after LC_LATER. */
enum lc_step lc_iterate_resume(struct lc_exchange *x);

int lc_iterate_open(void); /* -1 with an exception */
