/* master/timeouts.h — workers whose loop does not turn any more. */
#pragma once

struct lc_master;

/* Aborts each worker that served and has been silent for longer than `timeout`; says which
 * request it had in hand. A worker that still boots has all the time it needs. */
void lc_abort_silent_workers(struct lc_master *m);
