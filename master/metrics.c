#include "master/metrics.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/config.h"
#include "master/figures.h"
#include "master/queue_length.h"
#include "master/state.h"
#include "master/workers.h"

#include <stdio.h>
#include <string.h>

enum { EVERY_MS = 1000 };

static void send_metric(const char *name, unsigned value, const char *type)
{
    char line[96];
    int len = snprintf(line, sizeof(line), "gunicorn.%s:%u|%s", name, value, type);

    lc_log_send(LC_STREAM_METRICS, line, (size_t)len);
}

/* A gauge keeps its value until it is told another one. */
static void tell(const char *name, unsigned value, struct lc_told *told)
{
    if (!told->is_told || told->value != value)
        send_metric(name, value, "g");
    told->is_told = true;
    told->value = value;
}

static void report_workers(struct lc_master *m)
{
    unsigned count = lc_workers_count(m, NULL);

    if (count != m->metrics.workers)
        send_metric("workers", count, "g");
    m->metrics.workers = count;
}

static unsigned connections_waiting(const struct lc_listeners *set)
{
    struct lc_queue_length length;
    unsigned waiting = 0;

    for (unsigned i = 0; i < set->count; i++)
        if (lc_queue_length(set->items[i].fd, set->items[i].is_unix, &length))
            waiting += length.waiting;
    return waiting;
}

static void report_saturation(struct lc_master *m)
{
    struct lc_told *told = m->metrics.told;
    struct lc_figures figures = lc_figures_of(m);
    unsigned waiting = connections_waiting(&m->serving->listeners);

    if (m->serving->config->enable_backlog_metric)
        send_metric("backlog", waiting, "h");
    tell("workers.busy", figures.workers.busy, &told[LC_TOLD_WORKERS_BUSY]);
    tell("workers.idle", figures.workers.idle, &told[LC_TOLD_WORKERS_IDLE]);
    tell("threads.busy", figures.threads.busy, &told[LC_TOLD_THREADS_BUSY]);
    tell("threads.idle", figures.threads.idle, &told[LC_TOLD_THREADS_IDLE]);
    tell("connections", (unsigned)figures.connections, &told[LC_TOLD_CONNECTIONS]);
    tell("listen_queue", waiting, &told[LC_TOLD_LISTEN_QUEUE]);
}

static void report_restarts(struct lc_master *m)
{
    for (size_t i = 0; i < LC_RESTART_CAUSES; i++) {
        unsigned *told = &m->metrics.restarts[i];
        unsigned count = m->tally.deaths[lc_restart_causes[i].death];
        LC_AUTOFREE char *name = NULL;

        if (count == *told)
            continue;
        name = lc_printf("worker.restarts.%s", lc_restart_causes[i].name);
        send_metric(name, count - *told, "c");
        *told = count;
    }
}

void lc_metrics_step(struct lc_master *m)
{
    uint64_t now = lc_clock_ms();

    if (m->serving->config->statsd_host == NULL || m->phase != LC_MASTER_RUNNING)
        return;
    report_workers(m);
    report_restarts(m);
    if (now >= m->metrics.next_ms) {
        report_saturation(m);
        m->metrics.next_ms = now + EVERY_MS;
    }
    lc_master_wake_at(m, m->metrics.next_ms);
}
