#include "app/metrics.h"

#include "app/request.h"
#include "base/log.h"

#include <stdio.h>

void lc_metrics_request(const struct lc_request *request, uint64_t now_us)
{
    uint64_t us = now_us > request->started_us ? now_us - request->started_us : 0;
    uint64_t queued = lc_request_waited_us(request);
    char lines[256];

    int len = snprintf(lines, sizeof(lines),
                       "gunicorn.request.duration:%llu.%03llu|ms\n"
                       "gunicorn.requests:1|c|@1.0\n"
                       "gunicorn.request.status.%d:1|c|@1.0\n"
                       "gunicorn.request.queue:%llu.%03llu|ms",
                       (unsigned long long)us / 1000, (unsigned long long)us % 1000,
                       request->response.status, (unsigned long long)queued / 1000,
                       (unsigned long long)queued % 1000);
    lc_log_send(LC_STREAM_METRICS, lines, (size_t)len);
}
