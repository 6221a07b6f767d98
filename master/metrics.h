/* master/metrics.h — what statsd hears from the master: how many workers there are and what they
 * do, why some were replaced, and how many connections wait for one. */
#pragma once
#include "master/tally.h"

#include <stdbool.h>
#include <stdint.h>

struct lc_master;

enum lc_told_what {
    LC_TOLD_WORKERS_BUSY,
    LC_TOLD_WORKERS_IDLE,
    LC_TOLD_THREADS_BUSY,
    LC_TOLD_THREADS_IDLE,
    LC_TOLD_CONNECTIONS,
    LC_TOLD_LISTEN_QUEUE,
    LC_TOLD_COUNT
};

/* What was told last. */
struct lc_metrics {
    unsigned workers;
    unsigned restarts[LC_RESTART_CAUSES];
    struct lc_told {
        bool is_told;
        unsigned value;
    } told[LC_TOLD_COUNT];
    uint64_t next_ms;
};

/* The master's chore. */
void lc_metrics_step(struct lc_master *m);
