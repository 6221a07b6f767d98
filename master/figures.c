#include "master/figures.h"

#include "base/mem.h"
#include "base/scoreboard.h"
#include "master/state.h"

static unsigned in_hand(const struct lc_slot *slot)
{
    struct lc_hand hand;
    unsigned count = 0;

    for (unsigned i = 0; i < lc_slot_hands(slot); i++)
        count += lc_slot_in_hand(slot, i, &hand);
    return count;
}

/* The worker publishes its count between two turns of its loop; the requests that hold up this
 * turn are in its hands. */
static uint32_t in_flight(const struct lc_slot *slot)
{
    uint32_t published = atomic_load(&slot->in_flight), held = in_hand(slot);

    return published > held ? published : held;
}

void lc_figures_add(struct lc_figures *figures, const struct lc_slot *slot)
{
    figures->requests += atomic_load(&slot->requests);
    figures->accepted += atomic_load(&slot->accepted);
    figures->connections += atomic_load(&slot->connections);
    figures->in_flight += in_flight(slot);
    lc_totals_add(&figures->totals, &slot->counts);
}

static void add_activity(struct lc_figures *figures, const struct lc_worker *worker)
{
    unsigned busy = in_hand(worker->slot);

    switch (worker->state) {
    case LC_WORKER_STARTING: figures->workers.starting++; return;
    case LC_WORKER_SERVING: break;
    case LC_WORKER_LEAVING:
    case LC_WORKER_KILLED:
    case LC_WORKER_GONE: figures->workers.leaving++; return;
    }
    if (busy > 0)
        figures->workers.busy++;
    else
        figures->workers.idle++;
    figures->threads.busy += busy;
    figures->threads.idle += lc_slot_hands(worker->slot) - busy;
}

struct lc_figures lc_figures_of(const struct lc_master *m)
{
    struct lc_figures figures = {
        .requests = m->tally.requests,
        .accepted = m->tally.accepted,
        .totals = m->tally.past,
    };

    LC_LIST_EACH (at, &m->workers) {
        const struct lc_worker *worker = LC_CONTAINER(at, const struct lc_worker, link);

        lc_figures_add(&figures, worker->slot);
        add_activity(&figures, worker);
    }
    return figures;
}
