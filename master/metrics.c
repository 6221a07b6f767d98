#include "master/metrics.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "master/queue_length.h"
#include "master/state.h"
#include "master/workers.h"

#include <stdio.h>

enum { BACKLOG_EVERY_MS = 1000 };

static void send_gauge(const char *name, unsigned value, const char *type)
{
    char line[96];
    int len = snprintf(line, sizeof(line), "%s:%u|%s", name, value, type);

    lc_log_send(LC_STREAM_METRICS, line, (size_t)len);
}

static void report_workers(struct lc_master *m)
{
    unsigned count = lc_workers_count(m, NULL);

    if (count != m->metrics.workers)
        send_gauge("gunicorn.workers", count, "g");
    m->metrics.workers = count;
}

static void report_backlog(struct lc_master *m)
{
    const struct lc_listeners *set = &m->serving->listeners;
    uint64_t now = lc_clock_ms();
    struct lc_queue_length length;
    unsigned waiting = 0;

    if (now >= m->metrics.next_ms) {
        for (unsigned i = 0; i < set->count; i++)
            if (lc_queue_length(set->items[i].fd, set->items[i].is_unix, &length))
                waiting += length.waiting;
        send_gauge("gunicorn.backlog", waiting, "h");
        m->metrics.next_ms = now + BACKLOG_EVERY_MS;
    }
    lc_master_wake_at(m, m->metrics.next_ms);
}

void lc_metrics_step(struct lc_master *m)
{
    const struct lc_config *config = m->serving->config;

    if (config->statsd_host == NULL || m->phase != LC_MASTER_RUNNING)
        return;
    report_workers(m);
    if (config->enable_backlog_metric)
        report_backlog(m);
}
