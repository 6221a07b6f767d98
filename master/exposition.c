#include "master/exposition.h"

#include "base/identity.h"
#include "base/mem.h"
#include "config/config.h"
#include "master/figures.h"
#include "master/queue_length.h"
#include "master/state.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- the format ---- */

static void announce(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put(FILE *out, const char *name, uint64_t value)
{
    fprintf(out, "%s %" PRIu64 "\n", name, value);
}

static void put_label_value(FILE *out, const char *text)
{
    for (; *text != '\0'; text++)
        switch (*text) {
        case '\n': fputs("\\n", out); break;
        case '"':
        case '\\': fputc('\\', out); /* fall through */
        default: fputc(*text, out);
        }
}

static void put_with(FILE *out, const char *name, const char *label, const char *text,
                     uint64_t value)
{
    fprintf(out, "%s{%s=\"", name, label);
    put_label_value(out, text);
    fprintf(out, "\"} %" PRIu64 "\n", value);
}

/* One that has no labels. */
static void put_alone(FILE *out, const char *name, const char *type, uint64_t value,
                      const char *help)
{
    announce(out, name, type, help);
    put(out, name, value);
}

/* ---- histograms ---- */

/* The limits that Prometheus's own libraries have, and some for very quick and very slow
 * applications. */
static const struct {
    uint64_t us;
    const char *seconds;
} limits[] = {
    {250, "0.00025"}, {500, "0.0005"},  {1000, "0.001"},  {2500, "0.0025"},
    {5000, "0.005"},  {10000, "0.01"},  {25000, "0.025"}, {50000, "0.05"},
    {100000, "0.1"},  {250000, "0.25"}, {500000, "0.5"},  {1000000, "1"},
    {2500000, "2.5"}, {5000000, "5"},   {10000000, "10"}, {30000000, "30"},
    {60000000, "60"},
};

static void put_histogram(FILE *out, const char *name,
                          const uint64_t times[LC_LATENCY_BUCKETS], uint64_t sum_us)
{
    uint64_t all = lc_latency_below(times, UINT64_MAX);

    for (size_t i = 0; i < LC_COUNT(limits); i++)
        fprintf(out, "%s_bucket{le=\"%s\"} %" PRIu64 "\n", name, limits[i].seconds,
                lc_latency_below(times, limits[i].us));
    fprintf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, all);
    fprintf(out, "%s_sum %" PRIu64 ".%06" PRIu64 "\n", name, sum_us / 1000000,
            sum_us % 1000000);
    fprintf(out, "%s_count %" PRIu64 "\n", name, all);
}

/* ---- what there is to tell ---- */

static void tell_server(FILE *out, const struct lc_master *m)
{
    announce(out, "licorne_build_info", "gauge", "The program that runs.");
    fprintf(out, "licorne_build_info{program=\"%s\",version=\"%s\"} 1\n",
            lc_identity_name(), lc_identity_version());
    announce(out, "process_start_time_seconds", "gauge",
             "When the master began, in seconds since 1970.");
    fprintf(out, "process_start_time_seconds %" PRIu64 ".%03" PRIu64 "\n",
            m->began_ms / 1000, m->began_ms % 1000);
    put_alone(out, "licorne_reloads_total", "counter", m->reloads,
              "Reloads of the configuration that were begun.");
}

static void tell_requests(FILE *out, const struct lc_figures *figures)
{
    static const char *const classes[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    const struct lc_totals *totals = &figures->totals;

    announce(out, "licorne_requests_total", "counter",
             "Requests that were answered, by the class of the status; none: the client "
             "got none.");
    for (size_t i = 0; i < LC_COUNT(classes); i++)
        put_with(out, "licorne_requests_total", "class", classes[i], totals->status[i]);
    announce(out, "licorne_request_duration_seconds", "histogram",
             "From a request's first byte until its answer had left.");
    put_histogram(out, "licorne_request_duration_seconds", totals->latency,
                  totals->latency_us);
    announce(out, "licorne_request_queue_seconds", "histogram",
             "How long complete requests waited for the application.");
    put_histogram(out, "licorne_request_queue_seconds", totals->waits, totals->waits_us);
    put_alone(out, "licorne_response_body_bytes_total", "counter", totals->bytes,
              "Bytes of bodies that were sent.");
    put_alone(out, "licorne_requests_in_flight", "gauge", figures->in_flight,
              "Requests that the application has, or that wait for one of its threads.");
    put_alone(out, "licorne_connections_accepted_total", "counter", figures->accepted,
              "Connections that were accepted.");
    put_alone(out, "licorne_connections", "gauge", figures->connections,
              "Connections that are open, idle ones included.");
}

static void tell_workers(FILE *out, const struct lc_master *m,
                         const struct lc_figures *figures)
{
    const char *name = "licorne_workers";

    announce(out, name, "gauge",
             "Workers by what they do; busy: at least one request is in hand.");
    put_with(out, name, "state", "busy", figures->workers.busy);
    put_with(out, name, "state", "idle", figures->workers.idle);
    put_with(out, name, "state", "starting", figures->workers.starting);
    put_with(out, name, "state", "leaving", figures->workers.leaving);
    put_alone(out, "licorne_workers_wanted", "gauge", m->serving->wanted,
              "As many workers as there should be.");
    name = "licorne_threads";
    announce(out, name, "gauge",
             "Threads of serving workers that can call the application.");
    put_with(out, name, "state", "busy", figures->threads.busy);
    put_with(out, name, "state", "idle", figures->threads.idle);
}

static void tell_restarts(FILE *out, const struct lc_tally *tally)
{
    put_alone(out, "licorne_workers_started_total", "counter", tally->spawned,
              "Workers that were started.");
    announce(out, "licorne_worker_restarts_total", "counter",
             "Workers that ended and were not told to leave, by cause.");
    for (size_t i = 0; i < LC_RESTART_CAUSES; i++)
        put_with(out, "licorne_worker_restarts_total", "cause", lc_restart_causes[i].name,
                 tally->deaths[lc_restart_causes[i].death]);
}

static void tell_queues(FILE *out, const struct lc_listeners *set)
{
    struct lc_queue_length *lengths = lc_calloc(set->count + 1, sizeof(*lengths));

    for (unsigned i = 0; i < set->count; i++)
        if (!lc_queue_length(set->items[i].fd, set->items[i].is_unix, &lengths[i]))
            lengths[i].limit = 0;
    announce(out, "licorne_listen_queue_length", "gauge",
             "Connections that wait to be accepted.");
    for (unsigned i = 0; i < set->count; i++)
        if (lengths[i].limit != 0)
            put_with(out, "licorne_listen_queue_length", "listener", set->items[i].spec,
                     lengths[i].waiting);
    announce(out, "licorne_listen_queue_limit", "gauge",
             "How many connections the kernel lets wait.");
    for (unsigned i = 0; i < set->count; i++)
        if (lengths[i].limit != 0)
            put_with(out, "licorne_listen_queue_limit", "listener", set->items[i].spec,
                     lengths[i].limit);
    free(lengths);
}

char *lc_exposition_text(const struct lc_master *m, size_t *len)
{
    struct lc_figures figures = lc_figures_of(m);
    char *text = NULL;
    FILE *out = open_memstream(&text, len);

    lc_assert(out != NULL);
    tell_server(out, m);
    tell_requests(out, &figures);
    tell_workers(out, m, &figures);
    tell_restarts(out, &m->tally);
    tell_queues(out, &m->serving->listeners);
    lc_assert(fclose(out) == 0);
    return text;
}
