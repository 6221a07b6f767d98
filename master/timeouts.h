/* master/timeouts.h — workers whose loop does not turn any more, and requests that take too
 * long. */
#pragma once

struct lc_master;

/* Aborts each worker that served and has been silent for longer than `timeout`; says which
 * request it had in hand. A worker that still boots has all the time it needs. One with threads
 * is aborted when each of them has been in a request for so long; until then the requests that
 * are too old are reported. */
void lc_abort_silent_workers(struct lc_master *m);
