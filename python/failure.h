/* python/failure.h — an exception's way to the log and to the client. */
#pragma once
#include "python/api.h"

struct lc_exchange;

/* `helper(exception) -> str` formats a traceback; from the loader. */
void lc_failure_open(PyObject *helper);

/* The exception that is set goes to the log; nothing is set afterwards. */
void lc_failure_log(const struct lc_exchange *x);

/* The same, and the response is finished with it: a page where nothing has left, else the
 * connection breaks, so that the client sees that something is missing. */
void lc_failure_answer(struct lc_exchange *x);

/* An ERROR record without an exception: "Error handling request GET /: `what`". */
void lc_failure_say(const struct lc_exchange *x, const char *what);
