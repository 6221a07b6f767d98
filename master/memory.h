/* master/memory.h — workers that use too much memory: `max_worker_memory` replaces one after the
 * requests that it has, `max_worker_memory_hard` kills it. */
#pragma once

struct lc_master;

/* The master's chore: looks at each worker once a second. */
void lc_memory_check(struct lc_master *m);
