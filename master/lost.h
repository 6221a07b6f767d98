/* master/lost.h — requests that ended with the worker that had them. The master knows them from the
 * scoreboard; a worker, which can write access lines, writes theirs. */
#pragma once

struct lc_master;
struct lc_worker;

/* The worker has died of a signal or an unexpected exit. */
void lc_lost_note(struct lc_master *m, const struct lc_worker *worker);

/* The master's chore: tells a worker that serves. */
void lc_lost_step(struct lc_master *m);
