#include "app/metrics.h"

#include "app/request.h"
#include "base/log.h"

#include <stdio.h>

void lc_metrics_request(const struct lc_request *request, uint64_t now_us)
{
    uint64_t us = now_us > request->started_us ? now_us - request->started_us : 0;
    char lines[160];

    int len = snprintf(lines, sizeof(lines),
                       "gunicorn.request.duration:%llu.%03llu|ms\n"
                       "gunicorn.requests:1|c|@1.0\n"
                       "gunicorn.request.status.%d:1|c|@1.0",
                       (unsigned long long)us / 1000, (unsigned long long)us % 1000,
                       request->response.status);
    lc_log_send(LC_STREAM_METRICS, lines, (size_t)len);
}
