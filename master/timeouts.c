#include "master/timeouts.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/scoreboard.h"
#include "config/config.h"
#include "master/state.h"
#include "master/workers.h"

#include <licorne/app.h>
#include <licorne/log.h>

#include <signal.h>
#include <stdio.h>

static uint64_t limit_ms(const struct lc_worker *worker)
{
    return (uint64_t)worker->generation->config->timeout * 1000;
}

static bool is_watched(const struct lc_worker *worker)
{
    bool is_given_up = worker->state == LC_WORKER_KILLED ||
                       (worker->state == LC_WORKER_LEAVING &&
                        (worker->farewell == 0 || worker->farewell == SIGABRT));

    return limit_ms(worker) != 0 && !is_given_up &&
           atomic_load(&worker->slot->state) != LC_SLOT_BOOTING;
}

static void give_up(struct lc_master *m, struct lc_worker *worker)
{
    char hand[LC_HAND_TEXT_MAX];

    lc_log(LC_CRITICAL, "WORKER TIMEOUT (pid:%d)%s", (int)worker->child->pid,
           lc_worker_hand_text(worker, hand));
    lc_worker_abort(m, worker);
}

/* ---- threads ----
 *
 * The loop of a worker with threads gives signs of life whatever its application does. So each
 * request has the time for itself: one that takes longer is reported, and the worker lives on as
 * long as it has another thread. */

/* "WHAT (pid:7) thread 1: GET /x from 192.0.2.7 runs for 31 sMORE" */
static void report(enum lc_level level, const char *what, const struct lc_worker *worker,
                   unsigned thread, const struct lc_hand *hand, const char *more)
{
    char text[sizeof(*hand) + 32];

    snprintf(text, sizeof(text), "%s %s from %s", hand->method, hand->target,
             hand->client);
    lc_mask_controls(text);
    lc_log(level, "%s (pid:%d) thread %u: %s runs for %llu s%s", what,
           (int)worker->child->pid, thread + 1, text,
           (unsigned long long)(lc_clock_ms() - hand->started_ms) / 1000, more);
}

/* Whether the request in this hand takes too long. */
static bool is_overdue(struct lc_master *m, struct lc_worker *worker, unsigned thread)
{
    struct lc_hand hand;
    uint64_t now = lc_clock_ms();
    bool is_busy = lc_slot_in_hand(worker->slot, thread, &hand);
    uint64_t due = (is_busy ? hand.started_ms : now) + limit_ms(worker);

    if (now <= due) {
        lc_master_wake_at(m, due + 1); /* one that begins now cannot be late before */
        return false;
    }
    if (worker->reported[thread] != hand.version) {
        worker->reported[thread] = hand.version;
        report(LC_ERROR, "REQUEST TIMEOUT", worker, thread, &hand, "");
    }
    return true;
}

static void check_threads(struct lc_master *m, struct lc_worker *worker, unsigned threads)
{
    unsigned overdue = 0;

    for (unsigned i = 0; i < threads; i++)
        overdue += is_overdue(m, worker, i);
    if (overdue == threads) /* it can serve nobody */
        give_up(m, worker);
}

/* ---- slow_request ---- */

/* Said once; the worker writes where it is. */
static void show(const struct lc_worker *worker, unsigned thread,
                 const struct lc_hand *hand)
{
    report(LC_WARN, "SLOW REQUEST", worker, thread, hand, "; its stack:");
    kill(worker->child->pid, LC_SIGNAL_STACK);
}

static void watch_slow(struct lc_master *m, struct lc_worker *worker)
{
    uint64_t limit = (uint64_t)worker->generation->config->slow_request * 1000;
    uint64_t now = lc_clock_ms();

    for (unsigned i = 0; limit != 0 && i < lc_slot_hands(worker->slot); i++) {
        struct lc_hand hand;
        bool is_busy = lc_slot_in_hand(worker->slot, i, &hand);
        uint64_t due = (is_busy ? hand.started_ms : now) + limit;

        if (now <= due) {
            lc_master_wake_at(m, due + 1);
        } else if (worker->shown[i] != hand.version) {
            worker->shown[i] = hand.version;
            show(worker, i, &hand);
        }
    }
}

/* ---- boot_timeout ---- */

/* A worker that says just now that it is ready is believed: its message is on its way. */
static void watch_boot(struct lc_master *m, struct lc_worker *worker)
{
    long long limit = (long long)worker->generation->config->boot_timeout;
    uint64_t due = worker->started_ms + (uint64_t)limit * 1000;
    char why[96];

    if (limit == 0 || atomic_load(&worker->slot->state) != LC_SLOT_BOOTING)
        return;
    if (lc_clock_ms() <= due) {
        lc_master_wake_at(m, due + 1);
        return;
    }
    snprintf(why, sizeof(why), "a worker was not ready after %lld s (boot_timeout)",
             limit);
    lc_log(LC_CRITICAL,
           "WORKER BOOT TIMEOUT (pid:%d): not ready after %lld s; its stack:",
           (int)worker->child->pid, limit);
    lc_worker_abort(m, worker);
    lc_worker_failed_to_boot(m, worker, 0, why);
}

/* ---- all ---- */

void lc_abort_silent_workers(struct lc_master *m)
{
    LC_LIST_EACH (at, &m->workers) {
        struct lc_worker *worker = LC_CONTAINER(at, struct lc_worker, link);

        if (worker->state == LC_WORKER_STARTING)
            watch_boot(m, worker);
        if (worker->state == LC_WORKER_SERVING)
            watch_slow(m, worker);
        if (!is_watched(worker))
            continue;

        uint64_t silent_at = atomic_load(&worker->slot->heartbeat_ms) + limit_ms(worker);

        if (lc_clock_ms() > silent_at) {
            give_up(m, worker);
            continue;
        }
        lc_master_wake_at(m, silent_at + 1);
        if (atomic_load(&worker->slot->threads) != 0)
            check_threads(m, worker, lc_slot_hands(worker->slot));
    }
}
