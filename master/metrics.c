#include "master/metrics.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "master/state.h"
#include "master/workers.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

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

/* Of a listening TCP socket Linux tells here how many connections wait to be accepted; of a Unix
 * socket it does not. */
static unsigned waiting_at(int fd)
{
    struct tcp_info info;
    socklen_t size = sizeof(info);

    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0 ? 0
                                                                   : info.tcpi_unacked;
}

static void report_backlog(struct lc_master *m)
{
    const struct lc_listeners *set = &m->serving->listeners;
    uint64_t now = lc_clock_ms();
    unsigned waiting = 0;

    if (now >= m->metrics.next_ms) {
        for (unsigned i = 0; i < set->count; i++)
            waiting += waiting_at(set->items[i].fd);
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
