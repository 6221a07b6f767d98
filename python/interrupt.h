/* python/interrupt.h — signals as Python code knows them.
 *
 * Python calls handlers in its main thread, between two instructions. While the server waits for
 * clients there are none: so the loop gives it time. */
#pragma once
#include "python/api.h"

#include <stdbool.h>

/* In a worker that has loaded its application: from now on SIGINT and SIGQUIT end a call into it as
 * with Gunicorn, by a SystemExit that is raised there, after the hook worker_int. Where the
 * application has handlers of its own they stay. -1 with an exception. */
int lc_interrupt_open(void);

/* The class of that exception, borrowed. */
PyObject *lc_interrupt_exception(void);

/* Lets handlers run whose signals have come. True: one of them wants the process to end. */
bool lc_interrupt_attend(void);
