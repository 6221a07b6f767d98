/* app/metrics.h — what statsd hears of a request, in Gunicorn's names. */
#pragma once
#include <stdint.h>

struct lc_request;

/* Its duration, that it was one, its status, and how long it waited for the application. `now_us` is lc_clock_us. */
void lc_metrics_request(const struct lc_request *request, uint64_t now_us);
