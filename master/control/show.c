#include "master/control/show.h"

#include "base/clock.h"
#include "base/identity.h"
#include "base/inherit.h"
#include "base/mem.h"
#include "base/scoreboard.h"
#include "config/config.h"
#include "master/control/control.h"
#include "master/control/request.h"
#include "master/exposition.h"
#include "master/figures.h"
#include "master/queue_length.h"
#include "master/state.h"
#include "master/upgrade.h"
#include "master/workers.h"

#include <math.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static void put(json_t *object, const char *name, json_t *value)
{
    json_object_set_new(object, name, value);
}

static void put_number(json_t *object, const char *name, uint64_t value)
{
    put(object, name, json_integer((json_int_t)value));
}

static void put_text(json_t *object, const char *name, const char *value)
{
    put(object, name, value == NULL ? json_null() : lc_json_text(value));
}

/* With no more digits than mean something. */
static void put_rounded(json_t *object, const char *name, double value, double digits)
{
    put(object, name, json_real(round(value * digits) / digits));
}

static double seconds_since(uint64_t then_ms)
{
    uint64_t now = lc_clock_ms();

    return now > then_ms ? (double)(now - then_ms) / 1000 : 0;
}

static const struct lc_worker *worker_of(const struct lc_list *link)
{
    return LC_CONTAINER(link, const struct lc_worker, link);
}

/* ---- workers ---- */

static bool is_booted(const struct lc_worker *worker)
{
    uint32_t state = atomic_load(&worker->slot->state);

    return state == LC_SLOT_SERVING || state == LC_SLOT_DRAINING;
}

static const char *state_of(const struct lc_worker *worker)
{
    switch (worker->state) {
    case LC_WORKER_STARTING: return "starting";
    case LC_WORKER_SERVING: return worker->is_retiring ? "retiring" : "serving";
    case LC_WORKER_LEAVING: return "leaving";
    case LC_WORKER_KILLED:
    case LC_WORKER_GONE: break;
    }
    return "killed";
}

/* What both show workers and show all say of one. */
static json_t *describe(const struct lc_worker *worker)
{
    json_t *object = json_object();

    put_number(object, "pid", (uint64_t)worker->child->pid);
    put_number(object, "age", worker->age);
    put(object, "booted", json_boolean(is_booted(worker)));
    put_rounded(object, "last_heartbeat",
                seconds_since(atomic_load(&worker->slot->heartbeat_ms)), 100);
    put_text(object, "state", state_of(worker));
    put_number(object, "generation", worker->generation->number);
    return object;
}

json_t *lc_show_workers(const struct lc_master *m)
{
    json_t *workers = json_array();

    LC_LIST_EACH (at, &m->workers) {
        json_t *object = describe(worker_of(at));

        put(object, "aborted", json_boolean(worker_of(at)->farewell == SIGABRT));
        json_array_append_new(workers, object);
    }
    return json_pack("{s:I, s:o}", "count", (json_int_t)json_array_size(workers),
                     "workers", workers);
}

json_t *lc_show_all(const struct lc_master *m)
{
    json_t *workers = json_array();

    LC_LIST_EACH (at, &m->workers) {
        json_t *object = describe(worker_of(at));

        put_text(object, "type", "web");
        json_array_append_new(workers, object);
    }
    return json_pack("{s:{s:i, s:s, s:s}, s:I, s:o, s:n, s:[], s:i}", "arbiter", "pid",
                     (int)getpid(), "type", "arbiter", "role", "master",
                     "web_worker_count", (json_int_t)json_array_size(workers),
                     "web_workers", workers, "dirty_arbiter", "dirty_workers",
                     "dirty_worker_count", 0);
}

json_t *lc_show_dirty(const struct lc_master *m)
{
    return json_pack("{s:b, s:n, s:[], s:[]}", "enabled", 0, "pid", "workers", "apps");
}

/* ---- requests ---- */

static json_t *describe_request(const struct lc_worker *worker,
                                const struct lc_hand *hand)
{
    json_t *object = json_object();

    put_number(object, "pid", (uint64_t)worker->child->pid);
    put_text(object, "method", hand->method);
    put_text(object, "target", hand->target);
    put_text(object, "client", hand->client);
    put_rounded(object, "seconds", seconds_since(hand->started_ms), 1000);
    return object;
}

static void add_requests(json_t *requests, const struct lc_worker *worker)
{
    for (unsigned i = 0; i < lc_slot_hands(worker->slot); i++) {
        struct lc_hand hand;

        if (lc_slot_in_hand(worker->slot, i, &hand))
            json_array_append_new(requests, describe_request(worker, &hand));
    }
}

json_t *lc_show_requests(const struct lc_master *m)
{
    json_t *requests = json_array();

    LC_LIST_EACH (at, &m->workers)
        add_requests(requests, worker_of(at));
    return json_pack("{s:I, s:o}", "count", (json_int_t)json_array_size(requests),
                     "requests", requests);
}

/* ---- counters ---- */

static json_t *status_classes(const struct lc_totals *totals)
{
    static const char *const names[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    json_t *object = json_object();

    for (size_t i = 0; i < LC_COUNT(names); i++)
        put_number(object, names[i], totals->status[i]);
    return object;
}

static void put_sums(json_t *object, const struct lc_figures *sums)
{
    put_number(object, "requests", sums->requests);
    put_number(object, "connections_accepted", sums->accepted);
    put_number(object, "connections", sums->connections);
    put_number(object, "in_flight", sums->in_flight);
    put_number(object, "body_bytes", sums->totals.bytes);
    put(object, "responses", status_classes(&sums->totals));
}

static void put_activity(json_t *object, const struct lc_figures *figures)
{
    put_number(object, "workers_busy", figures->workers.busy);
    put_number(object, "workers_idle", figures->workers.idle);
    put_number(object, "threads_busy", figures->threads.busy);
    put_number(object, "threads_idle", figures->threads.idle);
}

static json_t *restarts(const struct lc_tally *tally)
{
    json_t *object = json_object();

    for (size_t i = 0; i < LC_RESTART_CAUSES; i++)
        put_number(object, lc_restart_causes[i].name,
                   tally->deaths[lc_restart_causes[i].death]);
    return object;
}

/* In milliseconds. */
static json_t *percentiles(const uint64_t latency[LC_LATENCY_BUCKETS])
{
    static const struct {
        const char *name;
        double share;
    } marks[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"max", 1}};
    json_t *object = json_object();

    for (size_t i = 0; i < LC_COUNT(marks); i++)
        put_rounded(object, marks[i].name,
                    lc_latency_percentile(latency, marks[i].share) / 1000, 1000);
    return object;
}

/* "idle", or how far a reload has come. */
static const char *reload_state(const struct lc_master *m)
{
    if (m->next != NULL)
        return "booting";
    if (m->leaving != NULL)
        return "draining";
    return m->reload_wanted ? "asked for" : "idle";
}

static json_t *latest_reload(const struct lc_reloaded *reloaded)
{
    json_t *object;

    if (reloaded->number == 0)
        return json_null();
    object = json_object();
    put_number(object, "number", reloaded->number);
    put(object, "committed", json_boolean(reloaded->is_committed));
    put_text(object, "reason", reloaded->is_committed ? NULL : reloaded->why);
    return object;
}

static const char *phase_of(const struct lc_master *m)
{
    if (m->phase != LC_MASTER_RUNNING)
        return "stopping";
    return m->has_served ? "serving" : "starting";
}

/* What show stats and show metrics both begin with. */
static json_t *describe_server(const struct lc_master *m)
{
    json_t *object = json_object();

    put_rounded(object, "uptime", seconds_since(m->started_ms), 1000);
    put_number(object, "pid", (uint64_t)getpid());
    put_text(object, "name", m->serving->config->name);
    put_text(object, "program", lc_identity_name());
    put_text(object, "version", lc_identity_version());
    put_text(object, "phase", phase_of(m));
    put_number(object, "generation", m->serving->number);
    put_number(object, "workers_current", lc_workers_count(m, NULL));
    put_number(object, "workers_target", m->serving->wanted);
    put_number(object, "workers_spawned", m->tally.spawned);
    put_number(object, "workers_killed", m->tally.signalled);
    put_number(object, "reloads", m->reloads);
    put_text(object, "reload_state", reload_state(m));
    put(object, "last_reload", latest_reload(&m->reloaded));
    put(object, "restarts", restarts(&m->tally));
    put(object, "successor_pid",
        m->successor == 0 ? json_null() : json_integer(m->successor));
    put(object, "dirty_arbiter_pid", json_null());
    return object;
}

json_t *lc_show_stats(const struct lc_master *m)
{
    json_t *object = describe_server(m);
    struct lc_figures sums = lc_figures_of(m);

    put_sums(object, &sums);
    put_activity(object, &sums);
    put(object, "latency_ms", percentiles(sums.totals.latency));
    put(object, "queue_ms", percentiles(sums.totals.waits));
    return object;
}

/* [where it begins in microseconds, how many], for each bucket that is not empty. */
static json_t *histogram(const uint64_t latency[LC_LATENCY_BUCKETS])
{
    json_t *pairs = json_array();

    for (unsigned i = 0; i < LC_LATENCY_BUCKETS; i++)
        if (latency[i] > 0)
            json_array_append_new(pairs,
                                  json_pack("[I, I]", (json_int_t)lc_latency_floor(i),
                                            (json_int_t)latency[i]));
    return pairs;
}

static json_t *measure(const struct lc_worker *worker)
{
    json_t *object = describe(worker);
    json_t *requests = json_array();
    struct lc_figures own = {0};

    lc_figures_add(&own, worker->slot);
    put_sums(object, &own);
    put_rounded(object, "uptime", seconds_since(worker->started_ms), 1000);
    put_number(object, "threads", atomic_load(&worker->slot->threads));
    put_number(object, "free_threads", atomic_load(&worker->slot->free_threads));
    add_requests(requests, worker);
    put(object, "requests_in_hand", requests);
    return object;
}

json_t *lc_show_metrics(const struct lc_master *m)
{
    json_t *object = describe_server(m);
    json_t *workers = json_array();
    struct lc_figures sums = lc_figures_of(m);
    LC_AUTOFREE char *listeners = lc_listeners_text(&m->serving->listeners);

    put_text(object, "listeners", listeners);
    put_sums(object, &sums);
    put_activity(object, &sums);
    put(object, "latency_us", histogram(sums.totals.latency));
    put(object, "queue_us", histogram(sums.totals.waits));
    LC_LIST_EACH (at, &m->workers)
        json_array_append_new(workers, measure(worker_of(at)));
    put(object, "workers", workers);
    return object;
}

json_t *lc_show_exposition(const struct lc_master *m)
{
    size_t len;
    LC_AUTOFREE char *text = lc_exposition_text(m, &len);

    return json_pack("{s:s, s:o}", "content_type", LC_EXPOSITION_TYPE, "text",
                     lc_json_text(text));
}

/* ---- sockets and settings ---- */

static json_t *describe_listener(const struct lc_listener *listener)
{
    struct lc_listeners alone = {.items = (struct lc_listener *)listener, .count = 1};
    LC_AUTOFREE char *address = lc_listeners_text(&alone);
    struct lc_queue_length queue;
    json_t *object = json_object();

    put_text(object, "address", address);
    put(object, "fd", json_integer(listener->fd));
    put_text(object, "type",
             listener->is_unix                        ? "unix"
             : strchr(listener->address, ':') != NULL ? "tcp6"
                                                      : "tcp");
    if (lc_queue_length(listener->fd, listener->is_unix, &queue)) {
        put_number(object, "queue_length", queue.waiting);
        put_number(object, "queue_limit", queue.limit);
    }
    return object;
}

json_t *lc_show_listeners(const struct lc_master *m)
{
    const struct lc_listeners *set = &m->serving->listeners;
    json_t *listeners = json_array();

    for (unsigned i = 0; i < set->count; i++)
        json_array_append_new(listeners, describe_listener(&set->items[i]));
    return json_pack("{s:I, s:o}", "count", (json_int_t)json_array_size(listeners),
                     "listeners", listeners);
}

static json_t *texts(const struct lc_strings *strings)
{
    json_t *array = json_array();

    for (size_t i = 0; i < strings->count; i++)
        json_array_append_new(array, lc_json_text(strings->items[i]));
    return array;
}

json_t *lc_show_config(const struct lc_master *m)
{
    const struct lc_config *config = m->serving->config;
    json_t *object = json_object();

    put(object, "bind", texts(&config->bind));
    put(object, "workers", json_integer(config->workers));
    put_text(object, "worker_class", config->worker_class);
    put(object, "threads", json_integer(config->threads));
    put(object, "timeout", json_integer(config->timeout));
    put(object, "graceful_timeout", json_integer(config->graceful_timeout));
    put(object, "keepalive", json_integer(config->keepalive));
    put(object, "max_requests", json_integer(config->max_requests));
    put(object, "max_requests_jitter", json_integer(config->max_requests_jitter));
    put(object, "worker_connections", json_integer(config->worker_connections));
    put(object, "preload_app", json_boolean(config->preload_app));
    put(object, "daemon", json_boolean(config->daemon));
    put_text(object, "pidfile", config->pidfile);
    put_text(object, "proc_name", config->name);
    put(object, "reload", json_boolean(config->reload));
    put(object, "dirty_workers", json_integer(config->dirty_workers));
    put(object, "dirty_apps", texts(&config->dirty_apps));
    put(object, "dirty_timeout", json_integer(config->dirty_timeout));
    put_text(object, "control_socket", lc_control_path(m));
    put(object, "control_socket_disable", json_boolean(config->control_socket_disable));
    return object;
}
