/* master/metrics.h — what statsd hears from the master: how many workers there are, and how many
 * connections wait for one. */
#pragma once

struct lc_master;

/* The master's chore. */
void lc_metrics_step(struct lc_master *m);
