#include "master/workers.h"

#include "base/clock.h"
#include "base/inherit.h"
#include "base/mem.h"
#include "base/scoreboard.h"
#include "config/config.h"
#include "master/hooks.h"
#include "master/reloader.h"
#include "master/slots.h"
#include "master/spawn.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    YOUTH_MS = 1000, /* who dies younger slows the next ones down         */
    QUICK_MS = 1000, /* between a signal that allows no delay and SIGKILL */
    GOING_MS = 5000, /* for a worker that said itself that it will exit   */
};

static struct lc_worker *worker_of(struct lc_list *link)
{
    return LC_CONTAINER(link, struct lc_worker, link);
}

/* ---- the states ---- */

#define BIT(state) (1u << (state))

static const unsigned may_follow[] = {
    [LC_WORKER_STARTING] = BIT(LC_WORKER_SERVING) | BIT(LC_WORKER_LEAVING) |
                           BIT(LC_WORKER_GONE),
    [LC_WORKER_SERVING] = BIT(LC_WORKER_LEAVING) | BIT(LC_WORKER_GONE),
    [LC_WORKER_LEAVING] = /* again, with a stronger signal */ BIT(LC_WORKER_LEAVING) |
                          BIT(LC_WORKER_KILLED) | BIT(LC_WORKER_GONE),
    [LC_WORKER_KILLED] = BIT(LC_WORKER_GONE),
    [LC_WORKER_GONE] = 0,
};

static void signal_worker(struct lc_master *m, const struct lc_worker *worker, int sig)
{
    m->tally.signalled++;
    kill(worker->child->pid, sig);
}

static void worker_enter(struct lc_master *m, struct lc_worker *worker,
                         enum lc_worker_state next)
{
    lc_assert(may_follow[worker->state] & BIT(next));
    worker->state = next;

    switch (next) {
    case LC_WORKER_STARTING: break;
    case LC_WORKER_SERVING: m->has_served = true; break;
    case LC_WORKER_LEAVING:
        if (worker->farewell != 0)
            signal_worker(m, worker, worker->farewell);
        lc_master_wake_at(m, worker->deadline_ms);
        break;
    case LC_WORKER_KILLED: signal_worker(m, worker, SIGKILL); break;
    case LC_WORKER_GONE:
        lc_slot_release(worker->slot);
        lc_child_forget(worker->child);
        lc_list_remove(&worker->link);
        free(worker);
        break;
    }
}

/* ---- leaving ---- */

/* Each signal leaves less time than the one before it. */
static int urgency(int farewell)
{
    switch (farewell) {
    case SIGTERM: return 1;
    case SIGQUIT: return 2;
    case SIGABRT: return 3;
    default: return 4; /* it goes by itself: a signal would spoil its exit code */
    }
}

/* Its LC_MSG_READY may still be on its way, with a request already in hand. */
static bool has_begun(const struct lc_worker *worker)
{
    return worker->state == LC_WORKER_SERVING ||
           atomic_load(&worker->slot->state) != LC_SLOT_BOOTING;
}

static void send_away(struct lc_master *m, struct lc_worker *worker, int sig,
                      uint64_t patience_ms)
{
    uint64_t deadline = lc_clock_ms() + patience_ms;

    if (worker->state == LC_WORKER_KILLED)
        return;
    if (worker->state == LC_WORKER_LEAVING) {
        if (urgency(sig) <= urgency(worker->farewell))
            return;
        if (worker->deadline_ms < deadline)
            deadline = worker->deadline_ms;
    }
    worker->farewell = sig;
    worker->deadline_ms = deadline;
    worker->had_begun = has_begun(worker);
    worker_enter(m, worker, LC_WORKER_LEAVING);
}

static uint64_t graceful_ms(const struct lc_worker *worker)
{
    return (uint64_t)worker->generation->config->graceful_timeout * 1000;
}

void lc_worker_dismiss(struct lc_master *m, struct lc_worker *worker, enum lc_haste haste)
{
    if (haste == LC_AT_ONCE)
        send_away(m, worker, SIGQUIT, QUICK_MS);
    else
        send_away(m, worker, SIGTERM, has_begun(worker) ? graceful_ms(worker) : QUICK_MS);
}

/* It was not worth waiting for while it booted. But then it took what waited on the sockets. */
static bool has_begun_since(struct lc_worker *worker)
{
    if (worker->farewell != SIGTERM || worker->had_begun || !has_begun(worker))
        return false;
    worker->had_begun = true;
    worker->deadline_ms += graceful_ms(worker);
    return true;
}

void lc_workers_dismiss(struct lc_master *m, const struct lc_generation *generation,
                        enum lc_haste haste)
{
    LC_LIST_EACH (at, &m->workers)
        if (generation == NULL || worker_of(at)->generation == generation)
            lc_worker_dismiss(m, worker_of(at), haste);
}

void lc_worker_abort(struct lc_master *m, struct lc_worker *worker)
{
    send_away(m, worker, SIGABRT, QUICK_MS);
}

void lc_workers_kill_late(struct lc_master *m)
{
    uint64_t now = lc_clock_ms();
    char hand[LC_HAND_TEXT_MAX];

    LC_LIST_EACH (at, &m->workers) {
        struct lc_worker *worker = worker_of(at);

        if (worker->state != LC_WORKER_LEAVING)
            continue;
        if (now < worker->deadline_ms || has_begun_since(worker)) {
            lc_master_wake_at(m, worker->deadline_ms);
            continue;
        }
        if (worker->farewell == SIGTERM && !has_begun(worker)) {
            worker->farewell = SIGQUIT; /* ends an import */
            worker->deadline_ms = now + QUICK_MS;
            worker_enter(m, worker, LC_WORKER_LEAVING);
            continue;
        }
        lc_log(LC_WARN, "Worker (pid:%d) has not left in time%s: SIGKILL",
               (int)worker->child->pid, lc_worker_hand_text(worker, hand));
        worker_enter(m, worker, LC_WORKER_KILLED);
    }
}

void lc_worker_bury(struct lc_master *m, struct lc_worker *worker)
{
    worker_enter(m, worker, LC_WORKER_GONE);
}

/* ---- counting ---- */

unsigned lc_workers_count(const struct lc_master *m,
                          const struct lc_generation *generation)
{
    unsigned count = 0;

    LC_LIST_EACH (at, &m->workers)
        count += generation == NULL || worker_of(at)->generation == generation;
    return count;
}

unsigned lc_workers_ready(const struct lc_master *m,
                          const struct lc_generation *generation)
{
    unsigned count = 0;

    LC_LIST_EACH (at, &m->workers)
        count += worker_of(at)->generation == generation &&
                 worker_of(at)->state == LC_WORKER_SERVING;
    return count;
}

/* Those who are not about to go, now or after their replacement. */
static unsigned staying(const struct lc_master *m, const struct lc_generation *generation)
{
    unsigned count = 0;

    LC_LIST_EACH (at, &m->workers) {
        const struct lc_worker *worker = worker_of(at);

        count += worker->generation == generation && worker->state <= LC_WORKER_SERVING &&
                 !worker->is_retiring;
    }
    return count;
}

/* ---- as many as wanted ---- */

static int worker_start(struct lc_master *m, struct lc_generation *generation,
                        struct lc_error *err)
{
    struct lc_slot *slot = lc_slot_claim(m->scoreboard);

    if (slot == NULL)
        return lc_error_set(err, LC_E_BOOT, "all %d places are taken", LC_SLOTS_MAX);

    struct lc_child *child = lc_child_start(m, m->roles->worker, generation, slot,
                                            m->last_age + 1, err);
    if (child == NULL) {
        lc_slot_release(slot);
        return -1;
    }
    struct lc_worker *worker = lc_new(struct lc_worker);
    worker->child = child;
    worker->generation = generation;
    worker->slot = slot;
    worker->age = ++m->last_age;
    worker->started_ms = lc_clock_ms();
    atomic_store(&slot->pid, child->pid);
    lc_list_append(&m->workers, &worker->link);
    m->tally.spawned++;
    lc_master_wake_at(m, worker->started_ms); /* its boot_timeout begins */
    return 0;
}

/* A fork, and what the hooks of the generation must know of it. False: a hook has failed, which
 * ends the reload or the server. */
static bool tell_hooks(struct lc_master *m, struct lc_generation *generation,
                       enum lc_hook hook, unsigned age, pid_t pid)
{
    struct lc_error err = {0};

    if (lc_worker_hook(m, generation, hook, age, pid, &err) == 0)
        return true;
    if (generation != m->next) {
        lc_master_panic(m, &err);
        return false;
    }
    generation->has_failed = true;
    snprintf(generation->failure, sizeof(generation->failure), "%s", err.text);
    return false;
}

static bool add_one(struct lc_master *m, struct lc_generation *generation)
{
    struct lc_error err = {0};

    if (!tell_hooks(m, generation, LC_HOOK_PRE_FORK, m->last_age + 1, 0))
        return false;
    if (worker_start(m, generation, &err) < 0) {
        lc_log(LC_ERROR, "No new worker could be started: %s", err.text);
        lc_workers_slow_down(m, generation);
        return false;
    }
    const struct lc_worker *added = worker_of(m->workers.prev);
    return tell_hooks(m, generation, LC_HOOK_FORKED, added->age, added->child->pid);
}

static void add_missing(struct lc_master *m, struct lc_generation *generation)
{
    for (unsigned have = staying(m, generation); have < generation->wanted; have++) {
        if (!lc_backoff_is_over(&generation->backoff, lc_clock_ms())) {
            lc_master_wake_at(m, generation->backoff.until_ms);
            return;
        }
        if (lc_clock_ms() < generation->next_start_ms) {
            lc_master_wake_at(m, generation->next_start_ms);
            return;
        }
        if (!add_one(m, generation)) {
            if (!lc_backoff_is_over(&generation->backoff, lc_clock_ms()))
                lc_master_wake_at(m, generation->backoff.until_ms);
            return;
        }
        generation->next_start_ms = lc_clock_ms() +
                                    (uint64_t)generation->config->boot_stagger * 1000;
    }
}

static struct lc_worker *next_to_go(struct lc_master *m,
                                    const struct lc_generation *generation)
{
    struct lc_worker *oldest = NULL;

    LC_LIST_EACH (at, &m->workers) {
        struct lc_worker *worker = worker_of(at);

        if (worker->generation != generation || worker->state != LC_WORKER_SERVING)
            continue;
        if (worker->is_retiring)
            return worker;
        if (oldest == NULL)
            oldest = worker;
    }
    return oldest;
}

/* Only workers that serve count here: nobody goes before its replacement is ready. */
static void dismiss_surplus(struct lc_master *m, struct lc_generation *generation)
{
    for (unsigned have = lc_workers_ready(m, generation); have > generation->wanted;
         have--)
        lc_worker_dismiss(m, next_to_go(m, generation), LC_GRACEFULLY);
}

void lc_workers_adjust(struct lc_master *m)
{
    if (m->phase == LC_MASTER_RUNNING) {
        add_missing(m, m->serving);
        if (m->next != NULL)
            add_missing(m, m->next);
        dismiss_surplus(m, m->serving);
    }

    unsigned count = lc_workers_count(m, NULL);
    if (count != m->last_count)
        lc_log(LC_DEBUG, "%u workers", count);
    m->last_count = count;
}

void lc_workers_want(struct lc_master *m, int change)
{
    struct lc_generation *generation = m->serving;

    if (change < 0 && generation->wanted <= 1)
        return;
    if (change > 0 && generation->wanted >= LC_WORKERS_MAX) {
        lc_log(LC_WARN, "There are %d workers, which is the most there can be",
               LC_WORKERS_MAX);
        return;
    }
    unsigned before = generation->wanted;
    struct lc_error err = {0};

    generation->wanted += (unsigned)change;
    if (lc_master_hook_workers(m, generation, (long)before, &err) < 0)
        lc_master_panic(m, &err);
}

void lc_workers_want_none(struct lc_master *m)
{
    m->serving->wanted = 0;
}

/* ---- trouble ---- */

/* Workers that outlive their youth show that the trouble is over. */
static void forgive(struct lc_master *m)
{
    LC_LIST_EACH (at, &m->workers) {
        struct lc_worker *worker = worker_of(at);

        if (worker->is_proved || worker->state != LC_WORKER_SERVING ||
            lc_clock_ms() - worker->started_ms < YOUTH_MS)
            continue;
        worker->is_proved = true;
        lc_backoff_reset(&worker->generation->backoff);
    }
}

void lc_workers_slow_down(struct lc_master *m, struct lc_generation *generation)
{
    struct lc_backoff *backoff = &generation->backoff;

    forgive(m);
    if (lc_backoff_failed(backoff, lc_clock_ms()))
        lc_log(LC_WARN, "The next worker starts in %u.%u s", backoff->delay_ms / 1000,
               backoff->delay_ms % 1000 / 100);
}

bool lc_worker_is_young(const struct lc_worker *worker)
{
    return lc_clock_ms() - worker->started_ms < YOUTH_MS;
}

void lc_worker_failed_to_boot(struct lc_master *m, struct lc_worker *worker,
                              int exit_code, const char *why)
{
    struct lc_generation *generation = worker->generation;

    if (m->phase != LC_MASTER_RUNNING || generation == m->leaving)
        return;
    lc_tally_boot_failure(m, why);
    if (generation == m->next) {
        generation->has_failed = true;
        snprintf(generation->failure, sizeof(generation->failure), "%.*s",
                 (int)strcspn(why, "\n"), why);
    } else if (!m->has_served && exit_code == LC_EXIT_APP_LOAD) {
        lc_master_halt(m, exit_code, "App failed to load.");
    } else if (!m->has_served && exit_code == LC_EXIT_BOOT) {
        lc_master_halt(m, exit_code, "Worker failed to boot.");
    } else {
        lc_workers_slow_down(m, generation);
    }
}

/* ---- what workers say ---- */

static void on_ready(struct lc_master *m, struct lc_worker *worker)
{
    if (worker->state == LC_WORKER_STARTING)
        worker_enter(m, worker, LC_WORKER_SERVING);
}

/* The worker itself has logged why. */
static void on_boot_failed(struct lc_master *m, struct lc_worker *worker,
                           struct lc_msg_boot_failed *failed, size_t len)
{
    if (len != sizeof(*failed) || worker->state != LC_WORKER_STARTING)
        return;
    failed->text[sizeof(failed->text) - 1] = '\0';
    worker->farewell = 0;
    worker->deadline_ms = lc_clock_ms() + GOING_MS;
    worker_enter(m, worker, LC_WORKER_LEAVING);
    lc_worker_failed_to_boot(m, worker,
                             failed->exit_code == LC_EXIT_APP_LOAD ? LC_EXIT_APP_LOAD
                                                                   : LC_EXIT_BOOT,
                             failed->text);
}

void lc_worker_hear(struct lc_master *m, struct lc_worker *worker)
{
    static _Alignas(8) char payload[LC_MSG_MAX];
    struct lc_msg_head head;

    while (lc_child_receive(worker->child, &head, payload)) {
        switch ((enum lc_msg_type)head.type) {
        case LC_MSG_READY: on_ready(m, worker); break;
        case LC_MSG_BOOT_FAILED:
            on_boot_failed(m, worker, (struct lc_msg_boot_failed *)payload, head.length);
            break;
        case LC_MSG_RETIRING: worker->is_retiring = true; break;
        case LC_MSG_SOURCES:
            lc_reloader_learn(m, (struct lc_slice){payload, head.length});
            break;
        case LC_MSG_TRACEBACK:
            lc_reloader_show(m, worker, (struct lc_slice){payload, head.length});
            break;
        case LC_MSG_RECORDS:
        case LC_MSG_STREAMS:
        case LC_MSG_LOST:
        case LC_MSG_REOPEN:
        case LC_MSG_STOP:
        case LC_MSG_CREDENTIALS:
        case LC_MSG_CONNECTION: break; /* not a worker's to send */
        }
    }
}

void lc_workers_hear(struct lc_master *m)
{
    LC_LIST_EACH (at, &m->workers)
        lc_worker_hear(m, worker_of(at));
}

void lc_mask_controls(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

static size_t append_hand(char *text, size_t used, const struct lc_hand *hand)
{
    uint64_t now = lc_clock_ms();
    uint64_t age_ms = now > hand->started_ms ? now - hand->started_ms : 0;
    int len = snprintf(
        text + used, LC_HAND_TEXT_MAX - used, "%s%s %s for %s, %llu.%llu s",
        used == 0 ? " while handling " : "; ", hand->method, hand->target, hand->client,
        (unsigned long long)age_ms / 1000, (unsigned long long)age_ms % 1000 / 100);

    return used + (size_t)len;
}

const char *lc_worker_hand_text(const struct lc_worker *worker,
                                char text[LC_HAND_TEXT_MAX])
{
    enum { LONGEST = sizeof(struct lc_hand) + 64 };
    unsigned unnamed = 0;
    size_t used = 0;

    *text = '\0';
    for (unsigned i = 0; i < lc_slot_hands(worker->slot); i++) {
        struct lc_hand hand;

        if (!lc_slot_in_hand(worker->slot, i, &hand))
            continue;
        if (LC_HAND_TEXT_MAX - used > LONGEST)
            used = append_hand(text, used, &hand);
        else
            unnamed++;
    }
    if (unnamed > 0)
        snprintf(text + used, LC_HAND_TEXT_MAX - used, "; and %u more", unnamed);
    lc_mask_controls(text);
    return text;
}
