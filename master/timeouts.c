#include "master/timeouts.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/scoreboard.h"
#include "config/config.h"
#include "master/state.h"
#include "master/workers.h"

#include <licorne/log.h>

#include <signal.h>

/* When the worker's silence becomes too long; 0: never. */
static uint64_t silent_at(const struct lc_worker *worker)
{
    uint64_t timeout_ms = (uint64_t)worker->generation->config->timeout * 1000;
    uint32_t state = atomic_load(&worker->slot->state);

    bool is_given_up = worker->state == LC_WORKER_KILLED ||
                       (worker->state == LC_WORKER_LEAVING &&
                        (worker->farewell == 0 || worker->farewell == SIGABRT));

    if (timeout_ms == 0 || is_given_up || state == LC_SLOT_BOOTING)
        return 0;
    return atomic_load(&worker->slot->heartbeat_ms) + timeout_ms;
}

void lc_abort_silent_workers(struct lc_master *m)
{
    char hand[LC_HAND_TEXT_MAX];

    LC_LIST_EACH (at, &m->workers) {
        struct lc_worker *worker = LC_CONTAINER(at, struct lc_worker, link);
        uint64_t limit = silent_at(worker);

        if (limit == 0)
            continue;
        if (lc_clock_ms() <= limit) {
            lc_master_wake_at(m, limit + 1);
            continue;
        }
        lc_log(LC_CRITICAL, "WORKER TIMEOUT (pid:%d)%s", (int)worker->child->pid,
               lc_worker_hand_text(worker, hand));
        lc_worker_abort(m, worker);
    }
}
