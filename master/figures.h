/* master/figures.h — what the server has done so far and is doing now, added up over its workers.
 *
 * What is counted goes on from worker to worker: those that are gone have left their counts in
 * m->tally, so no counter ever goes back. */
#pragma once
#include "base/counts.h"

#include <stdint.h>

struct lc_master;
struct lc_slot;

struct lc_figures {
    /* Since the start. */
    uint64_t requests, accepted;
    struct lc_totals totals;

    /* At this moment. */
    uint64_t connections, in_flight;
    struct {
        unsigned starting, idle, busy, leaving; /* busy: with a request in hand */
    } workers;
    struct {
        unsigned idle, busy; /* of workers that serve; a sync worker is one */
    } threads;
};

/* Of the whole server; and what one worker adds to them, its `workers` and `threads` left out. */
struct lc_figures lc_figures_of(const struct lc_master *m);
void lc_figures_add(struct lc_figures *figures, const struct lc_slot *slot);
